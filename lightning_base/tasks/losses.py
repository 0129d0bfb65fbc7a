"""The training loss of a running epoch: its sum, at which batch it was no number; the precision of what is summed."""

import torch
from torch import Tensor

from lightning_base.errors import Diverged

JOINED = 256  # losses of so many steps are kept one by one; those before them as one tensor


class EpochLoss:
    """Sums losses () without waiting for the device, and keeps each until the epoch ends.

    Args:
        keep: whether single losses are kept, to tell which was the first that is not finite.
    """

    def __init__(self, keep: bool = True) -> None:
        self.keep, self.count = keep, 0
        self.total: Tensor | float = 0.0
        self._first = 0
        self._steps: list[Tensor] = []
        self._joined: list[Tensor] = []

    def add(self, loss: Tensor, n: int, batch_idx: int) -> None:
        """Adds a batch's mean loss () over n samples; batch_idx is its number in the epoch, from 0."""
        if not (self._steps or self._joined):
            self._first = batch_idx
        loss = at_least_float32(loss)  # sums of halves overflow
        self.total = torch.add(self.total, loss, alpha=n) if isinstance(self.total, Tensor) else loss * n
        self.count += n
        if self.keep:
            self._steps.append(loss)
            if len(self._steps) == JOINED:
                self._joined.append(torch.stack(self._steps))
                self._steps = []

    def is_finite(self) -> bool:
        """Whether every loss of the epoch is a finite number; waits for the device."""
        return bool(torch.isfinite(torch.as_tensor(self.total)).all())

    def first_bad(self) -> int | None:
        """The number of the first batch whose loss is not finite; None where it cannot be told."""
        losses = torch.cat([*self._joined, *([torch.stack(self._steps)] if self._steps else [])])
        bad = (~torch.isfinite(losses)).nonzero().flatten()
        return self._first + int(bad[0]) if len(bad) else None


def at_least_float32(values: Tensor) -> Tensor:
    """The values as float32, or as float64 where they are that."""
    return values if values.dtype in (torch.float32, torch.float64) else values.float()


def diverged(epoch: int, batch: int | None) -> Diverged:
    """The end of a training whose loss was NaN or infinite, at a batch of an epoch, both from 0."""
    where = "" if batch is None else f", batch {batch}"
    return Diverged(
        f"the training loss is not finite (NaN or infinity) in epoch {epoch}{where} (from 0); take a smaller "
        "model.optimizer.lr or trainer.gradient_clip_val, or look at the inputs and class weights"
    )
