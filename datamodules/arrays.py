"""Arrays: the data sets that scikit-learn ships, an `.npz`, or a folder of `.npy` files that stay on the disk."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import datasets

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import ConfigError, DataError, NoSourceError, one_line, suggest
from lightning_base.sources.arrays import inputs_alone, need, to_samples

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
                raise NoSourceError(f"{self.source} has no `x_predict`; name an .npz with data.predict")
            return inputs_alone(arrays["x_predict"], "x_predict", self.predict or self.source)
        if self.seals and "x_test" in arrays:
            raise ConfigError(
                f"data.test_size or data.split: {self.source} has an `x_test` of its own; do not seal another share"
            )
        pool = to_samples(arrays, "", self.source)
        if source == "pool":
            return pool
        if "x_test" not in arrays:
            raise NoSourceError(f"{self.source} has no test samples; seal a share with data.test_size, e.g. 0.2")
        return to_samples(arrays, "_test", self.source, pool.classes)

    def given(self, x: Any) -> Samples:
        """Samples of an array (N, ...).

        Raises:
            DataError: where it is none.
        """
        return inputs_alone(x, "x", "predict")


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
            raise DataError(f"{file} is not a readable .npy of plain numbers ({one_line(error)})") from error
        if mapped and arrays[file.stem].dtype not in (np.uint8, np.float32):
            raise DataError(f"{file}: type {arrays[file.stem].dtype}; write uint8 or float32, which stay on the disk")
    return arrays


def read_npz(path: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `.npz`; pickled objects in it are refused."""
    if not Path(path).is_file():
        raise ConfigError(
            f"data.source: no file {path}, and no embedded data set of that name ({', '.join(EMBEDDED)})"
            f"{suggest(path, EMBEDDED)}"
        )
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (ValueError, OSError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(
            f"{path} is not a readable .npz of plain arrays ({one_line(error)}); write it with numpy.savez(x=…, y=…)"
        ) from error
