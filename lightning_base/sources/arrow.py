"""Columns of pyarrow, of a DataFrame, an Excel sheet or JSON lines, as numbers and texts."""

import json
import math
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lightning_base.errors import DataError, one_line
from lightning_base.samples.reading import texts
from lightning_base.sources.csv_bytes import DAMAGED, open_bytes
from lightning_base.sources.form import Format, Values
from lightning_base.sources.json_files import once

# kinds of columns that are read
KNOWN = (
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_dictionary),
    *(pa.types.is_date, pa.types.is_timestamp, pa.types.is_time),
)
# what openpyxl raises on files that are none, or damaged
NOT_EXCEL = (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError, zipfile.BadZipFile, *DAMAGED)
MOST_UNPACKED = 4 << 30  # bytes of an Excel file's parts


def is_number(kind: Any) -> bool:
    """Whether a column's type is one of numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def as_floats(column: Any) -> Values:
    """(n,) float64 of a column of numbers; NaN where missing."""
    if column.type == pa.float64():
        return np.asarray(column.to_numpy(zero_copy_only=False))
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def as_texts(column: Any, na_values: Any) -> Values:
    """(n,) texts without blanks at their ends; None where missing or one of `na_values`."""
    if not pa.types.is_dictionary(column.type):
        column = pc.cast(column, pa.string()).dictionary_encode()
    names = pc.utf8_trim_whitespace(pc.cast(column.dictionary, pa.string())).to_pylist()
    missing = set(na_values)
    found = np.array([*(None if name in missing else name for name in names), None], dtype=object)
    codes = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
    return np.asarray(found[codes])


def demand_known(name: str, kind: Any, where: str) -> None:
    """Raises a DataError for a column whose values are none that are read."""
    if not any(known(kind) for known in KNOWN):
        raise DataError(
            f"{where}: column {name!r} holds {kind}, which is not read; give numbers, text, booleans or dates, or "
            "leave it out with data.columns"
        )


def arrow_column(name: str, column: "pd.Series[Any]", where: str) -> Any:
    """A DataFrame's column for pyarrow.

    Raises:
        DataError: for values of several kinds, or of one that is not read.
    """
    if isinstance(column.dtype, pd.SparseDtype):
        column = pd.Series(np.asarray(column.array), index=column.index)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype) if column.notna().all() else column.astype(object)
    if pd.api.types.is_complex_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        raise DataError(f"{where}: column {name!r} is {column.dtype}; give numbers, text or booleans")
    try:
        found = pa.array(column, from_pandas=True)
        if not any(known(found.type) for known in KNOWN):
            raise TypeError(f"{found.type}")
    except (pa.ArrowException, TypeError, OverflowError, UnicodeError) as error:
        raise DataError(
            f"{where}: column {name!r} holds values of several kinds, or no numbers, text or booleans "
            f"({_unlike(column) or one_line(error)[:100]}); make them so: .astype(str), or pandas.to_numeric"
        ) from error
    return found


def _unlike(column: "pd.Series[Any]") -> str:
    """The first value of another type than the one before it, with its row; "" where all are of one."""
    there = column.dropna()
    kinds = [type(value) for value in there]
    at = next((i for i, kind in enumerate(kinds) if kind is not kinds[0]), None)
    if at is None:
        return ""
    return f"{there.iloc[0]!r} in row {there.index[0]!r}, {there.iloc[at]!r} in row {there.index[at]!r}"


def read_sheet(form: Format) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """The cells of an Excel sheet, and the row (n,) of each record, from 1.

    Blank rows before the header are left out, as they are of a CSV.

    Raises:
        DataError: for a file that is none, several sheets of which none is named, or too large a one.
    """
    try:
        import openpyxl  # noqa: F401  pandas reads by it
    except ImportError as error:
        mend = "pip install 'openpyxl>=3.1.5'"
        raise DataError(f"{form.key}: {form.path} is Excel, which openpyxl reads: {mend}") from error
    try:
        with zipfile.ZipFile(form.path) as file:
            size = sum(part.file_size for part in file.infolist())
        if size > MOST_UNPACKED:
            raise DataError(f"{form.path}: unpacks to {size} bytes; save it as CSV or Parquet")
        with pd.ExcelFile(form.path, engine="openpyxl") as book:
            cells = pd.read_excel(
                book,
                sheet_name=_sheet(form, [str(name) for name in book.sheet_names]),
                dtype=object,
                header=None,
                na_values=[*form.na_values],
                keep_default_na=False,
            )
    except NOT_EXCEL as error:
        raise DataError(f"{form.key}: {form.path} is not readable Excel ({one_line(error)}); save it anew") from error
    cells.index = pd.RangeIndex(1, len(cells) + 1)
    cells = cells[form.skip_rows :]
    filled = cells.notna().any(axis=1)
    cells = cells.loc[filled.idxmax() :] if filled.any() else cells[:0]
    if form.header is True and len(cells):
        names = ["" if pd.isna(name) else " ".join(str(name).split()) for name in cells.iloc[0]]
        cells = cells[1:].set_axis(names, axis=1)
    rows = cells.index.to_numpy(dtype=np.int64)
    columns = [_of_one_kind(cells.iloc[:, i].reset_index(drop=True)) for i in range(cells.shape[1])]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    return frame.set_axis([str(name) for name in cells.columns], axis=1), rows


def _sheet(form: Format, names: list[str]) -> str:
    """The sheet that is to be read."""
    if form.sheet is not None and form.sheet not in names:
        raise DataError(f"data.sheet: {form.path} has no sheet {form.sheet!r}, only {', '.join(names[:20])}")
    if form.sheet is None and len(names) > 1:
        raise DataError(f"{form.path}: {len(names)} sheets ({', '.join(names[:20])}); name one with data.sheet")
    return form.sheet or names[0]


def _of_one_kind(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Cells as numbers, booleans or moments where all are that, else as texts."""
    there = column.dropna()
    if there.empty:
        return column.astype(float)
    if all(isinstance(one, bool) for one in there):
        return column.astype("boolean")
    kinds = {type(one) for one in there}
    if kinds == {int} and all(abs(one) < 2**63 for one in there):
        return column.astype("Int64")  # names beyond what floats tell apart
    if kinds <= {int, float}:
        return column.astype(float)
    if all(hasattr(one, "isoformat") for one in there):
        return pd.Series([None if one is pd.NaT or one is None or one is np.nan else one.isoformat() for one in column])
    return pd.Series(texts(column), index=column.index, dtype=object)


