"""Scores as a person sees them in the terminal: tables, and lines."""

from collections.abc import Mapping
from math import nan

from rich.table import Table

from lightning_base.stats.intervals import Estimate


def show_scores(scores: Mapping[str, float]) -> str:
    """The scores on one line."""
    return "  ".join(f"{name} {number(value)}" for name, value in scores.items())


def number(value: float) -> str:
    """Four significant digits or four decimals, whichever is shorter."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.4g}"


def show_nested(nested: Mapping[str, tuple[float | None, tuple[float, float]]]) -> str:
    """Nested estimates of metrics on one line, each with its interval."""
    return "  ".join(
        f"{name} {number(nan if mean is None else mean)} ({' … '.join(map(number, interval))})"
        for name, (mean, interval) in nested.items()
    )


def fold_table(title: str, estimates: Mapping[str, Estimate], n: int) -> Table:
    """Per metric the mean, standard deviation, 95 % interval, n, and each fold's value (at most ten)."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for heading in ("mean", "std", "95 % interval", "n"):
        table.add_column(heading, justify="right")
    table.add_column("folds")
    for name, estimate in estimates.items():
        interval = "-"
        if estimate.ci95[0] < estimate.ci95[1]:
            interval = f"{number(estimate.ci95[0])} … {number(estimate.ci95[1])}"
        folds = " ".join(map(number, estimate.folds[:10])) + (" …" if len(estimate.folds) > 10 else "")
        std = number(estimate.std) if len(estimate.folds) > 1 else "-"
        table.add_row(name, number(estimate.mean), std, interval, str(n), folds)
    return table


def score_table(title: str, scores: Mapping[str, float], intervals: Mapping[str, tuple[float, float]], n: int) -> Table:
    """Per metric its value, its 95 % interval ("-" where the samples cannot give one) and n."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for heading in ("value", "95 % interval", "n"):
        table.add_column(heading, justify="right")
    for name, value in scores.items():
        low, high = intervals[name]
        interval = f"{number(low)} … {number(high)}" if low < high else "-"
        table.add_row(name, number(value), interval, str(n))
    return table
