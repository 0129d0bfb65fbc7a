"""Claims about texts: folders, lines and columns read alike, and what is said of text that cannot be read."""

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.text import Text
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import Source
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


def test_classes_and_ids_of_tables_have_one_spelling_as_those_of_other_tables_have(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,text,target\n1,good,1\n2.0,bad,0.0\n3,fine,1.0\n4,dull,0\n")
    samples = Text(path=str(tmp_path / "t.csv"), ids="name").dataset("pool")
    assert samples.classes == ("0", "1")
    assert samples.table["target"].tolist() == [1, 0, 1, 0]
    assert samples.table["id"].tolist() == ["1", "2", "3", "4"]
    (tmp_path / "b.csv").write_text("text,target\ngood,True\nbad,FALSE\nfine,true\ndull,false\n")
    for names, targets in ((None, [1, 0, 1, 0]), (["True", "False"], [0, 1, 0, 1])):
        samples = Text(path=str(tmp_path / "b.csv"), class_names=names).dataset("pool")
        assert samples.classes == tuple(names or ("false", "true"))
        assert samples.table["target"].tolist() == targets
        assert samples.findings.empty
    (tmp_path / "twice.csv").write_text("name,text,target\n1,good,1\n1.0,bad,0\n")
    with pytest.raises(UserError, match=r"lines 2 and 3 have the same 'name', '1'"):
        Text(path=str(tmp_path / "twice.csv"), ids="name").dataset("pool")


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
    network = EmbeddingBag(vocabulary=20, num_outputs=3, dim=4, dropout=0.5, word_dropout=0.5).eval()
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


BREAKS = {"line feed": "\n", "both": "\r\n", "carriage return": "\r"}
UTF = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "cp500")


@pytest.mark.parametrize("encoding", UTF)
@pytest.mark.parametrize("ending", BREAKS)
def test_lines_are_the_same_in_every_encoding_and_with_every_ending(tmp_path: Path, encoding: str, ending: str) -> None:
    # U+0A0D and U+0D0A hold the bytes of line ends; the others are breaks to str.splitlines alone
    texts = {"neg": ["dull\u2028film", "", "so\x0bso \x0c bad"], "pos": ["fine \u0a0d \u0d0a", "good\x85film"]}
    if encoding == "cp500":  # EBCDIC, which has other characters, and bytes, for line ends
        texts = {"neg": ["dull", "", "bad"], "pos": ["fine", "good film"]}
    for name, content in texts.items():
        (tmp_path / f"{name}.txt").write_bytes((BREAKS[ending].join(content) + BREAKS[ending]).encode(encoding))
    files = {name: str(tmp_path / f"{name}.txt") for name in texts}
    # a mark says what it is, whatever is declared; without one it is declared
    for declared in {encoding, "utf-8"} if encoding in ("utf-8-sig", "utf-16", "utf-32") else {encoding}:
        samples = Text(files=files, encoding=declared).dataset("pool")
        assert samples.table["id"].tolist() == ["neg/1", "neg/3", "pos/1", "pos/2"]
        assert samples.findings.to_numpy().tolist() == [["neg/2", "empty", "it has no words"]]
        expected = [content for texts_ in texts.values() for content in texts_ if content]
        for row, content in enumerate(expected):
            assert words(samples, row) == re.findall(r"\w+(?:'\w+)*|[^\w\s]", content)


