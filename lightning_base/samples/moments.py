"""Means and deviations of inputs, summed in float64, and means that float32 could not tell deviations from."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

FAR = 1000  # deviations: float32, of 24 bits, then keeps 14 of what varies


def far(mean: npt.NDArray[np.float64], std: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(C,) means that are over a thousand deviations from 0, of which float32 would lose what varies; else 0."""
    return np.where(abs(mean) > FAR * std, mean, 0.0)


def moments(parts: Iterator[npt.NDArray[Any]]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and population standard deviation along axis 1, NaN left out.

    A column of NaN has mean 0 and std 1, a constant (up to float64's rounding) std 1. Blocks are merged pairwise in
    float64, so that large means cost no digits (Chan, Golub & LeVeque 1983).
    """
    count: Any = 0.0
    mean: Any = 0.0
    squares: Any = 0.0
    for part in parts:
        if part.dtype == np.uint8:  # counted, which is exact and several times faster than summing float64
            levels = np.arange(256.0)
            counted = np.stack([_histogram(part[:, c]) for c in range(part.shape[1])])  # (C, 256)
            n = counted.sum(axis=1)
            m = counted @ levels / n
            s = (counted * (levels - m[:, None]) ** 2).sum(axis=1)
        else:
            values = part.astype(np.float64)
            values = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)  # (C, n)
            known = ~np.isnan(values)
            n = known.sum(axis=1)
            m = np.where(known, values, 0).sum(axis=1) / np.maximum(n, 1)
            s = (np.where(known, values - m[:, None], 0) ** 2).sum(axis=1)
        total = np.maximum(count + n, 1)
        squares = squares + s + (m - mean) ** 2 * count * n / total
        mean = mean + (m - mean) * n / total
        count = count + n
    std = np.sqrt(squares / np.maximum(count, 1))
    return np.asarray(mean), np.where(std > 8 * np.finfo(np.float64).eps * abs(mean), std, 1.0)


def _histogram(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(256,) int64: how often each value comes."""
    counts: npt.NDArray[np.int64] = torch.bincount(torch.from_numpy(values.flatten()), minlength=256).numpy()
    return counts
