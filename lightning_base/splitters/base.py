"""What a splitter over sample tables is, and a share of a table taken by time, by group or at random."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, ShuffleSplit, StratifiedGroupKFold, StratifiedShuffleSplit

from lightning_base.errors import DataError, one_line
from lightning_base.samples.payload import Rows
from lightning_base.samples.reading import typed


class TableSplitter(ABC):
    """A splitter that sees the whole sample table, and may name the sealed test samples too.

    Attributes:
        trains_after: whether it means to train on samples later than those held out; the audit then looks for training
            samples that overlap these in time, else for any that is not earlier.
        pairs: the folds that hold out two others together, with these; none but for Paired and its manifests.
        temporal: whether its folds follow each other in time.
    """

    trains_after = False
    temporal = False
    pairs: Mapping[int, tuple[int, int]] = {}

    @property
    def seals(self) -> bool:
        """Whether it names test samples."""
        return False

    def sealed(self, table: pd.DataFrame, seed: int) -> Rows:
        """Rows of the whole source that are the test samples; asked where it `seals`."""
        raise NotImplementedError

    @abstractmethod
    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        """(train, val) rows of each fold, in the pool: the source without its test samples."""

    def repeats(self, table: pd.DataFrame) -> Sequence[int] | None:
        """The repeat of each fold that is no pair, from 0; None where the folds themselves must prove it."""
        return None


def share(table: pd.DataFrame, size: float, by: str, stratify: bool, seed: int, where: str) -> Rows:
    """About `size` of the table's rows, the same whatever the order of the rows.

    Args:
        table: a sample table.
        size: share between 0 and 1.
        by: "time" takes the latest, moments whole; "group" whole groups, nearest to the share; "random" any.
        stratify: keep the classes' shares, where the target is a class; not by time.
        seed: what is drawn from.
        where: begins the message.

    Raises:
        UserError: where the table lacks the column, or the share cannot be taken.
    """
    if by in ("group", "time") and by not in table:
        raise DataError(f"{where}: by {by}, but the data has no `{by}` column; name one, or take by: random")
    table = typed(table, where)
    order = np.argsort(table["id"].to_numpy(dtype=object), kind="stable")
    n, target = len(table), None
    if stratify and "target" in table and pd.api.types.is_integer_dtype(table["target"]):
        target = table["target"].to_numpy()[order]
    try:
        if by == "time":
            time = table["time"].to_numpy()
            chosen = np.flatnonzero(time >= np.sort(time)[min(int(np.ceil(n * (1 - size))), n - 1)])
            if len(chosen) == n:
                raise ValueError("all samples have one time")
            return chosen
        if by == "group":
            chosen = _groups(table["group"].to_numpy()[order], target, size, seed)
        elif target is not None:
            splitter: Any = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
            _, chosen = next(splitter.split(np.zeros((n, 1)), target))
        else:
            _, chosen = next(ShuffleSplit(1, test_size=size, random_state=seed).split(np.zeros((n, 1))))
    except ValueError as error:
        raise DataError(f"{where} cannot be divided: {one_line(error)}") from error
    return np.sort(order[chosen])


def _groups(groups: Any, target: Any, size: float, seed: int) -> Rows:
    """Places of whole groups that make up about `size`; with classes, in about the classes' shares."""
    n_groups = len(pd.unique(groups))
    if n_groups < 2:
        raise ValueError("all samples are of one group")
    if target is None:
        splitter: Any = GroupKFold(min(20, n_groups), shuffle=True, random_state=seed)
    else:
        parts = min(20, n_groups, int(np.bincount(target).max()))
        if parts < 2:
            raise ValueError("no class has two samples")
        splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of a class with fewer samples than parts, which is no matter for a share
        warnings.simplefilter("ignore", UserWarning)
        places = [val for _, val in splitter.split(np.zeros((len(groups), 1)), target, groups) if len(val)]
    reached = np.cumsum([len(val) for val in places])[:-1]  # at least one part stays
    return np.concatenate(places[: 1 + int(np.argmin(abs(reached - size * len(groups))))])
