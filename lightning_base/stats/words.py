"""Scores in words: what each interval is of and how it was made, and what is no better than a trivial model."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from lightning_base.stats.digits import together
from lightning_base.stats.estimates import ERR, Score


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


def centre(scores: Mapping[str, Score]) -> str:
    """What the scores of several folds are: pooled over held-out samples, or the mean over folds."""
    means = [name for name, one in scores.items() if not one.pooled]
    if not means:
        return "pooled over held-out samples"
    if len(means) == len(scores):
        return "mean over folds"
    return f"pooled over held-out samples, but {', '.join(means)}: mean over folds"


def untrained(n_train: Sequence[int], given: Sequence[int | None]) -> str:
    """That not every sample of the training parts (k) has trained, with what limits it; "" where all have.

    Args:
        n_train: numbers of samples that have trained.
        given: those of the training parts; None where that is not known.
    """
    few = [(n, of) for n, of in zip(n_train, given, strict=True) if of is not None and n < of]
    if not few:
        return ""
    n, of = min(few)
    where = "" if len(given) == 1 else f" in {len(few)} of {len(given)} folds:"
    least = "" if len(given) == 1 else " at least"
    return (
        f"not all training samples have trained:{where}{least} {n:,} of {of:,} (trainer.limit_train_batches, "
        "overfit_batches, max_steps or max_time, or data.drop_last)"
    )


def no_better(scores: Mapping[str, Score]) -> str:
    """The metrics that are not shown to be better than the trivial model, with the difference; "" for none."""
    there = []
    for name, one in scores.items():
        if one.better is False and one.gain is not None:
            low, high = one.ci95_gain or (float("nan"),) * 2
            gain, *ends = together([one.gain if abs(one.gain) > 1e-12 else 0.0, low, high])  # sums in another order
            there.append(f"{name} by {gain}" + (f" ({' … '.join(ends)})" if low < high else ""))
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
    if not classes or "target" not in table or not pd.api.types.is_integer_dtype(table["target"]):  # of masks, say
        return None
    numbers, counts = np.unique(table.drop_duplicates("id")["target"], return_counts=True)
    return classes[int(numbers[counts.argmin()])], int(counts.min())


def of_two(classes: Sequence[str], metrics: Collection[str]) -> list[str]:
    """What must be known of scores of two classes, by the metrics that there are; nothing of more classes."""
    if len(classes) != 2 or "auroc" not in metrics:
        return []
    macro = "; precision, recall and f1 are means over both (macro)" if "f1" in metrics else ""
    return [f"classes: {classes[0]} and {classes[1]}; auroc is the same whichever is positive{macro}"]
