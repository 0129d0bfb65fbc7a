"""Whether a dataset still gives the items that were read of it."""

from typing import Any

import numpy as np

from lightning_base.data.item_targets import plain_value
from lightning_base.data.items import (
    Finder,
    Places,
    demand_items,
    is_listed,
    item_hash,
    parted,
    read_items,
    same_states,
)
from lightning_base.errors import DataError
from lightning_base.samples.payload import base_of
from lightning_base.samples.samples import Samples

SOME = 8  # items that are read again for each loader


def demand_same(items: Any, samples: Samples, target: Finder) -> None:
    """Refuses a dataset whose items are not those that were read: some of them are read again.

    Raises:
        DataError: naming the first that is another one.
    """
    places = np.asarray(samples.inputs[np.arange(len(samples))])
    if demand_items(items, "data.items") <= int(places.max()):
        raise DataError(f"data.items: {len(items)} items, and there were {int(places.max()) + 1} when they were read")
    some = np.unique(np.linspace(0, len(samples) - 1, min(len(samples), SOME)).astype(np.int64))
    kind = places_of(samples)
    if samples.hashes is None or kind.draws or kind.changes:
        return
    with same_states():
        for row in some:
            found = item_hash(parted(items[int(places[row])], None if is_listed(target) else target)[0])
            if found != int(samples.hashes[row]):
                raise DataError(
                    f"data.items: item {int(places[row])} is not what it was when it was read; folds share a dataset: "
                    "it must give the same items each time, and training must change none"
                )


def demand_same_targets(items: Any, targets: list[Any], target: Finder) -> None:
    """Refuses items to evaluate on whose targets are not those of the items that they stand for.

    Args:
        items: the dataset.
        targets: (N,) of those.
        target: as `read_items` takes it.

    Raises:
        DataError: naming the first that is another one.
    """
    found = read_items(items, "data.evaluated", target).targets
    for row, (own, other) in enumerate(zip(targets, found or [None] * len(targets), strict=True)):
        if item_hash(plain_value(own)) != item_hash(plain_value(other)):
            raise DataError(
                f"data.evaluated: the target of item {row} is not that of the item which trains in that place; give "
                "the same items, in the same order"
            )


def places_of(samples: Samples) -> Places:
    """What is known of the items of samples."""
    inputs = base_of(samples.inputs)
    return inputs if isinstance(inputs, Places) else Places(len(samples), draws=True, changes=False)
