"""Honest statistics: intervals for cross-validated and for held-out scores, and tests of differences between runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A cross-validated score: the folds' values, their mean and standard deviation, and a 95 % interval.

    `std` (n - 1 in the denominator) and `ci95` are NaN where there are fewer than two folds.
    """

    mean: float
    std: float
    ci95: tuple[float, float]
    folds: tuple[float, ...]


def corrected_interval(folds: Sequence[float], n_train: float, n_val: float, confidence: float = 0.95) -> Estimate:
    """Mean of the folds' scores with the corrected resampled t interval.

    Folds share training samples, so std/√k is too small; the variance of the mean is taken as
    (1/k + n_val/n_train)·s² with k - 1 degrees of freedom.

    Args:
        folds: one score a fold, over all repeats.
        n_train: mean number of training samples of a fold.
        n_val: mean number of held-out samples of a fold.
        confidence: coverage that the interval aims at.

    Source: Nadeau & Bengio 2003, Machine Learning 52, equation 9; for repeated k-fold Bouckaert & Frank 2004.
    """
    values = np.asarray(folds, dtype=np.float64)
    k = len(values)
    if k < 2:
        return Estimate(float(values.mean()), np.nan, (np.nan, np.nan), tuple(map(float, values)))
    mean, std = float(values.mean()), float(values.std(ddof=1))
    half = float(stats.t.ppf((1 + confidence) / 2, k - 1)) * np.sqrt(1 / k + n_val / n_train) * std
    return Estimate(mean, std, (float(mean - half), float(mean + half)), tuple(map(float, values)))


