"""Scores over held-out samples, each pooled over folds, with what every sample adds to it: what variances are made of.

A score that is a mean over samples has its terms; any other (RMSE, R², AUROC, F1 …) has those of its linear expansion
around the value found (the delta method, or infinitesimal jackknife: Efron 1982, The Jackknife, the Bootstrap and
Other Resampling Plans, chapter 6), so that one rule makes all variances and all paired differences.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.stats.intervals import Floats, Rows

SAME = 8 * float(np.finfo(np.float64).eps)  # of their mean: values that vary by no more are one value
Terms: TypeAlias = Floats  # (L,) whose mean over samples is the score


@dataclass(frozen=True)
class Lines:
    """Predictions (L lines) of held-out samples, each held out once or more.

    Attributes:
        fold: (L,) the fold that predicted it.
        sample: (L,) number of the sample.
        target: (L,) class numbers or values.
        pred: (L,) likewise.
        probs: (L, C) probabilities; None without classes.
    """

    fold: Rows
    sample: Rows
    target: npt.NDArray[Any]
    pred: npt.NDArray[Any]
    probs: Floats | None = None

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Lines | None":
        """The lines of a table with id, target, pred and where known fold and prob_0, …; None for other tables."""
        if not {"target", "pred"} <= set(table.select_dtypes("number").columns):
            return None
        probs = table.filter(regex=r"^prob_\d+$").to_numpy(dtype=np.float64) if "prob_0" in table else None
        kind = np.float64 if probs is None else np.int64
        return cls(
            table["fold"].to_numpy() if "fold" in table else np.zeros(len(table), dtype=np.int64),
            pd.factorize(table["id"])[0],
            table["target"].to_numpy(dtype=kind),
            table["pred"].to_numpy(dtype=kind),
            probs,
        )

    @cached_property
    def weight(self) -> Floats:
        """(L,) what adds up to 1 and is the same for each sample, however often it was held out."""
        count = np.bincount(self.sample)
        return 1 / (count[self.sample] * len(count))

    def take(self, mask: npt.NDArray[np.bool_]) -> "Lines":
        """Some of the lines."""
        probs = None if self.probs is None else self.probs[mask]
        return Lines(
            self.fold[mask],
            np.unique(self.sample[mask], return_inverse=True)[1],
            self.target[mask],
            self.pred[mask],
            probs,
        )


def terms(lines: Lines) -> dict[str, Terms]:
    """By metric the terms (L,), whose mean over samples (each by `weight`) is the pooled score."""
    if lines.probs is None:
        return _of_values(lines)
    found = _of_counts(lines)
    if (areas := auroc_terms(lines)) is not None:
        found["auroc"] = areas
    return found


def sample_terms(target: npt.NDArray[Any], pred: npt.NDArray[Any], probs: Floats | None) -> dict[str, Terms]:
    """By metric that is a mean over samples, as the tasks define them: what each line adds (L,)."""
    if probs is None:
        error = pred.astype(np.float64) - target
        return {"mse": error**2, "mae": abs(error)}
    chosen = probs[np.arange(len(target)), target]
    tiny = np.finfo(np.float64).tiny
    return {"accuracy": (target == pred).astype(np.float64), "loss": -np.log(np.maximum(chosen, tiny))}


def _of_values(lines: Lines) -> dict[str, Terms]:
    """mse, rmse, mae and r2."""
    found = sample_terms(lines.target, lines.pred, None)
    w, square = lines.weight, found["mse"]
    mse, off = float(w @ square), lines.target - w @ lines.target
    variance = float(w @ off**2)
    rmse = float(np.sqrt(mse))
    found["rmse"] = rmse + (square - mse) / (2 * rmse) if rmse > 0 else np.zeros_like(square)
    if variance > (SAME * float(w @ lines.target)) ** 2:
        found["r2"] = 1 - mse / variance - (square - mse / variance * off**2) / variance
    return found


def _of_counts(lines: Lines) -> dict[str, Terms]:
    """accuracy, loss, and the macro precision, recall and f1 over the classes that the targets have."""
    assert lines.probs is not None
    found = sample_terms(lines.target, lines.pred, lines.probs)
    w, c = lines.weight, lines.probs.shape[1]
    right = lines.target == lines.pred
    hits = np.bincount(lines.target[right], w[right], c)
    true, predicted = np.bincount(lines.target, w, c), np.bincount(lines.pred, w, c)
    there = true > 0
    for name, (of_true, of_pred) in {"precision": (0.0, 1.0), "recall": (1.0, 0.0), "f1": (0.5, 0.5)}.items():
        base = of_true * true + of_pred * predicted
        ratio = np.divide(hits, base, out=np.zeros(c), where=base > 0)
        scale = np.divide(1.0, base, out=np.zeros(c), where=(base > 0) & there)  # dratio = (dhits - ratio·dbase)/base
        change = right * scale[lines.target]
        change = change - of_true * (ratio * scale)[lines.target] - of_pred * (ratio * scale)[lines.pred]
        found[name] = (ratio[there].sum() + change) / there.sum()
    return found


def auroc_terms(lines: Lines) -> Terms | None:
    """Terms of the area under the ROC curve over the pairs within folds; None where no fold has a pair.

    A class's area is the share of its pairs (one sample of the class, one of another, held out by the same fold) that
    the first wins, by the class's probabilities. With several classes it is the mean over those that have pairs; of
    two it is the second one's. With folds of one size the terms are the influence curves of LeDell, Petersen & van der
    Laan 2015, Electronic Journal of Statistics 9.
    """
    assert lines.probs is not None
    parts = [np.flatnonzero(lines.fold == fold) for fold in np.unique(lines.fold)]
    total, count = np.zeros(len(lines.fold)), 0
    for c in ranked(lines.probs.shape[1]):
        won, against = np.zeros(len(lines.fold)), np.zeros(len(lines.fold))
        for rows in parts:
            won[rows], against[rows] = _pairs(lines.probs[rows, c], lines.target[rows] == c)
        positive = lines.target == c
        if pairs := float(against[positive].sum()):
            value = float(won[positive].sum()) / pairs
            total += value + (won - value * against) / pairs / lines.weight
            count += 1
    return total / count if count else None


def ranked(classes: int) -> range:
    """The classes whose areas count: of two the second one's, which is that of both unless probabilities tie."""
    return range(1, 2) if classes == 2 else range(classes)


def _pairs(scores: Floats, positive: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Of each line how many of its pairs are won by the positive one (ties a half), and how many pairs it has."""
    levels, place = np.unique(scores, return_inverse=True)
    one, other = (np.bincount(place[mine], minlength=len(levels)) for mine in (positive, ~positive))
    below_one, below_other = (np.cumsum(count) - count / 2 for count in (one, other))
    won = np.where(positive, below_other[place], one.sum() - below_one[place])
    return won, np.where(positive, other.sum(), one.sum()).astype(np.float64)


def scores(lines: Lines) -> dict[str, float]:
    """The pooled scores."""
    return {name: float(lines.weight @ term) for name, term in terms(lines).items()}
