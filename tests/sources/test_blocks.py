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