@pytest.mark.parametrize("encoding", UTF)
def test_a_file_that_is_one_text_is_the_same_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    for name, text in (("neg", "dull\nfilm"), ("pos", "très fine" if encoding != "cp500" else "fine")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.text").write_bytes(text.encode(encoding))
    samples = Text(path=str(tmp_path), encoding=encoding).dataset("pool")
    assert words(samples, 0) == ["dull", "film"]
    assert words(samples, 1)[-1] == "fine"
    assert samples.findings.empty


WRONG = {
    "utf-16 without a mark": ("good".encode("utf-16-le"), "utf-8", r"line 1 has a NUL character at column 2"),
    "a mark that lies": (b"\xef\xbb\xbfgood\nb\xe4d", "latin-1", r"line 2 has byte 0xe4 at column 2.*byte-order mark"),
    "no mark": ("good".encode("utf-16-le"), "utf-16", r"no byte-order mark; give data\.encoding: utf-16-le or"),
    "half a character": (
        "a\nbc".encode("utf-16") + b"\0",
        "utf-8",
        r"line 2 has byte 0x00 at column 3, which is not utf",
    ),
    "after carriage returns": (b"a\rb\r\nc\xff", "utf-8", r"line 3 has byte 0xff at column 2, which is not utf-8"),
}


@pytest.mark.parametrize("case", WRONG)
def test_text_that_is_not_what_it_says_names_line_and_column(tmp_path: Path, case: str) -> None:
    raw, encoding, message = WRONG[case]
    for name in ("neg", "pos"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_bytes("good film".encode(encoding))
    (tmp_path / "pos" / "b.txt").write_bytes(raw)
    data = Text(path=str(tmp_path), encoding=encoding)
    found = data.dataset("pool")
    assert found.table["id"].tolist() == ["neg/a.txt", "pos/a.txt"]
    assert found.findings[["id", "kind"]].to_numpy().tolist() == [["pos/b.txt", "encoding"]]
    assert re.search(message, found.findings["detail"][0])
    files = {name: str(tmp_path / name / "a.txt") for name in ("neg", "pos")} | {"odd": str(tmp_path / "pos/b.txt")}
    with pytest.raises(UserError, match=message):
        Text(files=files, encoding=encoding).samples("pool")


def test_packed_text_is_read_within_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {}
    for name, content in TEXTS.items():
        (tmp_path / "root" / name).mkdir(parents=True)
        files[name] = str(tmp_path / f"{name}.txt.gz")
        Path(files[name]).write_bytes(gzip.compress("\n".join(content).encode("utf-16")))
        (tmp_path / "root" / name / "1.txt.gz").write_bytes(
            gzip.compress(content[0].encode()) + gzip.compress(b" more")
        )
    plain = Text(files=lines(tmp_path)).dataset("pool")
    packed = Text(files=files, predict=files["pos"])
    assert np.array_equal(packed.dataset("pool").content, plain.content)
    assert packed.dataset("predict").table["id"].tolist() == ["1", "2", "3"]
    assert words(Text(path=str(tmp_path / "root")).dataset("pool"), 1) == ["a", "film", "to", "see", "!", "more"]
    monkeypatch.setattr("lightning_base.sources.text_files.RATIO_FROM", 10_000)
    Path(files["pos"]).write_bytes(gzip.compress(b"a " * 1_000_000))
    with pytest.raises(UserError, match=r"pos\.txt\.gz: unpacks to more than \d+ bytes, as a decompression bomb does"):
        packed.dataset("pool")
    Path(files["pos"]).write_bytes(gzip.compress(b"a b")[:-9])
    with pytest.raises(UserError, match=r"pos\.txt\.gz: damaged gzip"):
        packed.dataset("predict")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"text\na b\n"))
    assert words(Text(files=files, predict=str(tmp_path / "t.csv.gz")).dataset("predict"), 0) == ["a", "b"]


def test_an_id_that_is_missing_or_there_twice_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,target,key\ngood,pos,a\nbad,neg,b\n!,neg,\n")
    with pytest.raises(UserError, match=r"t\.csv: line 4 has no 'key' \(data\.ids\); give every row one"):
        Text(path=str(path), ids="key").dataset("pool")
    path.write_text('text,target,key\ngood,pos,a\n"",neg,b\nbad,neg,a\n')
    with pytest.raises(UserError, match=r"t\.csv: lines 2 and 4 have the same 'key', 'a' \(data\.ids\)"):
        Text(path=str(path), ids="key").dataset("pool")


