"""Rows between two others: what SMOTE and its kin make of neighbours of one class, which a split then parts."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lightning_base.auditing.suspicions.columns import categories_of, is_columns
from lightning_base.auditing.suspicions.evidence import sampled
from lightning_base.samples.payload import Rows, gather
from lightning_base.samples.samples import Samples

Matrix = npt.NDArray[np.float64]
LOOKED = 1000  # rows that are looked at
NEIGHBOURS = 12
MOST = 50_000_000  # numbers that they are sought among
STRAIGHT = 1e-6  # 1 + cosine of the angle at a row between two neighbours: 0.08 degrees from a straight line
FEWEST, SHARE = 5, 0.01  # rows between others, and their share, from which they are told
STEPS = 12  # rows at a fraction i / n of a segment, n up to this, may be those of a grid


class Between(NamedTuple):
    """What was found: rows (M,) int64 that lie between two neighbours of their class, and how many were looked at."""

    rows: Rows
    looked: int


def can_lie_between(pool: Samples) -> bool:
    """Whether the samples are columns of broken numbers, with classes, and few enough."""
    columns = is_columns(pool) and pool.inputs.dtype.kind == "f" and bool(pool.classes) and pool.target is not None
    return columns and pool.inputs.shape[1] >= 3 and int(np.prod(pool.inputs.shape)) <= MOST


def between(pool: Samples) -> Between:
    """The rows of a sample of them that lie on the segment between two neighbours of their class; few are none.

    In each class a row's neighbours are sought in the columns of broken numbers, as they are and standardised. Of a
    thousand rows, those with the smallest hash of their id, each is held against all rows of its class.
    """
    assert pool.target is not None
    numbers = [i for i in range(pool.inputs.shape[1]) if categories_of(pool, i) is None]
    x = gather(pool.inputs, np.arange(len(pool)))[0][:, numbers].astype(np.float64)
    x = np.where(np.isfinite(x), x, 0)
    x = x[:, (x != np.floor(x)).any(axis=0)]
    looked = sampled(pool, np.arange(len(pool)), LOOKED)
    if x.shape[1] < 3:
        return Between(looked[:0], 0)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
    spread = np.linalg.eigvalsh(np.cov(x[:: max(len(x) // 5000, 1)].T))
    if (spread > 1e-3 * spread.sum()).sum() < 3:  # points of a line, or nearly of a plane, lie between others
        return Between(looked[:0], 0)
    raw = x * pool_deviation(pool, numbers, x.shape[1])
    found = [looked[:0]]
    for label in np.unique(pool.target[looked]):
        mine = looked[pool.target[looked] == label]
        kin = np.flatnonzero(pool.target == label)
        inside = np.zeros(len(mine), dtype=bool)
        for space in (x, raw):
            inside |= _inside(x, space, mine, kin)
        found.append(mine[inside])
    rows = np.sort(np.concatenate(found))
    return Between(rows if len(rows) >= max(FEWEST, SHARE * len(looked)) else rows[:0], len(looked))


def pool_deviation(pool: Samples, numbers: list[int], width: int) -> Matrix:
    """(F',) deviations of the columns of broken numbers, as they are."""
    x = gather(pool.inputs, np.arange(len(pool)))[0][:, numbers].astype(np.float64)
    x = np.where(np.isfinite(x), x, 0)
    return np.asarray(x[:, (x != np.floor(x)).any(axis=0)].std(axis=0))


def _inside(x: Matrix, space: Matrix, mine: Rows, kin: Rows) -> npt.NDArray[np.bool_]:
    """(n,) which rows lie between two of their neighbours among kin; distances are those of a space (N, F)."""
    out = np.zeros(len(mine), dtype=bool)
    k = min(NEIGHBOURS + 1, len(kin))
    if k < 3:
        return out
    others = space[kin].astype(np.float32)
    square = (others**2).sum(axis=1)
    step = max(20_000_000 // len(kin), 1)
    for start in range(0, len(mine), step):
        part = mine[start : start + step]
        distance = square - 2 * (space[part].astype(np.float32) @ others.T)
        near = kin[np.argpartition(distance, k - 1, axis=1)[:, :k]]
        out[start : start + step] = _straight(x[part], x[near])
    return out


def _straight(own: Matrix, near: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """(n,) which points (n, F) lie on a segment between two of their neighbours (n, k, F), and on no grid."""
    way = near - own[:, None]
    length = np.sqrt((way**2).sum(axis=2))
    changed = (np.abs(way) > 1e-9).sum(axis=2)
    there = (length > 1e-6) & (changed >= 3)  # not the point itself, nor a neighbour along an axis
    ray = np.where(there[:, :, None], way / np.maximum(length, 1e-12)[:, :, None], 0)
    cosine = ray @ ray.transpose(0, 2, 1)  # (n, k, k)
    place = length[:, :, None] / np.maximum(length[:, :, None] + length[:, None, :], 1e-12)
    grid = np.zeros(place.shape, dtype=bool)
    for n in range(2, STEPS + 1):
        grid |= np.abs(place * n - np.round(place * n)) < 1e-3 * n
    return np.asarray(((cosine <= STRAIGHT - 1) & ~grid).any(axis=(1, 2)))
