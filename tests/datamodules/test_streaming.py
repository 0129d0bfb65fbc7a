"""Claims about streams: shards give what arrays give, chunk by chunk, without unpickling."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from lightning_base.errors import UserError
from tests.helpers import CONFIGS, Run

litdata = pytest.importorskip("litdata")

from litdata.streaming.writer import BinaryWriter  # noqa: E402

from datamodules.streaming import Streaming  # noqa: E402


def write(folder: Path, items: list[dict]) -> str:
    writer = BinaryWriter(str(folder), chunk_size=40)
    for i, item in enumerate(items):
        writer[i] = item
    writer.done()
    writer.merge(1)
    return str(folder)


def digits(n: int) -> list[dict]:
    data = load_digits()
    pairs = zip(data.images[:n], data.target[:n], strict=True)
    return [{"x": x[None].astype(np.uint8), "y": int(y), "id": f"{i:04d}"} for i, (x, y) in enumerate(pairs)]


def test_crossval_of_shards_gives_what_crossval_of_the_same_arrays_gives(run: Run, work: Path) -> None:
    items = digits(300)
    options = (
        *("crossval", "--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 1, "--folds", "[0]"),
        *(
            "--model.network.widths",
            "[8]",
            "--model.network.dropout",
            0,
            "--data.batch_size",
            300,
            "--data.test_size",
            "null",
        ),
    )
    names = [str(c) for c in range(10)]
    shards = write(work / "shards", items)
    x, y, ids = ([item[key] for item in items] for key in ("x", "y", "id"))
    np.savez("own.npz", x=x, y=y, id=ids, classes=names)
    run(*options, "--data.source", "own.npz", "--name", "arrays")
    run(
        *(*options, "--name", "stream", "--data", "datamodules.streaming.Streaming", "--data.shards", shards),
        *("--data.class_names", json.dumps(names)),
    )
    arrays, stream = (pd.read_parquet(f"runs/{name}/crossval/split.parquet") for name in ("arrays", "stream"))
    pd.testing.assert_frame_equal(arrays, stream)
    # one full batch an epoch, in another order: the same up to rounding
    arrays, stream = (
        pd.read_parquet(f"runs/{name}/crossval/fold_0/predictions.parquet") for name in ("arrays", "stream")
    )
    np.testing.assert_allclose(arrays.filter(like="prob_"), stream.filter(like="prob_"), atol=1e-4)


def test_an_epoch_visits_each_sample_once_and_each_chunk_in_one_stretch(work: Path) -> None:
    data = Streaming(shards=write(work / "shards", digits(800)), class_names=tuple(map(str, range(10))), batch_size=32)
    data.setup("fit")
    loader = data.loader("train")
    orders = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        rows = np.concatenate([batch.rows.numpy() for batch in loader])
        assert sorted(rows) == sorted(data.rows("train"))
        chunk = rows // 40
        for c in np.unique(chunk):  # never farther apart than eight chunks
            places = np.flatnonzero(chunk == c)
            assert places.max() - places.min() < 8 * 40
        orders.append(rows)
    assert not np.array_equal(*orders)


def test_the_sample_table_is_read_once(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = write(work / "shards", digits(90))
    first = Streaming(shards=shards, class_names=tuple(map(str, range(10)))).samples("pool")
    monkeypatch.setattr(litdata.StreamingDataset, "__getitem__", lambda self, i: {"x": np.zeros((1, 8, 8), np.uint8)})
    again = Streaming(shards=shards, class_names=tuple(map(str, range(10)))).samples("pool")
    pd.testing.assert_frame_equal(first.table, again.table)
    assert first.fingerprint == again.fingerprint


def test_shards_that_would_be_unpickled_are_refused(work: Path) -> None:
    shards = write(work / "shards", [{"x": np.zeros(3), "y": 0, "id": object}] * 4)
    with pytest.raises(UserError, match="stores pickle, which is not read safely"):
        Streaming(shards=shards).samples("pool")


def test_missing_shards_and_items_without_inputs_are_named(work: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere cannot be read as litdata shards"):
        Streaming(shards=str(work / "nowhere")).samples("pool")
    with pytest.raises(UserError, match="have no 'x'"):
        Streaming(shards=write(work / "a", [{"z": 1}] * 3)).samples("pool")
    with pytest.raises(UserError, match="have no 'y'"):
        Streaming(shards=write(work / "b", [{"x": np.zeros(2)}] * 3)).samples("pool")
    with pytest.raises(UserError, match="test_shards: not given"):
        Streaming(shards=str(work / "a")).samples("test")


def spec(kind: str, context: object) -> str:
    return json.dumps([1, {"type": kind, "context": context, "children_spec": []}])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "config.data_spec",
            spec("collections.defaultdict", json.dumps(["planted", "f", []])),
            "collections.defaultdict",
        ),
        ("config.data_spec", spec("collections.namedtuple", "planted"), "collections.namedtuple"),
        ("config.data_spec", "[1, {}]", "a tree of another kind"),
        ("config.data_spec", "[" * 100_000, "a tree that cannot be read"),
        ("config.data_spec", None, "no tree"),
        ("config.data_format", ["pickle", "int", "str"], "stores pickle"),
        ("config.encryption", "fernet", "encryption"),
        ("config.compression", "../zstd", "encryption, or a compression"),
        ("chunks.0.filename", "../secret.bin", "'../secret.bin' is no plain file name"),
        ("chunks.0.filename", "/etc/passwd", "no plain file name"),
        ("chunks.0.filename", "a\\b", "no plain file name"),
        ("chunks.0.filename", "chunk-0-1.bin", "comes twice"),
        ("chunks.0.chunk_size", -1, "chunk_size -1"),
        ("chunks.0.chunk_size", 10**12, "more than"),
        ("chunks.0.chunk_size", 10**30, "cannot be read"),
        ("chunks", None, "cannot be read"),
    ],
)
def test_an_index_that_names_code_or_leads_out_of_its_folder_is_refused_before_it_is_acted_on(
    work: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: object, message: str
) -> None:
    shards = write(work / "shards", digits(60))
    (work / "planted.py").write_text("import pathlib\npathlib.Path('ran').touch()\nf = list\n")
    monkeypatch.syspath_prepend(str(work))
    index = json.loads((work / "shards" / "index.json").read_text())
    *parents, last = key.split(".")
    place = index
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    place[last] = value
    (work / "shards" / "index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=re.escape(message)):
        Streaming(shards=shards).samples("pool")
    assert not (work / "ran").exists()


def test_a_damaged_index_is_refused_or_gives_the_same_samples(work: Path) -> None:
    shards, rng = write(work / "shards", digits(60)), np.random.default_rng(0)
    file = work / "shards" / "index.json"
    whole, sound = file.read_bytes(), Streaming(shards=shards).samples("pool")
    refused = 0
    for _ in range(60):
        bent = bytearray(whole)
        for place in rng.integers(0, len(bent), 3):
            bent[place] = rng.integers(32, 127)
        file.write_bytes(bytes(bent[: rng.integers(len(bent) // 2, len(bent) + 1)]) if rng.random() < 0.2 else bent)
        try:
            found = Streaming(shards=shards).samples("pool")
        except UserError:
            refused += 1
        else:
            assert np.array_equal(found.content, sound.content)
    assert refused > 20
