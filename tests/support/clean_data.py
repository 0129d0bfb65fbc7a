"""Data without a leak, in which tests of the audit plant one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_base.auditing.report import Leak

N = 150


def arrays(**others: Any) -> dict[str, Any]:
    """Inputs without a leak, three classes; `others` come beside them or in their place."""
    rng = np.random.default_rng(0)
    return {"x": rng.normal(3, 2, (N, 4)).astype(np.float32), "y": np.arange(N) % 3} | others


def source(folder: Path, **others: Any) -> str:
    """The path of an .npz of `arrays`."""
    np.savez(folder / "source.npz", **arrays(**others))
    return str(folder / "source.npz")


def table(y: np.ndarray[Any, Any]) -> pd.DataFrame:
    """The sample table of these targets."""
    return pd.DataFrame({"id": [f"{i:04d}" for i in range(len(y))], "target": y})


def kinds(leaks: list[Leak]) -> list[str]:
    """What kinds of leaks were found, each told in one line."""
    assert not any("\n" in leak.detail for leak in leaks)
    return [leak.kind for leak in leaks]
