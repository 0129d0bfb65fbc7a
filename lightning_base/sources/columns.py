"""Columns: which of a file's columns is what, and what a first pass learns of each."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lightning_base.errors import ConfigError, DataError
from lightning_base.runtime.spelling import TRUTHS
from lightning_base.samples.reading import texts
from lightning_base.samples.samples import Feature
from lightning_base.sources.form import Format, Values
from lightning_base.sources.numbers import to_numbers
from lightning_base.sources.records import Chunk, Records, is_code

Task: TypeAlias = Literal["auto", "classification", "regression"]
NUMERIC_SHARE = 0.9  # a column of which more is numbers is numeric: the rest are findings
MOST_VALUES = 1_000_000  # distinct values that are remembered of a column of numbers
MOST_FLOATS = 1_000  # … of one that is read as numbers, by which they are counted
MOST_WORDS = 10_000  # … that are no numbers, by which it is told how they are written
MOST_CLASSES = 20  # whole numbers with more distinct values are a continuous target


@dataclass(frozen=True)
class Layout:
    """Which column of a file of records is what; names that are None are not read.

    Args:
        form: how the file is written.
        target: the column to predict.
        columns: the inputs; None for all that are nothing else.
        categorical, numeric, dates: declared kinds; other columns are inferred.
        date_format: of dates, as strptime has it; None for what fits.
        features: kinds found in another file, which this one is read like; instead of the three before.
        ids, group, time, time_end, role: columns that the sample table takes under these names, ids as `id`.
        needed: inputs that no row may lack, by the option that names each.
        split_columns: columns that splitters alone read.
        texts: columns that the sample table has as they are written, missing ones as None.
        known_after: columns that are known only after the target is: no inputs, and a finding each.
        task: whether the target is a class; "auto" looks at its values.
        classes: the classes' names; None for those that are found.
        target_range: the least and the greatest value of a continuous target; others are findings.
        schema: the file that `features` were read from; None where they are a model's, or another source's.
    """

    form: Format
    target: str | None = None
    columns: Sequence[str] | None = None
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    dates: Sequence[str] = ()
    date_format: str | None = None
    features: tuple[Feature, ...] | None = None
    ids: str | None = None
    group: str | None = None
    time: str | None = None
    time_end: str | None = None
    role: str | None = None
    needed: Mapping[str, str] = field(default_factory=dict)
    split_columns: Sequence[str] = ()
    texts: Sequence[str] = ()
    known_after: Sequence[str] = ()
    task: Task = "auto"
    classes: Sequence[str] | None = None
    target_range: tuple[float, float] | None = None
    schema: str | None = None

    @property
    def special(self) -> list[str]:
        """The columns of ids, groups, times and roles, the target, and those that only splitters read."""
        named = (self.target, self.ids, self.group, self.time, self.time_end, self.role, *self.split_columns)
        return [*(name for name in named if name is not None), *self.texts]


@dataclass
class Tally:
    """What a first pass learns of a column.

    Attributes:
        known, missing: how many values are there, and how many are not.
        numbers: how many of those there are numbers.
        odd: the first value that is no number, and its line.
        words: distinct values that are none, MOST_WORDS at most.
        coded: whether digits have zeros in front, as postcodes have.
        values: the distinct values; None where they are numbers and too many to remember.
        floats: distinct values read as numbers; where they are more than MOST_FLOATS, only some.
        examples: the first few distinct values, as they are written.
        rising: whether it counts: whole numbers, each one more than that before.
        parsed: whether some of its values came as numbers, so that how these are written is not known.
    """

    known: int = 0
    missing: int = 0
    numbers: int = 0
    odd: tuple[str, int] | None = None
    words: set[str] = field(default_factory=set)
    coded: bool = False
    values: set[str] | None = field(default_factory=set)
    floats: set[float] = field(default_factory=set)
    examples: list[str] = field(default_factory=list)
    rising: bool = True
    parsed: bool = False
    last: float = math.nan

    def add(self, values: Values, chunk: Chunk) -> None:
        """Takes the values of a chunk."""
        gone = pd.isna(values)
        missing = int(np.count_nonzero(gone))
        self.known += len(values) - missing
        self.missing += missing
        if values.dtype != object:
            self.numbers += len(values) - missing
            self._count(values)
            self.values, self.parsed = None, True
            if len(self.floats) <= MOST_FLOATS or len(self.examples) < 3:
                self._remember(values[~gone] if missing else values)
            return
        there, number = ~gone, to_numbers(values)
        self.numbers += int((~np.isnan(number)).sum())
        self._count(number)
        names = pd.unique(values[there]).tolist()
        self.examples += [name for name in names[:3] if name not in self.examples][: 3 - len(self.examples)]
        self.coded = self.coded or any(map(is_code, names))
        if (no := there & np.isnan(number)).any():
            at = int(np.argmax(no))
            self.odd = self.odd or (values[at], int(chunk.lines[at]))
            if len(self.words) < MOST_WORDS:
                self.words.update(pd.unique(values[no])[:MOST_WORDS].tolist())
        if self.values is not None:
            self.values.update(names)
            if len(self.values) > MOST_VALUES and self.numeric:
                self.values = None

    def _count(self, number: npt.NDArray[np.float64]) -> None:
        """Notes whether values count on."""
        if self.rising and len(number):
            whole = np.append(self.last, number) if not np.isnan(self.last) else number
            with np.errstate(invalid="ignore"):  # of infinite values, which cleaning finds
                self.rising, self.last = bool((np.diff(whole) == 1).all()), float(number[-1])

    def _remember(self, values: npt.NDArray[np.float64]) -> None:
        """Takes distinct numbers, as long as they are few."""
        for start in (0, 5 * MOST_FLOATS):  # the first of them most often are too many
            part = values[start:] if start else values[: 5 * MOST_FLOATS]
            if len(self.floats) <= MOST_FLOATS:
                self.floats.update(pd.unique(part)[: MOST_FLOATS + 1].tolist())
        if len(self.examples) < 3:
            found = [f"{value + 0.0:.10g}" for value in pd.unique(values[:1000])[:3]]  # one zero
            self.examples += [one for one in found if one not in self.examples][: 3 - len(self.examples)]

    @property
    def numeric(self) -> bool:
        """Whether it counts as a column of numbers where nothing is declared; an empty one does."""
        return not self.coded and (self.odd is None or self.numbers > self.known * NUMERIC_SHARE)

    @property
    def truths(self) -> bool:
        """Whether its values are booleans."""
        return bool(self.values) and canonical(self.values) <= TRUTHS.keys()

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers: 7.0 is one, as pandas writes them where one is missing."""
        return self.values is not None and all(map(is_whole, canonical(self.values)))

    @property
    def distinct(self) -> int:
        """How many distinct values there are; of numbers MOST_FLOATS and one more stand for any more."""
        return min(len(self.floats), MOST_FLOATS + 1) if self.values is None else len(self.values)


