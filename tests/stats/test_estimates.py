"""Claims about the default interval: its width, its ends, and what it is where few samples are predicted wrong."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from lightning_base.stats.estimates import estimate
from lightning_base.stats.intervals import corrected_interval


def results(n_val: int, **metrics: list[float | None]) -> list[dict[str, Any]]:
    k = len(next(iter(metrics.values())))
    return [
        {"n_train": 4 * n_val, "n_val": n_val, "metrics": {name: values[fold] for name, values in metrics.items()}}
        for fold in range(k)
    ]


def test_the_correlation_of_folds_is_halved_within_a_repeat() -> None:
    folds = [0.81, 0.79, 0.86, 0.83, 0.80, 0.84, 0.78, 0.85, 0.82, 0.83]
    found = estimate(results(20, f1=list(folds)), [0] * 5 + [1] * 5, grouped=False)["f1"]
    correlation = np.full((10, 10), 1 / 5)  # of folds of different repeats: what they hold out in common
    correlation[:5, :5] = correlation[5:, 5:] = 1 / 10
    np.fill_diagonal(correlation, 1)
    # the variance of the mean, and what the sample variance expects, of scores of unit variance correlated so
    mean, spread = correlation.mean(), (10 - correlation.sum() / 10) / 9
    half = stats.t.ppf(0.975, 9) * np.std(folds, ddof=1) * np.sqrt(mean / spread)
    assert found.ci95 == pytest.approx((np.mean(folds) - half, np.mean(folds) + half))


def test_folds_drawn_at_random_keep_the_published_correlation() -> None:
    folds = [0.81, 0.79, 0.86, 0.83]
    found = estimate(results(20, r2=list(folds)), [0, 1, 2, 3], grouped=False)["r2"]
    assert found.ci95 == pytest.approx(corrected_interval(folds, 80, 20).ci95)


def test_no_interval_passes_the_end_of_its_metrics_range() -> None:
    wild = [0.2, 0.9, 1.0, 0.1, 0.9]
    found = estimate(results(100, accuracy=list(wild), loss=list(wild), r2=list(wild), own=list(wild)), [0] * 5, False)
    low, high = found["own"].ci95
    assert low < 0 < 1 < high
    assert found["accuracy"].ci95 == (0, 1)
    assert found["loss"].ci95 == (0, high)
    assert found["r2"].ci95 == (low, 1)
    negative = estimate(results(100, loss=[-3.0, -1.0, -2.0]), [0] * 3, False)["loss"]  # a density's, say
    assert negative.ci95 == corrected_interval([-3.0, -1.0, -2.0], 400, 100, repeats=[0] * 3).ci95


def test_few_errors_leave_the_exact_binomial_interval() -> None:
    perfect = estimate(results(20, accuracy=[1.0] * 10, f1=[1.0] * 10), [0] * 5 + [1] * 5, grouped=False)
    assert perfect["accuracy"].ci95 == pytest.approx((0.025 ** (1 / 100), 1))  # 100 samples, each twice
    assert np.isnan(perfect["f1"].ci95).all()
    nine = [0.90, 0.90, 0.95, 0.90, 0.90]
    bounds = stats.beta.ppf([0.025, 0.975], [91, 92], [10, 9])  # Clopper & Pearson, 91 of 100
    assert estimate(results(20, accuracy=list(nine)), [0] * 5, False)["accuracy"].ci95 == pytest.approx(tuple(bounds))
    grouped = estimate(results(20, accuracy=list(nine)), [0] * 5, grouped=True)["accuracy"].ci95
    assert grouped == pytest.approx(corrected_interval(nine, 80, 20, repeats=[0] * 5).ci95)
    ten = [0.90, 0.90, 0.90, 0.90, 0.85, 0.95]
    many = estimate(results(20, accuracy=list(ten)), [0] * 6, False)["accuracy"].ci95
    assert many == pytest.approx(corrected_interval(ten, 80, 20, repeats=[0] * 6).ci95)


def test_a_metric_that_a_fold_lacks_has_no_interval() -> None:
    found = estimate(results(20, auroc=[0.9, None, 0.8]), [0] * 3, grouped=False)["auroc"]
    assert np.isnan(found.ci95).all()
