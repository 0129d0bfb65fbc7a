"""Arrays: the data sets that scikit-learn ships, an `.npz`, or a folder of `.npy` files that stay on the disk."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import datasets

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import UserError, one_line, suggest
from lightning_base.samples.payload import hash_payload
from lightning_base.tools.cache import kept_folder

EMBEDDED = ("digits", "breast_cancer", "wine", "iris", "diabetes")


@dataclass(kw_only=True, eq=False)
class Arrays(BaseDataModule):
    """Inputs and targets as arrays.

    An `.npz`, which is read into memory, holds `x` (N, ...) and `y` (N,): integers or strings are classes,
    floating-point numbers a regression target. Beside them it may hold `id`, `group`, `time`, `time_end` (N,), columns
    for lightning_base.splitters.FoldColumn (N,) whose names begin with `fold`, `classes` (C,) (the names of classes 0
    to C-1), `x_test` and `y_test` (the sealed test source), `x_predict`. Images are (N, C, H, W).

    A folder holds the same arrays as `x.npy`, `y.npy`, …; its `x` is uint8 or float32 and stays memory-mapped, so
    that it may be larger than memory.

    Args:
        source: digits, breast_cancer, wine, iris, diabetes, or the path of an `.npz` or of a folder of `.npy` files.
        predict: the path of one with the `x` that `predict` reads; else `x_predict` of the source.

    Raises:
        UserError: for a source that is neither embedded nor a readable `.npz` with fitting arrays.
    """

    source: str
    predict: str | None = None

    def dataset(self, source: Source) -> Samples:
        """The arrays of a source, memory-mapped where they are files."""
        if source == "predict" and self.predict is not None:
            arrays = {"x_predict": need(read_arrays(self.predict), "x", self.predict)}
        else:
            arrays = read_embedded(self.source) if self.source in EMBEDDED else read_arrays(self.source)
        if source == "predict":
            if "x_predict" not in arrays:
                raise UserError(f"{self.source} has no `x_predict`; name an .npz with data.predict")
            x = numeric(arrays["x_predict"], "x_predict", self.predict or self.source)
            table = pd.DataFrame({"id": row_ids(len(x))})
            return Samples(x, table, hashes=stored_hashes(x), origin=self.predict or self.source)
        if self.seals and "x_test" in arrays:
            raise UserError(
                f"data.test_size or data.split: {self.source} has an `x_test` of its own; do not seal another share"
            )
        pool = to_samples(arrays, "", self.source)
        if source == "pool":
            return pool
        if "x_test" not in arrays:
            raise UserError(f"{self.source} has no test samples; seal a share with data.test_size, e.g. 0.2")
        return to_samples(arrays, "_test", self.source, pool.classes)


def read_embedded(name: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a data set that scikit-learn ships; digits as images (1797, 1, 8, 8) uint8."""
    bunch = getattr(datasets, f"load_{name}")()
    arrays = {"x": bunch.data.astype(np.float32), "y": bunch.target}
    if name == "digits":
        arrays["x"] = bunch.images[:, None].astype(np.uint8)
    if name != "diabetes":
        arrays["classes"] = np.array([str(c) for c in bunch.target_names])
    return arrays


def read_arrays(path: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `.npz`, or of a folder of `.npy` files: inputs memory-mapped, the others read."""
    if not Path(path).is_dir():
        return read_npz(path)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for file in sorted(Path(path).glob("*.npy")):
        mapped = file.stem in ("x", "x_test", "x_predict")
        try:
            arrays[file.stem] = np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{file} is not a readable .npy of plain numbers ({one_line(error)})") from error
        if mapped and arrays[file.stem].dtype not in (np.uint8, np.float32):
            raise UserError(f"{file}: type {arrays[file.stem].dtype}; write uint8 or float32, which stay on the disk")
    return arrays


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


def read_npz(path: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `.npz`; pickled objects in it are refused."""
    if not Path(path).is_file():
        raise UserError(
            f"data.source: no file {path}, and no embedded data set of that name ({', '.join(EMBEDDED)})"
            f"{suggest(path, EMBEDDED)}"
        )
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (ValueError, OSError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(
            f"{path} is not a readable .npz of plain arrays ({one_line(error)}); write it with numpy.savez(x=…, y=…)"
        ) from error


def need(arrays: dict[str, npt.NDArray[Any]], key: str, path: str) -> npt.NDArray[Any]:
    """The array of that key, which must be there."""
    if key not in arrays:
        raise UserError(f"{path} has no array {key!r}, only {', '.join(sorted(arrays)) or 'nothing'}")
    return arrays[key]


def numeric(x: npt.NDArray[Any], key: str, path: str) -> npt.NDArray[Any]:
    """The inputs as uint8 where they are, else as float32."""
    if x.ndim < 2 or not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise UserError(f"{path}: {key} has shape {x.shape} and type {x.dtype}; inputs are numbers (N, …)")
    return x if x.dtype in (np.uint8, np.float32) else x.astype(np.float32)


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
            raise UserError(f"{origin}: {name} has shape {np.shape(values)} where x{suffix} has {len(x)} rows")
    table = pd.DataFrame(columns)
    table["id"] = table["id"].astype(str)
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
        raise UserError(f"{origin}: y{suffix} has {unknown[0]!r}, which is none of the classes {', '.join(classes)}")
    table["target"] = [number[str(v)] for v in y]
    return Samples(x, table, classes, origin, hashes=stored_hashes(x))
