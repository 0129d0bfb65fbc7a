"""Tests of the differences between runs: corrected, Bayesian and McNemar's; p values corrected for their number."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan

import numpy as np
from scipy import stats

from lightning_base.stats.intervals import corrected_interval


@dataclass(frozen=True)
class Difference:
    """The differences a - b of two runs' scores over the same folds, tested.

    Attributes:
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
        differences: one per fold, over all repeats.
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
