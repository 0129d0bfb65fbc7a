"""Claims about texts: folders, lines and columns read alike, and what is said of text that cannot be read."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.text import Text
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import UserError
from lightning_base.samples.batch import Batch
from lightning_base.samples.loader import BatchLoader
from lightning_base.samples.payload import Ragged
from lightning_base.samples.samples import Samples
from models.embedding_bag import EmbeddingBag
from tests.helpers import shared

TEXTS = {"neg": ["Dull, dull film.", "it's bad"], "pos": ["A film to see!", "good   Film", "dull, DULL film ."]}


def lines(folder: Path, texts: dict[str, list[str]] = TEXTS, encoding: str = "utf-8") -> dict[str, str]:
    """One file a class."""
    for name, content in texts.items():
        (folder / f"{name}.txt").write_bytes("".join(f"{text}\n" for text in content).encode(encoding))
    return {name: str(folder / f"{name}.txt") for name in texts}


def words(samples: Samples, row: int) -> list[str]:
    """The words that a row's codes stand for."""
    known = samples.features[0].categories
    assert known is not None
    return [known[code] for code in samples.inputs[row]]


def test_lines_folders_and_columns_give_the_same_texts(tmp_path: Path) -> None:
    by_line = Text(files=lines(tmp_path)).dataset("pool")
    for name, content in TEXTS.items():
        (tmp_path / "root" / name).mkdir(parents=True)
        for i, text in enumerate(content):
            (tmp_path / "root" / name / f"{i}.txt").write_text(text)
    by_file = Text(path=str(tmp_path / "root")).dataset("pool")
    flat = pd.DataFrame([(name, text) for name, content in TEXTS.items() for text in content], columns=["mood", "said"])
    flat.to_csv(tmp_path / "t.csv", index=False)
    flat.to_parquet(tmp_path / "t.parquet")
    by_row = [
        Text(path=str(tmp_path / f"t.{s}"), text="said", target="mood").dataset("pool") for s in ("csv", "parquet")
    ]
    expected = [["dull", ",", "dull", "film", "."], ["it's", "bad"], ["a", "film", "to", "see", "!"], ["good", "film"]]
    for samples in (by_line, by_file, *by_row):
        assert [words(samples, row) for row in range(4)] == expected
        assert samples.features[0].categories == tuple(sorted({w for text in expected for w in text}))
        assert samples.classes == ("neg", "pos")
        assert samples.table["target"].tolist() == [0, 0, 1, 1, 1]
        assert samples.findings.empty
    assert by_line.table["id"].tolist() == ["neg/1", "neg/2", "pos/1", "pos/2", "pos/3"]
    assert by_file.table["id"].tolist() == ["neg/0.txt", "neg/1.txt", "pos/0.txt", "pos/1.txt", "pos/2.txt"]


def test_texts_of_the_same_words_hash_alike_in_every_file(tmp_path: Path) -> None:
    content = Text(files=lines(tmp_path)).dataset("pool").content
    assert content[0] == content[4]
    assert len(np.unique(content)) == 4
    (tmp_path / "b").mkdir()
    other = Text(files=lines(tmp_path / "b", {"x": ["GOOD film"], "y": ["Dull dull, film."]})).dataset("pool").content
    assert other[0] == content[3]
    assert other[1] not in content
    exact = Text(files=lines(tmp_path), lower=False).dataset("pool").content
    assert exact[0] != exact[4]


def test_the_network_gets_the_training_roles_words_and_padding(tmp_path: Path) -> None:
    data = Text(files=lines(tmp_path), max_length=4)
    pool = data.samples("pool")
    data.preprocess.fit(pool, np.array([0, 3]))
    loader = BatchLoader(pool, np.arange(5), 5, encoder=data.preprocess.encoder(pool), longest=data.preprocess.longest)
    batch = data.transform(next(iter(loader)))
    # cut after four words, the training texts have: dull 2, film 2, "," 1, good 1
    number = {"dull": 2, "film": 3, ",": 4, "good": 5}
    expected = np.zeros((5, 4), dtype=np.int64)
    for row in range(5):
        for i, word in enumerate(words(pool, row)[:4]):
            expected[row, i] = number.get(word, 1)
    assert batch.x.tolist() == expected.tolist()
    assert batch.x.dtype == torch.int64


def test_padding_does_not_change_a_texts_logits() -> None:
    torch.manual_seed(0)
    network = EmbeddingBag(num_words=20, num_classes=3, dim=4, dropout=0.5, word_dropout=0.5).eval()
    short = torch.tensor([[3, 7, 1]])
    wide = torch.tensor([[3, 7, 1, 0, 0], [5, 5, 5, 5, 5], [0, 0, 0, 0, 0]])
    mean = network.words.weight[[3, 7, 1]].mean(dim=0)
    expected = network.head[1](mean)
    assert torch.allclose(network(short)[0], expected, atol=1e-6)
    assert torch.allclose(network(wide)[0], expected, atol=1e-6)
    assert torch.allclose(network(wide)[2], network.head[1].bias, atol=1e-6)


