"""DateColumn: a column of dates as numbers, for what goes on (days, years) and what repeats (month, weekday, hour)."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PARTS = ("days", "year", "month sine", "month cosine", "weekday sine", "weekday cosine", "hour sine", "hour cosine")


@dataclass(frozen=True)
class DateColumn:
    """How dates become numbers, fitted on the training role.

    (n, 6) float32: the days since training's mean and the year, both standardised (or, without `normalize`, the days
    since training's first and the year itself); sine and cosine of the month, and of the weekday. Where training has
    times of day, two more: sine and cosine of the hour.

    Args:
        fill: what takes a missing date's place, training's median, in days since 1970-01-01.
        start, scale: days less `start`, over `scale`.
        year, years: the year less `year`, over `years`.
        hours: whether there are times of day.
    """

    fill: float
    start: float
    scale: float
    year: float
    years: float
    hours: bool

    @staticmethod
    def fit(days: npt.NDArray[Any], normalize: bool) -> "DateColumn":
        """What the training role's days (n,) give; NaN where missing.

        Args:
            days: since 1970-01-01.
            normalize: standardise days and years.
        """
        known = days[~np.isnan(days)].astype(np.float64)
        if not len(known):
            known = np.zeros(1)
        years = calendar(known)[0]
        hours = bool((known != np.floor(known)).any())
        fill = float(np.sort(known)[len(known) // 2])
        if not normalize:
            return DateColumn(fill, float(known.min()), 1.0, 0.0, 1.0, hours)
        return DateColumn(fill, float(known.mean()), _scale(known), float(years.mean()), _scale(years), hours)

    @property
    def width(self) -> int:
        """How many numbers a date becomes."""
        return 8 if self.hours else 6

    def values(self, days: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """(n, width) float32 of days (n,) since 1970-01-01."""
        days = np.where(np.isnan(days), self.fill, days).astype(np.float64)
        year, month, weekday, hour = calendar(days)
        parts = [(days - self.start) / self.scale, (year - self.year) / self.years]
        for value, period in ((month, 12), (weekday, 7), (hour, 24))[: 3 if self.hours else 2]:
            turn = 2 * np.pi * value / period
            parts += [np.sin(turn), np.cos(turn)]
        return np.stack(parts, axis=1).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """What makes it again."""
        return asdict(self)


def calendar(days: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Year, month (0 to 11), weekday (Monday is 0) and hour with its fraction, (n,) float64, of days since 1970."""
    whole = np.floor(days).astype(np.int64)
    months = whole.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    year, month = np.divmod(months, 12)
    return year + 1970.0, month.astype(np.float64), ((whole + 3) % 7).astype(np.float64), (days - whole) * 24.0


def _scale(values: npt.NDArray[np.float64]) -> float:
    """The deviation; 1 where there is none."""
    return float(values.std()) or 1.0
