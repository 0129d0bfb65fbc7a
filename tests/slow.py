"""A callback that makes epochs long enough for a test to kill a run inside one."""

import time

from lightning.pytorch import Callback, LightningModule, Trainer


class SlowEpoch(Callback):
    """Sleeps at each epoch's start."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        time.sleep(0.25)
