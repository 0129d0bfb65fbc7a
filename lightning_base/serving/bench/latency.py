"""What is said of many measured times: percentiles, where there are enough of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Times in milliseconds.

    Attributes:
        n: how many times they are of.
        p50: half took no longer; None where there are fewer than two.
        p95: None of fewer than 20, of which not one would lie above it.
        p99: None of fewer than 100.
        longest: None where there are none.
    """

    n: int
    p50: float | None
    p95: float | None
    p99: float | None
    longest: float | None


def latency(seconds: Sequence[float]) -> Latency:
    """The percentiles of times (N,) in seconds, linear between the two nearest."""
    times = np.asarray(seconds, dtype=np.float64) * 1000
    n = len(times)
    p50, p95, p99 = (float(np.percentile(times, q)) if n * (100 - q) >= 100 else None for q in (50, 95, 99))
    return Latency(n, p50, p95, p99, float(times.max()) if n else None)