def inputs(layout: Layout, records: Records) -> list[str]:
    """Names of the input columns, all of which are there.

    Raises:
        UserError: for a column that is not there, or declared as two things.
    """
    for key in ("target", "ids", "group", "time", "time_end", "role"):
        records.require([getattr(layout, key)], f"data.{key}")
    records.require(layout.texts, "data.target")
    for key in ("columns", "categorical", "numeric", "dates", "split_columns", "known_after"):
        records.require(getattr(layout, key) or (), f"data.{key}")
    for key in ("columns", "categorical", "numeric", "dates"):
        if late := set(getattr(layout, key) or ()) & set(layout.known_after):
            raise ConfigError(
                f"data.known_after: {min(late)!r} stands in data.{key} too, and what is known after the target is no "
                "input; leave it out of one of them"
            )
    if taken := set(layout.split_columns) & {"id", "target", "group", "time", "time_end", "role"}:
        raise ConfigError(
            f"data.split_columns: {min(taken)!r} is a name of our own; name the column otherwise in the file"
        )
    for one, other in (("categorical", "numeric"), ("categorical", "dates"), ("numeric", "dates")):
        if both := set(getattr(layout, one)) & set(getattr(layout, other)):
            raise ConfigError(f"data.{one}: {min(both)!r} stands in data.{other} too; leave it in one of them")
    if layout.features is not None:
        records.require([feature.name for feature in layout.features], "data")
        return [feature.name for feature in layout.features]
    names = list(layout.columns) if layout.columns is not None else list(records.names)
    no_inputs = {*layout.special, *layout.known_after}
    names = [name for name in names if layout.columns is not None or name not in no_inputs]
    if layout.target in names:
        raise ConfigError(f"data.columns: {layout.target!r} is the target; leave it out of the inputs")
    if not names:
        raise DataError(
            f"{layout.form.path}: no columns beside {', '.join(layout.special)}; name inputs in data.columns"
        )
    return names


