"""Dates as people write them: which form a column has, and dates as days since 1970."""

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.sources.form import Values
from lightning_base.sources.numbers import SHARE, distinct

ISO = "ISO8601"
DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d"),  # years of two digits are declared
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y"),
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
    known = sorted(text for text in texts if text)
    some = known[:: max(len(known) // LOOKED_AT, 1)]
    if not some or sum(_may_be(text) for text in some) < SHARE * len(some):
        return None
    forms = _best(np.array(some, dtype=object), FORMS)
    values = np.array(known, dtype=object)
    forms = _best(values, forms)
    if not forms:
        return None
    days = [to_days(values, form) for form in forms]
    for form, other in zip(forms[1:], days[1:], strict=True):
        if (differ := ~np.isclose(days[0], other, equal_nan=True)).any():
            raise ValueError(f"{known[int(np.argmax(differ))]!r} may be {forms[0]} or {form}")
    return forms[0]


def _best(values: Values, forms: Sequence[str]) -> list[str]:
    """The forms that most texts have, where that is nine in ten or more."""
    share = {form: float((~np.isnan(to_days(values, form))).mean()) for form in forms}
    most = max(share.values(), default=0.0)
    return [form for form in forms if share[form] == most] if most >= SHARE else []


def fits(texts: Collection[str], form: str) -> bool:
    """Whether nine in ten or more of a column's distinct texts are dates of that form."""
    some = np.array(list(texts), dtype=object)
    return len(some) > 0 and bool((~np.isnan(to_days(some, form))).mean() >= SHARE)


def _may_be(text: str) -> bool:
    """Whether a text looks like a date at all, before it is parsed."""
    return 6 <= len(text) <= 40 and sum(c.isdigit() for c in text) >= 3 and any(c in "-/.,: " for c in text[1:])