def read_json_lines(form: Format) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """The objects of a file of JSON, one a line, and the line (n,) of each; a key that one lacks is a missing value.

    Raises:
        DataError: for a line that is no object, or has a key twice.
    """
    rows, lines = list[dict[str, Any]](), list[int]()
    try:
        with open_bytes(form.path) as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line, object_pairs_hook=once)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{form.path}: line {number} is no JSON ({one_line(error)}); mend it") from error
                if not isinstance(row, dict):
                    raise DataError(f'{form.path}: line {number} is no object; write {{"column": value, …}}')
                rows.append({key: _plain(value, key, form, number) for key, value in row.items()})
                lines.append(number)
    except (OSError, *DAMAGED) as error:
        raise DataError(f"{form.key}: {form.path} cannot be read ({one_line(error)}); mend the file") from error
    frame = pd.DataFrame(rows, dtype=object).apply(_of_one_kind) if rows else pd.DataFrame()
    return frame, np.array(lines, dtype=np.int64)


def _plain(value: Any, key: str, form: Format, number: int) -> Any:
    """A value that is no list and no object."""
    if isinstance(value, list | dict):
        raise DataError(
            f"{form.path}: line {number} has a {'list' if isinstance(value, list) else 'object'} as {key!r}; a table "
            "takes numbers, text and booleans"
        )
    if value is None or (isinstance(value, str) and value in form.na_values):
        return math.nan
    return value
