"""Claims about the Fréchet distance: it is scipy's, however samples are divided, and nothing of what is the same."""

import numpy as np
import pytest
import scipy.linalg
import torch

from lightning_base.tasks.frechet import Count, FrechetDistance


def expected(made: np.ndarray, real: np.ndarray) -> float:  # type: ignore[type-arg]
    one, two = np.cov(made.T), np.cov(real.T)
    root = np.real(scipy.linalg.sqrtm(one @ two))
    return float(((made.mean(0) - real.mean(0)) ** 2).sum() + np.trace(one + two - 2 * root))


def vectors(n: int, width: int, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(3, 2, (n, width)) @ rng.normal(size=(width, width)))


@pytest.mark.parametrize(("n", "width"), [(50, 3), (400, 32), (300, 64)])
def test_it_is_scipys_in_parts_of_any_size(n: int, width: int) -> None:
    made, real = vectors(n, width, 1), vectors(n, width, 2)
    metric, count = FrechetDistance(width), Count()
    for start in range(0, n, 37):
        part = {"made": torch.from_numpy(made[start : start + 37]), "real": torch.from_numpy(real[start : start + 37])}
        metric.update(part)
        count.update(part)
    assert float(metric.compute()) == pytest.approx(expected(made, real), rel=1e-6)
    assert int(count.compute()) == n


def test_it_is_computed_in_float64() -> None:
    made, real = vectors(300, 8, 1) / 1e4 + 1e4, vectors(300, 8, 2) / 1e4 + 1e4
    metric = FrechetDistance(8)
    metric.update({"made": torch.from_numpy(made), "real": torch.from_numpy(real)})
    assert metric.compute().dtype == torch.float64
    assert float(metric.compute()) == pytest.approx(expected(made, real), rel=1e-2)  # of values 1e8 as large


def test_the_same_samples_have_no_distance_and_few_or_infinite_ones_none_that_is_known() -> None:
    same = torch.from_numpy(vectors(100, 6, 1))
    metric = FrechetDistance(6)
    metric.update({"made": same, "real": same})
    assert float(metric.compute()) == pytest.approx(0, abs=1e-6)
    metric.reset()
    metric.update({"made": same[:1], "real": same})
    assert torch.isnan(metric.compute())
    metric.update({"made": same * torch.inf, "real": same})
    assert torch.isnan(metric.compute())


def test_a_deterministic_shift_is_its_square() -> None:
    same = torch.from_numpy(vectors(100, 6, 1))
    metric = FrechetDistance(6)
    metric.update({"made": same + 2, "real": same})
    assert float(metric.compute()) == pytest.approx(24, rel=1e-6)
