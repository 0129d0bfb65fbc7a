"""Claims about the intervals, against values computed another way."""

import numpy as np
import pytest
from scipy import stats

from lightning_base.stats import bootstrap_interval, corrected_interval, proportion_interval


def test_the_corrected_interval_is_that_of_the_corrected_t_statistic() -> None:
    folds = [0.81, 0.79, 0.86, 0.83, 0.80, 0.84, 0.78, 0.85, 0.82, 0.83]
    found = corrected_interval(folds, n_train=900, n_val=100)
    # the bound is where the corrected t statistic's two-sided p-value is 0.05
    scale = np.sqrt((1 / 10 + 1 / 9) * np.var(folds, ddof=1))
    for bound in found.ci95:
        assert 2 * stats.t.sf(abs(found.mean - bound) / scale, 9) == pytest.approx(0.05)
    naive = stats.t.interval(0.95, 9, np.mean(folds), stats.sem(folds))
    assert found.ci95[0] < naive[0] < naive[1] < found.ci95[1]


def test_one_fold_has_no_interval() -> None:
    found = corrected_interval([0.9], 80, 20)
    assert found.mean == 0.9
    assert np.isnan([found.std, *found.ci95]).all()


def test_the_bootstrap_interval_of_a_mean_is_about_two_standard_errors() -> None:
    values = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap_interval(lambda rows: {"mean": float(values[rows].mean())}, 400, resamples=2000)["mean"]
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_no_error_among_n_leaves_the_rule_of_three() -> None:
    low, high = proportion_interval(360, 360)
    assert high == 1
    assert low == pytest.approx(0.025 ** (1 / 360))
