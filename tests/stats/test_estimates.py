"""Claims about the default interval: its width, its ends, and what it is where few samples are predicted wrong."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from lightning_base.stats.estimates import estimate
from lightning_base.stats.intervals import Estimate, corrected_interval


def scored(n_val: int, repeats: Sequence[int], grouped: bool = False, **metrics: list[float]) -> dict[str, Estimate]:
    """The estimates of folds that held out a fifth each."""
    return estimate(metrics, [4 * n_val] * len(repeats), [n_val] * len(repeats), repeats, grouped)


def test_the_correlation_of_folds_is_halved_within_a_repeat() -> None:
    folds = [0.81, 0.79, 0.86, 0.83, 0.80, 0.84, 0.78, 0.85, 0.82, 0.83]
    found = scored(20, [0] * 5 + [1] * 5, f1=folds)["f1"]
    correlation = np.full((10, 10), 1 / 5)  # of folds of different repeats: what they hold out in common
    correlation[:5, :5] = correlation[5:, 5:] = 1 / 10
    np.fill_diagonal(correlation, 1)
    # the variance of the mean, and what the sample variance expects, of scores of unit variance correlated so
    mean, spread = correlation.mean(), (10 - correlation.sum() / 10) / 9
    half = stats.t.ppf(0.975, 9) * np.std(folds, ddof=1) * np.sqrt(mean / spread)
    assert found.ci95 == pytest.approx((np.mean(folds) - half, np.mean(folds) + half))


def test_folds_drawn_at_random_keep_the_published_correlation() -> None:
    folds = [0.81, 0.79, 0.86, 0.83]
    found = scored(20, [0, 1, 2, 3], r2=folds)["r2"]
    assert found.ci95 == pytest.approx(corrected_interval(folds, 80, 20).ci95)


def test_no_interval_passes_the_end_of_its_metrics_range() -> None:
    wild = [0.2, 0.9, 1.0, 0.1, 0.9]
    found = scored(100, [0] * 5, accuracy=wild, loss=wild, r2=wild, own=wild)
    low, high = found["own"].ci95
    assert low < 0 < 1 < high
    assert found["accuracy"].ci95 == (0, 1)
    assert found["loss"].ci95 == (0, high)
    assert found["r2"].ci95 == (low, 1)
    negative = scored(100, [0] * 3, loss=[-3.0, -1.0, -2.0])["loss"]  # a density's, say
    assert negative.ci95 == corrected_interval([-3.0, -1.0, -2.0], 400, 100, repeats=[0] * 3).ci95


def test_few_errors_leave_the_exact_binomial_interval() -> None:
    perfect = scored(20, [0] * 5 + [1] * 5, accuracy=[1.0] * 10, f1=[1.0] * 10)
    assert perfect["accuracy"].ci95 == pytest.approx((0.025 ** (1 / 100), 1))  # 100 samples, each twice
    assert np.isnan(perfect["f1"].ci95).all()
    nine = [0.90, 0.90, 0.95, 0.90, 0.90]
    bounds = stats.beta.ppf([0.025, 0.975], [91, 92], [10, 9])  # Clopper & Pearson, 91 of 100
    assert scored(20, [0] * 5, accuracy=nine)["accuracy"].ci95 == pytest.approx(tuple(bounds))
    grouped = scored(20, [0] * 5, grouped=True, accuracy=nine)["accuracy"].ci95
    assert grouped == pytest.approx(corrected_interval(nine, 80, 20, repeats=[0] * 5).ci95)
    ten = [0.90, 0.90, 0.90, 0.90, 0.85, 0.95]
    many = scored(20, [0] * 6, accuracy=ten)["accuracy"].ci95
    assert many == pytest.approx(corrected_interval(ten, 80, 20, repeats=[0] * 6).ci95)


def test_a_metric_that_a_fold_lacks_has_no_interval() -> None:
    found = scored(20, [0] * 3, auroc=[0.9, np.nan, 0.8])["auroc"]
    assert np.isnan(found.ci95).all()
