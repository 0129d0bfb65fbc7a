"""Intervals: of cross-validated scores, of scores on held-out samples, and of proportions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
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
