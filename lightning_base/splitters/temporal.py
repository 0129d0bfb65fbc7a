"""Splitters over time: expanding and sliding training windows, and k-fold purged of training samples that overlap."""

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import ConfigError
from lightning_base.samples.payload import Rows
from lightning_base.splitters.base import TableSplitter
from lightning_base.splitters.clock import Clock, Duration, read_clock

Unit: TypeAlias = Literal["share", "samples", "time"]
Mask: TypeAlias = npt.NDArray[np.bool_]


class Expanding(TableSplitter):
    """Held-out windows that follow each other to the end of the data; each fold trains on all that is over before.

    A moment is never in two windows, so windows of a number of samples may be larger or smaller than asked by what a
    moment holds. Where the data has a `time_end`, a sample whose target is not known before the window begins does
    not train. Nothing trains on samples after a window, so there is nothing to embargo. With distinct times and
    neither gap nor `time_end` the folds are those of sklearn.model_selection.TimeSeriesSplit.

    Args:
        n_splits: number of windows.
        test: size of a window, in `unit`; by default an (n_splits + 1)th of the samples.
        unit: "share" of the samples, number of "samples", or "time": a duration.
        gap: a duration between training samples and the window: with 7, on days, the 7 days before it do not train.

    Durations are numbers in the unit of the time column where it holds numbers, else texts such as "7 days".

    Raises:
        UserError: for sizes that are none.
    """

    temporal = True

    def __init__(
        self, n_splits: int = 5, test: Duration | None = None, unit: Unit = "share", gap: Duration = 0
    ) -> None:
        if n_splits < 1:
            raise ConfigError(f"data.split: n_splits {n_splits} is below 1; give the number of held-out windows")
        self.n_splits, self.test, self.unit, self.gap = n_splits, test, unit, gap
        _check_size(test, unit, "test")

    def __repr__(self) -> str:
        return f"Expanding(n_splits={self.n_splits}, test={self.test!r}, unit={self.unit!r}, gap={self.gap!r})"

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        """(train, val) rows per window: all that is over before it trains."""
        clock = read_clock(table)
        gap = clock.length(self.gap, "data.split.gap")
        pairs = []
        for fold, held in enumerate(self._windows(clock)):
            known = clock.end + gap < clock.start[held].min()
            if not known.any():
                raise ConfigError(
                    f"data.split: {type(self).__name__} leaves fold {fold} no sample to train on; give fewer n_splits, "
                    "a smaller test or a smaller gap"
                )
            pairs.append((np.flatnonzero(known), np.flatnonzero(held)))
        return pairs

    def repeats(self, table: pd.DataFrame) -> list[int]:
        """One: no sample is held out twice."""
        return [0] * self.n_splits

    def _windows(self, clock: Clock) -> list[Mask]:
        """(N,) masks of the held-out samples, none of them empty."""
        n, k, start = len(clock.start), self.n_splits, clock.start
        if self.unit == "time" and self.test is not None:
            length, last = clock.length(self.test, "data.split.test"), start.max()
            masks = [(start > last - (k - i) * length) & (start <= last - (k - i - 1) * length) for i in range(k)]
        else:
            size = n // (k + 1) if self.test is None else _count(self.test, self.unit, n)
            if size < 1 or k * size >= n:
                raise ConfigError(
                    f"data.split: {k} windows of {size} samples do not leave any of {n} to train on; give fewer "
                    "n_splits or another test"
                )
            masks = _blocks(start, [n - (k - i) * size for i in range(k)])
        return _none_empty(masks, type(self).__name__)


class Sliding(Expanding):
    """As Expanding, but each fold trains on a window of one size, which ends where the gap before its held-out begins.

    A window of a number of samples begins at the start of a moment, so it may hold more than asked by what that
    moment holds.

    Args:
        n_splits: number of held-out windows.
        train: size of the training window, in `unit`; by default that of the first fold.
        test: size of a held-out window, in `unit`; by default an (n_splits + 1)th of the samples.
        unit: "share" of the samples, number of "samples", or "time": a duration.
        gap: a duration between training and held-out window.

    Raises:
        UserError: for sizes that are none.
    """

    def __init__(
        self,
        n_splits: int = 5,
        train: Duration | None = None,
        test: Duration | None = None,
        unit: Unit = "share",
        gap: Duration = 0,
    ) -> None:
        super().__init__(n_splits, test, unit, gap)
        _check_size(train, unit, "train")
        self.train = train

    def __repr__(self) -> str:
        return super().__repr__().replace("Expanding(", "Sliding(").replace("test=", f"train={self.train!r}, test=", 1)

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        """(train, val) rows per window: a training window of one size."""
        clock = read_clock(table)
        pairs = super().folds(table, seed, fingerprint)
        start, gap = clock.start, clock.length(self.gap, "data.split.gap")
        until = [start[val].min() - gap for _, val in pairs]
        first = pairs[0][0]
        if self.unit == "time":
            length = until[0] - start.min() if self.train is None else clock.length(self.train, "data.split.train")
            short = until[0] - length < start.min()
            since = [end - length for end in until]
        else:
            size = len(first) if self.train is None else _count(self.train, self.unit, len(start))
            short = size > len(first)
            since = [] if short else [np.sort(start[train])[len(train) - size] for train, _ in pairs]
        if short:
            raise ConfigError(
                f"data.split: the data begin too late for the training window of fold 0, of train {self.train!r}; "
                "give fewer n_splits, a smaller train, test or gap, or lightning_base.splitters.Expanding"
            )
        return [(train[start[train] >= begin], val) for (train, val), begin in zip(pairs, since, strict=True)]


