"""Times of a sample table as numbers: when each sample is taken, when its target is known, and durations between."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import ConfigError, DataError
from lightning_base.samples.payload import Rows
from lightning_base.samples.reading import read_times

Duration: TypeAlias = int | float | str


@dataclass(frozen=True)
class Clock:
    """A table's times.

    Attributes:
        start: (N,) int64 or float64; `time` as it is where it holds numbers, moments as microseconds since 1970 (UTC).
        end: (N,) likewise of `time_end`, or `start` where the table has none.
        dated: whether the times are moments.
    """

    start: npt.NDArray[Any]
    end: npt.NDArray[Any]
    dated: bool

    def length(self, value: Duration, key: str) -> int | float:
        """A duration in the clock's unit.

        Args:
            value: in the unit of the time column where that holds numbers, else with a unit, as "7 days" or "PT12H".
            key: begins the message.

        Raises:
            UserError: for a negative duration, or one that does not fit the time column.
        """
        length: int | float
        if self.dated and value != 0:
            unit = isinstance(value, str) and any(letter.isalpha() for letter in value)
            try:
                length = pd.Timedelta(value if unit else "none") // pd.Timedelta(microseconds=1)
            except ValueError as error:
                raise DataError(
                    f"{key}: {value!r} is no duration, and `time` holds moments; write one such as '7 days'"
                ) from error
        elif isinstance(value, str):
            raise DataError(f"{key}: {value!r} is no number, and `time` holds numbers; give a number in their unit")
        else:
            length = int(value) if float(value).is_integer() else value
        if not 0 <= length < np.inf:
            raise DataError(f"{key}: {value!r} is negative or without end; give a duration of 0 or more")
        return length


def read_clock(table: pd.DataFrame) -> Clock:
    """The times of a sample table: `time` and, where it has one, `time_end`; numbers, moments or ISO 8601 texts.

    Raises:
        UserError: for a table without `time`, a sample without one, or one that ends before it begins.
    """
    if "time" not in table:
        raise ConfigError("data.split: the data has no `time` column; name one, or take a splitter without time")
    start, dated = _numbers(table, "time")
    if "time_end" not in table:
        return Clock(start, start, dated)
    end, ends_dated = _numbers(table, "time_end")
    if dated != ends_dated:
        raise ConfigError("data.split: one of `time` and `time_end` holds numbers, the other moments; give both alike")
    if (wrong := end < start).any():
        raise ConfigError(
            f"data.split: sample {table['id'].to_numpy()[wrong][0]!r} has a `time_end` before its `time`; mend the data"
        )
    return Clock(start, end, dated)


def _numbers(table: pd.DataFrame, column: str) -> tuple[npt.NDArray[Any], bool]:
    """The column as int64 or float64, and whether it holds moments."""
    values = table[column]
    found, bad = read_times(values)
    dated = found.dtype.kind == "M"
    if dated:
        found = found.astype("datetime64[us]").astype(np.int64)
    if bad.any():
        name, value = table["id"].to_numpy()[bad][0], str(values.to_numpy()[bad][0])
        raise ConfigError(
            f"data.split: sample {name!r} has {value!r} as `{column}`; give every sample a number, or a moment such as "
            "2024-12-31T23:59"
        )
    return found, dated


def earlier(table: pd.DataFrame, rows: Rows, held: Rows) -> Rows:
    """Those of `rows` that are over, target included, before the first of `held` begins; all where no time ends.

    Rows that are not all earlier than `held` are no temporal split: they are returned as they are.
    """
    if "time" not in table or "time_end" not in table:
        return rows
    clock = read_clock(table)
    first = clock.start[held].min(initial=clock.start.max())
    return rows if (clock.start[rows] >= first).any() else rows[clock.end[rows] < first]
