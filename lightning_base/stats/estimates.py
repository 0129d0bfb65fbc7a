"""From the folds' results to the scores that `crossval` reports: mean, standard deviation, and the default interval."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

import numpy as np
import numpy.typing as npt

from lightning_base.stats.intervals import Estimate, corrected_interval, proportion_interval
from lightning_base.stats.metrics import range_of

FEW = 10  # errors (or hits) below which the spread of the folds' accuracies says little
NAME = (
    "corrected resampled t, Nadeau & Bengio 2003, with half their correlation between folds of one repeat; accuracy "
    f"with fewer than {FEW} samples wrong or right: exact binomial"
)


def estimate(
    metrics: Mapping[str, Sequence[float]],
    n_train: Sequence[int],
    n_val: Sequence[int],
    repeats: Sequence[int],
    grouped: bool,
) -> dict[str, Estimate]:
    """Per metric, the folds' values with mean, standard deviation and 95 % interval.

    The corrected t interval, cut off at the ends of the metric's range, which no true score is beyond. Where fewer than
    ten samples per repeat are predicted wrong (or right), folds often all score the same and a t interval has no width:
    accuracy then has the exact binomial interval of the held-out samples, unless these come in groups. Other metrics
    have none (NaN) where all folds score the same.

    Args:
        metrics: by name each fold's value; NaN where a fold has none.
        n_train: number of samples that each fold trained on.
        n_val: number of samples that each fold held out.
        repeats: the repeat that each fold belongs to.
        grouped: whether samples come in groups.
    """
    held, found = np.array(n_val, dtype=np.float64), {}
    for name, values in metrics.items():
        one = corrected_interval(values, float(np.mean(n_train)), float(held.mean()), repeats=repeats)
        exact = _few_errors(values, held, repeats) if name == "accuracy" and not grouped else None
        found[name] = replace(one, ci95=clipped(name, one.folds, exact or one.ci95))
    return found


def clipped(name: str, values: Sequence[float], interval: tuple[float, float]) -> tuple[float, float]:
    """The interval within the metric's range, where its values are; NaN for one without width."""
    low, high = range_of(name)
    if all(low <= value <= high for value in values):
        interval = max(interval[0], low), min(interval[1], high)
    return interval if interval[0] < interval[1] else (nan, nan)


def _few_errors(
    accuracy: Sequence[float], n_val: npt.NDArray[np.float64], repeats: Sequence[int]
) -> tuple[float, float] | None:
    """The exact binomial interval of one repeat's samples where few of them are wrong, or right; else None."""
    hits, count = np.asarray(accuracy, dtype=np.float64) * n_val, len(set(repeats))
    if not np.allclose(hits, np.round(hits), atol=0.1):  # no share of samples: another metric of that name
        return None
    right, n = round(hits.sum() / count), round(n_val.sum() / count)
    return proportion_interval(right, n) if min(right, n - right) < FEW else None