def test_text_in_another_encoding_names_file_line_and_byte(tmp_path: Path) -> None:
    files = lines(tmp_path, {"neg": ["dull"], "pos": ["fine", "très fine", "good"]}, "latin-1")
    message = r"pos/2: .*pos\.txt line 2 has byte 0xe8 at column 3, which is not utf-8; .*data\.encoding: latin-1"
    with pytest.raises(UserError, match=message) as caught:
        Text(files=files).samples("pool")
    assert "\n" not in str(caught.value)
    dropped = Text(files=files, clean=Cleaning(encoding="drop")).samples("pool")
    assert dropped.table["id"].tolist() == ["neg/1", "pos/1", "pos/3"]
    read = Text(files=files, encoding="latin-1").samples("pool")
    assert words(read, 2) == ["très", "fine"]
    (tmp_path / "root" / "neg").mkdir(parents=True)
    (tmp_path / "root" / "neg" / "a.txt").write_bytes(b"one\ntwo \xff\n")
    (tmp_path / "root" / "neg" / "b.txt").write_bytes(b"one\n")
    found = Text(path=str(tmp_path / "root")).dataset("pool")
    assert found.table["id"].tolist() == ["neg/b.txt"]
    assert found.findings["id"].tolist() == ["neg/a.txt"]
    assert found.findings["detail"][0].startswith("line 2 has byte 0xff at column 5")


def test_texts_without_words_are_findings_and_no_samples(tmp_path: Path) -> None:
    files = lines(tmp_path, {"neg": ["dull", "", "bad"], "pos": ["fine", "  \t"]})
    samples = Text(files=files).dataset("pool")
    assert samples.table["id"].tolist() == ["neg/1", "neg/3", "pos/1"]
    assert samples.findings[["id", "kind"]].to_numpy().tolist() == [["neg/2", "empty"], ["pos/2", "empty"]]
    with pytest.raises(UserError, match=r"neg/2: it has no words .*data\.clean\.empty"):
        Text(files=files).samples("pool")


def test_classes_that_are_not_declared_and_missing_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,target,who\ngood,pos,a\nbad,neg,b\nodd,neutral,a\nnone,,b\n")
    with pytest.raises(UserError, match="target neutral: none of the classes neg, pos"):
        Text(path=str(path), class_names=["neg", "pos"]).samples("pool")
    found = Text(path=str(path), class_names=["neg", "pos"], group="who").dataset("pool")
    assert found.table["target"].tolist() == [1, 0, -1, -1]
    assert found.table["group"].tolist() == ["a", "b", "a", "b"]
    assert found.findings["detail"].tolist()[1] == "target missing: none of the classes neg, pos"


def test_train_and_test_folders_and_what_predict_reads(tmp_path: Path) -> None:
    for part, text in (("train", "good film"), ("test", "new film")):
        for name in ("neg", "pos"):
            (tmp_path / "root" / part / name).mkdir(parents=True)
            (tmp_path / "root" / part / name / "1.txt").write_text(f"{text} {name}")
    (tmp_path / "ask.txt").write_text("one\ntwo words\n")
    data = Text(path=str(tmp_path / "root"), predict=str(tmp_path / "ask.txt"))
    assert words(data.samples("pool"), 1) == ["good", "film", "pos"]
    assert data.samples("test").table["target"].tolist() == [0, 1]
    asked = data.samples("predict")
    assert asked.table.to_dict("list") == {"id": ["1", "2"]}
    assert isinstance(asked.inputs, Ragged)
    assert np.diff(asked.inputs.offsets).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"data\.path: give either"),
        ({"path": "a", "files": {"a": "b"}}, r"data\.path: give either"),
        ({"path": "nowhere"}, r"data\.path: nowhere is neither a folder nor a table"),
        ({"files": {"neg": "nowhere.txt"}}, r"data\.files\.neg: nowhere\.txt cannot be read"),
        ({"path": "a", "token": "("}, r"data\.token: '\(' is no regular expression"),
        ({"path": "a", "encoding": "klingon"}, r"data\.encoding: 'klingon' is not an encoding"),
        ({"path": "a", "max_words": 2}, r"data\.max_words: 2 is below 3"),
    ],
)
def test_settings_that_cannot_be_used_are_named(work: Path, arguments: dict[str, object], message: str) -> None:
    def read() -> None:
        data = Text(**arguments)  # type: ignore[arg-type]
        assert data.preprocess
        data.dataset("pool")

    with pytest.raises(UserError, match=message):
        read()


def test_rt_polarity_is_read_whole() -> None:
    files = {name: shared(f"rt-polarity/rt-polarity.{name}") for name in ("neg", "pos")}
    samples = Text(files={k: str(v) for k, v in files.items()}, encoding="latin-1").dataset("pool")
    assert len(samples) == 2 * 5331
    line = files["pos"].read_bytes().split(b"\n")[99].decode("latin-1")
    assert "".join(words(samples, 5331 + 99)) == re.sub(r"\s", "", line)
    assert not Text(files={k: str(v) for k, v in files.items()}).dataset("pool").findings.empty


def test_a_batch_without_padding_is_left_alone(tmp_path: Path) -> None:
    data = Text(files=lines(tmp_path))
    data.preprocess.fit(data.samples("pool"), np.arange(5))
    x = torch.tensor([[1, 2]])
    assert data.preprocess.apply(Batch(x, None, torch.zeros(1))).x is x
