"""Batches gathered from payloads, in an order that is a function of (seed, epoch) and of nothing else."""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_base.samples.batch import Batch, Encoder, targets
from lightning_base.samples.feed import Feed
from lightning_base.samples.payload import Rows, mixed
from lightning_base.samples.samples import Samples
from lightning_base.samples.sampling import Draws, turns

Turns: TypeAlias = npt.NDArray[np.int64] | None


class EpochOrder:
    """The order of an epoch's samples. Lightning calls `set_epoch` on a loader's `sampler` before each epoch.

    Args:
        rows: (N,) int64 rows that the epoch covers.
        seed: what the order is drawn from.
        shuffle: draw an order for each epoch, or keep the rows'.
        blocks: (N,) the stored block (shard, chunk) of each row, where reading block by block is what is fast: then
            blocks are shuffled, and samples within every `window` blocks that follow each other.
        window: how many blocks are mixed with one another.
        draws: how often an epoch draws each row, where it is not once; as many draws as there are rows.
    """

    def __init__(
        self,
        rows: Rows,
        seed: int,
        shuffle: bool,
        blocks: npt.NDArray[Any] | None = None,
        window: int = 8,
        draws: Draws | None = None,
    ) -> None:
        self.rows, self.seed, self.shuffle, self.epoch = rows, seed, shuffle, 0
        self.blocks, self.window, self.draws = blocks, window, draws

    def set_epoch(self, epoch: int) -> None:
        """Names the epoch (from 0) that the next iteration is."""
        self.epoch = epoch

    def order(self) -> Rows:
        """The rows (N,) int64 in this epoch's order."""
        if not self.shuffle:
            return self.rows
        rng = np.random.default_rng([self.seed, self.epoch])
        places = None if self.draws is None else self.draws.places(self.epoch)
        rows = self.rows if places is None else self.rows[places]
        if self.blocks is None:
            return rng.permutation(rows)
        names, block = np.unique(self.blocks if places is None else self.blocks[places], return_inverse=True)
        place = rng.permutation(len(names))[block] // self.window  # the window that a sample's block falls into
        return rows[np.lexsort([rng.random(len(rows)), place])]

    def covered(self, epoch: int) -> Rows:
        """(N,) the rows that an epoch draws, each as often as it comes."""
        return self.rows if self.draws is None else self.rows[self.draws.places(epoch)]


