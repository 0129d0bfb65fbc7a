"""Claims about damaged arrays: they are read, or refused in one line, without a warning or much memory."""

import io
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.arrays import Arrays
from tests.fuzz.bent import peak, spliced
from tests.fuzz.test_fuzz import refused

ARRAYS: dict[str, Any] = {
    "x": np.arange(24, dtype=np.float32).reshape(12, 2),
    "y": np.arange(12) % 3,
    "id": np.array([f"n{i}" for i in range(12)]),
    "group": np.array([b"g", b"h"] * 6),
    "time": np.arange(12).astype("M8[D]"),
}


def npy(values: Any) -> bytes:
    """An array as a .npy file."""
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def looked(source: Path) -> bool:
    """Whether the arrays are refused; else they fit each other."""

    def look() -> None:
        samples = Arrays(source=str(source)).samples("pool")
        assert len(samples) == len(samples.table) == samples.inputs.shape[0]
        assert samples.inputs.dtype in (np.uint8, np.float32, np.float64)
        assert not samples.table.isna().any(axis=None)

    return refused(look)


def test_bent_archives_are_refused_or_read(tmp_path: Path) -> None:
    rng, before, count, path = random.Random(0), peak(), 0, tmp_path / "a.npz"
    whole = []
    for save in (np.savez, np.savez_compressed):
        save(path, **ARRAYS)
        whole.append(path.read_bytes())
    for number in range(700):
        path.write_bytes(spliced(whole[number % 2], whole[1 - number % 2], rng))
        count += looked(path)
    assert 350 < count < 700
    assert peak() - before < 200 * 2**20


def test_bent_members_are_refused_or_read(tmp_path: Path) -> None:
    rng, before, count, path = random.Random(1), peak(), 0, tmp_path / "a.npz"
    members = {name: npy(values) for name, values in ARRAYS.items()}
    folder = tmp_path / "a"
    folder.mkdir()
    for _ in range(1200):
        bent = rng.choice(list(members))
        content = {**members, bent: spliced(members[bent], members[rng.choice(list(members))], rng)}
        with zipfile.ZipFile(path, "w") as archive:  # whose check sums are right
            for name, raw in content.items():
                archive.writestr(f"{name}.npy", raw)
                (folder / f"{name}.npy").write_bytes(raw)
        count += looked(path) + looked(folder)
    assert 800 < count < 2400
    assert peak() - before < 200 * 2**20