def _continuous(tally: Tally) -> bool:
    """Whether a target is a value: numbers, but for one in ten, that are not a few whole ones."""
    assert tally.values is not None
    few = len(tally.values) <= MOST_CLASSES
    if tally.odd is None:
        return not (few and tally.whole)
    return not few and not tally.coded and tally.numbers > NUMERIC_SHARE * tally.known


def apart(layout: Layout, records: Records, names: Sequence[str]) -> list[tuple[str, str, str]]:
    """The columns that are no inputs: name, what they are declared as, what becomes of them."""
    roles = ("target", "ids", "group", "time", "time_end", "role")
    found = [(getattr(layout, key), key, f"data.{key}") for key in roles if getattr(layout, key) is not None]
    found += [(name, "split", "data.split_columns") for name in layout.split_columns]
    found += [(name, "target", "data.target, a list of labels") for name in layout.texts]
    found += [(name, "known_after", "left out: data.known_after") for name in layout.known_after]
    taken = {name for name, _, _ in found} | set(names)
    return found + [(name, "unused", "left out: not in data.columns") for name in records.names if name not in taken]


def classes_of(layout: Layout, tallies: dict[str, Tally]) -> tuple[str, ...]:
    """Names of the classes, whole numbers by value, others by alphabet; none for regression."""
    if layout.target is None or layout.task == "regression":
        return ()
    if layout.classes is not None:
        return tuple(layout.classes)
    tally = tallies[layout.target]
    if tally.values is None or (layout.task == "auto" and _continuous(tally)):
        return ()
    names = canonical(tally.values)
    return tuple(sorted(names, key=(lambda v: (int(v), v)) if all(map(is_whole, names)) else None))


def is_whole(text: str) -> bool:
    """Whether a text is a whole number."""
    return re.fullmatch(r"[+-]?\d{1,300}", text) is not None


def spelt(values: Values) -> Values:
    """(n,) texts of categories or classes in one spelling, whatever file they come from; None where missing.

    Booleans are "true" and "false" (pandas writes True, Excel TRUE, Arrow true), and 7.0 is "7".
    """
    found = texts(values)
    lower = {name: name.lower() for name in pd.unique(found) if name is not None and name.lower() in TRUTHS}
    for name, one in lower.items():
        found[found == name] = one
    return found


def canonical(values: Iterable[str] | None) -> set[str]:
    """Distinct categories or classes in one spelling; see `spelt`."""
    return set(spelt(np.array(list(values or ()), dtype=object)))


def as_numbers(values: Values) -> npt.NDArray[np.float64]:
    """(n,) float64, NaN for what is missing or no number; booleans alone are 0 and 1."""
    found = to_numbers(values)
    if values.dtype == object and np.isnan(found).all():
        found = np.array([TRUTHS.get(one, np.nan) for one in spelt(values)])
    return found


def row_ids(start: int, count: int, rows: int) -> Any:
    """(count,) what `row_id` gives the rows from `start` on, as pandas keeps text."""
    numbers = pc.cast(pa.array(np.arange(start, start + count)), pa.string())
    padded = pc.cast(pc.utf8_lpad(numbers, len(str(max(rows - 1, 0))), "0"), pa.large_string())
    return pd.array(padded, dtype="str")


def row_id(row: int, rows: int) -> str:
    """The number of a row, in strings of one length, so that their order is the rows'."""
    return f"{row:0{len(str(max(rows - 1, 0)))}d}"
