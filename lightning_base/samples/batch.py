"""What a step gets: Batch, the Boxes of detection, and targets gathered for rows."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples


class Boxes(NamedTuple):
    """The targets of detection, padded to the batch's largest number of boxes.

    Attributes:
        boxes: (B, M, 4) float32 as (x1, y1, x2, y2) in pixels, x2 and y2 exclusive; padding is 0.
        labels: (B, M) int64 class numbers; padding is -1.
    """

    boxes: Tensor
    labels: Tensor


class Batch(NamedTuple):
    """What a step gets.

    Attributes:
        x: (B, ...) inputs, in the source's dtype until the data module preprocesses them; samples of different lengths
            are padded with 0 to (B, T, ...).
        y: (B,) int64 class numbers or float32 values, (B, C) float32 probabilities where augmentation mixed classes,
            Boxes for detection; None where the data has no target.
        rows: (B,) int64, each sample's row in its source's sample table.
        key: (B,) int64, a hash of each sample's id, which augmentation draws from.
        lengths: (B,) int64, the true lengths of padded samples along axis 1; None where nothing is padded.
        partner: in training with mixing augmentations, another training sample for each one.
        total: samples of the global batch, over all ranks; None stands for B.
        share: what a mean over this rank's samples counts in the mean over ranks, ranks · B / total, so that the latter
            is the global batch's. 0 where the batch has no sample for this rank, which then has another's as a
            stand-in.
        real: how many of the B are samples, where copies of them fill the batch up to its full size; None for all.
    """

    x: Tensor
    y: Tensor | Boxes | None
    rows: Tensor
    key: Tensor | None = None
    lengths: Tensor | None = None
    partner: "Batch | None" = None
    total: int | None = None
    share: float = 1.0
    real: int | None = None


def targets(samples: Samples, rows: Rows) -> Tensor | Boxes | None:
    """The targets of rows (B,): (B,) float64 values or int64 class numbers, Boxes for detection; None without any."""
    if samples.boxes is None:
        return None if samples.target is None else torch.from_numpy(samples.target[rows])
    found, counts = samples.boxes.padded(rows)
    labels = np.where(np.arange(found.shape[1]) < counts[:, None], found[:, :, 4], -1)
    return Boxes(torch.from_numpy(found[:, :, :4].copy()), torch.from_numpy(labels.astype(np.int64)))


Encoder: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
