"""Batches gathered from arrays, in an order that is a function of (seed, epoch) and of nothing else."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lightning_base.split import Rows

if TYPE_CHECKING:
    from lightning_base.data import Samples


class Batch(NamedTuple):
    """What a step gets.

    x: (B, ...) inputs, in the source's dtype until the data module normalises them to float32.
    y: (B,) int64 class numbers or float32 values; None where the data has no target.
    rows: (B,) int64, each sample's row in its role's sample table.
    """

    x: Tensor
    y: Tensor | None
    rows: Tensor


class EpochOrder:
    """The order of an epoch's samples. Lightning calls `set_epoch` on a loader's `sampler` before each epoch."""

    def __init__(self, rows: Rows, seed: int, shuffle: bool) -> None:
        self.rows, self.seed, self.shuffle, self.epoch = rows, seed, shuffle, 0

    def set_epoch(self, epoch: int) -> None:
        """Names the epoch (from 0) that the next iteration is."""
        self.epoch = epoch

    def order(self) -> Rows:
        """The rows (N,) int64 in this epoch's order."""
        if not self.shuffle:
            return self.rows
        return np.random.default_rng([self.seed, self.epoch]).permutation(self.rows)


class BatchLoader:
    """Iterates over global batches; each rank takes its share of every one.

    Evaluation (`train=False`) is exact: each sample once, nothing padded, so the shares of ranks may differ by
    one sample. Training gives ranks equal shares: a remainder in the last batch wraps round to the batch's start
    unless `drop_last` leaves an incomplete last batch out.

    Args:
        samples: where inputs and targets are gathered from.
        rows: (N,) int64 rows of the sample table that this loader covers.
        batch_size: samples in one global batch, over all ranks.
        seed: what the order is drawn from.
        train: shuffle, and give ranks equal shares.
        drop_last: in training, leave an incomplete last batch out.
        rank: this process.
        world_size: all processes.
    """

    def __init__(
        self,
        samples: "Samples",
        rows: Rows,
        batch_size: int,
        seed: int = 0,
        train: bool = False,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.samples, self.batch_size, self.train = samples, batch_size, train
        self.drop_last = drop_last and train and len(rows) >= batch_size
        self.rank, self.world_size = rank, world_size
        self.sampler = EpochOrder(rows, seed, shuffle=train)
        self.batch_sampler = None  # Lightning looks for it beside `sampler`

    def __len__(self) -> int:
        batches, rest = divmod(len(self.sampler.rows), self.batch_size)
        return batches if self.drop_last or not rest else batches + 1

    def __iter__(self) -> Iterator[Batch]:
        order = self.sampler.order()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            rows = order[start : start + self.batch_size]
            if self.world_size > 1:
                if self.train and (short := -len(rows) % self.world_size):
                    rows = np.concatenate([rows, np.resize(rows, short)])
                rows = rows[self.rank :: self.world_size]
            yield self.gather(rows)

    def gather(self, rows: Rows) -> Batch:
        """The batch of these rows: one indexing operation for the inputs, one for the targets."""
        target = self.samples.target
        return Batch(
            x=torch.from_numpy(np.asarray(self.samples.inputs[rows])),
            y=None if target is None else torch.from_numpy(target[rows]),
            rows=torch.from_numpy(rows),
        )
