"""Claims about damaged tables: each gives samples, findings, or one line that names the file; nothing else."""

import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datamodules.table import Table
from lightning_base.errors import UserError
from lightning_base.samples.samples import Samples
from tests.sources.test_tables import FRAME, packed

SEEDS = range(40)
JUNK = [
    b'"',
    b"\x00",
    b"\n",
    b"\r",
    b",",
    b";",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x1f",
    b"1e999",
    b"NaN",
    b"-",
    b"[" * 50,
]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes with some changed, taken out, put in or put elsewhere."""
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(content)), rng.randint(1, 40)
        what = rng.randrange(5)
        if what == 0:
            content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        elif what == 1:
            content = content[:at] + content[at + length :]
        elif what == 2:
            content = content[:at] + rng.choice(JUNK) + content[at:]
        elif what == 3:
            content = content[:at] + content[at : at + length] * rng.randint(2, 30) + content[at:]
        else:
            content = content[: max(at, 1)]
        content = content or b" "
    return content


def whole(path: Path) -> bytes:
    """A file of a kind, as it should be."""
    frame = FRAME.assign(when=pd.date_range("2024-01-01", periods=len(FRAME)).strftime("%d.%m.%Y"))
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".xlsx":
        frame[:8].to_excel(path, index=False)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in frame.astype(object).fillna("").to_dict("records")))
    elif path.suffix == ".gz":
        packed(path, frame.to_csv(index=False).encode())
    else:
        frame.to_csv(path, index=False)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.jsonl", "t.xlsx"])
def test_a_damaged_table_is_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    content, read, told = whole(path), 0, list[str]()
    for seed in SEEDS if name != "t.xlsx" else range(12):
        rng = random.Random(seed)
        path.write_bytes(damaged(content, rng))
        try:
            samples = Table(path=str(path), target="y").dataset("pool")
        except UserError as error:
            told.append(str(error))
            continue
        assert isinstance(samples, Samples)
        assert len(samples.findings) + len(samples) > 0
        assert np.asarray(samples.inputs[np.arange(len(samples))]).shape[0] == len(samples.table)
        read += 1
    assert all("\n" not in one and (name in one or "data." in one) for one in told), told
    assert read or name != "t.csv", "most damage to a CSV leaves rows that are read"
