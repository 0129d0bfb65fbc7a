"""How often chance alone differs by so much: tails of distributions, and Holm's correction; numpy alone."""

import math
from collections.abc import Sequence

import numpy as np


def chi_squared(x: float, freedom: int) -> float:
    """The chance that chi-squared with so many degrees of freedom is x or more.

    Series and continued fraction of the incomplete gamma function: Press et al. 2007, Numerical Recipes, 6.2.
    """
    if x <= 0:
        return 1.0
    a, half = freedom / 2, x / 2
    front = math.exp(a * math.log(half) - half - math.lgamma(a))
    if half < a + 1:
        term = total = 1 / a
        for i in range(1, 10_000):
            term *= half / (a + i)
            total += term
            if term < total * 1e-15:
                break
        return max(1 - front * total, 0.0)
    b = half + 1 - a
    c, d = 1e300, 1 / b
    found = d
    for i in range(1, 10_000):
        factor = -i * (i - a)
        b += 2
        d = 1 / _not_zero(factor * d + b)
        c = _not_zero(b + factor / c)
        found *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return min(front * found, 1.0)


def _not_zero(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300


def chi_squared_from(chance: float, freedom: int) -> float:
    """The x that chi-squared exceeds with this chance, from bisection."""
    low, high = 0.0, 1.0
    while chi_squared(high, freedom) > chance:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chi_squared(middle, freedom) > chance else (low, middle)
    return high


def kolmogorov(distance: float, n: int, m: int) -> float:
    """The chance that two samples of one distribution lie so far apart, n and m values, by the asymptotic formula.

    Of values that come more than once, or of a distance looked for at some places alone, it is smaller than that.
    """
    x = distance * math.sqrt(n * m / (n + m))
    if x < 0.2:
        return 1.0  # to twelve digits
    terms = [(-1) ** (j - 1) * math.exp(-2 * (j * x) ** 2) for j in range(1, 101)]
    return min(max(2 * math.fsum(terms), 0.0), 1.0)


def fisher(few: int, n: int, others: int, m: int) -> float:
    """Fisher's exact test, two-sided: `few` of n here and `others` of m there; sums chances no greater than this one's.

    It needs memory for min(n, few + others) numbers.
    """
    marked = few + others
    low, high = max(0, marked - m), min(n, marked)
    if low == high:
        return 1.0
    k = np.arange(low, high, dtype=np.float64)  # from k to k + 1
    steps = np.log((marked - k) * (n - k)) - np.log((k + 1) * (m - marked + k + 1))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    chances = np.exp(logs - logs.max())
    own = chances[few - low]
    return min(float(chances[chances <= own * (1 + 1e-7)].sum() / chances.sum()), 1.0)


def holm(chances: Sequence[float]) -> list[float]:
    """Holm's p values: where those below a level are called, one false call or more has at most that chance.

    Holm 1979, Scandinavian Journal of Statistics 6.
    """
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    found, greatest = [1.0] * len(chances), 0.0
    for rank, i in enumerate(order):
        greatest = max(greatest, min((len(chances) - rank) * chances[i], 1.0))
        found[i] = greatest
    return found
