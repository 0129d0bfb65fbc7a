"""From the folds' results to the scores that `crossval` reports: mean, standard deviation, and the default interval."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np

from lightning_base.stats.intervals import Estimate, corrected_interval, proportion_interval

FEW = 10  # errors (or hits) below which the spread of the folds' accuracies says little
NAME = (
    "corrected resampled t, Nadeau & Bengio 2003, with half their correlation between folds of one repeat; accuracy "
    f"with fewer than {FEW} samples wrong or right: exact binomial"
)
# of the metrics of models/; others of these names are known by values outside
RANGES = dict.fromkeys(("accuracy", "precision", "recall", "f1", "auroc", "ece", "map", "map_50"), (0.0, 1.0))
RANGES |= dict.fromkeys(("loss", "mse", "rmse", "mae"), (0.0, inf)) | {"r2": (-inf, 1.0)}


def estimate(results: Sequence[dict[str, Any]], repeats: Sequence[int], grouped: bool) -> dict[str, Estimate]:
    """Per metric, the folds' values with mean, standard deviation and 95 % interval.

    The corrected t interval, cut off at the ends of the metric's range, which no true score is beyond. Where fewer than
    ten samples a repeat are predicted wrong (or right), folds often all score the same and a t interval has no width:
    accuracy then has the exact binomial interval of the held-out samples, unless these come in groups. Other metrics
    have none (NaN) where all folds score the same.

    Args:
        results: the folds' result.json.
        repeats: the repeat that each belongs to.
        grouped: whether samples come in groups.
    """
    n_train, n_val = (np.array([r[key] for r in results], dtype=np.float64) for key in ("n_train", "n_val"))
    found = {}
    for name in results[0]["metrics"]:
        values = np.array([r["metrics"][name] for r in results], dtype=np.float64)  # None becomes NaN
        one = corrected_interval(list(values), float(n_train.mean()), float(n_val.mean()), repeats=repeats)
        exact = _few_errors(values, n_val, repeats) if name == "accuracy" and not grouped else None
        found[name] = replace(one, ci95=clipped(name, one.folds, exact or one.ci95))
    return found


def clipped(name: str, values: Sequence[float], interval: tuple[float, float]) -> tuple[float, float]:
    """The interval within the metric's range, where its values are; NaN for one without width."""
    low, high = RANGES.get(name, (-inf, inf))
    if all(low <= value <= high for value in values):
        interval = max(interval[0], low), min(interval[1], high)
    return interval if interval[0] < interval[1] else (nan, nan)


def _few_errors(
    accuracy: np.ndarray[Any, np.dtype[np.float64]],
    n_val: np.ndarray[Any, np.dtype[np.float64]],
    repeats: Sequence[int],
) -> tuple[float, float] | None:
    """The exact binomial interval of one repeat's samples where few of them are wrong, or right; else None."""
    hits, count = accuracy * n_val, len(set(repeats))
    if not np.allclose(hits, np.round(hits), atol=0.1):  # no share of samples: another metric of that name
        return None
    right, n = round(hits.sum() / count), round(n_val.sum() / count)
    return proportion_interval(right, n) if min(right, n - right) < FEW else None
