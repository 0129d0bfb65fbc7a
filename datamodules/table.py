"""Tables: CSV and Parquet files with numeric and categorical columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source, Targets
from lightning_base.data.features import table_features
from lightning_base.data.readers import row_reader
from lightning_base.errors import ConfigError, NoSourceError
from lightning_base.preprocess import Preprocess, TablePreprocess
from lightning_base.runtime.notation import Notation
from lightning_base.runtime.readers import Reader
from lightning_base.samples.feature import Feature
from lightning_base.sources.columns import Layout, Task
from lightning_base.sources.form import NA_VALUES, Format, demand_separator, demand_written
from lightning_base.sources.frames import frame_form, read_frame
from lightning_base.sources.label_pairs import Pairs
from lightning_base.sources.schema import read_schema
from lightning_base.sources.several_targets import demand_targets, from_columns, from_lists
from lightning_base.sources.tables import read_table


@dataclass(kw_only=True, eq=False)
class Table(BaseDataModule):
    """Rows (N, F) of a table in a file: numbers, dates, and categories as codes; NaN where a value is missing.

    A column that is not declared is numbers where all its values, or over 90 % of them, are numbers (the others are
    then findings), written plainly or as 1,234.5, 1.234,5, 12 % or $5; dates where they are that; else categories.
    Digits with zeros in front are categories. A column with another value in nearly every row, or one without a name
    that counts the rows, is no input and a finding. `prepare` shows what each column was taken for, and leaves it in
    schema.yaml. Rows with another number of fields than there are columns are findings, as are blank lines between
    rows. Files above 200 MB are encoded once into a memory-mapped array in the cache folder.

    Args:
        path: the file: Parquet (.parquet, .pq; pandas' index names the rows, where it is unique), Excel (.xlsx), JSON
            lines (.jsonl, .ndjson), else CSV; CSV and JSON lines may be packed (.gz, .bz2, .xz, .zst).
        target: the column to predict; of several columns of numbers a list: labels where all hold 0 and 1 alone, else
            values; [] where rows have no target, as beside another input that has it.
        label_separator: what stands between the labels that each cell of the target column lists, as in "red;large";
            an empty cell is a sample without a label.
        label_pairs: in place of a target, a file with a row for each label of each row: a row's id (`ids`) and a label.
            A row whose labels are missing is a finding; a pair without a label says that there is none.
        test_label_pairs: that of `test_path`.
        pair_columns: that file's columns of ids and of labels, where it has more than these two, in this order.
        unlabelled: true where a row that no pair names is one without labels.
        columns: the inputs; by default every column that is not named as something else.
        categorical: columns that are categories, whatever their values look like.
        numeric: columns that are numbers; values that are none are findings.
        dates: columns that are dates or times.
        date_format: of all dates, as strptime has it, e.g. "%d/%m/%Y"; by default what fits.
        schema: a schema.yaml that `prepare` wrote: columns are taken for what it says, and a file with other columns is
            refused; instead of columns, categorical, numeric and dates.
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
        task: "auto" takes text, and whole numbers (1.0 is one) of at most 20 distinct values, as classes; of several
            target columns "regression" takes 0 and 1 as values too.
        class_names: the classes, or labels, in the order of their numbers; by default those found, sorted.
        target_range: the least and the greatest value that a continuous target can have; others are findings.
        separator: between the fields of a CSV, of one character or several; "whitespace" for runs of it; by default the
            most frequent of tab, comma, semicolon and bar in the first line.
        header: true where the first line names the columns, false where they are to be called column_1, column_2, …,
            or their names.
        encoding: of a CSV; a byte-order mark tells UTF-16 and UTF-32 by itself.
        na_values: fields that mean "missing".
        decimal: the decimal mark.
        thousands: what stands between thousands; by default what all numbers of a column fit.
        quote: what encloses fields that hold separators or line ends; null for nothing.
        comment: what lines begin with that are no rows.
        skip_rows: lines at the start that are no rows and no header.
        true_values: texts that are the boolean true, beside "true".
        false_values: … false, beside "false".
        sheet: of an Excel file that has several.
        impute: what takes a missing number's place, from the training role.
        encode: categories one-hot, or as codes (0 for one not seen in training).
        missing: add a column for each numeric column with missing values, 1 where the value was missing.

    Raises:
        UserError: for a file or column that is not there, text in another encoding, or no test file.
    """

    path: str
    target: str | list[str] | None = None
    label_separator: str | None = None
    label_pairs: str | None = None
    test_label_pairs: str | None = None
    pair_columns: tuple[str, str] | None = None
    unlabelled: bool = False
    columns: list[str] | None = None
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    dates: Sequence[str] = ()
    date_format: str | None = None
    schema: str | None = None
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
    decimal: str = "."
    thousands: str | None = None
    quote: str | None = '"'
    comment: str | None = None
    skip_rows: int = 0
    true_values: Sequence[str] = ()
    false_values: Sequence[str] = ()
    sheet: str | None = None
    impute: Literal["mean", "median", "zero"] = "median"
    encode: Literal["onehot", "code"] = "onehot"
    missing: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.normalize not in ("standard", "none"):
            raise ConfigError(f"data.normalize: {self.normalize} is for images; tables take standard or none")
        if self.schema is not None and (self.columns is not None or self.categorical or self.numeric or self.dates):
            raise ConfigError("data.schema: says what columns are; leave columns, categorical, numeric and dates out")
        if self.target is None and self.label_pairs is None:
            raise ConfigError(
                "data.target: not given; name the column to predict, or give [] where rows have no target"
            )
        if self.target:
            demand_targets(self.target, self.label_separator)
        elif self.label_separator is not None:
            demand_targets(None, self.label_separator)
        if both := set(self.columns or ()) & set(self._several + self._listed):
            raise ConfigError(f"data.columns: {min(both)!r} is a target; leave it out of the inputs")
        if self.class_names is not None and self._several:
            raise ConfigError("data.class_names: several target columns have their own names; leave it out")
        if self.label_pairs is not None and (self.target or self.ids is None):
            raise ConfigError("data.label_pairs: are the target of rows with ids; leave data.target out, name data.ids")
        self._pairs = Pairs(self.label_pairs, self.test_label_pairs, self.pair_columns, self.unlabelled, self.encoding)
        demand_separator(self.separator, self.quote)
        demand_written(self.decimal, self.thousands, self.quote, self.comment, self.skip_rows)

    def make_preprocess(self) -> Preprocess:
        """Imputing, scaling and encoding of the columns."""
        return TablePreprocess(self.impute, self.encode, self.normalize == "standard", self.missing)

    def readers(self) -> dict[str, Reader]:
        """Rows of the table's inputs."""
        notation = Notation(self.decimal, self.thousands or "")
        truths = dict.fromkeys(self.true_values, "true") | dict.fromkeys(self.false_values, "false")
        rows, samples = self.rows("train"), self.samples("pool")
        reader = row_reader(samples, rows, self.preprocess, self.na_values, notation=notation, truths=truths)
        return {"row": reader}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        return None if self.test_path is None else f"data.test_path ({self.test_path})"

    def dataset(self, source: Source) -> Samples:
        """The rows of a source: (N, F) numbers, and categories as codes; NaN where missing."""
        if source == "pool":
            form = self._form(self.path, "data.path")
            read = read_table(
                Layout(
                    form=form,
                    target=self._single,
                    texts=self._listed,
                    columns=None if self.columns is None else [*self.columns, *self._several],
                    categorical=self.categorical,
                    numeric=[*self.numeric, *(() if self.schema else self._several)],
                    dates=self.dates,
                    date_format=self.date_format,
                    features=None if self.schema is None else self._with_targets(read_schema(self.schema, form)),
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
                    schema=self.schema,
                )
            )
            return self._with_several(read, None)
        if source == "test":
            if self.test_path is None:
                raise NoSourceError(
                    f"{self.path} has no test rows; seal a share with data.test_size, e.g. 0.2, or data.test_path"
                )
            known = self.samples("pool").targets
            read = read_table(
                Layout(
                    form=self._form(self.test_path, "data.test_path"),
                    target=self._single,
                    texts=self._listed,
                    features=self._with_targets(table_features(self)),
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
            return self._with_several(read, known)
        if self.predict is None:
            raise NoSourceError("data.predict: not given; name a file of rows")
        return read_table(
            Layout(form=self._form(self.predict, "data.predict"), features=table_features(self), ids=self.ids)
        )

    @property
    def _single(self) -> str | None:
        """The target column, where it holds one class or value."""
        return self.target if isinstance(self.target, str) and self.label_separator is None else None

    @property
    def _several(self) -> list[str]:
        """The target columns, where there are several."""
        return self.target if isinstance(self.target, list) else []

    @property
    def _listed(self) -> list[str]:
        """The target column, where its cells list labels."""
        return [self.target] if isinstance(self.target, str) and self.label_separator is not None else []

    def _with_targets(self, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
        """The inputs' features with those of several target columns, which are read as numbers likewise."""
        return (*features, *map(Feature, self._several))

    def _with_several(self, samples: Samples, known: Targets | None) -> Samples:
        """The samples with several targets of each, taken out of what was read; `known` are the pool's."""
        names = known.names if known is not None else self.class_names
        if self.label_pairs is not None:
            return self._pairs.on(samples, known, self.class_names)
        if isinstance(self.target, list) and self.target:
            return from_columns(samples, self.target, self.task, known)
        if self.label_separator is None or not isinstance(self.target, str):
            return samples
        return from_lists(samples, self.target, self.label_separator, "data.target", names)

    def given(self, x: Any) -> Samples:
        """Samples of a DataFrame that has the columns of the inputs; its index names them where it is unique.

        Raises:
            DataError: for anything else, or a column that is not there.
        """
        ids = self.ids
        if ids is not None and isinstance(x, pd.DataFrame) and ids not in x.columns:
            ids = None  # its index names the samples
        return read_frame(x, Layout(form=frame_form("predict"), features=table_features(self), ids=ids))

    def _form(self, path: str, key: str) -> Format:
        """How a file is written; one to predict may lack the target."""
        targets = tuple(self.target) if isinstance(self.target, list) else (self.target,) if self.target else ()
        lacking = targets if key == "data.predict" else ()
        return Format(
            path=Path(path),
            separator=self.separator,
            header=self.header,
            encoding=self.encoding,
            na_values=self.na_values,
            key=key,
            optional=lacking,
            decimal=self.decimal,
            thousands=self.thousands,
            quote=self.quote,
            comment=self.comment,
            skip_rows=self.skip_rows,
            true_values=self.true_values,
            false_values=self.false_values,
            sheet=self.sheet,
        )
