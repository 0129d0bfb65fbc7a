"""Memory: a data module of arrays or a DataFrame that are in memory, for use from Python."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.features import table_features
from lightning_base.data.pool import Source
from lightning_base.data.values import are_several, as_inputs, as_rows, as_vector, beside, demand_values
from lightning_base.errors import ConfigError, DataError, NoSourceError
from lightning_base.preprocess.base import Preprocess
from lightning_base.preprocess.table import TablePreprocess
from lightning_base.samples.samples import Samples
from lightning_base.sources.arrays import inputs_alone, to_samples
from lightning_base.sources.columns import Layout, Task
from lightning_base.sources.frames import demand_names, frame_form, read_frame
from lightning_base.sources.several_targets import from_array

BESIDE = ("y", "groups", "times")  # what stands beside the inputs, one value per sample


@dataclass(kw_only=True, eq=False)
class Memory(BaseDataModule):
    """Inputs and targets that are in memory: an array (N, ...), or a DataFrame of N rows.

    Of an array, integers or strings in `y` are classes and floating-point numbers a regression target; images are
    (N, C, H, W). A target of several columns (N, K), an array or a DataFrame, is labels where it is whole numbers 0 and
    1 or booleans, and values where it is floating-point numbers; one of more axes (masks) is an array. A DataFrame is
    read as `datamodules.table.Table` reads a Parquet file of the same columns: numbers and categories, gaps imputed.
    Its index names the samples where it is unique and not just a count.

    Args:
        x: the inputs.
        y: (N,) the targets, or (N, K) several of each; of a DataFrame also the name of a column, or a list of names.
        groups: (N,) equal values must stay on one side of a split; of a DataFrame also the name of a column.
        times: (N,) what a split must not train beyond; of a DataFrame also the name of a column.
        columns: the inputs among a DataFrame's columns; by default all that are nothing else.
        categorical: columns that are categories, whatever their values look like, beside those of a category dtype.
        numeric: columns that are numbers; values that are none are findings.
        task: "auto" takes text, and whole numbers of at most 20 distinct values, as classes. For a DataFrame.
        impute: what takes a missing number's place, from the training role.
        encode: categories one-hot, or as codes (0 for one not seen in training).
        missing: add a column for each numeric column with missing values, 1 where the value was missing.

    Raises:
        ConfigError: for an option that arrays do not have.
        DataError: without targets, or for inputs in a form that is not read.
    """

    x: Any
    y: Any = None
    groups: Any = None
    times: Any = None
    columns: list[str] | None = None
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    task: Task = "auto"
    impute: Literal["mean", "median", "zero"] = "median"
    encode: Literal["onehot", "code"] = "onehot"
    missing: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        demand_values(self.x, "x")
        if self.y is None:
            raise DataError("y: missing; give the targets, one per sample of x")
        if isinstance(self.x, pd.DataFrame) and self.normalize not in ("standard", "none"):
            raise ConfigError(f"data.normalize: {self.normalize} is for images; tables take standard or none")
        if not isinstance(self.x, pd.DataFrame) and (self.columns or self.categorical or self.numeric):
            raise ConfigError("data.columns, categorical and numeric name columns; give x as a DataFrame")

    def make_preprocess(self) -> Preprocess:
        """Imputing, scaling and encoding of columns; mean and standard deviation of arrays."""
        if isinstance(self.x, pd.DataFrame):
            return TablePreprocess(self.impute, self.encode, self.normalize == "standard", self.missing)
        return super().make_preprocess()

    def dataset(self, source: Source) -> Samples:
        """The samples in memory; what is sealed is a share of them, and what is predicted is given to `predict`.

        Raises:
            DataError: for values that do not fit each other.
        """
        if source == "test":
            raise NoSourceError("x has no test samples; seal a share: data=dict(test_size=0.2)")
        if source == "predict":
            raise NoSourceError("predict: no samples are given; call predict(x)")
        if isinstance(self.x, pd.DataFrame):
            return self._table()
        x = as_inputs(self.x)
        several = are_several(self.y)
        arrays = {"x": x, "y": as_rows(self.y, "y", len(x)) if several else as_vector(self.y, "y", len(x))}
        if isinstance(self.y, pd.DataFrame):
            arrays["classes"] = np.array([str(name) for name in self.y.columns])
        for key, values in (("group", self.groups), ("time", self.times)):
            if values is not None:
                arrays[key] = as_vector(values, f"{key}s", len(x))
        return to_samples(arrays, "", "x")

    def given(self, x: Any) -> Samples:
        """Samples of further inputs, of the kind that `x` is.

        Raises:
            DataError: for inputs of another kind, or a column that is not there.
        """
        if not isinstance(self.x, pd.DataFrame):
            held, asked = np.shape(self.x)[1:], as_inputs(x)
            if asked.shape[1:] != held:
                raise DataError(
                    f"predict: samples of shape {asked.shape[1:]}, trained were {held}; give as many values"
                )
            return inputs_alone(asked, "x", "predict")
        return read_frame(x, Layout(form=frame_form("predict"), features=table_features(self)))

    def _table(self) -> Samples:
        """The samples of the DataFrame, with what stands beside it as columns of it."""
        frame, y = self.x, self.y
        demand_names(frame, "x")
        if isinstance(y, list) and y and all(isinstance(name, str) for name in y) and set(y) <= set(frame.columns):
            frame, y = frame.drop(columns=y), frame[y]
        if are_several(y):
            names = list(map(str, y.columns)) if isinstance(y, pd.DataFrame) else None
            targets = from_array(as_rows(y, "y", len(frame)), "y", "x", names)
            if isinstance(y, pd.DataFrame) and not y.index.equals(frame.index):
                raise DataError("y: its index is not that of x; align them: y.loc[x.index], or give y.to_numpy()")
            return replace(self._read(frame, None), targets=targets)
        return self._read(frame, y)

    def _read(self, frame: pd.DataFrame, y: Any) -> Samples:
        """The samples of a DataFrame with a target of one value, or none."""
        names: dict[str, str | None] = dict.fromkeys(BESIDE)
        for key in BESIDE:
            values = y if key == "y" else getattr(self, key)
            if values is None or isinstance(values, str):
                names[key] = values
                continue
            names[key] = name = str(getattr(values, "name", None) or key)
            if name in map(str, frame.columns):
                raise DataError(f"{key}: x has a column {name!r} too; take it out of x, or rename one of them")
            frame = frame.assign(**{name: beside(frame, values, key)})
        mine = self.x[[name for name in self.x.columns if name in frame.columns]]
        kinds = [str(name) for name, kind in mine.dtypes.items() if isinstance(kind, pd.CategoricalDtype)]
        return read_frame(
            frame,
            Layout(
                form=frame_form("x"),
                target=names["y"],
                columns=self.columns,
                categorical=[*self.categorical, *(name for name in kinds if name not in names.values())],
                numeric=self.numeric,
                group=names["groups"],
                time=names["times"],
                task=self.task,
            ),
        )
