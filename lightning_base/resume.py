"""Resuming: randomness as a function of (seed, epoch), and a checkpoint after each epoch that carries on from there."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_base.data import BaseDataModule

STAMP = "lightning_base"


def derive_seed(*numbers: int) -> int:
    """A 32-bit seed, independent for each tuple of non-negative numbers such as (seed, fold)."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def seed_all(seed: int) -> None:
    """Seeds Python, NumPy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (third-party code draws from NumPy's global state)
    torch.manual_seed(seed)


class EpochSeed(Callback):
    """Reseeds at the start of each training epoch, so that an epoch does not depend on those before it.

    Lightning keeps no RNG state in checkpoints (PL#20550); with this, a run resumed at an epoch's end draws the
    same dropout masks as one that was never interrupted.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook."""
        seed_all(derive_seed(self.seed, trainer.current_epoch, trainer.global_rank))


class LastCheckpoint(ModelCheckpoint):
    """Keeps `last.ckpt`, written after each epoch, stamped with the fold and the split it was trained on.

    A decision to stop (early stopping) is kept too: without it, a run resumed from the checkpoint of the epoch
    that made the decision would train one epoch more than one that was never interrupted.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(
            dirpath=directory,
            filename="last",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
            auto_insert_metric_name=False,
        )
        self._stop = False

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook: every checkpoint of the run gets the stamp."""
        stamp: dict[str, Any] = {"should_stop": trainer.should_stop}
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, BaseDataModule):
            stamp |= {"fold": data.fold, "split_hash": data.folds.hash}
        checkpoint[STAMP] = stamp

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook."""
        self._stop = bool(checkpoint.get(STAMP, {}).get("should_stop", False))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: takes the kept decision up again."""
        super().on_train_start(trainer, pl_module)
        trainer.should_stop = trainer.should_stop or self._stop
