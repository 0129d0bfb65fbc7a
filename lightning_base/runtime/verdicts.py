"""Verdicts on columns that are looked at together: what has changed, what has not, and what cannot be told yet."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .cells import Comparison
from .chances import chi_squared_from, holm
from .columns import Column

LEVEL = 0.01  # the chance that one column or more of a report is called changed though none is
SIZES = ((0.25, "large"), (0.1, "moderate"), (-math.inf, "slight"))  # of PSI above what is expected without a change
SEEN = 0.25  # a PSI that has to be seen, or there are too few values yet
CHANGED = ("slight", "moderate", "large")
TESTS = {
    "shape": "shares",
    "ks": "values",
    "missing": "missing values",
    "unseen": "unseen categories",
    "rare": "rare categories",
}


@dataclass(frozen=True)
class Row:
    """What a report says of a column.

    Attributes:
        side: "input" or "prediction".
        column: its name.
        kind: "number" or "category".
        found: the comparison.
        p: the chance of such a difference without a change, corrected for all tests of all columns (Holm 1979).
        told_from: the PSI from which a change is told, at this number of values; infinite where there are none.
        verdict: "steady"; "slight", "moderate" or "large" where a change is told; "too few" where even a large one
            might not be; "unsure" where a slight one may come from how the reference was made.
        why: what the verdict rests on, in words.
    """

    side: str
    column: str
    kind: str
    found: Comparison
    p: float
    told_from: float
    verdict: str
    why: str

    def written(self) -> dict[str, Any]:
        """As JSON holds it; what is not finite is null."""
        own = {key: getattr(self, key) for key in ("side", "column", "kind", "verdict", "why", "p")}
        told_from = self.told_from if math.isfinite(self.told_from) else None
        return own | {"told_from": told_from} | asdict(self.found)


def rows_of(compared: Sequence[tuple[str, str, Column, Comparison, str]], level: float = LEVEL) -> list[Row]:
    """The verdicts on columns looked at together, what has changed most first.

    Args:
        compared: side, name, column, comparison, and why it is inexact or "".
        level: the chance that there is a false one among them.
    """
    raw = [min(1.0, max(len(one.chances), 1) * min(one.chances.values(), default=1.0)) for *_, one, _ in compared]
    rows = []
    for (side, name, column, one, inexact), p in zip(compared, holm(raw), strict=True):
        told_from = told(one, level / (len(compared) * max(len(one.chances), 1)))
        verdict, why = verdict_of(one, p, told_from, level)
        if inexact and verdict == "slight":
            verdict, why = "unsure", f"{why}; {inexact}"
        rows.append(Row(side, name, column.kind, one, p, told_from, verdict, why))
    return sorted(rows, key=lambda row: (row.p > level, -row.found.size, row.column))


def told(one: Comparison, chance: float) -> float:
    """The PSI that is exceeded with this chance where nothing has changed: that is chi-squared's (1/n + 1/m)."""
    return (1 / one.n + 1 / one.m) * chi_squared_from(chance, one.freedom) if one.n and one.m else math.inf


def verdict_of(one: Comparison, p: float, told_from: float, level: float) -> tuple[str, str]:
    """The verdict on a column, and what it rests on."""
    if not one.m:
        return "too few", "training has no value"
    if not one.n:
        return "too few", "no value yet"
    if p <= level:
        chance = max(min(one.chances.values()), 1e-4)
        said = [word for test, word in TESTS.items() if one.chances.get(test, 1.0) <= chance]
        return next(word for size, word in SIZES if one.size >= size), f"{', '.join(said)} differ"
    if told_from > SEEN:
        per = told_from / (1 / max(one.n, 1) + 1 / one.m)  # chi-squared
        room = SEEN / per - 1 / one.m
        need = f"needs about {math.ceil(1 / room):,} values" if room > 0 else f"training's {one.m:,} values are too few"
        return "too few", f"{one.n:,} values: a change is told from a PSI of {told_from:.2f} on; {need}"
    return "steady", ""