class BatchLoader:
    """Iterates over global batches; each rank takes its share of every one.

    Each sample comes once and nothing is padded, so the shares of ranks may differ by one sample; `Batch.share` says
    what a rank's mean then counts. In training `drop_last` leaves an incomplete last batch out. What a batch holds
    depends neither on `workers` nor, for the ranks together, on their number.

    The position within an epoch is kept in checkpoints: Lightning saves `state_dict` and gives it back before the
    epoch is resumed, and the iteration of that epoch begins with the batch after the last that was handed out.

    Args:
        samples: where inputs and targets are gathered from.
        rows: (N,) int64 rows of the sample table that this loader covers.
        batch_size: samples in one global batch, over all ranks.
        seed: what the order is drawn from.
        train: shuffle.
        drop_last: in training, leave an incomplete last batch out.
        rank: this process.
        world_size: all processes.
        encoder: maps gathered inputs to fitted codes.
        longest: cut ragged samples after so many values.
        fixed: pad ragged samples to `longest`.
        partners: give each sample of a training batch another one of the same rows, drawn from (seed, epoch, id).
        workers: threads that gather (and decode) batches ahead; 0 gathers each when it is asked for.
        fill: in evaluation, fill an incomplete batch up to its full size.
        feeds: how each of several inputs is gathered, in place of encoder, longest and fixed.
        drawn: how often an epoch draws each row, where it is not once.

    Attributes:
        together: where it is above 1, lists of so many batches are handed out, the last of them shorter.
    """

    def __init__(
        self,
        samples: Samples,
        rows: Rows,
        batch_size: int,
        seed: int = 0,
        train: bool = False,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
        encoder: Encoder | None = None,
        longest: int | None = None,
        fixed: bool = False,
        partners: bool = False,
        workers: int = 0,
        fill: bool = False,
        feeds: Feed | Mapping[str, Feed] | None = None,
        drawn: Draws | None = None,
    ) -> None:
        self.samples, self.batch_size, self.train = samples, batch_size, train
        self.drop_last = drop_last and train and len(rows) >= batch_size
        self.rank, self.world_size = rank, world_size
        self.feeds = Feed(samples.inputs, encoder, longest, fixed) if feeds is None else feeds
        self.partners, self.workers = partners and train, workers
        self.fill, self.together = fill and not train, 1
        self._labels = samples.kind == "labels"
        blocks = getattr(samples.inputs, "blocks", None)
        blocks = None if blocks is None else blocks[rows]
        self.sampler = EpochOrder(rows, seed, shuffle=train, blocks=blocks, draws=drawn)
        self.batch_sampler = None  # Lightning looks for it beside `sampler`
        self._position = 0
        self._resume: tuple[int, int] | None = None  # the epoch and the position that a checkpoint brought

    @property
    def batches(self) -> int:
        """How many batches an epoch has."""
        batches, rest = divmod(len(self.sampler.rows), self.batch_size)
        return batches if self.drop_last or not rest else batches + 1

    def __len__(self) -> int:
        return -(-self.batches // self.together)

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches have been handed out."""
        return {"epoch": self.sampler.epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next iteration, if it is of that epoch, begins behind so many batches."""
        self._resume = state["epoch"], state["position"]

    def __iter__(self) -> Iterator[Any]:
        order, epoch, n = self.sampler.order(), self.sampler.epoch, self.batches
        first = self._resume[1] if self._resume is not None and self._resume[0] == epoch else 0
        first, self._resume, self._position = first % max(n, 1), None, 0
        again = None if self.sampler.draws is None else turns(order)
        parts = (slice(i * self.batch_size, (i + 1) * self.batch_size) for i in range(first, n))
        batches = ((order[part], None if again is None else again[part]) for part in parts)
        waiting: list[Batch] = []
        for i, batch in enumerate(self._ahead(batches, epoch), start=first):
            if self.together > 1:
                waiting.append(batch)
                if len(waiting) < self.together and i + 1 < n:
                    continue
            self._position = i + 1
            yield waiting or batch
            waiting = []

    def _own(self, rows: Rows, again: Turns, epoch: int) -> Batch:
        """This rank's share of a global batch."""
        mine = slice(self.rank, None, self.world_size) if self.rank < len(rows) else slice(1)
        share = len(rows[self.rank :: self.world_size]) * self.world_size / len(rows)
        taken, real = rows[mine], None
        if self.fill:
            taken, real = np.resize(taken, -(-self.batch_size // self.world_size)), len(taken)
        batch = self.gather(taken, epoch, None if again is None else again[mine])
        return batch._replace(total=len(rows), share=share, real=real)

    def _ahead(self, batches: Iterator[tuple[Rows, Turns]], epoch: int) -> Iterator[Batch]:
        """The batches in order, gathered in threads where there are workers."""
        if not self.workers:
            yield from (self._own(rows, again, epoch) for rows, again in batches)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: deque[Future[Batch]] = deque()
            try:
                for rows, again in batches:
                    waiting.append(pool.submit(self._own, rows, again, epoch))
                    if len(waiting) > self.workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def gather(self, rows: Rows, epoch: int = 0, again: Turns = None) -> Batch:
        """The batch of these rows: one indexing operation for the inputs, one for the targets.

        Args:
            rows: (B,) int64.
            epoch: from 0.
            again: (B,) how often each came before in this epoch, so that it is augmented otherwise then.
        """
        batch, keys = self._gather(rows), self.keys(rows, again)
        if again is not None and again.any():
            batch = batch._replace(key=torch.from_numpy(keys))
        if not self.partners:
            return batch
        drawn = _mix(keys, self.sampler.seed, epoch) % np.uint64(len(self.sampler.rows))
        return batch._replace(partner=self._gather(self.sampler.covered(epoch)[drawn.astype(np.int64)]))

    def keys(self, rows: Rows, again: Turns) -> npt.NDArray[np.int64]:
        """(B,) what is random of these rows is drawn from; another number for each that comes again in an epoch."""
        keys = self.samples.keys[rows]
        if again is None:
            return keys
        return np.where(again > 0, mixed(keys.view(np.uint64) + again.astype(np.uint64)).view(np.int64), keys)

    def _gather(self, rows: Rows) -> Batch:
        """The batch of these rows, without partners."""
        x: Any
        lengths: Any
        if isinstance(self.feeds, Feed):
            x, lengths = self.feeds.gather(rows)
        else:
            parts = {name: feed.gather(rows) for name, feed in self.feeds.items()}
            x = {name: part for name, (part, _) in parts.items()}
            lengths = {name: some for name, (_, some) in parts.items() if some is not None} or None
        y = targets(self.samples, rows)
        return Batch(
            x=x,
            y=y.float() if isinstance(y, Tensor) and (y.dtype == torch.float64 or self._labels) else y,
            rows=torch.from_numpy(rows),
            key=torch.from_numpy(self.samples.keys[rows]),
            lengths=lengths,
        )


def _mix(keys: npt.NDArray[np.int64], seed: int, epoch: int) -> npt.NDArray[np.uint64]:
    """(B,) uint64 numbers, uniform for each (key, seed, epoch)."""
    salt = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])
    z = keys.view(np.uint64) ^ np.uint64(salt)
    return mixed(z)
