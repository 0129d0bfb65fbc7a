"""Claims about what is read back: a changed byte is refused by the file's name, or changes no value."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lightning_base.errors import UserError
from lightning_base.sources.image_pack import pack_images
from lightning_base.sources.images import Reading
from lightning_base.sources.listing import list_files
from lightning_base.splitters.manifest import read_manifest, write_manifest
from lightning_base.tools.cache import kept_folder
from lightning_base.tools.checksums import intact, read_frame
from lightning_base.tools.files import read_json, write_json, write_parquet


def predictions() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    prob = rng.dirichlet([1, 1, 1], 60).astype(np.float32)
    table = pd.DataFrame({"id": [f"s{i:03d}" for i in range(60)], "target": rng.integers(0, 3, 60)})
    boxes = [list(rng.uniform(size=(2, 4))) for _ in range(60)]
    return table.assign(pred=prob.argmax(axis=1), **{f"prob_{c}": prob[:, c] for c in range(3)}, boxes=boxes)


def split() -> pd.DataFrame:
    ids = [f"s{i:03d}" for i in range(60)]
    parts = [
        pd.DataFrame({"id": ids, "repeat": 0, "fold": k, "role": np.where(np.arange(60) % 3 == k, "val", "train")})
        for k in range(3)
    ]
    return pd.concat(parts, ignore_index=True)


def tried(read: Any, path: Path) -> Any:
    try:
        return read(path)
    except UserError as error:
        return error


RESULT = {"fold": 1, "metrics": {"accuracy": 0.9375, "loss": None}, "split_hash": "ab" * 32, "n_val": 60}
ARTEFACTS: dict[str, Any] = {
    "predictions.parquet": (lambda path: write_parquet(path, predictions()), lambda path: read_frame(path, "x")),
    "split.parquet": (lambda path: write_manifest(path, split(), "f" * 64), lambda path: read_manifest(path)[0]),
    "result.json": (lambda path: write_json(path, RESULT), lambda path: read_json(path, "x", {"fold": int})),
}


@pytest.mark.parametrize("name", ARTEFACTS)
def test_a_changed_byte_is_refused_by_name_or_changes_nothing(tmp_path: Path, name: str) -> None:
    write, read = ARTEFACTS[name]
    path, rng = tmp_path / name, np.random.default_rng(0)
    write(path)
    whole, expected = path.read_bytes(), read(path)
    refused = kept = 0
    for at in rng.choice(len(whole), min(300, len(whole)), replace=False):
        changed = bytearray(whole)
        changed[at] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        found = tried(read, path)
        if isinstance(found, UserError):
            refused += name in str(found)
            continue
        same = found == expected if isinstance(found, dict) else found.to_json() == expected.to_json()
        if not same:  # the name of the key that holds the check sum: then the others are as they were
            assert {key: found.get(key) for key in expected} == expected
        kept += 1
    assert refused + kept == min(300, len(whole))
    assert refused > 0.8 * min(300, len(whole))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=name):
        read(path)


def test_what_another_program_wrote_is_not_taken_for_ours(tmp_path: Path) -> None:
    predictions().to_parquet(tmp_path / "oof.parquet")
    with pytest.raises(UserError, match=r"oof\.parquet.*no check sum"):
        read_frame(tmp_path / "oof.parquet", "run again")
    write_parquet(tmp_path / "oof.parquet", predictions())  # anyone's Parquet reader takes ours
    assert pd.read_parquet(tmp_path / "oof.parquet").to_json() == predictions().to_json()
    (tmp_path / "test.json").write_text(json.dumps({"reads": []}))  # a person's own
    assert read_json(tmp_path / "test.json") == {"reads": []}


def test_packed_images_that_were_damaged_are_packed_anew(tmp_path: Path, cache: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(tmp_path / f"{i}.png")
    files, _ = list_files(tmp_path, (".png",))
    first = np.array(pack_images(tmp_path, files, Reading("RGB")).images[np.arange(6)])
    for name, at in (
        ("images.npy", slice(128, None)),
        ("images.npy", slice(500, 501)),
        ("rows.parquet", slice(40, 41)),
    ):
        [path] = cache.rglob(name)
        changed = bytearray(path.read_bytes())
        changed[at] = bytes(len(changed[at]))
        path.write_bytes(changed)
        again = np.array(pack_images(tmp_path, files, Reading("RGB")).images[np.arange(6)])
        np.testing.assert_array_equal(again, first)
        assert intact(next(iter(cache.rglob("images.npy"))).parent)


def test_a_folder_of_the_cache_that_was_damaged_is_made_anew(cache: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        np.save(folder / "x.npy", np.arange(1000))

    folder = kept_folder("numbers", "1000", make)
    assert kept_folder("numbers", "1000", make) == folder
    changed = bytearray((folder / "x.npy").read_bytes())
    changed[900] ^= 1
    (folder / "x.npy").write_bytes(changed)
    assert (kept_folder("numbers", "1000", make), len(made)) == (folder, 2)
    assert np.load(folder / "x.npy").tolist() == list(range(1000))
    (folder / "x.npy").unlink()
    assert (kept_folder("numbers", "1000", make), len(made)) == (folder, 3)
