"""Bootstrap intervals of a cross-validation's scores over its out-of-fold samples, the folds' models held fixed."""

from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.stats.intervals import Floats, Rows
from lightning_base.stats.linear import ranked

MOST = 1_000_000  # probabilities above which areas under the ROC curve are not drawn


def oof_intervals(
    oof: pd.DataFrame,
    reported: Mapping[str, Sequence[float]],
    clusters: npt.NDArray[Any] | None = None,
    resamples: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of a cross-validation's mean scores over its out-of-fold samples.

    What varies is which samples (or groups) are held out; the folds' models are held fixed, so the interval leaves out
    what another training set would change, and is narrower than one of the whole procedure. All lines of a sample are
    drawn together, over all repeats. A draw's score is the mean over folds, each weighted by the share of it that was
    drawn. Scores that cannot be had from weighted lines have no interval: ECE (a bootstrap overstates it), AUROC of
    more than `MOST` probabilities, and any whose folds' values differ from those reported.

    Args:
        oof: one line per prediction (L): id, fold, target, pred and, for classes, prob_0, …
        reported: per metric the folds' values.
        clusters: (L,) the group of each line, drawn whole; by default its id.
        resamples: number of draws; by default 200, above 50,000 lines fewer, down to 100.
        seed: what they are drawn from.
        confidence: coverage that the intervals aim at.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13; whole clusters: Davison & Hinkley
    1997, Bootstrap Methods and their Application, section 3.8.
    """
    numeric = set(oof.select_dtypes("number").columns)
    if not {"fold", "target", "pred"} <= numeric:
        return {}
    fold = oof["fold"].to_numpy()
    size = np.bincount(fold).astype(np.float64)
    score = (_class_scores if "prob_0" in oof else _value_scores)(oof, fold, len(size))
    whole = score(np.ones(len(oof)))
    names = [
        name
        for name, values in reported.items()
        if name in whole and np.allclose(whole[name], np.asarray(values, dtype=np.float64), rtol=1e-3, atol=1e-5)
    ]
    if not names:
        return {}
    cluster, _ = pd.factorize(oof["id"].to_numpy() if clusters is None else clusters, use_na_sentinel=False)
    n, rng = int(cluster.max()) + 1, np.random.default_rng(seed)
    draws: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(resamples or int(np.clip(10_000_000 // len(oof), 100, 200))):
        weights = np.bincount(rng.integers(0, n, n), minlength=n)[cluster].astype(np.float64)
        share, values = np.bincount(fold, weights, len(size)) / size, score(weights)
        for name in names:
            known = (share > 0) & np.isfinite(values[name])
            draws[name].append(float(np.average(values[name][known], weights=share[known])) if known.any() else nan)
    tail = (1 - confidence) / 2
    bounds = {name: np.nanquantile(drawn, [tail, 1 - tail]) for name, drawn in draws.items()}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items() if low < high}


def _value_scores(oof: pd.DataFrame, fold: Rows, k: int) -> Callable[[Floats], dict[str, Floats]]:
    """A function from the lines' weights (L,) to each fold's mse, rmse, mae and r2 (k,)."""
    y = oof["target"].to_numpy(dtype=np.float64)
    error = oof["pred"].to_numpy(dtype=np.float64) - y
    y = y - y.mean()  # r2 does not change, and its sums keep their digits

    def score(weights: Floats) -> dict[str, Floats]:
        total, squares, absolute, first, second = (
            np.bincount(fold, weights * x, k) for x in (np.ones(len(y)), error**2, abs(error), y, y**2)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            mse = squares / total
            r2 = 1 - squares / (second - first**2 / total)
            return {"mse": mse, "rmse": np.sqrt(mse), "mae": absolute / total, "r2": r2}

    return score


def _class_scores(oof: pd.DataFrame, fold: Rows, k: int) -> Callable[[Floats], dict[str, Floats]]:
    """A function from the lines' weights (L,) to each fold's scores (k,), as the task defines them.

    They are accuracy, loss, auroc, and the macro precision, recall and f1 of the classes that a fold has.
    """
    target, pred = oof["target"].to_numpy(dtype=np.int64), oof["pred"].to_numpy(dtype=np.int64)
    probs = oof.filter(regex=r"^prob_\d+$").to_numpy(dtype=np.float64)  # (L, C)
    classes = probs.shape[1]
    right = (target == pred).astype(np.float64)
    tiny = np.finfo(np.float64).tiny
    loss = -np.log(np.maximum(probs[np.arange(len(oof)), target], tiny))
    cell_true, cell_pred = fold * classes + target, fold * classes + pred
    areas = [_area(probs[:, c], target == c, fold, k) for c in ranked(classes if probs.size <= MOST else 0)]

    def score(weights: Floats) -> dict[str, Floats]:
        total = np.bincount(fold, weights, k)
        hits, true, predicted = (
            np.bincount(cell, w, k * classes).reshape(k, classes)
            for cell, w in ((cell_true, weights * right), (cell_true, weights), (cell_pred, weights))
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            seen = np.maximum((true > 0).sum(axis=1), 1)
            ratios = {"precision": hits / predicted, "recall": hits / true, "f1": 2 * hits / (true + predicted)}
            scores = {
                name: np.where(true > 0, np.nan_to_num(ratio), 0).sum(axis=1) / seen for name, ratio in ratios.items()
            }
            scores["accuracy"] = np.bincount(fold, weights * right, k) / total
            scores["loss"] = np.bincount(fold, weights * loss, k) / total
            if areas:
                area = np.array([one(weights) for one in areas])  # (C, k), NaN where a fold lacks one of the sides
                scores["auroc"] = np.nansum(area, axis=0) / np.isfinite(area).sum(axis=0)
        return scores

    return score


def _area(scores: Floats, positive: npt.NDArray[np.bool_], fold: Rows, k: int) -> Callable[[Floats], Floats]:
    """A function from the lines' weights (L,) to each fold's area under the ROC curve (k,); ties count a half."""
    order = np.lexsort((scores, fold))
    sorted_fold, sorted_scores = fold[order], scores[order]
    new = np.r_[True, (np.diff(sorted_fold) != 0) | (np.diff(sorted_scores) != 0)]
    run = np.cumsum(new) - 1
    start = np.flatnonzero(new)
    rows = np.flatnonzero(positive[order])
    begin, end = start[run[rows]], np.r_[start[1:], len(order)][run[rows]]  # the tied lines of each positive one
    first, its_fold = np.searchsorted(sorted_fold, np.arange(k)), sorted_fold[rows]
    last = np.r_[first[1:], len(order)]
    negative = (~positive[order]).astype(np.float64)

    def area(weights: Floats) -> Floats:
        drawn = weights[order]
        below = np.concatenate([[0.0], np.cumsum(drawn * negative)])  # weight of the negative lines before each
        won = (below[begin] + below[end]) / 2 - below[first[its_fold]]  # the negative weight that each positive beats
        pairs: Floats = np.bincount(its_fold, drawn[rows], k) * (below[last] - below[first])
        return np.bincount(its_fold, drawn[rows] * won, k) / pairs

    return area
