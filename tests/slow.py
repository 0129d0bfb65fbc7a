"""Callbacks for tests: epochs long enough to be killed in, and an interrupt in the second epoch."""

import time

from lightning.pytorch import Callback, LightningModule, Trainer


class SlowEpoch(Callback):
    """Sleeps at each epoch's start."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        time.sleep(0.25)


class Interrupt(Callback):
    """Ctrl-C, as the second epoch starts."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt
