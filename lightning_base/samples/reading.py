"""One reading of ids, groups and times, whatever they come from: 7, 7.0 and "7" are one, "007" and " 7" are others."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import DataError
from lightning_base.runtime.spelling import WHOLE, text_of

Bad = npt.NDArray[np.bool_]


def texts(values: Any) -> npt.NDArray[Any]:
    """(n,) objects: a text for each name or group, None where it is missing or blank.

    Whole numbers are written without a fraction, whether they came as numbers or as text: "7.0" is "7".
    """
    codes, names = _distinct(values)
    return np.asarray(names[codes])


def _distinct(values: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """(n,) codes, and the texts that they stand for: the last one, None, for what is missing."""
    codes, found = pd.factorize(pd.Series(values).astype(object), use_na_sentinel=True)
    return codes, np.array([*map(text_of, found), None], dtype=object)


def read_groups(values: Any) -> tuple[npt.NDArray[Any], Bad]:
    """(n,) int64 where every group is a whole number, else (n,) text; and which are missing or blank."""
    codes, names = _distinct(values)
    bad = np.array([name is None for name in names], dtype=bool)[codes]
    if not bad.any() and all(re.fullmatch(WHOLE, name) for name in names[:-1]):
        return np.array([*names[:-1], 0]).astype(np.int64)[codes], bad
    return np.asarray(names[codes]), bad


def read_times(values: Any) -> tuple[npt.NDArray[Any], Bad]:
    """(n,) int64 or float64 where the times are numbers, else datetime64 (UTC); and which are missing or neither.

    Numbers may be text. Whole ones are int64 and not rounded on the way: moments counted in nanoseconds stay apart.
    """
    given = pd.Series(values)
    if isinstance(given.dtype, pd.CategoricalDtype):
        given = given.astype(object)
    if not pd.api.types.is_datetime64_any_dtype(given):
        numbers = given if pd.api.types.is_numeric_dtype(given) else pd.to_numeric(given, errors="coerce")
        if pd.api.types.is_numeric_dtype(given) or numbers.notna().all():
            return _numbers(numbers)
        given = given.astype(object).where(given.isna(), given.map(str))  # a bare number would be nanoseconds
    moments = pd.to_datetime(given, errors="coerce", format="ISO8601", utc=True)
    return np.asarray(moments.dt.tz_localize(None).to_numpy()), moments.isna().to_numpy()


def _numbers(numbers: "pd.Series[Any]") -> tuple[npt.NDArray[Any], Bad]:
    """What `read_times` gives of numbers."""
    if pd.api.types.is_integer_dtype(numbers) and numbers.notna().all():
        return numbers.to_numpy(dtype=np.int64), np.zeros(len(numbers), dtype=bool)
    found = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(found)
    whole = not bad.any() and (found == np.floor(found)).all() and (abs(found) < 2**53).all()
    return found.astype(np.int64) if whole else found, bad


def typed(table: pd.DataFrame, origin: str) -> pd.DataFrame:
    """A sample table with its ids, groups and times as they are compared and put in order.

    Raises:
        DataError: for a sample without one of those that the table has, or a time that is none, with how many.
    """
    new: dict[str, Any] = {}
    if not pd.api.types.is_string_dtype(table["id"]) or table["id"].isna().any() or (table["id"] == "").any():
        new["id"] = texts(table["id"])
        _refuse(table, "id", np.array([name is None for name in new["id"]], dtype=bool), origin, "a unique name")
    for key in ("time", "time_end"):
        if key in table:
            new[key], bad = read_times(table[key])
            _refuse(table, key, bad, origin, "a number, or a moment such as 2024-12-31T23:59")
    if "group" in table:
        new["group"], bad = read_groups(table["group"])
        _refuse(table, "group", bad, origin, "the group that it belongs to, or a name of its own")
    return table.assign(**new) if new else table


def _refuse(table: pd.DataFrame, key: str, bad: Bad, origin: str, want: str) -> None:
    """Refuses values that are missing or wrong."""
    if not bad.any():
        return
    row = int(np.argmax(bad))
    value, name = table[key].iloc[row], table["id"].iloc[row]
    gone = bool(pd.isna(value)) or not str(value).strip()
    what = f"no `{key}`" if gone else f"{str(value)!r} as `{key}`"
    who = f"row {row}" if key == "id" else f"sample {str(name)!r}"
    more = f" ({bad.sum()} such samples)" if bad.sum() > 1 else ""
    raise DataError(f"{origin}: {who} has {what}; give every sample {want}{more}")


def by_number(ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n,) what ids are put in order by where no chance is involved: numbers where all are whole ones, else as text."""
    whole = pd.Series(ids, dtype=object).str.fullmatch(r"-?\d{1,18}").eq(True).all()
    return ids.astype(np.int64) if whole else ids
