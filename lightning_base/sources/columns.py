"""Columns: which of a file's columns is what, and a first pass that tells numbers from categories."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import ConfigError, DataError
from lightning_base.samples.reading import texts
from lightning_base.samples.samples import Feature
from lightning_base.sources.records import Format, Records, Values, to_numbers

Task: TypeAlias = Literal["auto", "classification", "regression"]
NUMERIC_SHARE = 0.9  # a column of which more is numbers is numeric: the rest are findings
MOST_VALUES = 1_000_000  # distinct values that are remembered of a column of numbers
MOST_CLASSES = 20  # whole numbers with more distinct values are a continuous target
TRUTHS = {"false": 0.0, "true": 1.0}


@dataclass(frozen=True)
class Layout:
    """Which column of a file of records is what; names that are None are not read.

    Args:
        form: how the file is written.
        target: the column to predict.
        columns: the inputs; None for all that are nothing else.
        categorical, numeric: declared kinds; other columns are inferred.
        features: kinds found in another file, which this one is read like; instead of the three before.
        ids, group, time, time_end, role: columns that the sample table takes under these names, ids as `id`.
        split_columns: columns that splitters alone read.
        known_after: columns that are known only after the target is: no inputs, and a finding each.
        task: whether the target is a class; "auto" looks at its values.
        classes: the classes' names; None for those that are found.
        target_range: the least and the greatest value of a continuous target; others are findings.
    """

    form: Format
    target: str | None = None
    columns: Sequence[str] | None = None
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    features: tuple[Feature, ...] | None = None
    ids: str | None = None
    group: str | None = None
    time: str | None = None
    time_end: str | None = None
    role: str | None = None
    split_columns: Sequence[str] = ()
    known_after: Sequence[str] = ()
    task: Task = "auto"
    classes: Sequence[str] | None = None
    target_range: tuple[float, float] | None = None

    @property
    def special(self) -> list[str]:
        """The columns of ids, groups, times and roles, the target, and those that only splitters read."""
        named = (self.target, self.ids, self.group, self.time, self.time_end, self.role, *self.split_columns)
        return [name for name in named if name is not None]


@dataclass
class Tally:
    """What a first pass learns of a column.

    Attributes:
        known, numbers: how many values are there, and how many of them are numbers.
        odd: the first value that is no number, and its line.
        values: the distinct values; None where they are numbers and too many to remember.
    """

    known: int = 0
    numbers: int = 0
    odd: tuple[str, int] | None = None
    values: set[str] | None = field(default_factory=set)

    def add(self, values: Values, lines: npt.NDArray[np.int64]) -> None:
        """Takes the values of a chunk."""
        there = ~pd.isna(values)
        number = ~np.isnan(to_numbers(values))
        self.known += int(there.sum())
        self.numbers += int(number.sum())
        if values.dtype != object:
            self.values = None
            return
        if self.odd is None and (no := there & ~number).any():
            at = int(np.argmax(no))
            self.odd = (values[at], int(lines[at]))
        if self.values is not None:
            self.values.update(pd.unique(values[there]).tolist())
            if len(self.values) > MOST_VALUES and self.numeric:
                self.values = None

    @property
    def numeric(self) -> bool:
        """Whether it counts as a column of numbers where nothing is declared; an empty one does."""
        return self.odd is None or self.numbers > self.known * NUMERIC_SHARE

    @property
    def truths(self) -> bool:
        """Whether its values are booleans."""
        return bool(self.values) and canonical(self.values) <= TRUTHS.keys()

    @property
    def whole(self) -> bool:
        """Whether all values are written as whole numbers."""
        return self.values is not None and all(map(is_whole, self.values))


@dataclass(frozen=True)
class Plan:
    """How a file's columns are encoded: what the first pass decided.

    Attributes:
        features: the inputs, with the categories of those that are no numbers.
        classes: the classes' names; empty for regression.
        rows: the number of records.
        findings: (id, kind, detail).
    """

    features: tuple[Feature, ...]
    classes: tuple[str, ...]
    rows: int
    findings: list[tuple[str, str, str]]


def plan(layout: Layout, records: Records) -> Plan:
    """The first pass: counts rows, tells numbers from categories, and collects categories and classes.

    Raises:
        UserError: for a column that is not there, a file without rows, or a declaration that does not fit.
    """
    names = _inputs(layout, records)
    declared = [f.name for f in layout.features or () if f.categories is not None] or list(layout.categorical)
    rows, tallies = _tally(layout, records, names, declared)
    # a column found categorical whose first chunks were all numbers, and not remembered as they are written
    late = [n for n in names if n not in declared and not _numeric(layout, n, tallies[n]) and tallies[n].values is None]
    if late:
        rows, tallies = _tally(layout, records, names, declared + late)
    features, findings = [], []
    for name in names:
        tally = tallies[name]
        numeric = name not in declared and _numeric(layout, name, tally)
        if not numeric and tally.values is None:
            raise ConfigError(
                f"data.categorical: column {name!r} has over {MOST_VALUES} distinct values; declare it in data.numeric"
            )
        features.append(Feature(name, None if numeric else tuple(sorted(canonical(tally.values)))))
        if numeric and tally.odd is not None and not tally.truths:
            value, line = tally.odd
            if layout.features is not None and not tally.numbers:
                raise DataError(
                    f"{layout.form.path}: column {name!r} was numbers in training and holds none here, the first value "
                    f"is {value!r} in line {line}; give numbers, or leave the values empty"
                )
            count = tally.known - tally.numbers
            detail = f"a column with {count} values that are no numbers, the first {value!r} in line {line}"
            findings.append((name, "type", detail))
    findings += [(name, "known_after", "known only after the target is, so no input") for name in layout.known_after]
    return Plan(tuple(features), _classes(layout, tallies), rows, findings + records.findings)


def _numeric(layout: Layout, name: str, tally: Tally) -> bool:
    """Whether a column that is not declared categorical is read as numbers."""
    return layout.features is not None or name in layout.numeric or tally.numeric


def _tally(
    layout: Layout, records: Records, names: Sequence[str], declared: Sequence[str]
) -> tuple[int, dict[str, Tally]]:
    """The number of rows, and what a run through the file tells of the inputs and the target."""
    wanted = [layout.target] if layout.target is not None else []
    text = [*(n for n in names if n in declared), *wanted]
    tallies = {name: Tally() for name in [*names, *wanted]}
    rows = 0
    for chunk in records.chunks(text, [n for n in names if n not in text]):
        for name, tally in tallies.items():
            tally.add(chunk.columns[name], chunk.lines)
        rows += len(chunk)
    if rows == 0:
        raise DataError(f"{layout.form.path}: no records; give a file that has some")
    return rows, tallies


def _inputs(layout: Layout, records: Records) -> list[str]:
    """Names of the input columns, all of which are there."""
    for key in ("target", "ids", "group", "time", "time_end", "role"):
        records.require([getattr(layout, key)], f"data.{key}")
    for key in ("columns", "categorical", "numeric", "split_columns", "known_after"):
        records.require(getattr(layout, key) or (), f"data.{key}")
    for key in ("columns", "categorical", "numeric"):
        if late := set(getattr(layout, key) or ()) & set(layout.known_after):
            raise ConfigError(
                f"data.known_after: {min(late)!r} stands in data.{key} too, and what is known after the target is no "
                "input; leave it out of one of them"
            )
    if taken := set(layout.split_columns) & {"id", "target", "group", "time", "time_end", "role"}:
        raise ConfigError(
            f"data.split_columns: {min(taken)!r} is a name of our own; name the column otherwise in the file"
        )
    if both := set(layout.categorical) & set(layout.numeric):
        raise ConfigError(f"data.categorical: {min(both)!r} stands in data.numeric too; leave it in one of them")
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


def _classes(layout: Layout, tallies: dict[str, Tally]) -> tuple[str, ...]:
    """Names of the classes, whole numbers by value, others by alphabet; none for regression."""
    if layout.target is None or layout.task == "regression":
        return ()
    if layout.classes is not None:
        return tuple(layout.classes)
    tally = tallies[layout.target]
    if tally.values is None or (
        layout.task == "auto" and tally.odd is None and not (tally.whole and len(tally.values) <= MOST_CLASSES)
    ):
        return ()
    names = canonical(tally.values)
    return tuple(sorted(names, key=(lambda v: (int(v), v)) if all(map(is_whole, names)) else None))


def is_whole(text: str) -> bool:
    """Whether a text is a whole number."""
    return text.lstrip("+-").isdecimal()


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


def row_id(row: int, rows: int) -> str:
    """The number of a row, in strings of one length, so that their order is the rows'."""
    return f"{row:0{len(str(max(rows - 1, 0)))}d}"
