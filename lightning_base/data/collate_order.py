"""Whether a `collate` of somebody else's keeps the order of items, on which it hangs whose prediction is whose."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from lightning_base.data.items import same_states
from lightning_base.errors import DataError


class InOrder:
    """A collate that is held to the order of its items: of them turned round it must make the batch turned round.

    One that sorts (by length, as for packed sequences) makes the same batch of both. Where a batch shows no order,
    because it draws at random or holds nothing by item, nothing is refused.

    Args:
        collate: makes a batch of a list of items.
    """

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, items: list[Any]) -> Any:
        """The batch.

        Raises:
            DataError: where the order is not that of the items.
        """
        turned = None
        if len(items) > 1:
            try:
                with same_states():
                    turned = self.collate(copy.deepcopy(items[::-1]))
            except Exception:  # copies of these items may be none
                turned = None
        found = self.collate(items)
        if turned is not None and sorts(found, turned, len(items)):
            raise DataError(
                "data.collate: it gives items in another order than it was given them, so that it could not be told to "
                "which items predictions belong; keep all items and their order where nothing is trained (torch's "
                "pack_padded_sequence sorts by itself: enforce_sorted=False)"
            )
        return found


def sorts(found: Any, turned: Any, n: int) -> bool:
    """Whether a batch of n items, and that of the same ones turned round, show that it has an order of its own."""
    moved = False
    for one, other in zip(leaves(found, n), leaves(turned, n), strict=False):
        if len(one) != len(other) or sorted(one) != sorted(other):
            continue
        if one == other[::-1]:
            if one != other:
                return False
        else:
            moved = True
    return moved


def leaves(batch: Any, n: int) -> Iterator[list[bytes]]:
    """The rows, as bytes, of all that a batch has one of for each of n items."""
    if isinstance(batch, PackedSequence):
        return  # knows how to give back the order
    if isinstance(batch, Mapping):
        for value in batch.values():
            yield from leaves(value, n)
    elif isinstance(batch, Tensor | np.ndarray):
        values = batch.detach().cpu().float().numpy() if isinstance(batch, Tensor) else batch
        if values.ndim > 1 and values.shape[0] != n and values.shape[1] == n:
            values = values.swapaxes(0, 1)  # the batch comes second
        counts = values.ndim == 1 and np.array_equal(np.sort(values), np.arange(len(values)))  # places, not items
        if values.ndim and len(values) == n and not values.dtype.hasobject and not counts:
            yield [np.ascontiguousarray(row).tobytes() for row in values]
    elif isinstance(batch, tuple | list):
        if len(batch) == n and all(isinstance(value, str | int | float) for value in batch):
            yield [repr(value).encode() for value in batch]
        for value in batch:
            if not isinstance(value, str | int | float):
                yield from leaves(value, n)
    elif hasattr(batch, "__dict__"):
        yield from leaves(vars(batch), n)
