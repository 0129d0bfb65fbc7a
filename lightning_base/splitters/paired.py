"""A splitter for nested cross-validation: k folds, and a fold for every two of them that holds out both."""

from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, RepeatedKFold, RepeatedStratifiedKFold, StratifiedGroupKFold

from lightning_base.errors import ConfigError
from lightning_base.samples.payload import Rows
from lightning_base.splitters.base import TableSplitter
from lightning_base.splitters.split import sklearn_folds


class Paired(TableSplitter):
    """k-fold cross-validation, repeated, with the trainings that the nested interval (stats/nested.py) needs.

    The first n_repeats · n_splits folds are those of scikit-learn's RepeatedStratifiedKFold (or RepeatedKFold) with the
    experiment's seed; with one repeat they are the default split's. They alone are scored. Behind them stands, a repeat
    after the other, a fold for each two of a repeat's folds that trains without either and holds out both: n_splits ·
    (n_splits - 1) / 2 more trainings per repeat. Where the data has groups they stay whole.

    Args:
        n_splits: folds of a repeat, 3 or more.
        n_repeats: how often the samples are divided into folds; more make the nested interval steadier.
        stratify: keep the classes' shares in each fold, where the target is a class.

    Raises:
        UserError: for fewer than three folds, or no repeat.
    """

    def __init__(self, n_splits: int = 5, n_repeats: int = 1, stratify: bool = True) -> None:
        if n_splits < 3 or n_repeats < 1:
            raise ConfigError(
                f"data.split: Paired with {n_splits} folds and {n_repeats} repeats; two folds are held out together, "
                "another must be left to train on: give n_splits 3 or more, and n_repeats 1 or more"
            )
        self.n_splits, self.n_repeats, self.stratify = n_splits, n_repeats, stratify
        ordinary = n_splits * n_repeats
        repeats = [range(first, first + n_splits) for first in range(0, ordinary, n_splits)]
        couples = [pair for repeat in repeats for pair in combinations(repeat, 2)]
        self.pairs = dict(enumerate(couples, start=ordinary))

    def __repr__(self) -> str:
        return f"Paired(n_splits={self.n_splits}, n_repeats={self.n_repeats}, stratify={self.stratify})"

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        """(train, val) rows of the ordinary folds, then of the pairs."""
        whole, n, repeats = np.arange(len(table)), self.n_splits, self.n_repeats
        classes = self.stratify and "target" in table and pd.api.types.is_integer_dtype(table["target"])
        if "group" in table:
            kind = StratifiedGroupKFold if classes else GroupKFold
            later = np.random.SeedSequence(seed).generate_state(repeats)  # of the first repeat it is the seed's own
            states = [seed, *map(int, later[1:])]
            splitters = [kind(n, shuffle=True, random_state=state) for state in states]
        else:
            repeated = RepeatedStratifiedKFold if classes else RepeatedKFold
            splitters = [repeated(n_splits=n, n_repeats=repeats, random_state=seed)]
        held = []
        for splitter in splitters:
            order, places = sklearn_folds(table, splitter, seed, ())
            held += [np.sort(order[val]) for _, val in places]
        held += [np.union1d(held[one], held[other]) for one, other in self.pairs.values()]
        return [(np.setdiff1d(whole, val, assume_unique=True), val) for val in held]

    def repeats(self, table: pd.DataFrame) -> list[int]:
        """Each n_splits folds are one."""
        return [fold // self.n_splits for fold in range(self.n_splits * self.n_repeats)]
