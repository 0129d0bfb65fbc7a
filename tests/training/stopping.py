"""A network that sends its process a signal at a forward pass of training, once it has had so many."""

import os
import signal
from typing import Any

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
