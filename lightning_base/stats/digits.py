"""Numbers as text, with as many digits as it takes to tell those that stand together apart."""

from collections.abc import Sequence
from itertools import combinations
from math import isclose, isfinite

MOST = 13  # digits more: float64 has no others
ROUNDING = 1e-9  # of two numbers that are the same but for rounding, the relative difference


def number(value: float, more: int = 0) -> str:
    """Four decimals, of 10 and above four significant digits; `more` of either, and then 0.00001 is not 0.0000."""
    if more and 0 < abs(value) < 1e-4:
        return f"{value:.{1 + more}g}"
    return f"{value:.{4 + more}f}" if abs(value) < 10 else f"{value:.{4 + more}g}"


def decimals(value: float) -> str:
    """Four decimals, for columns of a DataFrame; what is not 0 does not read 0."""
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-4 else f"{value:.2g}"


def more_digits(values: Sequence[float]) -> int:
    """How many digits more than four it takes until numbers that differ read differently, and none but 0 reads 0."""
    there = [value for value in {*values, 0.0} if isfinite(value)]
    apart = [pair for pair in combinations(there, 2) if not isclose(*pair, rel_tol=ROUNDING)]
    return next((more for more in range(MOST) if all(_differ(*pair, more) for pair in apart)), MOST)


def _differ(one: float, other: float, more: int) -> bool:
    return float(number(one, more)) != float(number(other, more))


def together(values: Sequence[float]) -> list[str]:
    """Numbers that stand together, as a score and its interval's ends do; "-" for NaN."""
    more = more_digits(values)
    return ["-" if value != value else number(value, more) for value in values]
