"""ItemLoader: batches of somebody else's items, collated as they say, in the order that every loader here has."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate

from lightning_base.data.collate_order import InOrder
from lightning_base.data.items import Finder, is_listed, parted, same_states, seed_item
from lightning_base.errors import DataError, UserError
from lightning_base.samples.batch import Batch, targets
from lightning_base.samples.loader import BatchLoader, Turns
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples
from lightning_base.tools.imports import told

STILL = 2**32 - 1  # stands for the epoch of what is not trained on: drawn alike each time


class ItemLoader(BatchLoader):
    """Global batches of a dataset's items; each rank takes its share of every one.

    Order, shares and the position within an epoch are those of `BatchLoader`. What an item draws at random is a
    function of (seed, epoch, sample), in whichever process it is read.

    Args:
        dataset: map-style.
        samples: its sample table, whose inputs are (N,) the items' places.
        rows: (N,) int64 rows of the sample table that this loader covers.
        collate: makes a batch of a list of items; torch's default_collate by default.
        processes: that read items; 0 for this one.
        worker_init: called in each of them with its number.
        draws: whether items are drawn at random.
        target: where a batch has what is to be predicted, as `parted` takes it.
        bare: hand out what `collate` gives, and no `Batch` that holds it.
        **order: batch_size, seed, train, drop_last, rank and world_size of `BatchLoader`.
    """

    def __init__(
        self,
        dataset: Any,
        samples: Samples,
        rows: Rows,
        collate: Callable[[list[Any]], Any] | None = None,
        processes: int = 0,
        worker_init: Callable[[int], None] | None = None,
        draws: bool = True,
        bare: bool = False,
        target: Finder = None,
        **order: Any,
    ) -> None:
        super().__init__(samples, rows, **order)
        self.dataset, self.collate = dataset, collate or default_collate
        if collate not in (None, default_collate) and not self.train:
            self.collate = InOrder(collate)
        self.processes, self.worker_init, self.draws, self.bare = processes, worker_init, draws, bare
        self.target = target
        self._places = np.asarray(samples.inputs[np.arange(len(samples))], dtype=np.int64)
        plain = type(dataset) is TensorDataset and collate in (None, default_collate)
        self._tensors: tuple[torch.Tensor, ...] | None = dataset.tensors if plain else None

    def __iter__(self) -> Iterator[Any]:
        for batch in super().__iter__():
            yield batch.x if self.bare else batch

    def _ahead(self, batches: Iterator[tuple[Rows, Turns]], epoch: int) -> Iterator[Batch]:
        if not self.processes or self._tensors is not None:
            yield from (self._own(rows, again, epoch) for rows, again in batches)
            return
        whole = list(batches)
        shares = [(self._share(rows)[0], None if again is None else self._share(again)[0]) for rows, again in whole]
        loader = DataLoader(
            Seeded(self.dataset, self.draws),
            batch_sampler=[self._asked(own, epoch, again) for own, again in shares],
            collate_fn=self.collate,
            num_workers=self.processes,
            worker_init_fn=self.worker_init,
            generator=torch.Generator().manual_seed(self.sampler.seed % 2**63),  # else it draws from the global one
        )
        for (rows, _), found in zip(whole, loader, strict=True):
            own, share = self._share(rows)
            yield self._batch(found, own)._replace(total=len(rows), share=share)

    def _share(self, rows: Rows) -> tuple[Rows, float]:
        """This rank's rows of a global batch, another's first where it has none, and what its mean counts."""
        own = rows[self.rank :: self.world_size]
        return (own if len(own) else rows[:1]), len(own) * self.world_size / len(rows)

    def _asked(self, rows: Rows, epoch: int, again: Turns) -> list[tuple[int, int]]:
        """The places of items, each with what seeds its draws."""
        if not self.draws:
            return [(place, 0) for place in self._places[rows].tolist()]
        salt = epoch if self.train else STILL
        keys = self.keys(rows, again).astype(np.uint64)
        return [
            (place, int(np.random.SeedSequence([self.sampler.seed, salt, int(key)]).generate_state(1, np.uint64)[0]))
            for place, key in zip(self._places[rows].tolist(), keys, strict=True)
        ]

    def gather(self, rows: Rows, epoch: int = 0, again: Turns = None) -> Batch:
        """The batch of these rows: its `x` is what `collate` makes of their items."""
        if self._tensors is not None:
            places = torch.from_numpy(self._places[rows])
            return self._batch([tensor[places] for tensor in self._tensors], rows)
        read, asked = Seeded(self.dataset, self.draws), self._asked(rows, epoch, again)
        if not self.draws:
            return self._batch(self._collated([read[one] for one in asked]), rows)
        with same_states():
            return self._batch(self._collated([read[one] for one in asked]), rows)

    def _collated(self, items: list[Any]) -> Any:
        try:
            return self.collate(items)
        except UserError:
            raise
        except Exception as error:  # whatever the user's own function does, or torch of such items
            raise DataError(
                f"data.collate: items such as {type(items[0]).__name__} make no batch: {told(error)}; have the "
                "dataset's transform make tensors of them, or give data.collate"
            ) from error

    def _batch(self, found: Any, rows: Rows) -> Batch:
        y = targets(self.samples, rows)
        if not self.train:
            self._demand_order(found, y)
        return Batch(
            x=found,
            y=y.float() if isinstance(y, torch.Tensor) and (y.dtype == torch.float64 or self._labels) else y,
            rows=torch.from_numpy(rows),
            key=torch.from_numpy(self.samples.keys[rows]),
        )

    def _demand_order(self, found: Any, y: Any) -> None:
        """Refuses a batch whose targets are not those of its items in their order: predictions would be others' items'.

        Raises:
            DataError: where it can be seen.
        """
        if callable(self.target) or is_listed(self.target):
            return  # nothing tells where a batch has them
        try:
            theirs = parted(found, self.target)[1]
        except Exception:  # what is collated may be of any form
            return
        if not isinstance(theirs, torch.Tensor) or not isinstance(y, torch.Tensor):
            return
        if theirs.numel() != y.numel() and theirs.shape[1:] != y.shape[1:]:
            return
        if not torch.equal(theirs.cpu().double().flatten(), y.double().flatten()):
            raise DataError(
                "data.collate: a batch's targets are not those of its items in their order, so that its predictions "
                "could not be told to which items they belong; keep all items and their order where nothing is trained"
            )


class Seeded(Dataset[Any]):
    """Items, each read from states of the generators that are its own.

    Args:
        dataset: map-style.
        draws: whether items are drawn at random; no generator is seeded where they are not.
    """

    def __init__(self, dataset: Any, draws: bool) -> None:
        self.dataset, self.draws = dataset, draws

    def __getitem__(self, asked: tuple[int, int]) -> Any:
        place, seed = asked
        if self.draws:
            seed_item(seed)
        return self.dataset[place]
