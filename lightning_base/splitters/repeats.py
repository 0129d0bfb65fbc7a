"""Which repeat each fold belongs to: as splitters say it, else as the folds themselves prove it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import (
    BaseShuffleSplit,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    LeavePGroupsOut,
    LeavePOut,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from lightning_base.samples.payload import Rows

PARTS = (
    *(KFold, StratifiedKFold, GroupKFold, StratifiedGroupKFold, PredefinedSplit),
    *(LeaveOneOut, LeaveOneGroupOut, TimeSeriesSplit),
)
REPEATED = (RepeatedKFold, RepeatedStratifiedKFold)
DRAWN = (BaseShuffleSplit, LeavePOut, LeavePGroupsOut)


def repeats_of(splitter: Any, held: Sequence[Rows], n: int, said: Sequence[int] | None = None) -> list[int]:
    """The repeat of each fold, from 0; folds of one repeat hold out no sample in common.

    scikit-learn's splitters are known: k-folds are one repeat, repeated ones `n_repeats`, and folds that are drawn at
    random (ShuffleSplit) are a repeat each. Of any other the folds must prove it: they are repeats where, in order,
    they divide all samples exactly, once or again and again; else they count as drawn at random.

    Args:
        splitter: what made the folds.
        held: the rows that each fold holds out.
        n: number of samples.
        said: what a splitter over tables says of its own folds.
    """
    if said is None and isinstance(splitter, PARTS):
        said = [0] * len(held)
    elif said is None and isinstance(splitter, REPEATED):
        said = [fold // (len(held) // splitter.n_repeats) for fold in range(len(held))]
    elif said is None and not isinstance(splitter, DRAWN):
        said = _divided(held, n)
    alone = list(range(len(held)))
    return list(said) if said is not None and _disjoint(held, said) else alone


def _divided(held: Sequence[Rows], n: int) -> list[int] | None:
    """The repeats of folds that in order divide n samples exactly, again and again; None of any others."""
    found: list[int] = []
    repeat, count = 0, np.zeros(n, dtype=np.int64)
    for rows in held:
        count[rows] += 1
        found.append(repeat)
        if count.max() > 1:
            return None
        if count.min() == 1:
            repeat, count = repeat + 1, np.zeros_like(count)
    return found if not count.any() else None


def _disjoint(held: Sequence[Rows], repeats: Sequence[int]) -> bool:
    """Whether no two folds of a repeat hold out a sample in common."""
    for repeat in set(repeats):
        rows = np.concatenate([part for part, its in zip(held, repeats, strict=True) if its == repeat])
        if len(np.unique(rows)) < len(rows):
            return False
    return True
