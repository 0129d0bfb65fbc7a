"""Ops on token ids (B, T) int64, in which 0 is padding and 1 is the unknown token."""

from abc import ABC
from typing import ClassVar

import torch
from torch import Tensor

from lightning_base.augment.base import Augmentation, Context, Stage
from lightning_base.augment.draw import Draw
from lightning_base.samples.batch import Batch

PADDING, UNKNOWN = 0, 1


def inside(batch: Batch) -> Tensor:
    """(B, T) bool: the places of true tokens."""
    x: Tensor = batch.x
    if batch.lengths is None:
        return x != PADDING
    lengths: Tensor = batch.lengths
    return torch.arange(x.shape[1], device=x.device) < lengths[:, None]


class _OfTokens(Augmentation, ABC):
    """An op on a share of a text's tokens."""

    stage: ClassVar[Stage] = "ready"

    def __init__(self, ratio: float = 0.1, p: float = 1.0) -> None:
        super().__init__(p)
        self.ratio = ratio
        self.check("ratio", ratio, 0 <= ratio <= 1, "from 0 to 1")


class TokenDropout(_OfTokens):
    """Replaces tokens by the unknown one, so that a model does not lean on any single word (Iyyer et al. 2015).

    Args:
        ratio: the share of tokens replaced.
        p: the share of samples it is applied to.
    """

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with tokens of the chosen samples replaced."""
        self.need(batch, "B, T", floating=False)
        chosen = draw.chosen(self.p)
        dropped = (draw.uniform(batch.x.shape[1]) < self.ratio) & inside(batch) & chosen[:, None]
        return batch._replace(x=batch.x.masked_fill(dropped, UNKNOWN))


class TokenSwap(_OfTokens):
    """Swaps neighbouring tokens, a nearer form of the random swap of Wei & Zou 2019 (EDA).

    Neighbours are paired from the first or the second token on, at random; each pair is swapped or not.

    Args:
        ratio: the share of pairs that are swapped, and so of tokens that move.
        p: the share of samples it is applied to.
    """

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with pairs of the chosen samples' tokens swapped."""
        self.need(batch, "B, T", floating=False)
        chosen = draw.chosen(self.p)
        offset = draw.integers(2)  # (B, 1)
        place = torch.arange(batch.x.shape[1], device=batch.x.device)
        first = (place - offset) % 2 == 0  # (B, T): a pair's first token
        true = inside(batch)
        true_next = torch.cat([true[:, 1:], torch.zeros_like(true[:, :1])], dim=1)
        swapped = first & true & true_next & chosen[:, None] & (draw.uniform(len(place)) < self.ratio)
        second = torch.cat([torch.zeros_like(swapped[:, :1]), swapped[:, :-1]], dim=1)
        return batch._replace(x=batch.x.gather(1, place + swapped.long() - second.long()))
