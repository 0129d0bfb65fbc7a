"""Honest statistics: intervals for cross-validated and for held-out scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats


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
