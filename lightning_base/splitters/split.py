"""Splits: any splitter turned into a table of (id, repeat, fold, role) with a hash; sealed test shares."""

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import (
    BaseCrossValidator,
    BaseShuffleSplit,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from lightning_base.errors import ConfigError, UserError, one_line
from lightning_base.samples.payload import Rows
from lightning_base.samples.reading import by_number, typed
from lightning_base.splitters.base import TableSplitter, share
from lightning_base.splitters.clock import earlier
from lightning_base.splitters.manifest import TEMPORAL, TRAINS_AFTER, hash_table
from lightning_base.splitters.repeats import repeats_of
from lightning_base.tools.imports import fault

# scikit-learn has no common base: repeated splitters and shuffle splits stand beside BaseCrossValidator
Splitter: TypeAlias = BaseCrossValidator | BaseShuffleSplit | RepeatedKFold | RepeatedStratifiedKFold
WHOLE = -1  # the number of the fold that holds nothing out: a refit's


def demand_splitter(given: Any) -> None:
    """Refuses what is no splitter: an object with `split`, or None.

    Raises:
        ConfigError: with the mend.
    """
    kept = given is None or isinstance(given, TableSplitter)
    if kept or (not isinstance(given, type | str | bytes) and callable(getattr(given, "split", None))):
        return
    what = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
    raise ConfigError(f"data.split: {what} is given; give a splitter, such as sklearn.model_selection.KFold(5)")


@dataclass(frozen=True)
class Fold:
    """One assignment of the pool's rows, in the repeat that it belongs to.

    Attributes:
        train: (N,) int64 rows that train.
        val: (M,) int64 rows held out.
        repeat: from 0; folds of one repeat hold out no sample in common, folds drawn at random have a repeat each.
        pair: of a fold that only serves the nested interval, the two ordinary folds that it holds out together.
    """

    train: Rows
    val: Rows
    repeat: int
    pair: tuple[int, int] | None = None


@dataclass(frozen=True)
class Split:
    """All folds over one pool.

    Attributes:
        ids: (N,) the pool's sample ids, in the pool's row order.
        folds: the folds, over all repeats.
        splitter: what made them, as text.
        sealed: ids of the test samples that were taken out of the source first.
        temporal: whether the samples follow each other in time: they have one, or the splitter goes by their order.
        trains_after: whether the splitter means to train on samples later than those held out.
    """

    ids: npt.NDArray[Any]
    folds: tuple[Fold, ...]
    splitter: str
    sealed: npt.NDArray[Any] | None = None
    temporal: bool = False
    trains_after: bool = False

    @property
    def traits(self) -> tuple[str, ...]:
        """What a manifest of it must tell beside its table."""
        held = ((TEMPORAL, self.temporal), (TRAINS_AFTER, self.trains_after))
        return tuple(name for name, value in held if value)

    @cached_property
    def ordinary(self) -> tuple[Fold, ...]:
        """The folds that are scored: the first ones, all but the pairs."""
        return tuple(fold for fold in self.folds if fold.pair is None)

    @cached_property
    def whole(self) -> Fold:
        """Every sample that some fold uses, all in training: what a refit trains on."""
        used = np.unique(np.concatenate([rows for fold in self.folds for rows in (fold.train, fold.val)]))
        return Fold(used, used[:0], 0)

    def table(self) -> pd.DataFrame:
        """One line per (sample, fold) with columns id, repeat, fold, role; role is "train", "val" or "test".

        Samples that a fold uses in neither role (the future, for a temporal split) have no line in it. Sealed test
        samples belong to no fold: their repeat and fold are -1.
        """
        parts = []
        for k, fold in enumerate(self.folds):
            rows = np.concatenate([fold.train, fold.val])
            role = np.repeat(["train", "val"], [len(fold.train), len(fold.val)])
            parts.append(pd.DataFrame({"id": self.ids[rows], "repeat": fold.repeat, "fold": k, "role": role}))
        if self.sealed is not None:
            parts.append(pd.DataFrame({"id": self.sealed, "repeat": -1, "fold": -1, "role": "test"}))
        return pd.concat(parts, ignore_index=True).sort_values(["fold", "id"], ignore_index=True)

    @cached_property
    def hash(self) -> str:
        """SHA-256 (64 hex digits) over every (fold, id, role); row order does not matter."""
        return hash_table(self.table())

    def fold_hash(self, fold: int) -> str:
        """SHA-256 (64 hex digits) over (id, role) of one fold, whatever the others are."""
        if fold not in self._fold_hashes:  # each checkpoint asks for it
            one = self.whole if fold == WHOLE else self.folds[fold]
            rows = np.concatenate([one.train, one.val])
            role = np.repeat(["train", "val"], [len(one.train), len(one.val)])
            self._fold_hashes[fold] = hash_table(pd.DataFrame({"id": self.ids[rows], "fold": 0, "role": role}))
        return self._fold_hashes[fold]

    @cached_property
    def _fold_hashes(self) -> dict[int, str]:
        """What `fold_hash` has computed so far, by fold."""
        return {}


def default_splitter(table: pd.DataFrame, classification: bool) -> Splitter:
    """What splits when the YAML names nothing: five folds that leak neither the future nor a group.

    Over time where the table has a time, with whole groups where it has groups, else shuffled; stratified where
    there are classes.
    """
    if "time" in table:
        return TimeSeriesSplit(5)
    if "group" in table:
        return StratifiedGroupKFold(5, shuffle=True) if classification else GroupKFold(5, shuffle=True)
    return StratifiedKFold(5, shuffle=True) if classification else KFold(5, shuffle=True)


def seal(table: pd.DataFrame, size: float, seed: int, where: str) -> Rows:
    """Rows of a share to hold out: the latest, or whole groups, or stratified by class, as the table has columns.

    Raises:
        UserError: where the share cannot be taken.
    """
    by = "time" if "time" in table else "group" if "group" in table else "random"
    return share(table, size, by, True, seed, where)


def make_split(
    table: pd.DataFrame,
    splitter: Splitter | TableSplitter,
    seed: int,
    fingerprint: str = "",
    sealed: npt.NDArray[Any] | None = None,
    classes: Sequence[str] = (),
) -> Split:
    """The folds of a pool, independent of its row order.

    Samples are put in order of (time, id) before scikit-learn sees them, so a temporal splitter respects the
    time column, and a splitter that shuffles draws from `seed` unless it names a random state of its own.
    PredefinedSplit alone sees them as they stand: it names the folds of rows.

    Args:
        table: the pool's sample table: `id` (unique strings), and where known `target`, `group`, `time`,
            `time_end`.
        splitter: any scikit-learn splitter, or one over tables; the object given is not changed.
        seed: the experiment's seed.
        fingerprint: SHA-256 of the pool's content, for splitters over tables.
        sealed: ids of the test samples that were taken out of the source.
        classes: the classes' names, for messages.

    Raises:
        UserError: when the splitter cannot split this pool; the message is scikit-learn's, with the mend.
    """
    name, table = type(splitter).__name__, typed(table, "data.split")
    coupled: Mapping[int, tuple[int, int]] = {}
    if isinstance(splitter, TableSplitter):
        order = np.arange(len(table))
        try:
            places = splitter.folds(table, seed, fingerprint)
        except UserError:
            raise
        except Exception as error:  # whatever the user's own splitter does
            raise ConfigError(f"data.split: {name} cannot split {len(table)} samples: {fault(error)}") from error
        coupled = splitter.pairs
    else:
        order, places = sklearn_folds(table, splitter, seed, classes)
    ordinary = [order[val] for k, (_, val) in enumerate(places) if k not in coupled]
    said = splitter.repeats(table) if isinstance(splitter, TableSplitter) else None
    repeats = repeats_of(splitter, ordinary, len(table), said)
    folds: list[Fold] = []
    for k, (train, val) in enumerate(places):
        if len(train) == 0 or len(val) == 0 or np.intersect1d(train, val).size:
            raise ConfigError(
                f"data.split: {name} gives fold {k} {len(train)} training and {len(val)} held-out samples, "
                f"{np.intersect1d(train, val).size} of them in both; each role needs samples of its own"
            )
        if (pair := coupled.get(k)) is not None:
            folds.append(Fold(np.sort(train), np.sort(val), folds[pair[0]].repeat, pair))
            continue
        folds.append(Fold(np.sort(order[train]), np.sort(order[val]), repeats[k]))
    temporal = splitter.temporal if isinstance(splitter, TableSplitter) else isinstance(splitter, TimeSeriesSplit)
    after = isinstance(splitter, TableSplitter) and splitter.trains_after
    ids = table["id"].to_numpy(dtype=object)
    return Split(ids, tuple(folds), repr(splitter), sealed, temporal or "time" in table, after)


def sklearn_folds(
    table: pd.DataFrame, splitter: Splitter, seed: int, classes: Sequence[str]
) -> tuple[Rows, list[tuple[Rows, Rows]]]:
    """The order in which scikit-learn saw the samples, and its (train, val) places in that order.

    Ids that are whole numbers are put in order as numbers where the splitter draws nothing, which then is what it goes
    by; one that draws from a seed draws the same whatever the ids are taken for.
    """
    splitter = copy.deepcopy(splitter)
    if getattr(splitter, "random_state", 0) is None and getattr(splitter, "shuffle", True):
        splitter.random_state = seed
    name = type(splitter).__name__
    if lacking := [key for key in needed(splitter) if getattr(splitter, key, None) is None]:
        raise ConfigError(f"data.split: {name} needs {lacking[0]!r}; give data.split.{lacking[0]}")
    if isinstance(splitter, TimeSeriesSplit) and "time" not in table:
        raise ConfigError(
            f"data.split: {name} puts samples in order of time, and the data has no `time`; give it one (`time` of an "
            ".npz, data.time of a table), or take a splitter without time"
        )
    ids = table["id"].to_numpy(dtype=object)
    keys = [ids, ids if draws(splitter) else by_number(ids)]  # the last one counts first
    order = np.lexsort([*keys, table["time"].to_numpy()] if "time" in table else keys)
    if isinstance(splitter, PredefinedSplit):
        order = np.arange(len(table))  # it names the folds of rows
        if len(splitter.test_fold) != len(table):
            raise ConfigError(
                f"data.split: PredefinedSplit names the folds of {len(splitter.test_fold)} rows, the pool has "
                f"{len(table)}; name each row's, or take lightning_base.splitters.FoldColumn"
            )
    target = table["target"].to_numpy()[order] if "target" in table else None
    groups = table["group"].to_numpy()[order] if "group" in table else None
    if groups is None and ("Group" in name):
        raise ConfigError(
            f"data.split: {name} needs groups, and the data has none; give the data a `group` column, "
            "from Python `groups=`, or take a splitter without groups"
        )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The groups parameter is ignored")
            warnings.filterwarnings("error", message="The least populated class")
            pairs = list(splitter.split(np.zeros((len(table), 1)), target, groups))
    except UserWarning as warning:
        values, counts = np.unique(table["target"], return_counts=True)
        rare = values[counts.argmin()]
        raise ConfigError(
            f"data.split: class {classes[rare] if len(classes) else rare!r} has {counts.min()} samples, too few for "
            f"the folds of {name} ({one_line(warning)}); take fewer folds, or add or leave out samples of that class"
        ) from warning
    except UserError:
        raise
    except Exception as error:  # whatever the user's own splitter does
        kinds = "continuous" in str(error) and "target" in table
        mend = (
            "the target is continuous: take a splitter that does not stratify, or, where it stands for classes, mend "
            "data.target or set data.task: classification"
            if kinds
            else "change data.split or the data"
        )
        raise ConfigError(f"data.split: {name} cannot split {len(table)} samples: {fault(error)}; {mend}") from error
    return order, _whole_times(table, order, pairs) if isinstance(splitter, TimeSeriesSplit) else pairs


def needed(splitter: Splitter) -> list[str]:
    """The arguments that a splitter cannot do without; the parser gives None for those that a YAML leaves out."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(type(splitter)).parameters.values()
    return [
        one.name for one in parameters if one.default is one.empty and one.kind in named and hasattr(splitter, one.name)
    ]


def draws(splitter: Splitter) -> bool:
    """Whether a scikit-learn splitter draws from a seed."""
    return hasattr(splitter, "random_state") and bool(getattr(splitter, "shuffle", True))


def _whole_times(table: pd.DataFrame, order: Rows, pairs: list[tuple[Rows, Rows]]) -> list[tuple[Rows, Rows]]:
    """Folds whose training samples are over before those held out begin: a moment on both sides leaves training."""
    time = table["time"].to_numpy()[order]
    ordered = table.iloc[order]
    strict = [(train[time[train] < time[val].min()], val) for train, val in pairs]
    return [(earlier(ordered, train, val), val) for train, val in strict]
