"""Callbacks for tests: epochs long enough to be killed in, an interrupt in the second epoch, a fold that fails."""

import os
import signal
import time
from pathlib import Path

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


class FailFold(Callback):
    """Fails in fold 1, for as long as a file named `fail` stands in the working directory."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.datamodule.fold == 1 and Path("fail").exists():
            raise ZeroDivisionError("by nothing\nat all")


class FailOnce(Callback):
    """Fails in the second epoch, for as long as a file named `fail` stands in the working directory."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 1 and Path("fail").exists():
            raise ZeroDivisionError


class KillFold(Callback):
    """Kills the process of fold 1 before its first epoch, for as long as a file named `kill` stands there."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.datamodule.fold == 1 and Path("kill").exists():
            os.kill(os.getpid(), signal.SIGKILL)
