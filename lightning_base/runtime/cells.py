"""Counts in the cells of two samples of one column, and how far they lie apart."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .chances import chi_squared, fisher

Counts: TypeAlias = npt.NDArray[np.float64]
LEAST = 5.0  # samples that a cell must let expect, or it is taken together with others


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """New values beside those of training.

    Attributes:
        n, m: new values, and those of training, missing ones included.
        psi: the population stability index over cells in which 5 values or more are expected; those beside them,
            of rare and unseen values, are one cell, and missing ones are another.
        psi_expected: what it is on average where nothing has changed.
        freedom: cells less one.
        ks: Kolmogorov's and Smirnov's distance at the training's quantiles; None of categories.
        chances: by test, how probable a difference of this size is where nothing has changed.
        missing: shares of missing values in training and now.
        unseen: the share of unseen categories to be expected, and now; None of numbers.
        surprise: the index over the two cells of seen and unseen categories, above its mean without a change.
        beyond: the share of values below the least or above the greatest of training; None of categories.
        typical: means of numbers, or the shares of the category whose share has changed most, in training and now.
        name: of that category.
    """

    n: int
    m: int
    psi: float
    psi_expected: float
    freedom: int
    ks: float | None
    chances: dict[str, float]
    missing: tuple[float, float]
    unseen: tuple[float, float] | None
    surprise: float
    beyond: float | None
    typical: tuple[float, float] | None
    name: str = ""

    @property
    def size(self) -> float:
        """How much more has changed than chance lets expect: of the index, or of its part that is unseen categories."""
        return max(self.psi - self.psi_expected, self.surprise)


def psi_of(own: Counts, live: Counts, gaps: tuple[float, float]) -> tuple[float, float, int]:
    """The population stability index over cells, its mean without a change, and its degrees of freedom.

    Half a value is added to each cell.

    Args:
        own: (k,) of training.
        live: (k,) new ones.
        gaps: missing values, which are a cell of their own where there are some.
    """
    if not own.sum() + gaps[0] or not live.sum() + gaps[1]:
        return 0.0, 0.0, 1
    if sum(gaps):
        own, live = np.append(own, gaps[0]), np.append(live, gaps[1])
    k, m, n = len(own), float(own.sum()), float(live.sum())
    p, q = (own + 0.5) / (m + 0.5 * k), (live + 0.5) / (n + 0.5 * k)
    return float(((q - p) * np.log(q / p)).sum()), (k - 1) * (1 / n + 1 / m), max(k - 1, 1)


def homogeneity(own: Counts, live: Counts) -> float:
    """The chance of such a difference between counts by Pearson's test of homogeneity."""
    both, m, n = own + live, own.sum(), live.sum()
    if len(both) < 2 or not m or not n:
        return 1.0
    expected = both * n / (n + m)
    x = float(((live - expected) ** 2 * (1 / expected + 1 / (both - expected))).sum())
    return chi_squared(x, len(both) - 1)


def needed(own: Counts, live: Counts) -> float:
    """Values that a cell needs on both sides together, for LEAST to be expected on the smaller side."""
    m, n = own.sum(), live.sum()
    return float(LEAST * (m + n) / max(min(m, n), 1))


def joined(own: Counts, live: Counts) -> tuple[Counts, Counts]:
    """Counts of neighbouring cells taken together until each is large enough."""
    least, found = needed(own, live), [[0.0, 0.0]]
    for pair in zip(own, live, strict=True):
        if sum(found[-1]) >= least:
            found.append([0.0, 0.0])
        found[-1][0] += pair[0]
        found[-1][1] += pair[1]
    if len(found) > 1 and sum(found[-1]) < least:
        last = found.pop()
        found[-1] = [found[-1][0] + last[0], found[-1][1] + last[1]]
    return np.array([one[0] for one in found]), np.array([one[1] for one in found])


def gaps_chance(own: float, m: float, live: float, n: float) -> dict[str, float]:
    """The chance of such a difference in missing values, where there are some."""
    return {"missing": fisher(int(live), int(n), int(own), int(m))} if own + live and n and m else {}
