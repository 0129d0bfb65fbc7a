"""What is known at run time of predictions and their design, and which intervals that rules out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_base.stats.counts import drawn_ratios
from lightning_base.stats.intervals import Floats, overlap, spread
from lightning_base.stats.linear import Lines
from lightning_base.stats.metrics import FACTS, kind_of

FEW = 10  # samples of the rarest class per fold below which scores made of its counts have no interval
FEW_ERRORS = 10  # wrong samples below which these have none, and accuracy, also of right ones, the exact binomial one
FEW_UNITS = 20  # independent samples, or groups, below which no variance is trusted
RATIOS = ("precision", "recall", "f1")
HEAVY = 4.0  # kurtosis of residuals (3 for normal ones) above which squared errors have no interval


@dataclass(frozen=True)
class Design:
    """How a cross-validation came by its predictions (L lines).

    Attributes:
        n_train, n_val: (k) numbers of samples that each fold trained on and held out.
        repeats: (k) the repeat of each fold.
        group: (L,) the group of each line; None where samples are independent.
        temporal: whether samples follow each other in time.
        ordered: whether the folds are windows, each later than the one before.
    """

    n_train: Sequence[int]
    n_val: Sequence[int]
    repeats: Sequence[int]
    group: npt.NDArray[Any] | None = None
    temporal: bool = False
    ordered: bool = False

    @property
    def widening(self) -> float:
        """What standard errors are multiplied by for training samples that folds share: 1 for one fold."""
        if len(self.n_train) < 2:
            return 1.0
        parts = overlap(float(np.mean(self.n_train)), float(np.mean(self.n_val)))
        return float(np.sqrt(1 + parts / (2 * parts - 1)))


def why_never(name: str, design: Design) -> str | None:
    """Why a metric has no interval whatever its predictions are; None where it may have one."""
    kind = kind_of(name)
    if design.temporal:
        return "none: samples follow each other in time"
    if kind == "calibration":
        return "none: biased upwards" if name == "ece" else "none: debiased, 0 at least"
    if kind == "other":
        return "none: what one covers was not simulated" + ("" if name in FACTS else "; its range is not known")
    return None


@dataclass(frozen=True)
class Facts:
    """What decides about intervals, of predictions (L lines) and their design."""

    lines: Lines
    design: Design

    @cached_property
    def drawn(self) -> dict[str, Floats]:
        """Precision, recall and f1 of drawn samples."""
        return drawn_ratios(self.lines, self.unit)

    def deviation(self, name: str) -> float:
        """The standard deviation of the log odds of one of these, half a sample added to both sides."""
        n, drawn = int(self.lines.sample.max()) + 1, self.drawn[name]
        return float(np.std(np.log((drawn * n + 0.5) / ((1 - drawn) * n + 0.5)), ddof=1))

    @cached_property
    def unit(self) -> npt.NDArray[Any]:
        """(L,) what is independent of each other: the sample's number, or its group's."""
        if self.design.group is None:
            return self.lines.sample
        return np.unique(self.design.group, return_inverse=True)[1]

    @cached_property
    def units(self) -> int:
        """How many of these there are."""
        return int(self.unit.max()) + 1

    @cached_property
    def classes(self) -> npt.NDArray[Any]:
        """(C,) samples of each class, each counted once."""
        assert self.lines.probs is not None
        first = np.unique(self.lines.sample, return_index=True)[1]
        return np.bincount(self.lines.target[first], minlength=self.lines.probs.shape[1])

    @cached_property
    def rarest(self) -> int:
        """Samples of the rarest class that is there."""
        return int(self.classes[self.classes > 0].min())

    @cached_property
    def per_fold(self) -> float:
        """Samples of the rarest class that a fold holds out, in the mean."""
        n_val = float(np.mean(self.design.n_val))
        return self.rarest * n_val / int(self.lines.sample.max() + 1)

    @cached_property
    def kurtosis(self) -> float:
        """Of the residuals around 0: 3 where they are normal."""
        error = self.lines.pred - self.lines.target
        squares = float((error**2).mean())
        return float((error**4).mean()) / squares**2 if squares > 0 else 0.0

    def variance_within(self, term: Floats) -> float:
        """What the variance of a fold's value is by its samples alone, in the mean; NaN where a fold is one group."""
        found = []
        for fold in np.unique(self.lines.fold):
            mine = np.flatnonzero(self.lines.fold == fold)
            unit = np.unique(self.unit[mine], return_inverse=True)[1]
            found.append(spread(term[mine], np.full(len(mine), 1 / len(mine)), unit) ** 2)
        return float(np.mean(found))

    def why_none(self, name: str, value: float) -> str | None:
        """Why a metric has no interval; None where it has one."""
        if (never := why_never(name, self.design)) is not None:
            return never
        if self.units < FEW_UNITS:
            what = "samples" if self.design.group is None else "groups"
            return f"none: too few {what}, {self.units} of {FEW_UNITS}"
        if kind_of(name) == "share" and self.per_fold < FEW:
            return f"none: too few, {self.per_fold:.3g} of the rarest class per fold, not {FEW}"
        wrong = int(np.unique(self.lines.sample[self.lines.pred != self.lines.target]).size)
        if name in RATIOS and wrong < FEW_ERRORS:
            return f"none: too few, {wrong} samples wrong, not {FEW_ERRORS}"
        if name in ("mse", "rmse", "r2") and self.kurtosis > HEAVY:
            return f"none: heavy tails, kurtosis of the residuals {self.kurtosis:.3g}, above {HEAVY:g}"
        if name == "auroc" and not 0 < value < 1:
            return f"none at {value:g}"
        return None
