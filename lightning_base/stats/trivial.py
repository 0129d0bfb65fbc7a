"""Trivial models: what predicts from the training targets alone, cross-validated on the same folds as a real one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_base.stats.intervals import Floats, Rows
from lightning_base.stats.linear import Lines

CLASSES = "the training part's majority class and class shares"


@dataclass(frozen=True)
class Known:
    """What a trivial model may see of N samples.

    Attributes:
        target: (N,) class numbers or values.
        classes: number of classes; 0 for values.
        key: (N,) what a value is the mean of: the item of a rating, say; None for the mean of all.
        time: (N,) what orders values of which the last one is taken; None for the mean.
        series: (N,) the series (group) that each belongs to, where there are several over time.
    """

    target: npt.NDArray[Any]
    classes: int = 0
    key: npt.NDArray[Any] | None = None
    time: npt.NDArray[Any] | None = None
    series: npt.NDArray[Any] | None = None

    @property
    def name(self) -> str:
        """What the trivial model predicts."""
        if self.classes:
            return CLASSES
        if self.key is not None:
            return "the training part's mean of the same item"
        if self.time is not None:
            return "the last value before, of the same group" if self.series is not None else "the last value before"
        return "the training part's mean"


def trivial_lines(lines: Lines, rows: Rows, folds: Iterable[tuple[Rows, Rows]], known: Known) -> Lines:
    """The same lines as a trivial model predicts them, fitted on each fold's training part.

    Args:
        lines: of the real model (L).
        rows: (L,) the row of each line's sample.
        folds: of each fold in order the rows that train and that are held out.
        known: what the trivial model sees.
    """
    pred = np.zeros(len(rows), dtype=lines.pred.dtype)
    probs = None if lines.probs is None else np.zeros((len(rows), known.classes))
    for fold, (train, _) in enumerate(folds):
        mine = lines.fold == fold
        if probs is not None:
            shares = class_shares(known.target[train], known.classes)
            pred[mine], probs[mine] = shares.argmax(), shares
        else:
            pred[mine] = values(known, train, rows[mine])
    return replace(lines, pred=pred, probs=probs)


def class_shares(target: npt.NDArray[Any], classes: int) -> Floats:
    """(C,) shares of the classes; one without samples counts as half a sample, so that it is not thought impossible."""
    count = np.maximum(np.bincount(target.astype(np.int64), minlength=classes), 0.5)
    shares: Floats = count / count.sum()
    return shares


def values(known: Known, train: Rows, held: Rows) -> Floats:
    """What is predicted for the held-out rows (M,): the mean of their key's values, the last value, or the mean."""
    y = known.target[train].astype(np.float64)
    if known.key is not None:
        return _of_key(known.key[train], y, known.key[held], last=False)
    if known.time is not None:
        order = np.argsort(known.time[train], kind="stable")
        series = np.zeros(len(known.target), dtype=np.int64) if known.series is None else known.series
        return _of_key(series[train][order], y[order], series[held], last=True)
    return np.full(len(held), y.mean())


def _of_key(keys: npt.NDArray[Any], y: Floats, asked: npt.NDArray[Any], last: bool) -> Floats:
    """The mean (or last) value of each asked key; of all where it has none."""
    names, codes = np.unique(keys, return_inverse=True)
    found = np.bincount(codes, y) / np.bincount(codes)
    if last:
        found[codes] = y  # where a key comes again its last value stays
    place = np.minimum(np.searchsorted(names, asked), len(names) - 1)
    return np.where(names[place] == asked, found[place], y.mean())
