"""One of several inputs that held-out and training samples share, or nearly, where their other inputs differ."""

import numpy as np
import pandas as pd

from lightning_base.auditing.overlap import Joined, Sides, near_pairs, pairs_across, shared
from lightning_base.auditing.report import Hit, counted
from lightning_base.auditing.suspicions.columns import is_columns
from lightning_base.samples.payload import Rows, is_ragged
from lightning_base.samples.samples import Samples


def can_be_alike(part: Samples) -> bool:
    """Whether an input is one whose sharing says something: an image, a text, a sound; no columns, and no number."""
    return not is_columns(part) and (is_ragged(part.inputs) or len(part.inputs.shape) > 1)


def alike_inputs(joined: Joined, name: str, near: bool) -> list[Hit]:
    """Held-out samples one of whose inputs a training sample has, or nearly has, beside other ones.

    Args:
        joined: the samples with all inputs.
        name: of the input.
        near: whether near duplicates are looked for too.
    """
    one = joined.parts[name]
    if not can_be_alike(one.pool):
        return []
    codes = pd.factorize(np.concatenate([source.content for source in one.sources]))[0]
    whole = pd.factorize(np.concatenate([source.content for source in joined.sources]))[0]
    pairs = near_pairs(one) if near else (np.empty(0, np.int64), np.empty(0, np.int64))
    told = set(zip(*near_pairs(joined), strict=True)) if near else set()
    new = [i for i, pair in enumerate(zip(*pairs, strict=True)) if pair not in told]
    left, right = (side[new] for side in pairs)

    def find(sides: Sides) -> Hit | None:
        same = np.setdiff1d(shared(codes, sides), shared(whole, sides), assume_unique=True)
        if len(same):
            other = sides.train[codes[sides.train] == codes[same[0]]][0]
            return _hit(joined, sides, same, other, f"the same {name} as")
        _, held, train = pairs_across(joined, sides, left, right)
        return _hit(joined, sides, pd.unique(held), train[0], f"nearly the {name} of") if len(held) else None

    return joined.over(find)


def _hit(joined: Joined, sides: Sides, held: Rows, other: int, how: str) -> Hit:
    """What is said of held-out samples (M,), the first of which has the input of a training sample."""
    count = counted(len(held), f"{sides.name} sample has", f"{sides.name} samples have")
    example = f"({joined.ids[held[0]]!r} of {joined.ids[other]!r})"
    return Hit(
        sides.fold, f"{count} {how} a sample of {sides.known}, beside other inputs {example}", joined.examples(held)
    )
