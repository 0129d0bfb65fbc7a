"""DataFrames as Samples: read as the Parquet file would be that holds the same columns."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lightning_base.errors import DataError, one_line
from lightning_base.samples.samples import Samples
from lightning_base.sources.columns import Layout
from lightning_base.sources.records import CHUNK, Chunk, Format, Records
from lightning_base.sources.tables import read_records


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
        for name in frame.columns:
            if not isinstance(name, str | int):
                raise DataError(f"{form.path}: a column is named {name!r}; give it a name that is text")
        self._table: dict[str, Any] = {}
        for name, (_, column) in zip(self.names, frame.items(), strict=True):
            if pd.api.types.is_complex_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
                raise DataError(f"{form.path}: column {name!r} is {column.dtype}; give numbers, text or booleans")
            if isinstance(column.dtype, pd.CategoricalDtype):
                column = column.astype(column.cat.categories.dtype) if column.notna().all() else column.astype(object)
            try:
                self._table[name] = pa.array(column, from_pandas=True)
                if pa.types.is_nested(self._table[name].type) or pa.types.is_binary(self._table[name].type):
                    raise TypeError(f"{self._table[name].type}")
            except (pa.ArrowException, TypeError, OverflowError) as error:
                raise DataError(
                    f"{form.path}: column {name!r} holds values of several kinds, or no numbers, text or booleans "
                    f"({one_line(error)}); make them so: .astype(str), or pandas.to_numeric"
                ) from error

    def chunks(self, text: Sequence[str], numbers: Sequence[str] = ()) -> Iterator[Chunk]:
        """All records, CHUNK at a time; see `Records`."""
        rows = len(next(iter(self._table.values()), ()))
        for start in range(0, rows, CHUNK):
            part = {name: self._table[name].slice(start, CHUNK) for name in [*text, *numbers]}
            columns = {name: self._column(values, name in numbers) for name, values in part.items()}
            yield Chunk(columns, np.arange(start + 1, min(start + CHUNK, rows) + 1))

    def bytes(self) -> int:
        """How much memory the numbers will take."""
        return sum(4 * len(column) for column in self._table.values())


def read_frame(frame: Any, layout: Layout) -> Samples:
    """The samples of a DataFrame's rows, named by its index where that is unique and not just a count.

    Raises:
        DataError: for what is no DataFrame, or whose columns are not as the layout says.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{layout.form.path}: a {type(frame).__name__}; give a pandas DataFrame")
    samples = read_records(layout, FrameRecords(frame, layout.form))
    if layout.ids is not None or not names_rows(frame):
        return samples
    names = dict(zip(samples.table["id"], frame.index.astype(str), strict=True))
    findings = samples.findings.assign(id=[names.get(one, one) for one in samples.findings["id"]])
    table = samples.table.assign(id=list(names.values()))
    return replace(samples, table=table, findings=findings)


def names_rows(frame: pd.DataFrame) -> bool:
    """Whether the index of a DataFrame gives each row a name of its own."""
    index = frame.index
    if isinstance(index, pd.MultiIndex) or (
        isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(frame)))
    ):
        return False
    return not index.astype(str).has_duplicates
