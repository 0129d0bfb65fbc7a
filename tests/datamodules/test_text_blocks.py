"""Claims about blocks of a text: nothing is left out, what is held out comes after what trains, prompts are lines."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.text_blocks import TextBlocks
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import NoSourceError, UserError
from lightning_base.preprocess import Tokenizer
from lightning_base.samples.payload import Payload
from lightning_base.samples.texts import texts_of
from lightning_base.splitters import Ratio
from tests.helpers import shared


def texts(payload: Payload) -> list[str]:
    return list(texts_of(payload, np.arange(len(payload))))


def test_blocks_make_the_text_again() -> None:
    path = shared("tinyshakespeare/input.txt")
    samples = TextBlocks(path=str(path), block=1000).dataset("pool")
    assert len(samples) == 1116
    assert "".join(texts(samples.inputs)) == path.read_text()
    assert samples.kind is None
    assert samples.table["time"].tolist() == list(range(0, 1_115_394, 1000))


def test_blocks_are_of_characters_not_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("äöüß🙂\r\n")
    assert texts(TextBlocks(path=str(tmp_path / "x.txt"), block=2).dataset("pool").inputs) == ["äö", "üß", "🙂\r", "\n"]


def test_what_is_held_out_and_sealed_comes_after_what_trains(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("abcdefghij" * 9 + "0123456789")
    data = TextBlocks(path=str(tmp_path / "x.txt"), block=10, test_size=0.1, split=Ratio(val=0.2))
    data.setup("fit")
    assert texts(data.samples("test").inputs) == ["0123456789"]
    assert [*data.rows("train").tolist(), *data.rows("val").tolist()] == list(range(9))
    assert isinstance(data.preprocess, Tokenizer)
    assert data.preprocess.size == 4 + 10  # no digit
    batch = data.transform(data.loader("train").gather(data.rows("train")))
    assert data.preprocess.decode(batch.x[0].tolist()) == "abcdefghij"


def test_prompts_are_lines(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("some text")
    (tmp_path / "p.txt").write_bytes("To be\nor not\n\xff\n".encode("latin-1"))
    data = TextBlocks(path=str(tmp_path / "x.txt"), predict=str(tmp_path / "p.txt"), clean=Cleaning(encoding="drop"))
    samples = data.samples("predict")
    assert texts(samples.inputs) == ["To be", "or not"]
    assert samples.table["id"].tolist() == ["1", "2"]
    assert data.findings["predict"]["id"].tolist() == ["3"]


def test_files_without_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("")
    for name, said in (("x.txt", "has no text"), ("xx.txt", "cannot be read .*; did you mean")):
        with pytest.raises(UserError, match=said):
            TextBlocks(path=str(tmp_path / name)).dataset("pool")
    with pytest.raises(UserError, match="block: 0 is below 1"):
        TextBlocks(path="x", block=0)
    for source in ("test", "predict"):
        with pytest.raises(NoSourceError):
            TextBlocks(path=str(tmp_path / "x.txt")).dataset(source)  # type: ignore[arg-type]
