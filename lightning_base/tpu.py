"""What Lightning's XLA accelerator leaves out: the device's random state, and checkpoints that are written whole.

XLA compiles a program for each shape that it meets, so on a TPU batches are augmented and preprocessed on the host,
evaluation batches are filled up to one size, and metrics, whose shapes follow what they count, stay on the host.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import XLAAccelerator
from lightning.pytorch.plugins.io import XLACheckpointIO
from torch import Tensor, nn

from lightning_base.checkpoint import ExactIO


def on_tpu(trainer: Trainer | None) -> bool:
    """Whether a trainer's device is XLA's."""
    return trainer is not None and isinstance(trainer.accelerator, XLAAccelerator)


class OnHost(nn.ModuleDict):
    """Modules that stay on the CPU, whatever device the module that has them is moved to."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "OnHost":
        return self


def random_state() -> int:
    """The state of the generator of this process's XLA device, which torch.get_rng_state leaves out."""
    import torch_xla.core.xla_model as xm  # it starts the device's runtime: only where one is in use

    return int(xm.get_rng_state())


def set_random_state(state: int) -> None:
    """Sets it, to a seed or to what `random_state` gave; torch.manual_seed does not."""
    import torch_xla.core.xla_model as xm

    xm.set_rng_state(state)


class ExactXLAIO(ExactIO, XLACheckpointIO):
    """ExactIO for XLA strategies: Lightning's plugin for them writes in place, and a kill would leave half a file."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Lightning's hook; tensors are written as the CPU's, which any device loads."""
        super().save_checkpoint(move_data_to_device(checkpoint, torch.device("cpu")), path, storage_options)
