"""Scores in words: what each interval is of and how it was made, and what is no better than a trivial model."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lightning_base.stats.estimates import ERR, Score
from lightning_base.stats.tables import number


def intervals(scores: Mapping[str, Score], n_train: float | None = None) -> str:
    """What the 95 % intervals are of, and how they were made, metric by metric; and why others have none.

    Args:
        scores: by metric.
        n_train: number of samples that a fold trained on, in the mean.
    """
    by_target: dict[str, dict[str, list[str]]] = {}
    for name, one in scores.items():
        target = one.target or "none"
        if target == ERR and n_train is not None:
            target = f"models trained on {n_train:,.0f} samples"
        by_target.setdefault(target, {}).setdefault(one.interval.removeprefix("none: "), []).append(name)
    parts = []
    for target in sorted(by_target, key=lambda target: target == "none"):
        how = "; ".join(f"{', '.join(names)}: {interval}" for interval, names in by_target[target].items())
        parts.append(f"no interval: {how}" if target == "none" else f"95 %, of the score of {target}: {how}")
    return ". ".join(parts)


def no_better(scores: Mapping[str, Score]) -> str:
    """The metrics that are not shown to be better than the trivial model, with the difference; "" for none."""
    there = []
    for name, one in scores.items():
        if one.better is False and one.gain is not None:
            low, high = one.ci95_gain or (float("nan"),) * 2
            there.append(f"{name} by {number(one.gain)}" + (f" ({number(low)} … {number(high)})" if low < high else ""))
    return "; ".join(there)


def counted(n: int, what: str, rarest: tuple[str, int] | None, groups: int | None) -> str:
    """How many samples, of the rarest class, and groups there are."""
    parts = [f"n = {n:,} {what}"]
    if rarest is not None:
        parts.append(f"{rarest[1]:,} of the rarest class ({rarest[0]})")
    if groups is not None:
        parts.append(f"{groups:,} groups")
    return "; ".join(parts)


def rarest(table: pd.DataFrame, classes: Sequence[str]) -> tuple[str, int] | None:
    """The rarest class that is there and how many samples of a prediction table it has; None without classes."""
    if not classes or "target" not in table:
        return None
    numbers, counts = np.unique(table.drop_duplicates("id")["target"], return_counts=True)
    return classes[int(numbers[counts.argmin()])], int(counts.min())


def of_two(classes: Sequence[str]) -> list[str]:
    """What must be known of scores of two classes, neither of which is "the positive one"; nothing of more."""
    if len(classes) != 2:
        return []
    return [
        f"classes: {classes[0]} and {classes[1]}; auroc is the same whichever is positive; precision, recall and f1 "
        "are means over both (macro)"
    ]
