"""Arrays: the data sets that scikit-learn ships, an `.npz`, or a folder of `.npy` files that stay on the disk."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import datasets

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import ConfigError, DataError, NoSourceError, suggest
from lightning_base.samples.samples import findings_table
from lightning_base.sources.array_files import read_npy_folder, read_npz, unused
from lightning_base.sources.arrays import inputs_alone, need, to_samples

EMBEDDED = ("digits", "breast_cancer", "wine", "iris", "diabetes")


@dataclass(kw_only=True, eq=False)
class Arrays(BaseDataModule):
    """Inputs and targets as arrays.

    An `.npz`, which is read into memory, holds `x` (N, ...) and `y` (N,). Booleans, integers and text are classes:
    those found, whole numbers by value and others by alphabet, booleans as false and true. Floating-point numbers are a
    regression target, whole or not. Beside them it may hold `id`, `group`, `time`, `time_end` (N,), columns for
    lightning_base.splitters.FoldColumn (N,) whose names begin with `fold`, `weight` (N,) for `data.sampling`, `classes`
    (C,) (the names of classes 0 to C-1, which numbers in `y` then are, floating-point ones too), `x_test` and `y_test`
    (the sealed test source, with `id_test`, …), `x_predict` and `id_predict`. Images are (N, C, H, W). Numbers may be
    of any size, precision and byte order; they are kept as uint8, float32, or float64 where float32 does not hold them.
    Arrays of other names are findings, and refused where one that is not there may be meant.

    A folder holds the same arrays as `x.npy`, `y.npy`, …; its `x` is uint8 or float32 and stays memory-mapped, so
    that it may be larger than memory.

    Args:
        source: digits, breast_cancer, wine, iris, diabetes, or the path of an `.npz` or of a folder of `.npy` files.
        predict: the path of one with the `x` that `predict` reads, and `id` where it has one; else `x_predict` of the
            source.

    Raises:
        UserError: for a source that is neither embedded nor a readable `.npz` or folder with fitting arrays.
    """

    source: str
    predict: str | None = None

    def dataset(self, source: Source) -> Samples:
        """The arrays of a source, memory-mapped where they are files."""
        if source == "predict" and self.predict is not None:
            arrays, found = read_arrays(self.predict, "predict")
            x = need(arrays, "x", self.predict)
            return replace(inputs_alone(x, "x", self.predict, arrays.get("id"), "id"), findings=found)
        embedded = self.source in EMBEDDED
        arrays, found = (read_embedded(self.source), findings_table()) if embedded else read_arrays(self.source)
        self._demand_one_shape(arrays)
        if source == "predict":
            if "x_predict" not in arrays:
                raise NoSourceError(
                    f"{self.source} has no `x_predict`; name an .npz that has an array `x` with data.predict"
                )
            return inputs_alone(arrays["x_predict"], "x_predict", self.source, arrays.get("id_predict"), "id_predict")
        if self.seals and "x_test" in arrays:
            raise ConfigError(
                f"data.test_size or data.split: {self.source} has an `x_test` of its own; do not seal another share"
            )
        pool = to_samples(arrays, "", self.source)
        if source == "pool":
            return replace(pool, findings=pd.concat([found, pool.findings], ignore_index=True))
        if "x_test" not in arrays:
            raise NoSourceError(f"{self.source} has no test samples; seal a share with data.test_size, e.g. 0.2")
        return to_samples(arrays, "_test", self.source, pool.classes)

    def _demand_one_shape(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Refuses samples of other shapes than the pool's."""
        for key in ("x_test", "x_predict"):
            if key in arrays and "x" in arrays and arrays[key].shape[1:] != arrays["x"].shape[1:]:
                raise DataError(
                    f"{self.source}: samples of {key} have shape {arrays[key].shape[1:]}, those of x "
                    f"{arrays['x'].shape[1:]}; give as many values"
                )

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


def read_arrays(path: str, key: str = "source") -> tuple[dict[str, npt.NDArray[Any]], pd.DataFrame]:
    """The arrays of an `.npz`, or of a folder of `.npy` files whose inputs are memory-mapped, and findings."""
    if Path(path).is_dir():
        arrays, others = read_npy_folder(Path(path))
    elif Path(path).is_file():
        arrays, others = read_npz(path)
    else:
        raise ConfigError(
            f"data.{key}: no file {path}, and no embedded data set of that name ({', '.join(EMBEDDED)})"
            f"{suggest(path, EMBEDDED)}"
        )
    return arrays, findings_table([*unused(others, arrays, path)])
