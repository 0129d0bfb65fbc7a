"""Tables: CSV and Parquet files with numeric and categorical columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.data.features import table_features
from lightning_base.errors import ConfigError, NoSourceError
from lightning_base.preprocess import Preprocess, TablePreprocess
from lightning_base.sources.columns import Layout, Task
from lightning_base.sources.frames import frame_form, read_frame
from lightning_base.sources.records import NA_VALUES, Format
from lightning_base.sources.tables import read_table


@dataclass(kw_only=True, eq=False)
class Table(BaseDataModule):
    """Rows (N, F) of a CSV or Parquet file: numbers, and categories as codes; NaN where a value is missing.

    A column that is not declared is numeric where all its values, or over 90 % of them, are numbers (the others are
    then findings), else categorical. Rows with another number of fields than there are columns are findings, as are
    blank lines between rows. Files above 200 MB are encoded once into a memory-mapped array in the cache folder.

    Args:
        path: the file; Parquet where it ends in .parquet or .pq, else CSV.
        target: the column to predict.
        columns: the inputs; by default every column that is not named as something else.
        categorical: columns that are categories, whatever their values look like.
        numeric: columns that are numbers; values that are none are findings.
        ids: a column of unique names for the rows; by default their numbers.
        group: a column whose equal values must stay on one side of a split.
        time: a column of numbers or ISO 8601 moments that a split must not train beyond.
        time_end: likewise, when a row's target is known; lightning_base.splitters.temporal purges by it.
        role: a column that lightning_base.splitters.ByColumn reads.
        split_columns: columns that are no inputs, but what lightning_base.splitters.FoldColumn may read.
        known_after: columns that are known only after the target is (how long a call took, what a loan came to): no
            inputs, and named among the findings.
        test_path: a file of sealed test rows.
        predict: a file of rows that `predict` reads; it needs no target.
        task: "auto" takes text, and whole numbers of at most 20 distinct values, as classes.
        class_names: the classes in the order of their numbers; by default those found, sorted.
        target_range: the least and the greatest value that a continuous target can have; others are findings.
        separator: between the fields of a CSV; "whitespace" for runs of it; by default the most frequent of tab, comma,
            semicolon and bar in the first line.
        header: true where the first line names the columns, false where they are to be called column_1, column_2, …,
            or their names.
        encoding: of a CSV.
        na_values: fields that mean "missing".
        impute: what takes a missing number's place, from the training role.
        encode: categories one-hot, or as codes (0 for one not seen in training).
        missing: add a column for each numeric column with missing values, 1 where the value was missing.

    Raises:
        UserError: for a file or column that is not there, text in another encoding, or no test file.
    """

    path: str
    target: str
    columns: list[str] | None = None
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    ids: str | None = None
    group: str | None = None
    time: str | None = None
    time_end: str | None = None
    role: str | None = None
    split_columns: Sequence[str] = ()
    known_after: Sequence[str] = ()
    test_path: str | None = None
    predict: str | None = None
    task: Task = "auto"
    class_names: list[str] | None = None
    target_range: tuple[float, float] | None = None
    separator: str | None = None
    header: bool | list[str] = True
    encoding: str = "utf-8"
    na_values: Sequence[str] = NA_VALUES
    impute: Literal["mean", "median", "zero"] = "median"
    encode: Literal["onehot", "code"] = "onehot"
    missing: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.normalize not in ("standard", "none"):
            raise ConfigError(f"data.normalize: {self.normalize} is for images; tables take standard or none")

    def make_preprocess(self) -> Preprocess:
        """Imputing, scaling and encoding of the columns."""
        return TablePreprocess(self.impute, self.encode, self.normalize == "standard", self.missing)

    def dataset(self, source: Source) -> Samples:
        """The rows of a source: (N, F) numbers, and categories as codes; NaN where missing."""
        if source == "pool":
            return read_table(
                Layout(
                    form=self._form(self.path, "data.path"),
                    target=self.target,
                    columns=self.columns,
                    categorical=self.categorical,
                    numeric=self.numeric,
                    ids=self.ids,
                    group=self.group,
                    time=self.time,
                    time_end=self.time_end,
                    role=self.role,
                    split_columns=self.split_columns,
                    known_after=self.known_after,
                    task=self.task,
                    classes=self.class_names,
                    target_range=self.target_range,
                )
            )
        if source == "test":
            if self.test_path is None:
                raise NoSourceError(
                    f"{self.path} has no test rows; seal a share with data.test_size, e.g. 0.2, or data.test_path"
                )
            return read_table(
                Layout(
                    form=self._form(self.test_path, "data.test_path"),
                    target=self.target,
                    features=table_features(self),
                    ids=self.ids,
                    group=self.group,
                    time=self.time,
                    time_end=self.time_end,
                    role=self.role,
                    task="classification" if self.classes else "regression",
                    classes=self.classes or None,
                    target_range=self.target_range,
                )
            )
        if self.predict is None:
            raise NoSourceError("data.predict: not given; name a file of rows")
        return read_table(
            Layout(form=self._form(self.predict, "data.predict"), features=table_features(self), ids=self.ids)
        )

    def given(self, x: Any) -> Samples:
        """Samples of a DataFrame that has the columns of the inputs; its index names them where it is unique.

        Raises:
            DataError: for anything else, or a column that is not there.
        """
        return read_frame(x, Layout(form=frame_form("predict"), features=table_features(self), ids=self.ids))

    def _form(self, path: str, key: str) -> Format:
        """How a file is written; one to predict may lack the target."""
        lacking = (self.target,) if key == "data.predict" else ()
        return Format(Path(path), self.separator, self.header, self.encoding, self.na_values, key, lacking)