class PurgedKFold(TableSplitter):
    """k-fold over time: each fold holds out a span of it, and trains on both sides, purged of what overlaps.

    A sample takes from its `time` to its `time_end`, where the data has one, and `purge` longer: until then its
    target is in the making. No training sample overlaps the span from the first held-out beginning to the last
    held-out end, and none begins within the embargo after it. Every sample is held out once; a moment is never
    divided. The model knows the future of what it is scored on, as a backtest does and a forecast cannot: the audit
    looks for overlap here, and for no later training samples (`trains_after`).

    Args:
        n_splits: number of spans, of about equal numbers of samples.
        purge: a duration by which targets reach beyond `time` or `time_end`.
        embargo: a duration after the held-out span in which no training sample begins.

    Durations are numbers in the unit of the time column where it holds numbers, else texts such as "7 days".

    Raises:
        UserError: for fewer than two spans.

    Source: López de Prado 2018, Advances in Financial Machine Learning, sections 7.4.1 (purging, all three cases of
    snippet 7.1, ends included) and 7.4.2 (embargo).
    """

    trains_after = True
    temporal = True

    def __init__(self, n_splits: int = 5, purge: Duration = 0, embargo: Duration = 0) -> None:
        if n_splits < 2:
            raise ConfigError(f"data.split: n_splits {n_splits} is below 2; give the number of held-out spans")
        self.n_splits, self.purge, self.embargo = n_splits, purge, embargo

    def __repr__(self) -> str:
        return f"PurgedKFold(n_splits={self.n_splits}, purge={self.purge!r}, embargo={self.embargo!r})"

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        """(train, val) rows per span, purged of what overlaps it."""
        clock = read_clock(table)
        n, k, start = len(clock.start), self.n_splits, clock.start
        if n < k:
            raise ConfigError(f"data.split: {n} samples cannot be divided into {k} spans; give fewer n_splits")
        end = clock.end + clock.length(self.purge, "data.split.purge")
        embargo = clock.length(self.embargo, "data.split.embargo")
        pairs = []
        spans = _blocks(start, [i * (n // k) + min(i, n % k) for i in range(k)])
        for fold, held in enumerate(_none_empty(spans, type(self).__name__)):
            train = (end < start[held].min()) | (start > end[held].max() + embargo)
            if not train.any():
                raise ConfigError(
                    f"data.split: purge and embargo leave fold {fold} no sample to train on; give smaller ones, or "
                    "more n_splits"
                )
            pairs.append((np.flatnonzero(train), np.flatnonzero(held)))
        return pairs

    def repeats(self, table: pd.DataFrame) -> list[int]:
        """One: no sample is held out twice."""
        return [0] * self.n_splits


def _blocks(start: npt.NDArray[Any], places: list[int]) -> list[Mask]:
    """(N,) masks of runs of the time order that begin at these places, each at the whole moment that stands there."""
    since = [start >= moment for moment in np.sort(start)[places]]
    return [mine & ~later for mine, later in zip(since, [*since[1:], np.zeros_like(since[0])], strict=True)]


def _none_empty(masks: list[Mask], name: str) -> list[Mask]:
    """The masks.

    Raises:
        UserError: where one holds out nothing.
    """
    for fold, held in enumerate(masks):
        if not held.any():
            raise ConfigError(
                f"data.split: {name} holds out no sample in fold {fold}: a moment holds more samples than a window, or "
                "the data have a hole there; give fewer n_splits or a larger test"
            )
    return masks


def _count(size: Duration, unit: str, n: int) -> int:
    """A checked share or number of samples, as a number."""
    return round(float(size) * n) if unit == "share" else int(size)


def _check_size(size: Duration | None, unit: str, key: str) -> None:
    """Refuses a size that is none in its unit, where that can be known without the data."""
    if size is None:
        return
    if unit == "time":
        fits, wanted = isinstance(size, str) or size > 0, "a duration above 0, such as 30 or '30 days'"
    elif unit == "share":
        fits, wanted = not isinstance(size, str) and 0 < size < 1, "a share between 0 and 1"
    else:
        fits, wanted = not isinstance(size, str) and size >= 1 and float(size).is_integer(), "a number of samples"
    if not fits:
        raise ConfigError(f"data.split: {key} {size!r} is not {wanted}, as unit: {unit} needs; mend one of them")
