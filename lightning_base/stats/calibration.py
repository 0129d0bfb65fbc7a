"""Calibration of classifiers from their held-out predictions: the plain error, and its debiased square."""

import numpy as np
import numpy.typing as npt

from lightning_base.stats.intervals import Floats
from lightning_base.stats.linear import Lines

BINS = 15


def calibration(lines: Lines, repeat: npt.NDArray[np.int64] | None = None) -> dict[str, float]:
    """ece and ece2 of the probabilities of the predicted classes, over all held-out samples; a mean over repeats.

    ece is the expected calibration error in 15 bins of equal width (Guo et al. 2017). It is biased upwards: in each bin
    the absolute difference of two means is above 0 by chance alone. ece2 estimates its square in 15 bins of equal
    numbers, and takes off what chance adds: the sum over bins of n_b/n · ((confidence - accuracy)² - accuracy · (1 -
    accuracy)/(n_b - 1)), where below 0 it is 0 (Kumar, Liang & Ma 2019, Verified Uncertainty Calibration, section 5).

    Args:
        lines: the predictions.
        repeat: (L,) the repeat of each; by default all are one.
    """
    assert lines.probs is not None
    confidence = lines.probs[np.arange(len(lines.pred)), lines.pred]
    right = (lines.pred == lines.target).astype(np.float64)
    parts = [slice(None)] if repeat is None else [repeat == one for one in np.unique(repeat)]
    found = [(plain(confidence[part], right[part]), debiased(confidence[part], right[part])) for part in parts]
    ece, ece2 = np.mean(found, axis=0)
    return {"ece": float(ece), "ece2": max(float(ece2), 0.0)}


def plain(confidence: Floats, right: Floats) -> float:
    """The expected calibration error in bins of equal width."""
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return float(abs(np.bincount(bins, confidence - right, BINS)).sum() / len(right))


def debiased(confidence: Floats, right: Floats) -> float:
    """The debiased squared calibration error in bins of equal numbers; below 0 where chance has it so."""
    order = np.argsort(confidence, kind="stable")
    total = 0.0
    for rows in np.array_split(order, min(BINS, max(len(order) // 2, 1))):
        if len(rows) > 1:
            hit = right[rows].mean()
            total += len(rows) * ((confidence[rows].mean() - hit) ** 2 - hit * (1 - hit) / (len(rows) - 1))
    return total / len(right)