def test_a_class_does_not_vanish_with_its_files(tmp_path: Path) -> None:
    for name in ("neg", "pos", "odd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text(f"{name} film")
    (tmp_path / "odd" / "1.txt").rename(tmp_path / "odd" / "1.docx")
    with pytest.raises(UserError, match=r"odd: a class's folder with no file that is read \(1 × \.docx\); give \.txt"):
        Text(path=str(tmp_path)).samples("pool")
    (tmp_path / "odd" / "1.docx").unlink()
    with pytest.raises(UserError, match=r"odd: a class's folder without files .*data\.clean\.empty: drop"):
        Text(path=str(tmp_path)).samples("pool")
    (tmp_path / "odd" / "1.txt").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"odd/1\.txt: line 1 has byte 0xff .* no file of class 'odd' can be read"):
        Text(path=str(tmp_path), clean=Cleaning(encoding="drop")).samples("pool")
    only = tmp_path / "only"
    (only / "neg").mkdir(parents=True)
    (only / "neg" / "1.md").write_text("x")
    with pytest.raises(UserError, match=r"data\.path: .*only has no files that are read \(1 × \.md\); give \.txt"):
        Text(path=str(only)).samples("pool")


def test_train_and_val_are_the_pool_by_role_and_what_stands_beside_them_is_named(tmp_path: Path) -> None:
    for part in ("train", "val", "test", "held"):
        for name in ("neg", "pos"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "1.txt").write_text(f"{part} film {name}")
    data = Text(path=str(tmp_path))
    pool = data.dataset("pool")
    assert pool.table[["id", "role"]].to_numpy().tolist() == [
        [f"{part}/{name}/1.txt", part] for part in ("train", "val") for name in ("neg", "pos")
    ]
    assert pool.findings[["id", "kind"]].to_numpy().tolist() == [["held", "unused"]]
    assert pool.table["target"].tolist() == [0, 1, 0, 1]
    assert words(data.samples("test"), 0)[0] == "test"
    (tmp_path / "train").rename(tmp_path / "training")
    with pytest.raises(UserError, match=r"has a folder val and none named train"):
        data.dataset("pool")


def nasty(root: Path) -> set[str]:
    """A folder with all that goes wrong in folders; the names of its files that are not hidden, and of empty ones."""
    files = {
        "a/1.txt": b"one",
        "a/2.TXT": b"two",
        "a/deep/er/3.text": b"three",
        "b/4.txt.gz": gzip.compress(b"four"),
        "a/blank.txt": b" \n",
        "a/zero.txt": b"",
        "a/bin.txt": bytes(range(256)),
        "a/cut.txt.gz": b"\x1f\x8b\x08",
        "a/x.md": b"x",
        "a/none": b"x",
        "b/x.html": b"x",
        "b/.hid.txt": b"x",
        "b/x.gz": b"x",
        "b/nul.txt": b"a\0",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "a" / "gone.txt").symlink_to(root / "a" / "nowhere.txt")
    (root / "a" / "out.txt").symlink_to("/etc/hostname")
    (root / "b" / "round").symlink_to(root)
    (root / "empty").mkdir()
    with open(os.fsencode(root) + b"/a/\xff.txt", "wb"):
        pass
    os.mkfifo(root / "a" / "pipe.txt")
    found = {p.relative_to(root) for p in root.rglob("*") if p.is_symlink() or not p.is_dir()}
    names = {str(p).encode(errors="surrogateescape").decode(errors="backslashreplace") for p in found}
    return {name for name in names if "/." not in name} | {"empty"}


@pytest.mark.parametrize("source", ["pool", "predict"])
def test_every_file_is_a_sample_or_named_in_a_finding(tmp_path: Path, source: Source) -> None:
    every = nasty(tmp_path) - ({"empty"} if source == "predict" else set())
    samples = Text(path=str(tmp_path), predict=str(tmp_path)).dataset(source)
    ids, told = set(samples.table["id"]), set(samples.findings["id"])
    assert ids == {"a/1.txt", "a/2.TXT", "a/deep/er/3.text", "b/4.txt.gz"}
    assert ids | told == every
    assert not ids & told
    assert not samples.findings["id"].duplicated().any()


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
