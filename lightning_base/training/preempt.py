"""Preemption: a signal makes training keep a checkpoint at its next step, and end with a status that asks to go on.

Lightning's own handlers write a checkpoint wherever the signal finds the process, and take SIGTERM for the end, without
a checkpoint and with status 0 (PL#21406, #20542, #20806). Here a handler only notes the signal.
"""

import signal
import threading
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from lightning_base.distributed.process import STATUS
from lightning_base.tools.console import console
from lightning_base.training.checkpoint import LAST, STEP
from lightning_base.training.resume import resumable
from lightning_base.training.signals import SIGNALS, Flag, raised


class Preempted(SystemExit):
    """The end of a process that keeps its work for another; no error, so that no fold fails by it."""


def leave_if_raised() -> None:
    """Ends this process, between two trainings, where it was told to.

    Raises:
        Preempted: then.
    """
    if raised() is not None:
        raise Preempted(STATUS)


class Preemption(Checkpoint):
    """Heeds SIGTERM and SIGUSR1 at the next place that training can be resumed from exactly, if any rank has got one.

    That is the end of the next batch, but for batches inside an accumulation of gradients and those that a validation
    follows, and else the end of the epoch. A validation is waited for.

    Args:
        directory: of the run's checkpoints.

    Raises:
        Preempted: there, in all ranks.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook; Lightning has just set its own handlers, and puts the earlier ones back at the end."""
        self._listen(signal.getsignal(signal.SIGUSR1))

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook; predicting goes on to its end where something listens, since its result is what is kept."""
        if isinstance(flag := signal.getsignal(signal.SIGUSR1), Flag):
            self._listen(flag)

    @staticmethod
    def _listen(current: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            flag = current if isinstance(current, Flag) else Flag()
            for number in SIGNALS:
                signal.signal(number, flag)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Lightning's hook: ends training with a checkpoint where a process was told to stop."""
        if not resumable(trainer, pl_module, batch_idx) or not self._told(trainer):
            return
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.directory / STEP)
        self._leave(trainer, STEP)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook; the run's last.ckpt has just been written."""
        if self._told(trainer):
            self._leave(trainer, LAST)

    @staticmethod
    def _told(trainer: Trainer) -> bool:
        return trainer.strategy.reduce_boolean_decision(raised() is not None, all=False)

    def _leave(self, trainer: Trainer, name: str) -> None:
        number = raised()
        cause = "another process was told to stop" if number is None else signal.Signals(number).name
        console().print(
            f"{cause}: {self.directory / name} is kept, training ends with status {STATUS} and can go on from there",
            soft_wrap=True,
        )
        trainer.strategy.barrier()
        # the process that has started the others waits for status 0 of theirs: else Lightning kills it
        started = trainer.strategy.launcher is not None and trainer.local_rank != 0
        raise Preempted(0 if started else STATUS)
