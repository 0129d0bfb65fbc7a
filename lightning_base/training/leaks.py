"""The leak that everybody makes: weights to begin with that were trained on samples which a fold holds out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.trained import TrainedOn
from lightning_base.errors import ConfigError
from lightning_base.finetune.given import KEY, InitFrom
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples
from lightning_base.splitters.split import WHOLE
from lightning_base.training.sources import read_trained, source_of


def demand_unseen(given: InitFrom, data: BaseDataModule, folds: Iterable[int]) -> None:
    """Refuses weights that have learned from samples which score what is trained from them.

    Those are each fold's held-out samples, and the sealed test samples where a share of the data is sealed; test
    samples that are a source of their own are compared by `test`, which alone reads them.

    Args:
        given: the weights.
        data: as the first of these folds sees it.
        folds: numbers of the folds, or WHOLE.

    Raises:
        UserError: naming the file, the fold and the first sample.
    """
    pool, split = data.samples("pool"), data.folds
    for fold in folds:
        path = source_of(given, split, fold)
        known = read_trained(path).on
        if known is None:
            continue
        one = split.whole if fold == WHOLE else split.folds[fold]
        if fold != WHOLE:
            what = f"samples that fold {fold} holds out" if data.only is None else "samples that search.inner holds out"
            _demand(known, pool, one.val, one.train, what, path, given)
        if data.seals and data.only is None:
            test = data.samples("test")
            _demand(known, test, np.arange(len(test)), None, "sealed test samples", path, given)


def _demand(
    known: TrainedOn, samples: Samples, rows: Rows, train: Rows | None, what: str, path: Path, given: InitFrom
) -> None:
    by_id = np.isin(samples.keys[rows], known.ids)
    by_content = np.zeros(len(rows), dtype=bool)
    if train is None or known.fingerprint != samples.fingerprint:  # of one pool ids say all
        seen = known.seen(samples, rows)
        own = samples.content[train] if train is not None else samples.content[:0]
        # what the fold trains on itself, under another id, is the audit's to tell
        by_content = np.isin(rows, seen) & ~np.isin(samples.content[rows], own)
    if given.other_data:
        if known.fingerprint == samples.fingerprint:
            raise ConfigError(f"{KEY}.other_data: {path} was trained on this very data; leave other_data out")
        by_id = np.zeros(len(rows), dtype=bool)
    found = rows[by_id | by_content]
    if not len(found):
        return
    same = by_content.any() or known.fingerprint == samples.fingerprint
    name: Any = samples.table["id"].iloc[int(found[0])]
    how = (
        ""
        if same
        else (
            ", by their ids; their content is another: where these ids name other samples than those there, give "
            f"{KEY}.other_data: true"
        )
    )
    mend = "; give weights that were trained on none of them" + (
        f", as the same fold of a cross-validation with the same data.split (leave {KEY}.fold out)"
        if train is not None
        else ""
    )
    raise ConfigError(
        f"{KEY}: {path} was trained on {len(found)} of the {len(rows)} {what}, first {name!r}{how}: their score would "
        f"be no estimate{mend}"
    )
