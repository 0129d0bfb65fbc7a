"""What is read of a CSV does not depend on the blocks in which it is parsed, however odd what it holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_base.sources import csv_bytes, records
from lightning_base.sources.columns import Layout
from lightning_base.sources.form import Format
from lightning_base.sources.records import Records
from lightning_base.sources.tables import read_records

ODD = ["word", "007", "1e400", "-nan", "inf", "1,5", "12%", ""]
FAULTY = ["", "1,2", "1,2,3,4,5,6,7,8,9,10", '5" pipe,1']


def column(rng: np.random.Generator, n: int) -> list[str]:
    """Numbers, whole numbers, texts, codes, numbers with gaps, or truths; one in five with a value that is none."""
    kind, values = rng.integers(0, 6), rng.normal(size=n).round(int(rng.integers(0, 5))).tolist()
    texts = ["a", "b,c", "d\ne", 'q"q', "é", "  x "]
    made = {
        0: lambda: [repr(v) for v in values],
        1: lambda: [str(int(v * 100)) for v in values],
        2: lambda: rng.choice(texts, n).tolist(),
        3: lambda: [f"{int(abs(v) * 100):05d}" for v in values],
        4: lambda: ["" if rng.random() < 0.2 else repr(v) for v in values],
        5: lambda: ["NA" if rng.random() < 0.1 else str(v > 0) for v in values],
    }[int(kind)]()
    if rng.random() < 0.3:
        made[int(rng.integers(n))] = str(rng.choice(ODD))
    return made


def write(path: Path, seed: int) -> None:
    """A CSV with quotes where they must be and elsewhere, faulty lines, and either line end."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 200))
    columns = [column(rng, n) for _ in range(rng.integers(2, 6))]

    def quoted(text: str) -> str:
        needs = any(mark in text for mark in ',"\n') or rng.random() < 0.1
        return '"' + text.replace('"', '""') + '"' if needs else text

    lines = [",".join(map(quoted, row)) for row in zip(*columns, rng.choice(["u", "v"], n).tolist(), strict=True)]
    for _ in range(rng.integers(0, 3)):
        lines.insert(int(rng.integers(len(lines))), str(rng.choice(FAULTY)))
    names = ",".join([*(f"c{i}" for i in range(len(columns))), "y"])
    ends = "\r\n" if seed % 3 == 0 else "\n"
    path.write_bytes((ends.join([names, *lines]) + ends * (seed % 5 > 0)).encode())


def read(path: Path, target: str | None) -> tuple[Any, ...]:
    """All that is made of a file."""
    form = Format(path)
    found = read_records(Layout(form, target=target), Records(form))
    assert found.schema is not None
    tables = (found.table.to_csv(), found.findings.to_csv(), found.schema.to_csv())
    x = np.asarray(found.inputs, dtype=np.float64)
    return np.where(np.isnan(x), np.nan, x).tobytes(), found.hashes.tobytes(), found.classes, *tables


@pytest.mark.parametrize("seed", range(40))
def test_blocks_of_any_size_give_what_one_gives(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "t.csv", seed)
    target = "y" if seed % 2 else None
    whole = read(tmp_path / "t.csv", target)
    for block, probed in ((40, 2), (300, 40), (1500, 7)):
        monkeypatch.setattr(csv_bytes, "BLOCK", block)
        monkeypatch.setattr(records, "PROBED", probed)
        assert read(tmp_path / "t.csv", target) == whole


def colours(path: Path, marks: str = "", rows: int = 400) -> Any:
    """A column of quoted texts with blanks before the quotes, and rows to read after half of them."""
    lines = [f'{i}.5, "{"rg"[i % 2]}",{"pq"[i % 2]}' for i in range(rows)]
    lines.insert(rows // 2, marks)
    path.write_text("\n".join(["x,colour,y", *filter(None, lines), ""]))
    form = Format(path)
    return read_records(Layout(form, target="y"), Records(form))


@pytest.mark.parametrize("block", [300, 1 << 20])
def test_a_quote_inside_a_text_changes_no_other_text(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_bytes, "BLOCK", block)
    assert colours(tmp_path / "a.csv").features[1].categories == ("g", "r")
    found = colours(tmp_path / "b.csv", '7,5" pipe,p')
    assert found.features[1].categories == ('5" pipe', "g", "r")
    assert len(found) == 401
    assert found.findings.empty


def test_comments_are_left_out_whatever_quotes_stand_in_texts(tmp_path: Path) -> None:
    for name, text, values in (
        ("a.csv", 'size,x,y\n5" pipe,1,p\n# old,77,q\n6" pipe,2,q\n5" pipe,3,p\n6" pipe,4,q\n', [1, 2, 3, 4]),
        ("b.csv", 'size,x,y\na,1,p\n# it"s\n2" b,5,q\nc,6,p\n', [1, 5, 6]),
    ):
        (tmp_path / name).write_text(text)
        form = Format(tmp_path / name, comment="#")
        found = read_records(Layout(form, target="y"), Records(form))
        assert np.asarray(found.inputs)[:, 1].tolist() == values
        assert found.findings.empty


def test_line_ends_in_quotes_stay_where_comments_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'a,x,y\r\n"p\r\nq",1,u\r\n# note\r\n"p\r\nq",2,v\r\n')
    form = Format(tmp_path / "t.csv", comment="#")
    assert read_records(Layout(form, target="y"), Records(form)).features[0].categories == ("p\r\nq",)


def test_a_code_that_begins_a_block_is_a_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"{10000 + i % 7},{i % 10},{'pq'[i % 2]}" for i in range(100)]
    for at in range(20, 80):
        text = "\n".join(["zip,x,y", *lines[:at], "01234,3,p", *lines[at:], ""])
        monkeypatch.setattr(csv_bytes, "BLOCK", len("\n".join(["zip,x,y", *lines[:at], ""])))
        (tmp_path / "t.csv").write_text(text)
        form = Format(tmp_path / "t.csv")
        found = read_records(Layout(form, target="y"), Records(form))
        assert "01234" in (found.features[0].categories or ())


def test_lines_are_those_of_the_pass_that_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_bytes, "BLOCK", 400)
    rows, line, expected = [], 1, []
    for i in range(2000):
        line += 1 + (i % 3 == 0)
        expected.append(line)
        text = '"two\nlines"' if i % 3 == 0 else "word"
        rows.append(f"{text},{'abc' if i == 1700 else i + 0.5}")
    (tmp_path / "t.csv").write_text("\n".join(["text,x", *rows, ""]))
    held = Records(Format(tmp_path / "t.csv"))
    chunks = list(held.chunks(["text"], ["x"]))
    assert [int(n) for chunk in chunks for n in chunk.lines] == expected
    assert [int(n) for chunk in held.chunks(["text"], ["x"]) for n in chunk.lines] == expected