def bootstrap_interval(
    score: Callable[[npt.NDArray[np.int64]], dict[str, float]],
    n: int,
    resamples: int = 200,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of scores over n independent samples, the model held fixed.

    Args:
        score: the scores of the samples in these rows (n,), drawn with replacement.
        n: number of samples.
        resamples: how many draws.
        seed: what they are drawn from.
        confidence: coverage that the intervals aim at.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    rng = np.random.default_rng(seed)
    draws = [score(rng.integers(0, n, n)) for _ in range(resamples)]
    tail = (1 - confidence) / 2
    return {
        name: tuple(map(float, np.nanquantile([draw[name] for draw in draws], [tail, 1 - tail])))  # type: ignore[misc]
        for name in draws[0]
    }


def proportion_interval(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion of n independent samples.

    Source: Clopper & Pearson 1934, Biometrika 26.
    """
    interval = stats.binomtest(hits, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Difference:
    """The differences a - b of two runs' scores over the same folds, tested.

    mean: over the folds.
    ci95: corrected resampled t interval of the mean.
    t: corrected t statistic.
    p: two-sided p value of no difference.
    left, rope, right: posterior probabilities that the difference is below -width, within ±width, above width.
    """

    mean: float
    ci95: tuple[float, float]
    t: float
    p: float
    left: float
    rope: float
    right: float


def compare_folds(differences: Sequence[float], n_train: float, n_val: float, width: float) -> Difference:
    """Tests whether two runs over the same folds differ, by the frequentist and the Bayesian correlated t-test.

    The t statistic is mean / (s·√(1/k + n_val/n_train)) with k - 1 degrees of freedom; with an uninformative prior the
    posterior of the difference is Student's t with the same centre, scale and degrees of freedom, for the correlation
    n_val / (n_train + n_val). Folds that all differ by the same have no variance: p is then 0 (or 1 where the
    difference is 0), and the posterior is a point. With one fold all but the mean are NaN.

    Args:
        differences: one a fold, over all repeats.
        n_train: mean number of training samples of a fold.
        n_val: mean number of held-out samples of a fold.
        width: half the width of the region of practical equivalence, in the score's unit, 0 or more.

    Source: Nadeau & Bengio 2003, Machine Learning 52, equation 9 and section 3; Corani & Benavoli 2015, Machine
    Learning 100.
    """
    estimate = corrected_interval(differences, n_train, n_val)
    mean, k = estimate.mean, len(differences)
    if k < 2:
        return Difference(mean, estimate.ci95, *[nan] * 5)
    scale = float(np.sqrt(1 / k + n_val / n_train)) * estimate.std
    if scale == 0:
        t = float(np.sign(mean)) * inf if mean else 0.0
        left, right = float(mean < -width), float(mean > width)
    else:
        t = mean / scale
        left, right = (float(stats.t.sf(side, k - 1)) for side in ((width + mean) / scale, (width - mean) / scale))
    p = float(2 * stats.t.sf(abs(t), k - 1))
    return Difference(mean, estimate.ci95, t, p, left, max(1 - left - right, 0.0), right)


def mcnemar(only_a: int, only_b: int) -> tuple[float, str]:
    """The p value of equal error rates of two classifiers on the same independent samples, and how it was computed.

    Below 25 discordant pairs the exact binomial test, else χ² with one degree of freedom and continuity correction.

    Args:
        only_a: number of samples that the first alone has right.
        only_b: number of samples that the second alone has right.

    Source: McNemar 1947, Psychometrika 12; Dietterich 1998, Neural Computation 10, section 3.1; the correction Edwards
    1948.
    """
    discordant = only_a + only_b
    if discordant < 25:
        return float(stats.binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0, "exact binomial"
    return float(stats.chi2.sf(max(abs(only_a - only_b) - 1, 0) ** 2 / discordant, 1)), "chi-squared"


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number, by Holm's step-down method; NaN stays, and does not count.

    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]  # NaN is sorted to the end
    corrected = np.full(len(p), nan)
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    return [float(value) for value in corrected]


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
    more than a million probabilities, and any whose folds' values differ from those reported.

    Args:
        oof: one line a prediction (L): id, fold, target, pred and, for classes, prob_0, …
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
    """Makes a function from the lines' weights (L,) to each fold's mse, rmse, mae and r2 (k,)."""
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
    """Makes a function from the lines' weights (L,) to each fold's scores (k,), as models.classification defines them:
    accuracy, loss, auroc, and the macro precision, recall and f1 of the classes that a fold has or predicts.
    """
    target, pred = oof["target"].to_numpy(dtype=np.int64), oof["pred"].to_numpy(dtype=np.int64)
    probs = oof.filter(regex=r"^prob_\d+$").to_numpy()  # (L, C)
    classes = probs.shape[1]
    right = (target == pred).astype(np.float64)
    tiny = np.finfo(np.float32).tiny
    loss = -np.log(np.maximum(probs[np.arange(len(oof)), target].astype(np.float64), tiny))
    cell_true, cell_pred = fold * classes + target, fold * classes + pred
    areas = [_area(probs[:, c], target == c, fold, k) for c in range(classes if probs.size <= 1_000_000 else 0)]

    def score(weights: Floats) -> dict[str, Floats]:
        total = np.bincount(fold, weights, k)
        hits, true, predicted = (
            np.bincount(cell, w, k * classes).reshape(k, classes)
            for cell, w in ((cell_true, weights * right), (cell_true, weights), (cell_pred, weights))
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            seen = np.maximum((true + predicted > 0).sum(axis=1), 1)
            ratios = {"precision": hits / predicted, "recall": hits / true, "f1": 2 * hits / (true + predicted)}
            scores = {name: np.nan_to_num(ratio).sum(axis=1) / seen for name, ratio in ratios.items()}
            scores["accuracy"] = np.bincount(fold, weights * right, k) / total
            scores["loss"] = np.bincount(fold, weights * loss, k) / total
            if areas:
                area = np.array([one(weights) for one in areas])  # (C, k), NaN where a fold lacks one of the sides
                scores["auroc"] = np.nansum(area, axis=0) / np.isfinite(area).sum(axis=0)
        return scores

    return score


def _area(scores: Floats, positive: npt.NDArray[np.bool_], fold: Rows, k: int) -> Callable[[Floats], Floats]:
    """Makes a function from the lines' weights (L,) to each fold's area under the ROC curve (k,); ties count a half."""
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
