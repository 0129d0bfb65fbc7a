"""DataFrames as Samples: read as the Parquet file would be that holds the same columns."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lightning_base.errors import DataError, one_line
from lightning_base.samples.reading import texts
from lightning_base.samples.samples import Samples
from lightning_base.sources.columns import Layout
from lightning_base.sources.records import CHUNK, Chunk, Format, Records
from lightning_base.sources.tables import read_records

# kinds of columns that are read
KNOWN = (
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_dictionary),
    *(pa.types.is_date, pa.types.is_timestamp, pa.types.is_time),
)


def frame_form(key: str) -> Format:
    """What stands for a file's form where a DataFrame is read; `key` is what messages call it."""
    return Format(Path(key), key=key)


class FrameRecords(Records):
    """The records of a DataFrame.

    Args:
        frame: with columns of numbers, booleans, text or categories.
        form: what messages call it.

    Raises:
        DataError: where two columns have one name, or a column holds values of several kinds.
    """

    def __init__(self, frame: pd.DataFrame, form: Format) -> None:
        self.form, self.findings = form, []
        self.names = [str(name) for name in frame.columns]
        self._demand_distinct()
        demand_names(frame, str(form.path))
        self._table: dict[str, Any] = {}
        for name, (_, column) in zip(self.names, frame.items(), strict=True):
            if isinstance(column.dtype, pd.SparseDtype):
                column = pd.Series(np.asarray(column.array), index=column.index)
            if isinstance(column.dtype, pd.CategoricalDtype):
                column = column.astype(column.cat.categories.dtype) if column.notna().all() else column.astype(object)
            if pd.api.types.is_complex_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
                raise DataError(f"{form.path}: column {name!r} is {column.dtype}; give numbers, text or booleans")
            try:
                self._table[name] = pa.array(column, from_pandas=True)
                if not any(known(self._table[name].type) for known in KNOWN):
                    raise TypeError(f"{self._table[name].type}")
            except (pa.ArrowException, TypeError, OverflowError) as error:
                raise DataError(
                    f"{form.path}: column {name!r} holds values of several kinds, or no numbers, text or booleans "
                    f"({one_line(error)[:100]}); make them so: .astype(str), or pandas.to_numeric"
                ) from error

    @property
    def rename(self) -> str:
        """What to do about two columns of one name."""
        return f"rename one: {self.form.path}.columns = [...]"

    @property
    def moments(self) -> list[str]:
        """The columns of dates and times."""
        return [name for name, values in self._table.items() if pa.types.is_temporal(values.type)]

    def chunks(self, text: Sequence[str], numbers: Sequence[str] = ()) -> Iterator[Chunk]:
        """All records, CHUNK at a time; see `Records`."""
        rows = len(next(iter(self._table.values()), ()))
        for start in range(0, rows, CHUNK):
            part = {name: self._table[name].slice(start, CHUNK) for name in [*text, *numbers]}
            columns = {name: self._column(values, name in numbers) for name, values in part.items()}
            yield Chunk(columns, np.arange(start + 1, min(start + CHUNK, rows) + 1))

    def bytes(self) -> int:
        """How much memory the numbers will take."""
        return sum(8 * len(column) for column in self._table.values())


def read_frame(frame: Any, layout: Layout) -> Samples:
    """The samples of a DataFrame's rows, named by its index where that is unique and not just a count.

    Raises:
        DataError: for what is no DataFrame, or whose columns are not as the layout says.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{layout.form.path}: a {type(frame).__name__}; give a pandas DataFrame")
    if len(frame) == 0:
        raise DataError(f"{layout.form.path}: a DataFrame without rows; give samples")
    records = FrameRecords(frame, layout.form)
    demand_no_moments(layout, records)
    samples = read_records(layout, records)
    if layout.ids is not None or not names_rows(frame):
        return samples
    names = dict(zip(samples.table["id"], texts(frame.index), strict=True))
    findings = samples.findings.assign(id=[names.get(one, one) for one in samples.findings["id"]])
    table = samples.table.assign(id=list(names.values()))
    return replace(samples, table=table, findings=findings)


def demand_names(frame: pd.DataFrame, key: str) -> None:
    """Refuses columns whose names are no text, or numbers that may stand for it.

    Raises:
        DataError: naming the first.
    """
    if isinstance(frame.columns, pd.MultiIndex):
        raise DataError(
            f"{key}: columns of several levels; join them: {key}.columns.map(lambda c: '_'.join(map(str, c)))"
        )
    for name in frame.columns:
        if not isinstance(name, str | int):
            raise DataError(f"{key}: a column is named {name!r}; give it a name that is text")


def demand_no_moments(layout: Layout, records: FrameRecords) -> None:
    """Refuses dates and times among the inputs, each of which would be a category of its own.

    Raises:
        DataError: naming the column.
    """
    apart = {*layout.special, *layout.categorical, *(f.name for f in layout.features or ())}
    inputs = set(records.names if layout.columns is None else layout.columns) - apart
    if layout.features is None and (found := [name for name in records.moments if name in inputs]):
        raise DataError(
            f"{layout.form.path}: column {found[0]!r} holds dates or times; give numbers, e.g. .dt.year, name it in "
            "categorical, or leave it out of columns"
        )


def names_rows(frame: pd.DataFrame) -> bool:
    """Whether the index of a DataFrame gives each row a name of its own."""
    index = frame.index
    if isinstance(index, pd.MultiIndex) or (
        isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(frame)))
    ):
        return False
    names = pd.Index(texts(index), dtype=object)
    return not names.has_duplicates and not names.isna().any()
