"""For tests of resuming: a callback that kills its process at a chosen moment, and a task with a training metric."""

import errno
import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from lightning_base.samples.batch import Batch
from lightning_base.tasks.classification import Classification


class Kill(Callback):
    """SIGKILL from the optimizer step on, and at the moment, that KILL in the environment names ("rank:step:moment").

    Moments: "batch" (before one), "backward" (before the optimizer's step), "stepped" (after it, before a checkpoint),
    "validation", "predict", and while a checkpoint is written: "half", "whole" (not renamed), "renamed". Three
    are no kill alone: "signal" leaves, before the optimizer's step, the checkpoint that Lightning makes for Slurm,
    "requeue" does and kills; "full" is a disk without space.
    """

    def __init__(self) -> None:
        rank, step, self.moment = os.environ.get("KILL", "0:0:never").split(":")
        self.rank, self.step = int(rank), int(step)

    def _at(self, moment: str, trainer: Trainer) -> bool:
        return moment == self.moment and trainer.global_step >= self.step and trainer.global_rank == self.rank

    def _maybe(self, moment: str, trainer: Trainer) -> None:
        if self._at(moment, trainer):
            die()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._maybe("batch", trainer)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._maybe("backward", trainer)
        path = Path(trainer.default_root_dir) / "hpc_ckpt_1.ckpt"
        if self._at("requeue", trainer) or (self._at("signal", trainer) and not path.exists()):
            trainer.save_checkpoint(path)
            self._maybe("requeue", trainer)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self._maybe("stepped", trainer)

    def on_validation_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self._maybe("validation", trainer)

    def on_predict_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self._maybe("predict", trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Arms the process, a child that the test has forked, to die in this write."""
        save, rename = torch.save, os.replace

        def save_half(content: Any, file: Any) -> None:
            save(content, file)
            file.truncate(file.tell() // 2)
            file.flush()
            die()

        def rename_last(source: Any, target: Any) -> None:
            last = str(target).endswith(("last.ckpt", "step.ckpt"))
            if last and self._at("whole", trainer):
                die()
            rename(source, target)
            if last and self._at("renamed", trainer):
                die()

        def no_space(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        if self._at("half", trainer):
            torch.save = save_half
        if self._at("full", trainer):
            os.fsync = no_space
        os.replace = rename_last


def die() -> None:
    """SIGKILL for this process."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class TrainAccuracy(Classification):
    """A classification whose training samples are scored too, by a metric that gathers over the epoch."""

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.train_accuracy = MulticlassAccuracy(10)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        with torch.no_grad():
            self.train_accuracy.update(self(batch.x), batch.y.argmax(dim=1) if batch.y.ndim > 1 else batch.y)
        return super().training_step(batch, batch_idx)

    def on_train_epoch_end(self) -> None:
        self.log("train_accuracy", self.train_accuracy.compute())
        self.train_accuracy.reset()
        super().on_train_epoch_end()
