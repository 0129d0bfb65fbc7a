"""How well single values tell a class: areas under the curve, values of one class, and groups of one target."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples

Codes = npt.NDArray[np.int64]
EXPECTED = 25  # samples of other classes that a value must be expected to have before having none is told
REST = 0.05  # … and the share of those expected that it may have


class Telling(NamedTuple):
    """A value whose samples are of one class.

    Attributes:
        value: its code.
        label: the class number.
        size: how many samples have the value.
        others: how many of them are of another class.
    """

    value: int
    label: int
    size: int
    others: int


def sampled(pool: Samples, rows: Rows, most: int) -> Rows:
    """At most so many of the rows, those with the smallest hash of their id, in order: the same on every machine."""
    if len(rows) <= most:
        return rows
    return np.sort(rows[np.argpartition(pool.keys[rows], most)[:most]])


def counts_of(codes: Codes, y: Codes) -> Codes:
    """(V, C) how many samples have a value, numbered from 0, and a class."""
    v, c = int(codes.max(initial=0)) + 1, int(y.max(initial=0)) + 1
    return np.bincount(codes * c + y, minlength=v * c).reshape(v, c)


def telling_value(codes: Codes, y: Codes) -> Telling | None:
    """The most frequent value whose samples are all but of one class, though by chance 25 would be of others.

    Args:
        codes: (N,) values, numbered from 0.
        y: (N,) class numbers.
    """
    counts = counts_of(codes, y)
    share = counts.sum(axis=0) / max(len(y), 1)
    label, size = counts.argmax(axis=1), counts.sum(axis=1)
    others = size - counts.max(axis=1)
    expected = size * (1 - share[label])
    found = np.flatnonzero((expected >= EXPECTED) & (others <= REST * expected) & (size >= len(y) // 100))
    if len(found) == 0 or len(counts) == 1:
        return None
    best = int(found[np.argmax(expected[found])])
    return Telling(best, int(label[best]), int(size[best]), int(others[best]))


def areas(x: npt.NDArray[Any], y: Codes) -> npt.NDArray[np.float64]:
    """(C, C) areas under the ROC curve of one column (N,) for each two classes, 0.5 or more; 1 on the diagonal.

    A missing value counts as the greatest; equal values count half, as Mann & Whitney's U has it.
    """
    counts = counts_of(np.unique(x, return_inverse=True)[1].astype(np.int64), y).astype(np.float64)
    below = np.cumsum(counts, axis=0) - counts / 2
    n = counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        area = counts.T @ below / np.outer(n, n)
    area = np.maximum(area, area.T)
    np.fill_diagonal(area, 1.0)
    return np.where(np.isfinite(area), area, 1.0)  # classes without samples


def surely(area: npt.NDArray[np.float64], y: Codes) -> npt.NDArray[np.float64]:
    """(C, C) areas less two of their standard errors, by Hanley & McNeil 1982: few samples tell little."""
    n = np.bincount(y).astype(np.float64)
    one, two = np.meshgrid(n, n, indexing="ij")
    square = area**2
    variance = (
        area * (1 - area) + (one - 1) * (area / (2 - area) - square) + (two - 1) * (2 * square / (1 + area) - square)
    )
    return np.asarray(area - 2 * np.sqrt(np.maximum(variance, 0) / np.maximum(one * two, 1)))


def agreement(codes: Codes, y: Codes) -> float:
    """How alike the targets of a group are: 1 where each group has one target, about 0 where groups tell nothing.

    Args:
        codes: (N,) groups, numbered from 0; groups of one sample are left out.
        y: (N,) targets, numbered from 0.
    """
    kept = np.bincount(codes)[codes] > 1
    if not kept.any():
        return 0.0
    codes, y = codes[kept], y[kept]
    c = int(y.max()) + 1
    _, inverse, count = np.unique(codes * c + y, return_inverse=True, return_counts=True)
    size = np.bincount(codes)[codes]
    unlike = (1 - (count[inverse] - 1) / (size - 1)).mean()
    chance = 1 - float(((np.bincount(y) / len(y)) ** 2).sum())
    return float(1 - unlike / chance) if chance else 0.0
