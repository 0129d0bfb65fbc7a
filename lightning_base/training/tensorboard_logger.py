"""The TensorBoard logger of runs that name none: it writes once a second, and with each checkpoint."""

import math
import time
from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

SECONDS = 1.0  # between two writings


class TensorBoard(TensorBoardLogger):
    """Lightning's, but for when it writes.

    That one writes a number at a time, and waits after each row until the file has it, which takes as long as several
    steps of a small network. Here rows wait in memory, with the time that they came at.

    Args:
        directory: the run's; the events stand in its folder tensorboard.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(save_dir=str(directory), name="tensorboard", version="")
        self._waiting: list[tuple[Mapping[str, float], int | None, float]] = []
        self._written = -math.inf

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keeps a row; values are numbers or tensors ()."""
        self._waiting.append((dict(metrics), step, time.time()))

    @rank_zero_only
    def save(self) -> None:
        """Writes what waits, a second after it was last written at the earliest."""
        if time.monotonic() - self._written >= SECONDS:
            self.flush()

    @rank_zero_only
    def flush(self) -> None:
        """Writes what waits."""
        rows, self._waiting, self._written = self._waiting, [], time.monotonic()
        for metrics, step, at in rows:
            for name, value in metrics.items():
                number = value.item() if isinstance(value, Tensor) else value
                if isinstance(number, dict):
                    self.experiment.add_scalars(name, number, step, at)
                else:
                    self.experiment.add_scalar(name, number, step, at)
        super().save()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Writes it a last time, and closes the file."""
        if self._waiting:
            self.flush()
        super().finalize(status)
