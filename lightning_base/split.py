"""Splits: any scikit-learn splitter turned into a table of (id, repeat, fold, role) with a hash."""

import copy
import hashlib
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import (
    BaseCrossValidator,
    BaseShuffleSplit,
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
)

from lightning_base.errors import UserError, one_line

Rows: TypeAlias = npt.NDArray[np.int64]
# scikit-learn has no common base: repeated splitters and shuffle splits stand beside BaseCrossValidator
Splitter: TypeAlias = BaseCrossValidator | BaseShuffleSplit | RepeatedKFold | RepeatedStratifiedKFold


@dataclass(frozen=True)
class Fold:
    """One assignment: rows of the pool that train, rows held out, and the repeat the fold belongs to."""

    train: Rows
    val: Rows
    repeat: int


@dataclass(frozen=True)
class Split:
    """All folds over one pool. `ids` (N,) are the pool's sample ids, in the pool's row order."""

    ids: npt.NDArray[Any]
    folds: tuple[Fold, ...]
    splitter: str

    def table(self) -> pd.DataFrame:
        """One line a (sample, fold) with columns id, repeat, fold, role; role is "train" or "val".

        Samples that a fold uses in neither role (the future, for a temporal split) have no line in it.
        """
        parts = []
        for k, fold in enumerate(self.folds):
            rows = np.concatenate([fold.train, fold.val])
            role = np.repeat(["train", "val"], [len(fold.train), len(fold.val)])
            parts.append(pd.DataFrame({"id": self.ids[rows], "repeat": fold.repeat, "fold": k, "role": role}))
        return pd.concat(parts, ignore_index=True).sort_values(["fold", "id"], ignore_index=True)

    @cached_property
    def hash(self) -> str:
        """SHA-256 (64 hex digits) over every (fold, id, role); row order does not matter."""
        digest = hashlib.sha256()
        for k, fold in enumerate(self.folds):
            for role, rows in (("train", fold.train), ("val", fold.val)):
                digest.update(f"fold {k} {role}\n".encode())
                digest.update("\n".join(sorted(map(str, self.ids[rows]))).encode())
        return digest.hexdigest()


def default_splitter(classification: bool) -> Splitter:
    """What splits when the YAML names nothing: five shuffled folds, stratified where there are classes."""
    return StratifiedKFold(5, shuffle=True) if classification else KFold(5, shuffle=True)


def make_split(table: pd.DataFrame, splitter: Splitter, seed: int) -> Split:
    """The folds of a pool, independent of its row order.

    Samples are put in order of (time, id) before scikit-learn sees them, so a temporal splitter respects the
    time column, and a splitter that shuffles draws from `seed` unless it names a random state of its own.

    Args:
        table: the pool's sample table: `id` (unique strings), and where known `target`, `group`, `time`.
        splitter: any scikit-learn splitter; the object given is not changed.
        seed: the experiment's seed.

    Raises:
        UserError: when the splitter cannot split this pool; the message is scikit-learn's, with the mend.
    """
    splitter = copy.deepcopy(splitter)
    if getattr(splitter, "random_state", 0) is None and getattr(splitter, "shuffle", True):
        splitter.random_state = seed
    name = type(splitter).__name__
    keys = [table["time"], table["id"]] if "time" in table else [table["id"]]
    order = np.lexsort([key.to_numpy() for key in reversed(keys)])
    target = table["target"].to_numpy()[order] if "target" in table else None
    groups = table["group"].to_numpy()[order] if "group" in table else None
    if groups is None and ("Group" in name):
        raise UserError(
            f"data.split: {name} needs groups, and the data has none; give the data a `group` column, "
            "or take a splitter without groups"
        )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The groups parameter is ignored")
            pairs = list(splitter.split(np.zeros((len(table), 1)), target, groups))
    except ValueError as error:
        raise UserError(
            f"data.split: {name} cannot split {len(table)} samples: {one_line(error)}; change data.split or the data"
        ) from error
    folds: list[Fold] = []
    repeat, seen = 0, np.zeros(len(table), dtype=bool)
    for k, (train, val) in enumerate(pairs):
        if len(train) == 0 or len(val) == 0 or np.intersect1d(train, val).size:
            raise UserError(
                f"data.split: {name} gives fold {k} {len(train)} training and {len(val)} held-out samples, "
                f"{np.intersect1d(train, val).size} of them in both; each role needs samples of its own"
            )
        if seen[val].any():  # a held-out sample comes again: the next repeat has begun
            repeat, seen = repeat + 1, np.zeros_like(seen)
        seen[val] = True
        folds.append(Fold(np.sort(order[train]), np.sort(order[val]), repeat))
    return Split(table["id"].to_numpy(dtype=object), tuple(folds), repr(splitter))
