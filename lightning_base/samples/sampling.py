"""How often an epoch draws each training sample, where that is not once: by class, by group, by weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import ConfigError, DataError, suggest
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples

Rates: TypeAlias = npt.NDArray[np.float64]
GOLDEN = (5**0.5 - 1) / 2  # its multiples lie most evenly between whole numbers


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How often a training sample is drawn relative to others; one of these is given.

    Args:
        balance: a column of the sample table, as `group`, or `target` for the classes: its values come equally often.
        classes: by the class's name how often each of its samples comes; those that are not named come with 1.
        weight: a column of numbers, how often each sample comes; tables take it from their file by
            `data.split_columns`.

    Raises:
        ConfigError: where none or several are given, or a weight is none.
    """

    balance: str | None = None
    classes: Mapping[str, float] | None = None
    weight: str | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.balance, self.classes, self.weight)) != 1:
            raise ConfigError("data.sampling: give one of balance, classes and weight")
        for name, weight in (self.classes or {}).items():
            _demand_weight(f"data.sampling.classes.{name}", weight)


How: TypeAlias = Literal["balanced", "weighted"] | Sampling | None


def sampling_of(how: How) -> Sampling | None:
    """What a word stands for."""
    words = {"balanced": Sampling(balance="target"), "weighted": Sampling(weight="weight")}
    return words[how] if isinstance(how, str) else how


def drawn(how: How) -> str | None:
    """What is drawn how, in words; None where each sample is drawn once an epoch."""
    given = sampling_of(how)
    if given is None:
        return None
    if given.balance is not None:
        return "classes drawn equally often" if given.balance == "target" else f"drawn equally often by {given.balance}"
    return "classes drawn by weight" if given.classes is not None else f"samples drawn by {given.weight}"


class Draws:
    """How often each epoch draws each of N samples: systematic sampling (Madow 1949), N draws in all.

    An epoch draws a sample as often as its rate says, rounded down or up, and a stratum likewise; from epoch to epoch
    the remainders move on by the golden ratio, so that over epochs no sample is passed over for long.

    Args:
        rates: (N,) draws of each sample per epoch, on average; their sum is N.
        strata: (N,) the number of what each sample is balanced by, as its class.
        seed: what decides which samples are rounded up.
    """

    def __init__(self, rates: Rates, strata: npt.NDArray[np.int64], seed: int) -> None:
        rng = np.random.default_rng([seed, 0, 1])  # orders of epochs are drawn from [seed, epoch]
        self._line = np.lexsort([rng.random(len(rates)), strata])
        self._ends = np.cumsum(rates[self._line])
        self._ends[-1] = len(rates)
        self._start = float(rng.random())
        self._places: tuple[int, Rows] | None = None  # of the epoch that was asked for last

    def counts(self, epoch: int) -> npt.NDArray[np.int64]:
        """(N,) how often an epoch, from 0, draws each sample."""
        ends = np.floor(self._ends + (self._start + epoch * GOLDEN) % 1).astype(np.int64)
        found = np.empty(len(ends), dtype=np.int64)
        found[self._line] = np.diff(ends, prepend=0)
        return found

    def places(self, epoch: int) -> Rows:
        """(N,) int64 numbers of the samples that an epoch draws, each as often as it comes, in rising order."""
        kept = self._places
        if kept is None or kept[0] != epoch:
            kept = self._places = epoch, np.repeat(np.arange(len(self._line)), self.counts(epoch))
        return kept[1]


def draws_of(how: How, samples: Samples, rows: Rows, seed: int) -> Draws | None:
    """What the epochs of a training part draw; None where each sample comes once.

    Args:
        how: as the configuration says.
        samples: the pool.
        rows: (N,) those of the training part.
        seed: of the run.

    Raises:
        UserError: for what these samples cannot be drawn by.
    """
    if how is None:
        return None
    rates, strata = rates_of(how, samples, rows)
    return Draws(rates, strata, seed)


def rates_of(how: How, samples: Samples, rows: Rows) -> tuple[Rates, npt.NDArray[np.int64]]:
    """How often an epoch draws each of these rows on average (N,), of which the sum is N; the number of its stratum.

    Raises:
        UserError: for what these samples cannot be drawn by.
    """
    given = sampling_of(how)
    if given is None:
        return np.ones(len(rows)), np.zeros(len(rows), dtype=np.int64)
    if samples.kind != "class" and (given.balance == "target" or given.classes is not None):
        what = {"labels": "several labels per sample, which cannot all come equally often", None: "no targets"}.get(
            samples.kind, "targets that are no classes"
        )
        raise ConfigError(
            f"data.sampling: {samples.origin} has {what}; balance a column of the sample table (data.sampling.balance: "
            "group), or name a column of weights (data.sampling.weight)"
        )
    table = samples.table.iloc[rows]
    if given.classes is not None:
        weights, strata = _by_class(given.classes, samples, rows), np.asarray(samples.target)[rows].astype(np.int64)
    elif given.balance is not None:
        strata, names = pd.factorize(_column(table, "balance", given.balance, samples.origin), sort=True)
        if (strata < 0).any():
            raise DataError(f"data.sampling.balance: {given.balance} of {samples.origin} has gaps; fill them")
        weights = 1 / (np.bincount(strata)[strata] * len(names))
    else:
        weights = _numbers(_column(table, "weight", str(given.weight), samples.origin), str(given.weight))
        strata = np.zeros(len(rows), dtype=np.int64)
    if not weights.sum() > 0:
        raise ConfigError("data.sampling: all weights of a fold's training part are 0; give one above 0")
    return weights * (len(rows) / weights.sum()), np.asarray(strata, dtype=np.int64)


def turns(rows: Rows) -> npt.NDArray[np.int64]:
    """(N,) for each of these, how often it came before."""
    by = np.argsort(rows, kind="stable")
    found = np.empty(len(rows), dtype=np.int64)
    found[by] = np.arange(len(rows)) - np.searchsorted(rows[by], rows[by])
    return found


def _by_class(given: Mapping[str, float], samples: Samples, rows: Rows) -> Rates:
    """(N,) each sample's weight by its class."""
    names = {str(name): float(weight) for name, weight in given.items()}
    if unknown := [name for name in names if name not in samples.classes]:
        raise ConfigError(
            f"data.sampling.classes: {samples.origin} has no class {unknown[0]!r}"
            f"{suggest(unknown[0], samples.classes) or '; it has ' + ', '.join(samples.classes[:20])}"
        )
    weights: Rates = np.array([names.get(name, 1.0) for name in samples.classes])
    found: Rates = weights[np.asarray(samples.target)[rows]]
    return found


def _column(table: pd.DataFrame, key: str, name: str, origin: str) -> "pd.Series[Any]":
    if name not in table or name == "id":
        known = [str(column) for column in table if column != "id"]
        raise ConfigError(
            f"data.sampling.{key}: the sample table of {origin} has no column {name!r}; it has {', '.join(known)}, and "
            "a table's other columns by data.split_columns"
        )
    return table[name]


def _numbers(column: "pd.Series[Any]", name: str) -> Rates:
    """(N,) weights.

    Raises:
        DataError: naming the first sample whose weight is none.
    """
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    if (wrong := ~((values >= 0) & np.isfinite(values))).any():
        bad = column.iloc[int(wrong.argmax())]
        raise DataError(f"data.sampling.weight: {name} has {bad!r}, which is no weight; give finite numbers, 0 or more")
    return values


def _demand_weight(key: str, weight: Any) -> None:
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
        raise ConfigError(f"{key}: {weight!r} is no weight; give a finite number, 0 or more")
