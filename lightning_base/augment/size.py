"""Shrink: smaller images in the first part of a training."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lightning_base.augment.arrays import moved
from lightning_base.augment.base import Augmentation, Context
from lightning_base.augment.boxes import affine
from lightning_base.augment.draw import Draw
from lightning_base.samples.batch import Batch


class Shrink(Augmentation):
    """Makes images smaller in the first part of a training: these steps cost less (Howard 2018; Touvron et al. 2019).

    Bilinear, smoothed first, after the data module's preprocessing; images that are no larger stay as they are. The
    network must take images of several sizes. Nothing is drawn at random: the size follows from the share of the
    training's optimizer steps that are done.

    Args:
        size: height and width while it lasts.
        until: the share of the steps that it lasts for.
    """

    stage = "ready"
    paced: ClassVar[bool] = True

    def __init__(self, size: int, until: float = 0.5) -> None:
        super().__init__()
        self.size, self.until = size, until
        self.check("size", size, size >= 1, "1 or more pixels")
        self.check("until", until, 0 <= until <= 1, "from 0 to 1")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with smaller images while that part of the training lasts; outside of a training as it is."""
        self.need(batch, "B, C, H, W", floating=True)
        height, width = batch.x.shape[-2:]
        if context.progress is None or context.progress >= self.until or min(height, width) <= self.size:
            return batch
        size = (self.size, self.size)
        everyone = torch.ones(len(batch.x), dtype=torch.bool, device=batch.x.device)
        zero = torch.zeros(len(batch.x), device=batch.x.device)
        matrix = affine(zero + self.size / width, zero, zero, zero, zero + self.size / height, zero)

        def change(y: Tensor) -> Tensor:
            how = "bilinear" if y.is_floating_point() else "nearest-exact"
            smaller = functional.interpolate(y.float(), size, mode=how, antialias=how == "bilinear")
            return smaller.to(y.dtype)

        return batch._replace(x=change(batch.x), y=moved(batch.y, batch.x, matrix, everyone, change))
