"""What Lightning's XLA accelerator leaves out: the device's random state, and modules that stay on the host.

XLA compiles a program for each shape that it meets, so on a TPU batches are augmented and preprocessed on the host,
evaluation batches are filled up to one size, and metrics, whose shapes follow what they count, stay on the host.
"""

from collections.abc import Callable

from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import XLAAccelerator
from torch import Tensor, nn


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
    """Sets that generator's state, to a seed or to what `random_state` gave; torch.manual_seed does not."""
    import torch_xla.core.xla_model as xm

    xm.set_rng_state(state)
