"""Dates as people write them: which form a column has, and dates as days since 1970."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.sources.form import Values
from lightning_base.sources.numbers import SHARE, distinct

ISO = "ISO8601"
DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y"),
)
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
FORMS = (ISO, *(day + time for day in DAYS for time in TIMES))
LOOKED_AT = 2_000  # distinct values of a column by which its form is found


def to_days(values: Values, form: str) -> npt.NDArray[np.float64]:
    """(n,) float64 days since 1970-01-01 (UTC), with fractions for times of day; NaN for what is missing or none.

    Args:
        values: (n,) texts.
        form: as strptime has it, or "ISO8601".
    """
    codes, found = distinct(values)
    moments = pd.to_datetime(pd.Series(found, dtype=object), format=form, errors="coerce", utc=True)
    micro = moments.dt.tz_localize(None).astype("datetime64[us]").to_numpy().astype(np.int64)
    days = np.where(moments.isna(), np.nan, micro / 86_400e6)
    return np.append(days, np.nan)[codes]


def form_of(texts: Collection[str]) -> str | None:
    """The form of a column's distinct texts, nine in ten or more of which are dates in it; None where there is none.

    Raises:
        ValueError: where day and month may stand in either order.
    """
    some = [text for text in list(texts)[:LOOKED_AT] if text]
    if not some or sum(_may_be(text) for text in some) < SHARE * len(some):
        return None
    values = np.array(some, dtype=object)
    fitting = [form for form in FORMS if (~np.isnan(to_days(values, form))).mean() >= SHARE]
    if not fitting:
        return None
    all_of = [form for form in fitting if not np.isnan(to_days(values, form)).any()] or fitting[:1]
    days = [to_days(values, form) for form in all_of]
    for form, other in zip(all_of[1:], days[1:], strict=True):
        if (differ := ~np.isclose(days[0], other, equal_nan=True)).any():
            text = some[int(np.argmax(differ))]
            raise ValueError(f"{text!r} may be {all_of[0]} or {form}")
    return all_of[0]


def fits(texts: Collection[str], form: str) -> bool:
    """Whether nine in ten or more of a column's distinct texts are dates of that form."""
    some = np.array(list(texts)[:LOOKED_AT], dtype=object)
    return len(some) > 0 and bool((~np.isnan(to_days(some, form))).mean() >= SHARE)


def _may_be(text: str) -> bool:
    """Whether a text looks like a date at all, before it is parsed."""
    return 6 <= len(text) <= 40 and sum(c.isdigit() for c in text) >= 3 and any(c in "-/.,: " for c in text[1:])
