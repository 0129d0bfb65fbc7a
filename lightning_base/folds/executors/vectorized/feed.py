"""The training batches of several folds, step by step: those that each fold's own loader would give."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.folds.executors.vectorized.stack import Fields, Part, tensors
from lightning_base.samples.batch import Batch
from lightning_base.samples.loader import Turns
from lightning_base.samples.payload import Rows
from lightning_base.samples.sampling import turns

BUDGET = 1 << 29  # bytes of preprocessed samples that are held at once


class Feed:
    """Batches of folds with equally many steps an epoch.

    Where nothing is augmented and the folds' samples fit BUDGET, they are preprocessed once, and a step's batches are
    one gather for all folds; else each fold's are gathered and preprocessed in each step.

    Args:
        folds: data modules that are set up, whose samples have one shape, and whose targets are tensors.
        device: where the batches are wanted.
    """

    def __init__(self, folds: Sequence[BaseDataModule], device: torch.device) -> None:
        self.folds, self.device = folds, device
        self.loaders = [data.loader("train") for data in folds]
        self.rows = [np.sort(loader.sampler.rows) for loader in self.loaders]
        self.starts = np.cumsum([0, *map(len, self.rows)])
        self.held: Fields | None = None
        one = self._ready(0, self.rows[0][:1])
        if not folds[0].augment and int(self.starts[-1]) * sum(field.nbytes for field in one.values()) <= BUDGET:
            parts = [self._ready(fold, rows) for fold, rows in enumerate(self.rows)]
            self.held = {name: torch.cat([part[name] for part in parts]) for name in one}  # fold after fold

    def steps(self, epoch: int) -> Iterator[list[Part]]:
        """The epoch's steps, each the folds' batches by size."""
        orders = []
        for loader in self.loaders:
            loader.sampler.set_epoch(epoch)
            orders.append(loader.sampler.order())
        again = [turns(order) for order in orders]  # 0 throughout where each sample comes once
        for step in range(len(self.loaders[0])):
            sizes: dict[int, list[int]] = {}
            batches = []
            for fold, (loader, order) in enumerate(zip(self.loaders, orders, strict=True)):
                part = slice(step * loader.batch_size, (step + 1) * loader.batch_size)
                batches.append((order[part], again[fold][part]))
                sizes.setdefault(len(batches[-1][0]), []).append(fold)
            yield [(chosen, self._batch(chosen, batches, epoch)) for chosen in sizes.values()]

    def _batch(self, chosen: Sequence[int], batches: Sequence[tuple[Rows, Turns]], epoch: int) -> Fields:
        """The batches (K', B, ...) of some folds."""
        if self.held is None:
            parts = [self._ready(fold, batches[fold][0], epoch, batches[fold][1]) for fold in chosen]
            return {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
        at = [self.starts[fold] + np.searchsorted(self.rows[fold], batches[fold][0]) for fold in chosen]
        places = torch.from_numpy(np.concatenate(at)).to(self.device)
        return {
            name: field.index_select(0, places).reshape(len(chosen), -1, *field.shape[1:])
            for name, field in self.held.items()
        }

    def _ready(self, fold: int, rows: Rows, epoch: int = 0, again: Turns = None) -> Fields:
        """Samples of a fold as the network takes them, each field (B, ...), on the device."""
        batch = self._move(self.loaders[fold].gather(rows, epoch, again))
        return tensors(self.folds[fold].transform(batch, epoch))

    def _move(self, batch: Batch) -> Batch:
        moved: dict[str, Any] = {name: field.to(self.device) for name, field in tensors(batch).items()}
        return batch._replace(partner=batch.partner and self._move(batch.partner), **moved)
