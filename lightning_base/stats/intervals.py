"""Intervals: of cross-validated scores, of scores on held-out samples, and of proportions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]
Interval: TypeAlias = tuple[float, float]
Scale: TypeAlias = Literal["plain", "log", "logit"]


@dataclass(frozen=True)
class Estimate:
    """A cross-validated score: the folds' values, their mean and standard deviation, and a 95 % interval.

    `std` (n - 1 in the denominator) and `ci95` are NaN where there are fewer than two folds.
    """

    mean: float
    std: float
    ci95: tuple[float, float]
    folds: tuple[float, ...]


def corrected_interval(
    folds: Sequence[float],
    n_train: float,
    n_val: float,
    confidence: float = 0.95,
    repeats: Sequence[int] | None = None,
) -> Estimate:
    """Mean of the folds' scores with the corrected resampled t interval.

    Folds share samples, so std/√k is too small; the variance of the mean is (1/k + ρ/(1 - ρ))·s² with k - 1 degrees of
    freedom, where ρ is the mean correlation of two folds' scores: n_val/(n_train + n_val), which is what their held-out
    samples have in common when drawn at random, so that ρ/(1 - ρ) = n_val/n_train. Folds of one repeat have no held-out
    sample in common, only training samples: for two of them half of it is taken, which fits what was measured.

    Args:
        folds: one score per fold, over all repeats.
        n_train: mean number of training samples of a fold.
        n_val: mean number of held-out samples of a fold.
        confidence: coverage that the interval aims at.
        repeats: the repeat of each fold; by default all folds are drawn at random.

    Source: Nadeau & Bengio 2003, Machine Learning 52, equation 9; for repeated k-fold Bouckaert & Frank 2004; the half
    is ours, docs/statistics.md.
    """
    values = np.asarray(folds, dtype=np.float64)
    k = len(values)
    if k < 2:
        return Estimate(float(values.mean()), np.nan, (np.nan, np.nan), tuple(map(float, values)))
    sizes = np.bincount(np.arange(k) if repeats is None else repeats)
    together = float((sizes * (sizes - 1)).sum()) / (k * (k - 1))  # share of the pairs of folds that are of one repeat
    rho = n_val / (n_train + n_val) * (1 - together / 2)
    mean, std = float(values.mean()), float(values.std(ddof=1))
    half = float(stats.t.ppf((1 + confidence) / 2, k - 1)) * np.sqrt(1 / k + rho / (1 - rho)) * std
    return Estimate(mean, std, (float(mean - half), float(mean + half)), tuple(map(float, values)))


def overlap(n_train: float, n_val: float) -> float:
    """How many held-out parts the samples of a fold would make: k of k-fold cross-validation."""
    return (n_train + n_val) / n_val


def spread(term: Floats, weight: Floats, unit: npt.NDArray[np.int64]) -> float:
    """The standard error of a weighted mean of terms (L,), where whole units vary together.

    With G units √(G/(G - 1) · Σ_g (Σ_{i in g} w_i (x_i - mean))²), which is s/√n where each sample is one; over the
    folds of a cross-validation it is the all-pairs estimator of Bayle, Bayle, Janson & Mackey 2020 (Cross-validation
    Confidence Intervals for Test Error, NeurIPS), of samples held out again the variance of their means.
    """
    sums = np.bincount(unit, weight * (term - weight @ term))
    n = len(sums)
    return float(np.sqrt(n / (n - 1) * (sums**2).sum())) if n > 1 else nan


def on_scale(value: float, half: float, scale: Scale) -> Interval:
    """The interval value ± half, made on a scale where the value is nearer to normal, by the delta method."""
    if scale == "log" and value > 0:
        return float(value * np.exp(-half / value)), float(value * np.exp(half / value))
    if scale == "logit" and 0 < value < 1:
        odds, width = np.log(value / (1 - value)), half / (value * (1 - value))
        return float(1 / (1 + np.exp(width - odds))), float(1 / (1 + np.exp(-width - odds)))
    return value - half, value + half


def bootstrap_interval(
    score: Callable[[npt.NDArray[np.int64]], dict[str, float]],
    n: int,
    resamples: int = 200,
    seed: int = 0,
    confidence: float = 0.95,
    groups: npt.NDArray[np.int64] | None = None,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of scores over n samples, the model held fixed.

    Args:
        score: the scores of the samples in these rows (n,), drawn with replacement.
        n: number of samples.
        resamples: how many draws.
        seed: what they are drawn from.
        confidence: coverage that the intervals aim at.
        groups: (n,) the group of each, drawn whole; by default samples are independent.

    NaN where no draw has a score.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    rng = np.random.default_rng(seed)
    members = None if groups is None else [np.flatnonzero(groups == group) for group in np.unique(groups)]

    def drawn() -> npt.NDArray[np.int64]:
        if members is None:
            return rng.integers(0, n, n)
        return np.concatenate([members[one] for one in rng.integers(0, len(members), len(members))])

    draws = [score(drawn()) for _ in range(resamples)]
    tail, intervals = (1 - confidence) / 2, dict[str, tuple[float, float]]()
    for name in draws[0]:
        values = np.array([draw[name] for draw in draws])
        known = values[~np.isnan(values)]
        low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
        intervals[name] = (float(low), float(high))
    return intervals


def proportion_interval(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion of n independent samples.

    Source: Clopper & Pearson 1934, Biometrika 26.
    """
    interval = stats.binomtest(hits, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)
