"""Claims about chances: they are scipy's, computed without it."""

import numpy as np
import pytest
from scipy import stats

from lightning_base.runtime.chances import chi_squared, chi_squared_from, fisher, holm, kolmogorov


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 60, 500])
def test_the_tail_of_chi_squared_is_scipys(freedom: int) -> None:
    for x in (0.0, 1e-6, 0.3, 1.0, 4.0, 9.5, 30.0, 120.0, 600.0, 2000.0):
        assert chi_squared(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-10, abs=1e-300)
    for chance in (0.5, 0.05, 1e-3, 1e-8):
        assert chi_squared_from(chance, freedom) == pytest.approx(stats.chi2.isf(chance, freedom), rel=1e-10)


def test_the_tail_of_kolmogorovs_distance_is_scipys() -> None:
    for n, m in ((5, 9), (100, 100), (37, 5000)):
        for distance in np.linspace(0.001, 1, 60):
            expected = stats.kstwobign.sf(distance * np.sqrt(n * m / (n + m)))
            assert kolmogorov(float(distance), n, m) == pytest.approx(expected, abs=1e-9)


def test_fishers_test_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, m = map(int, rng.integers(1, 400, 2))
        few, others = int(rng.integers(0, n + 1)), int(rng.integers(0, m + 1))
        expected = stats.fisher_exact([[few, n - few], [others, m - others]]).pvalue
        assert fisher(few, n, others, m) == pytest.approx(expected, rel=1e-8, abs=1e-12)


def test_holms_p_values_step_down() -> None:
    chances = [0.01, 0.04, 0.03, 0.005, 0.9]
    expected = {}
    left = sorted(chances)  # by hand: the k-th smallest of n times n - k + 1, never less than one before
    for rank, value in enumerate(left):
        expected[value] = max([min(1.0, (5 - i) * v) for i, v in enumerate(left[: rank + 1])])
    assert holm(chances) == pytest.approx([expected[value] for value in chances])
    assert holm([]) == []
