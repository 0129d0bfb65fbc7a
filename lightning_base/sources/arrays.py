"""Arrays in memory or memory-mapped, with what stands beside them, as Samples."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import DataError
from lightning_base.samples.moments import far, moments
from lightning_base.samples.payload import hash_payload, narrowed
from lightning_base.samples.reading import texts
from lightning_base.samples.samples import Samples
from lightning_base.tools.cache import kept_folder


def need(arrays: dict[str, npt.NDArray[Any]], key: str, path: str) -> npt.NDArray[Any]:
    """The array of that key, which must be there."""
    if key not in arrays:
        raise DataError(f"{path} has no array {key!r}, only {', '.join(sorted(arrays)) or 'nothing'}")
    return arrays[key]


def numeric(x: npt.NDArray[Any], key: str, path: str) -> npt.NDArray[Any]:
    """The inputs as uint8 or float32 where they are or float32 holds them, else as float64.

    Of images and the like (N, C, ...) float32 is enough where no channel's mean is far from what varies about it.
    """
    if x.ndim < 2 or np.iscomplexobj(x) or not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise DataError(f"{path}: {key} has shape {x.shape} and type {x.dtype}; inputs are numbers (N, …)")
    if x.dtype in (np.uint8, np.float32):
        return x
    exact = narrowed(within_float32(x.astype(np.float64, copy=False)))
    if exact.dtype == np.float32 or x.ndim == 2:
        return exact
    with np.errstate(invalid="ignore", over="ignore"):  # infinite values, which cleaning finds
        parts = (exact[start : start + 1024] for start in range(0, len(exact), 1024))
        return exact if far(*moments(parts)).any() else exact.astype(np.float32)


def within_float32(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The values, those beyond float32 infinite, which cleaning finds."""
    beyond = abs(x) > np.finfo(np.float32).max
    return np.where(beyond, np.copysign(np.inf, x), x) if beyond.any() else x


def inputs_alone(x: Any, key: str, origin: str) -> Samples:
    """The samples of inputs (N, ...) that have no target.

    Raises:
        DataError: for inputs that are no numbers, or of fewer than two dimensions.
    """
    x = numeric(x if isinstance(x, np.ndarray) else np.asarray(x), key, origin)
    return Samples(x, pd.DataFrame({"id": row_ids(len(x))}), hashes=stored_hashes(x), origin=origin)


def row_ids(n: int) -> list[str]:
    """Row numbers as strings of one length, so that their order is the rows'."""
    return [f"{i:0{len(str(max(n - 1, 0)))}d}" for i in range(n)]


def to_samples(
    arrays: dict[str, npt.NDArray[Any]], suffix: str, origin: str, classes: tuple[str, ...] | None = None
) -> Samples:
    """The samples of `x<suffix>`, `y<suffix>` and the optional arrays beside them.

    Without declared classes, those found in `y` are the classes, unless `classes` (the pool's) are given.
    """
    x = numeric(need(arrays, f"x{suffix}", origin), f"x{suffix}", origin)
    y = need(arrays, f"y{suffix}", origin)
    columns: dict[str, Any] = {"id": row_ids(len(x)), "target": y}
    folds = [key for key in arrays if key.startswith("fold") and not suffix]
    for key in ("id", "group", "time", "time_end", *folds):
        if f"{key}{suffix}" in arrays:
            columns[key] = arrays[f"{key}{suffix}"]
    for key, values in columns.items():
        if np.ndim(values) != 1 or len(values) != len(x):
            name = {"target": "y"}.get(key, key) + suffix
            raise DataError(f"{origin}: {name} has shape {np.shape(values)} where x{suffix} has {len(x)} rows")
    table = pd.DataFrame(columns)
    if f"id{suffix}" in arrays:
        table["id"] = texts(table["id"])
        if (gone := table["id"].isna()).any():
            raise DataError(f"{origin}: id{suffix} is missing or blank in row {int(gone.argmax())}; name every sample")
    if "classes" in arrays:
        classes = tuple(map(str, arrays["classes"]))
        if np.issubdtype(y.dtype, np.integer):  # class numbers already
            return Samples(x, table, classes, origin, hashes=stored_hashes(x))
    elif np.issubdtype(y.dtype, np.floating):
        return Samples(x, table, (), origin, hashes=stored_hashes(x))
    elif classes is None:
        classes = tuple(map(str, np.unique(y)))
    number = {name: i for i, name in enumerate(classes)}
    if unknown := sorted({str(v) for v in y} - number.keys()):
        raise DataError(f"{origin}: y{suffix} has {unknown[0]!r}, which is none of the classes {', '.join(classes)}")
    table["target"] = [number[str(v)] for v in y]
    return Samples(x, table, classes, origin, hashes=stored_hashes(x))


def stored_hashes(x: npt.NDArray[Any]) -> npt.NDArray[np.uint64] | None:
    """The content hashes of a memory-mapped array, kept in the cache folder by its file's path, size and time."""
    if not isinstance(x, np.memmap) or x.filename is None:
        return None
    file = Path(x.filename)
    status = file.stat()
    settings = f"{file.resolve()} {status.st_size} {status.st_mtime_ns}"
    folder = kept_folder("arrays", settings, lambda folder: np.save(folder / "hashes.npy", hash_payload(x)))
    hashes: npt.NDArray[np.uint64] = np.load(folder / "hashes.npy", allow_pickle=False)
    return hashes
