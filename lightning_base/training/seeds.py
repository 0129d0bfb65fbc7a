"""Seeds: derived from (seed, fold, epoch), so that nothing random depends on what came before."""

import random

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_base.distributed.strategies import data_ranks
from lightning_base.distributed.tpu import on_tpu, set_random_state


def derive_seed(*numbers: int) -> int:
    """A 32-bit seed, independent for each tuple of non-negative numbers such as (seed, fold)."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def seed_all(seed: int) -> None:
    """Seeds Python, NumPy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (third-party code draws from NumPy's global state)
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:  # torch would keep each call, with its stack, for a device that is not there
        torch.default_generator.manual_seed(seed)


class EpochSeed(Callback):
    """Reseeds at the start of each training epoch, so that an epoch does not depend on those before it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook; it is left out where an epoch is resumed in its middle."""
        seed = derive_seed(self.seed, trainer.current_epoch, data_ranks(trainer).rank)
        seed_all(seed)
        if on_tpu(trainer):
            set_random_state(seed)
