"""DataFrames as Samples: read as the Parquet file would be that holds the same columns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_base.errors import DataError
from lightning_base.runtime.notation import PLAIN
from lightning_base.samples.reading import texts
from lightning_base.samples.samples import Samples
from lightning_base.sources.columns import Layout
from lightning_base.sources.form import Format
from lightning_base.sources.records import Records
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
        self.form, self.findings, self.index = form, [], []
        self.notation, self._csv, self._lines = PLAIN, None, None
        demand_names(frame, str(form.path))
        self._take(frame)
        self._demand_distinct()

    @property
    def rename(self) -> str:  # type: ignore[override]
        """What to do about two columns of one name."""
        return f"rename one: {self.form.path}.columns = [...]"


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


def names_rows(frame: pd.DataFrame) -> bool:
    """Whether the index of a DataFrame gives each row a name of its own."""
    index = frame.index
    if isinstance(index, pd.MultiIndex) or (
        isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(frame)))
    ):
        return False
    names = pd.Index(texts(index), dtype=object)
    return not names.has_duplicates and not names.isna().any()
