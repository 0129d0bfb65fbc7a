"""Callbacks: epochs long enough to be killed in, an interrupt, and folds and refits that fail or are killed."""

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


class KillInner(Callback):
    """SIGKILL in the second epoch of an inner fold, once, where a file named `kill` stands in the working directory."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        home = Path(trainer.default_root_dir)
        if trainer.current_epoch == 1 and home.match("fold_1/inner/candidate_2/fold_1") and Path("kill").exists():
            Path("kill").unlink()
            os.kill(os.getpid(), signal.SIGKILL)


class BreakRefit(Callback):
    """Breaks a refit off in its second epoch, for as long as a file named `break` stands in the working directory."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 1 and Path(trainer.default_root_dir).name == "refit" and Path("break").exists():
            raise ZeroDivisionError
