"""Arrays: the data sets that scikit-learn ships, and any `.npz` of arrays; nothing is downloaded."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import train_test_split

from lightning_base.data import BaseDataModule, Normalize, Samples, Source
from lightning_base.errors import UserError, one_line, suggest
from lightning_base.split import Splitter

EMBEDDED = ("digits", "breast_cancer", "wine", "iris", "diabetes")


class Arrays(BaseDataModule):
    """Inputs and targets that fit in memory.

    An `.npz` holds `x` (N, ...) and `y` (N,): integers or strings are classes, floating-point numbers a regression
    target. Beside them it may hold `id`, `group`, `time` (N,), `classes` (C,) (the names of classes 0 to C-1),
    `x_test` and `y_test` (the sealed test source), `x_predict`. Images are (N, C, H, W).

    Args:
        source: digits, breast_cancer, wine, iris, diabetes, or the path of an `.npz`.
        predict: the path of an `.npz` with the `x` that `predict` reads; else `x_predict` of the source.
        test_size: share of the source that is sealed as the test source before anything else is done, stratified
            where there are classes; for sources without an `x_test`.
        test_seed: draws the sealed share; its own, so that another experiment seed cannot move samples out of it.
        split: see BaseDataModule, as are the arguments after it.
        batch_size: see BaseDataModule.
        eval_batch_size: see BaseDataModule.
        normalize: see BaseDataModule.
        drop_last: see BaseDataModule.

    Raises:
        UserError: for a source that is neither embedded nor a readable `.npz` with fitting arrays.
    """

    def __init__(
        self,
        source: str,
        predict: str | None = None,
        test_size: float | None = None,
        test_seed: int = 0,
        split: Splitter | None = None,
        batch_size: int | None = 64,
        eval_batch_size: int | None = None,
        normalize: Normalize = "standard",
        drop_last: bool = False,
    ) -> None:
        super().__init__(split, batch_size, eval_batch_size, normalize, drop_last)
        if test_size is not None and not 0 < test_size < 1:
            raise UserError(f"data.test_size: {test_size} is not between 0 and 1; give a share such as 0.2 or null")
        self.source, self.predict, self.test_size, self.test_seed = source, predict, test_size, test_seed

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        if source == "predict" and self.predict is not None:
            arrays = {"x_predict": need(read_npz(self.predict), "x", self.predict)}
        else:
            arrays = read_embedded(self.source) if self.source in EMBEDDED else read_npz(self.source)
        if source == "predict":
            if "x_predict" not in arrays:
                raise UserError(f"{self.source} has no `x_predict`; name an .npz with data.predict")
            x = numeric(arrays["x_predict"], "x_predict", self.predict or self.source)
            return Samples(x, pd.DataFrame({"id": row_ids(len(x))}), origin=self.predict or self.source)
        if self.test_size is not None and "x_test" in arrays:
            raise UserError(f"data.test_size: {self.source} has an `x_test` of its own; leave test_size out")
        pool = to_samples(arrays, "", self.source)
        if self.test_size is None:
            if source == "pool":
                return pool
            if "x_test" not in arrays:
                raise UserError(f"{self.source} has no test samples; seal a share with data.test_size, e.g. 0.2")
            return to_samples(arrays, "_test", self.source, pool.classes)
        rest, sealed = seal(pool, self.test_size, self.test_seed)
        rows = rest if source == "pool" else sealed
        return Samples(pool.inputs[rows], pool.table.iloc[rows].reset_index(drop=True), pool.classes, pool.origin)


def seal(samples: Samples, test_size: float, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the pool and rows of the sealed test share, both in row order."""
    try:
        rest, sealed = train_test_split(
            np.arange(len(samples)),
            test_size=test_size,
            random_state=seed,
            stratify=samples.target if samples.classes else None,
        )
    except ValueError as error:
        raise UserError(f"data.test_size: {samples.origin} cannot be divided: {one_line(error)}") from error
    return np.sort(rest), np.sort(sealed)


def read_embedded(name: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a data set that scikit-learn ships; digits as images (1797, 1, 8, 8) uint8."""
    bunch = getattr(datasets, f"load_{name}")()
    arrays = {"x": bunch.data.astype(np.float32), "y": bunch.target}
    if name == "digits":
        arrays["x"] = bunch.images[:, None].astype(np.uint8)
    if name != "diabetes":
        arrays["classes"] = np.array([str(c) for c in bunch.target_names])
    return arrays


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
    """The array of that key."""
    if key not in arrays:
        raise UserError(f"{path} has no array {key!r}, only {', '.join(sorted(arrays)) or 'nothing'}")
    return arrays[key]


def numeric(x: npt.NDArray[Any], key: str, path: str) -> npt.NDArray[Any]:
    """The inputs as uint8 where they are, else as float32."""
    if x.ndim < 2 or not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise UserError(f"{path}: {key} has shape {x.shape} and type {x.dtype}; inputs are numbers (N, …)")
    return x if x.dtype == np.uint8 else x.astype(np.float32)


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
    for key in ("id", "group", "time"):
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
            return Samples(x, table, classes, origin)
    elif np.issubdtype(y.dtype, np.floating):
        return Samples(x, table, (), origin)
    elif classes is None:
        classes = tuple(map(str, np.unique(y)))
    number = {name: i for i, name in enumerate(classes)}
    if unknown := sorted({str(v) for v in y} - number.keys()):
        raise UserError(f"{origin}: y{suffix} has {unknown[0]!r}, which is none of the classes {', '.join(classes)}")
    table["target"] = [number[str(v)] for v in y]
    return Samples(x, table, classes, origin)
