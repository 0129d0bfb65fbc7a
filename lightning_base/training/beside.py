"""What scores are set beside: the trivial model of a data module's samples, and the design that made predictions."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import UserError
from lightning_base.splitters.split import WHOLE, Fold
from lightning_base.stats.linear import Lines
from lightning_base.stats.trivial import Known, class_shares, trivial_lines, values


def in_time(table: pd.DataFrame) -> npt.NDArray[np.int64]:
    """(N,) the place of each sample in the order of time, where there is one, and id."""
    keys = [table["id"], table["time"]] if "time" in table else [table["id"]]
    place = np.empty(len(table), dtype=np.int64)
    place[np.lexsort([key.to_numpy() for key in keys])] = np.arange(len(table))
    return place


def are_windows(table: pd.DataFrame, folds: Sequence[Fold]) -> bool:
    """Whether each fold trains on what is before its held-out samples, and these are before the next fold's."""
    place = in_time(table)
    earlier = all(place[fold.train].max() < place[fold.val].min() for fold in folds)
    return earlier and all(place[one.val].max() < place[two.val].min() for one, two in pairwise(folds))


def known(data: BaseDataModule) -> Known | None:
    """What a trivial model may see of the pool; None where its targets are no classes or values (boxes)."""
    samples, split = data.samples("pool"), data.folds
    if samples.target is None:
        return None
    forecast = not data.classes and split.temporal and are_windows(samples.table, split.ordinary)
    groups = pd.factorize(samples.table["group"])[0] if forecast and "group" in samples.table else None
    return Known(
        samples.target,
        len(data.classes),
        None if data.classes else data.trivial_key(),
        in_time(samples.table) if forecast else None,
        groups,
    )


def held_out(data: BaseDataModule, lines: Lines, ids: Sequence[str], folds: Sequence[Fold]) -> tuple[Lines, str] | None:
    """The trivial model's predictions of the lines (L) of these samples, and what it predicts, in words.

    Args:
        data: whose pool was divided.
        lines: the real model's.
        ids: (L) the samples' names.
        folds: what trained and what was held out, for each of the lines' folds.
    """
    if (facts := known(data)) is None:
        return None
    rows = pd.Index(data.folds.ids).get_indexer(pd.Index(ids))
    return trivial_lines(lines, rows, [(fold.train, fold.val) for fold in folds], facts), facts.name


def sealed(data: BaseDataModule, lines: Lines, fold: int | None) -> tuple[Lines, str] | None:
    """The trivial model's predictions of other samples than the pool's; None where the pool cannot be read here.

    Args:
        data: whose pool trained.
        lines: the real model's (L).
        fold: whose training part; None (or WHOLE) for the whole pool.
    """
    try:
        facts = known(data)
        train = data.folds.whole.train if fold in (None, WHOLE) else data.folds.folds[fold or 0].train
    except UserError:
        return None
    if facts is None:
        return None
    if facts.classes:
        shares = class_shares(facts.target[train], facts.classes)
        pred, probs = np.full_like(lines.pred, shares.argmax()), np.tile(shares, (len(lines.pred), 1))
        return Lines(lines.fold, lines.sample, lines.target, pred, probs), facts.name
    whole = Known(facts.target, time=facts.time)  # keys and groups of other samples are not known
    one = values(whole, train, train[:1])[0]
    return Lines(lines.fold, lines.sample, lines.target, np.full_like(lines.pred, one)), whole.name
