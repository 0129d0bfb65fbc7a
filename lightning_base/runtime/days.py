"""Dates as days since 1970-01-01 (UTC), one by one, by the standard library."""

import math
from datetime import UTC, datetime

ISO = "ISO8601"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_days(text: str, form: str) -> float:
    """Days since 1970-01-01, with fractions for times of day; NaN for what is no date of that form.

    Args:
        text: a date.
        form: as strptime has it, or "ISO8601".
    """
    try:
        found = datetime.fromisoformat(text.strip()) if form == ISO else datetime.strptime(text.strip(), form)
    except ValueError:
        return math.nan
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    past = found - EPOCH
    return past.days + (past.seconds + past.microseconds / 1e6) / 86_400
