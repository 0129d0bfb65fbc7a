"""Claims about pairs of texts: lines and tables read alike, each pair whole or told of, tokenizers of the fold."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.parallel_text import ParallelText
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import Ragged, Samples, Sequences
from lightning_base.errors import NoSourceError, UserError
from lightning_base.preprocess import Tokenizer
from lightning_base.splitters import Ratio
from tests.helpers import shared

SOURCES, TARGETS = (
    ["a dog", "two men", "a red ball", "the sea"],
    ["ein Hund", "zwei Männer", "ein roter Ball", "das Meer"],
)


def files(folder: Path, sources: list[str] = SOURCES, targets: list[str] = TARGETS) -> dict[str, str]:
    (folder / "x.en").write_text("".join(f"{text}\n" for text in sources))
    with gzip.open(folder / "x.de.gz", "wt", encoding="utf-8") as file:
        file.write("".join(f"{text}\n" for text in targets))
    return {"source_file": str(folder / "x.en"), "target_file": str(folder / "x.de.gz")}


def texts(payload: object) -> list[str]:
    assert isinstance(payload, Ragged)
    return [payload[i].tobytes().decode() for i in range(len(payload))]


def both(samples: Samples) -> tuple[list[str], list[str]]:
    assert samples.targets is not None
    return texts(samples.inputs), texts(samples.targets.payload)


def test_lines_and_tables_give_the_same_pairs(tmp_path: Path) -> None:
    by_line = ParallelText(**files(tmp_path)).dataset("pool")  # type: ignore[arg-type]
    assert both(by_line) == (SOURCES, TARGETS)
    assert by_line.kind == "sequence"
    assert by_line.table["id"].tolist() == ["1", "2", "3", "4"]
    table = pd.DataFrame({"en": SOURCES, "de": TARGETS, "name": list("wxyz"), "of": list("aabb")})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    table.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for ending in ("csv", "parquet", "jsonl"):
        path = str(tmp_path / f"t.{ending}")
        samples = ParallelText(path=path, source="en", target="de", ids="name", group="of").dataset("pool")
        assert both(samples) == (SOURCES, TARGETS)
        assert samples.table["id"].tolist() == list("wxyz")
        assert samples.table["group"].tolist() == list("aabb")


def test_test_and_predict_sources(tmp_path: Path) -> None:
    given = files(tmp_path)
    data = ParallelText(
        **given,  # type: ignore[arg-type]
        test_source_file=given["source_file"],
        test_target_file=given["target_file"],
        predict=given["source_file"],
    )
    assert both(data.dataset("test")) == (SOURCES, TARGETS)
    assert data.own_test() == "data.test_source_file"
    samples = data.dataset("predict")
    assert samples.targets is None
    assert texts(samples.inputs) == SOURCES
    with pytest.raises(NoSourceError):
        ParallelText(**given).dataset("test")  # type: ignore[arg-type]


def test_a_pair_that_lacks_a_side_is_a_finding(tmp_path: Path) -> None:
    given = files(tmp_path, sources=["a dog", "", "a red ball", "the sea"], targets=["ein Hund", "x", "  ", "das Meer"])
    data = ParallelText(**given, clean=Cleaning(empty="drop"))  # type: ignore[arg-type]
    assert texts(data.samples("pool").inputs) == ["a dog", "the sea"]
    told = data.findings["pool"]
    assert told[["id", "kind"]].to_numpy().tolist() == [["2", "empty"], ["3", "empty"]]
    assert told["detail"].tolist() == ["its source has no text", "its target has no text"]
    with pytest.raises(UserError, match=r"its source has no text \(2 of kind empty\)"):
        ParallelText(**given).samples("pool")  # type: ignore[arg-type]


def test_each_side_has_a_tokenizer_of_the_training_role(tmp_path: Path) -> None:
    poison = [f"{text} zzz" for text in SOURCES]
    data = ParallelText(**files(tmp_path, SOURCES + poison, TARGETS + poison), model="words", split=Ratio(val=0.5))  # type: ignore[arg-type]
    data.setup("fit")
    train = data.rows("train")
    for tokenizer, side in ((data.preprocess, 0), (data.target_preprocess, 1)):
        assert isinstance(tokenizer, Tokenizer)
        seen = {word for row in train for word in both(data.samples("pool"))[side][row].split()}
        assert tokenizer.size == 4 + len(seen)
    batch = data.transform(data.loader("train").gather(train))
    assert batch.x.dtype == torch.int64
    assert isinstance(batch.y, Sequences)
    assert isinstance(data.target_preprocess, Tokenizer)
    rows = zip(batch.y.values.tolist(), batch.y.lengths.tolist(), strict=True)
    assert [data.target_preprocess.decode(row[:n]) for row, n in rows] == [
        both(data.samples("pool"))[1][row] for row in train
    ]


def test_sources_are_cut_and_targets_are_not(tmp_path: Path) -> None:
    data = ParallelText(**files(tmp_path), model="words", max_length=2, split=Ratio(val=0.25))  # type: ignore[arg-type]
    data.setup("fit")
    encoded = data.encoded("pool")
    assert encoded.targets is not None
    assert isinstance(encoded.inputs, Ragged)
    assert isinstance(encoded.targets.payload, Ragged)
    assert encoded.inputs.lengths(np.arange(4)).tolist() == [2, 2, 2, 2]
    assert encoded.targets.payload.lengths(np.arange(4)).tolist() == [2, 2, 3, 2]
    assert isinstance(data.preprocess, Tokenizer)
    assert data.preprocess.cut == 1


def test_multi30k_is_read_whole() -> None:
    folder = shared("multi30k")
    given = {"source_file": str(folder / "val.en.gz"), "target_file": str(folder / "val.de.gz")}
    sources, targets = both(ParallelText(**given).dataset("pool"))  # type: ignore[arg-type]
    assert len(sources) == len(targets) == 1014
    with gzip.open(folder / "val.de.gz", "rt", encoding="utf-8") as file:
        assert targets == file.read().split("\n")[:-1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "give a table"),
        ({"source_file": "x"}, "give both source_file and target_file"),
        ({"path": "t.csv", "source_file": "x", "target_file": "y"}, "data.path: give either it or source_file"),
        ({"path": "t.csv", "source_size": 100}, "size: 100 is below 260"),
    ],
)
def test_settings_that_name_no_pairs_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        ParallelText(**given)  # type: ignore[arg-type]


def test_files_that_are_no_pairs_are_refused(tmp_path: Path) -> None:
    given = files(tmp_path, targets=TARGETS[:3])
    with pytest.raises(UserError, match=r"has 3 lines and .* 4; line by line they must be pairs"):
        ParallelText(**given).dataset("pool")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"cannot be read .*; did you mean"):
        ParallelText(**{**given, "source_file": str(tmp_path / "x.em")}).dataset("pool")  # type: ignore[arg-type]
    table = pd.DataFrame({"en": SOURCES, "de": TARGETS, "name": list("wxyx")})
    table.to_csv(tmp_path / "t.csv", index=False)
    data = ParallelText(path=str(tmp_path / "t.csv"), source="en", target="de", ids="name")
    with pytest.raises(UserError, match="lines 3 and 5 have the same 'name', 'x'"):
        data.dataset("pool")
    with pytest.raises(UserError, match="has no column 'fr'"):
        ParallelText(path=str(tmp_path / "t.csv"), source="en", target="fr").dataset("pool")
