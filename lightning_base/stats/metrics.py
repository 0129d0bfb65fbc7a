"""The facts about each metric, in one table: its range, which way is better, what it is made of, where it is shown."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Literal, TypeAlias

# a mean over samples, one that follows from such means, a share made of class counts or pairs, calibration, or another
Kind: TypeAlias = Literal["mean", "means", "share", "calibration", "other"]


@dataclass(frozen=True)
class Fact:
    """What is known of a metric by its name.

    Attributes:
        low, high: the least and the greatest value that it can have.
        higher_is_better: which way is better.
        kind: what it is made of, which says how it is pooled over folds and which interval it has.
        place: among the metrics of a task that says no order of its own, from 1; None for those that come last.
    """

    low: float
    high: float
    higher_is_better: bool
    kind: Kind = "other"
    place: int | None = None


UNKNOWN, LATE = 100, 200  # places of what is not known here, and of what comes behind it
FACTS = {
    "accuracy": Fact(0.0, 1.0, True, "mean", place=1),
    "precision": Fact(0.0, 1.0, True, "share"),
    "recall": Fact(0.0, 1.0, True, "share"),
    "f1": Fact(0.0, 1.0, True, "share", place=3),
    "auroc": Fact(0.0, 1.0, True, "share", place=2),
    "ece": Fact(0.0, 1.0, False, "calibration"),
    "ece2": Fact(0.0, 1.0, False, "calibration"),
    "bleu": Fact(0.0, 100.0, True, place=1),
    "chrf": Fact(0.0, 100.0, True, place=2),
    "exact": Fact(0.0, 1.0, True),
    "token_accuracy": Fact(0.0, 1.0, True),
    "perplexity": Fact(1.0, inf, False, place=3),
    "bits_per_character": Fact(0.0, inf, False, place=4),
    "loss": Fact(0.0, inf, False, "mean", place=LATE),
    "r2": Fact(-inf, 1.0, True, "means", place=1),
    "mse": Fact(0.0, inf, False, "mean"),
    "rmse": Fact(0.0, inf, False, "means", place=2),
    "mae": Fact(0.0, inf, False, "mean", place=3),
    "frechet_pixels": Fact(0.0, inf, False, place=1),
    "pinball": Fact(0.0, inf, False, place=1),
    "average_precision": Fact(0.0, 1.0, True, place=2),
    "positive_precision": Fact(0.0, 1.0, True),
    "positive_recall": Fact(0.0, 1.0, True),
    "positive_f1": Fact(0.0, 1.0, True, place=3),
    "micro_f1": Fact(0.0, 1.0, True),
    "map": Fact(0.0, 1.0, True, place=1),
    "map50": Fact(0.0, 1.0, True, place=2),
}


def kind_of(name: str) -> Kind:
    """What a metric is made of; "other" for one that is not known."""
    fact = FACTS.get(name)
    return "other" if fact is None else fact.kind


def range_of(name: str) -> tuple[float, float]:
    """The ends of a metric's range; the whole line for one that is not known."""
    fact = FACTS.get(name)
    return (-inf, inf) if fact is None else (fact.low, fact.high)


def higher_is_better(name: str) -> bool | None:
    """Whether a metric's greater value is the better one; None where that is not known."""
    fact = FACTS.get(name)
    return None if fact is None else fact.higher_is_better


def headline(names: Iterable[str]) -> list[str]:
    """The metrics in the order in which they are shown: those that have a place, what is not known here, the rest."""

    def place(name: str) -> float:
        fact = FACTS.get(name)
        return UNKNOWN if fact is None else inf if fact.place is None else fact.place

    return sorted(names, key=place)
