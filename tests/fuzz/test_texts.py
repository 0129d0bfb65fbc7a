"""Claims about damaged texts: they are read, or findings, or refused in one line, without a warning or much memory."""

import gzip
import random
from pathlib import Path

from datamodules.text import Text
from tests.fuzz.bent import peak, spliced
from tests.fuzz.test_fuzz import refused

TEXT = "Un très bon film\r\nein schöner Film\ra film\u2028to see\n\nfin \U0001f600\n" * 3
ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-be",
    "utf-32",
    "utf-7",
    "cp1252",
    "shift_jis",
    "iso2022_jp",
    "cp500",
)


def written() -> list[bytes]:
    """The same text in every encoding, and packed."""
    found = [TEXT.encode(encoding, errors="replace") for encoding in ENCODINGS]
    return [*found, *(gzip.compress(raw) for raw in found[:3])]


def test_bent_texts_are_read_or_told(tmp_path: Path) -> None:
    rng, before, read, told = random.Random(0), peak(), 0, 0
    sources = written()
    for number in range(250):
        for name in ("a", "b"):
            for i in range(4):
                path = tmp_path / str(number) / name / f"{i}{rng.choice(['.txt', '.txt.gz', '.text', '.md'])}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(spliced(rng.choice(sources), rng.choice(sources), rng))
        root = tmp_path / str(number)
        data = Text(path=str(root), predict=str(root), encoding=rng.choice(ENCODINGS))

        def look(data: Text = data, root: Path = root) -> None:
            nonlocal read, told
            for source in ("predict", "pool"):
                samples = data.dataset(source)  # type: ignore[arg-type]
                ids, found = set(samples.table["id"]), set(samples.findings["id"])
                assert ids | found == {str(path.relative_to(root)) for path in root.rglob("*.*")}
                assert not ids & found
                read, told = read + len(ids), told + len(found)

        refused(look)
    assert read > 400
    assert told > 400
    assert peak() - before < 300 * 2**20


def test_bent_lines_are_each_a_sample_or_a_finding(tmp_path: Path) -> None:
    rng, sources, count = random.Random(1), written(), 0
    path = tmp_path / "ask.txt"
    for _ in range(1500):
        path.write_bytes(spliced(rng.choice(sources), rng.choice(sources), rng))
        data = Text(files={"a": str(path)}, predict=str(path), encoding=rng.choice(ENCODINGS))

        def look(data: Text = data) -> None:
            nonlocal count
            samples = data.dataset("predict")
            ids = [*samples.table["id"], *samples.findings["id"]]
            assert sorted(map(int, ids)) == list(range(1, len(ids) + 1))
            count += 1

        refused(look)
    assert count > 500
