"""A network that sends its process a signal at a forward pass, and a callback that changes what a step is."""

import os
import signal
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from models.cnn import CNN


class Stopping(CNN):
    """A CNN; STOP_AT is the number of the forward pass, from 1."""

    seen = 0

    def __init__(self, widths: list[int], **sizes: Any) -> None:
        super().__init__(widths=widths, **sizes)

    def forward(self, x: Tensor) -> Any:
        if self.training:
            Stopping.seen += 1
            if os.environ.get("STOP_AT") == str(Stopping.seen):
                signal.raise_signal(signal.SIGTERM)
        return super().forward(x)


class Accumulating(Callback):
    """Gathers the gradients of two batches from the second epoch on."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.accumulate_grad_batches = 1 + (trainer.current_epoch > 0)
