"""Resuming: what Lightning leaves out of checkpoints, and the callbacks that write the run's own checkpoints.

A run that was killed goes on from checkpoint.resume_point and ends bit-identical to one that never was.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Checkpoint,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    StochasticWeightAveraging,
    WeightAveraging,
)

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import CheckpointError, ConfigError
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import console
from lightning_base.training.checkpoint import RESUME, STEP
from lightning_base.training.csv_logger import MetricsCSV
from lightning_base.training.rank_state import capture, restore
from lightning_base.training.signals import raised

SECONDS = "LIGHTNING_BASE_CHECKPOINT_SECONDS"
STAMP, SETTINGS, SIZES = "lightning_base", "settings", "sizes"  # the key of what a checkpoint tells of its run; in it


def _is_last(trainer: Trainer) -> bool:
    """Whether an epoch that ends is the last one."""
    epochs = trainer.max_epochs is not None and 0 <= trainer.max_epochs <= trainer.current_epoch + 1
    return trainer.should_stop or epochs or 0 <= trainer.max_steps <= trainer.global_step


def _together(trainer: Trainer) -> int:
    """How many batches are trained on in one call."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data.together if isinstance(data, BaseDataModule) else 1


def _go_on_by(trainer: Trainer, together: int) -> None:
    """Has an epoch that goes on from its middle take as many batches in one call as before: Lightning counts calls.

    Raises:
        CheckpointError: where one at a time is asked for now.
    """
    if together == _together(trainer):
        return
    if together > 1 and _together(trainer) == 1:
        raise CheckpointError(
            f"the checkpoint is of an epoch's middle, with {together} steps in one call, and something asks for one "
            "at a time now (model.steps_per_execution, or a callback that acts at each step); go on as it was begun"
        )
    trainer.datamodule.together = together  # type: ignore[attr-defined]


def resumable(trainer: Trainer, pl_module: LightningModule, batch_idx: int) -> bool:
    """Whether a checkpoint at this training batch's end can be resumed from exactly.

    Not where gradients are half accumulated, since no checkpoint has them; not where validation or the epoch's end
    comes next, since Lightning leaves these out when it resumes from there.
    """
    done, check = batch_idx + 1, trainer.val_check_batch
    accumulating = pl_module.automatic_optimization and done % trainer.accumulate_grad_batches != 0
    stopping = trainer.should_stop or 0 <= trainer.max_steps <= trainer.global_step
    total = trainer.fit_loop.total_batch_idx + 1
    checking = isinstance(check, int) and (done % check == 0 or total % check == 0)
    return not (accumulating or stopping or checking or done >= trainer.num_training_batches)


class ExactResume(Callback):
    """Puts into every checkpoint what Lightning leaves out, and takes it up again before the first batch.

    Kept: each rank's random state (PL#20550), its metrics and its sums of the running epoch; the metrics that callbacks
    monitor; and where the checkpoint was written, since Lightning resumes exactly from two places only: between two
    batches, and an epoch's end. There it leaves out what comes after the checkpoint: a ReduceLROnPlateau's step and
    the epoch's row in the logs. Both are made up for.
    """

    def __init__(self) -> None:
        self._place = ""
        self._kept: dict[str, Any] = {}
        self._max_steps: int | None = None
        self._ended = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: nothing written from here to the first batch's end can be resumed from."""
        self._place = ""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Lightning's hook: nothing written inside a batch can be resumed from."""
        self._place = ""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Lightning's hook; checkpoints are written after it, by callbacks that are moved to the end."""
        self._place = "batch" if resumable(trainer, pl_module, batch_idx) else ""

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: nothing written inside a validation can be resumed from."""
        self._place = ""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: the epoch's end is a place to resume from."""
        self._place = "epoch"

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: training is over: what a callback takes at its end has been taken."""
        self._place, self._ended = "", True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook, called in every rank."""
        # a signal may come at any moment: between batches is only before Lightning has counted the batch as completed
        loop = trainer.fit_loop
        counted: Any = (loop.epoch_loop.batch_progress if self._place == "batch" else loop.epoch_progress).current
        if not self._place or counted.completed != counted.processed - 1:
            checkpoint[RESUME] = {"place": ""}  # ranks may be anywhere: nothing is gathered from them
            return
        if self._place == "batch" and isinstance(pl_module, BaseModule):
            pl_module.demand_finite_loss()  # at an epoch's end the task has looked at it
        own = capture(pl_module)
        ranks = [own] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(ranks, own)
        kept: dict[str, Any] = {
            "place": self._place,
            "ranks": ranks,
            "epoch": trainer.current_epoch,
            "together": _together(trainer),
            "monitored": {key: value.detach().cpu() for key, value in trainer.callback_metrics.items()},
        }
        if self._place == "epoch" or trainer._logger_connector.should_update_logs:
            # what Lightning logs next, which has no public name
            row = trainer._logger_connector.metrics["log"]
            kept["row"] = {key: float(value) for key, value in row.items() if not isinstance(value, dict)}
            stepped = checkpoint["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"]
            kept["row_step"] = stepped - (self._place == "epoch")
        checkpoint[RESUME] = kept

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook: takes what was kept; strategies that load late begin here."""
        self._kept = checkpoint.get(RESUME, {})
        if trainer.training and self._kept.get("place") == "batch":
            _go_on_by(trainer, self._kept.get("together", 1))
        if self._kept and trainer.training and trainer.strategy.restore_checkpoint_after_setup:
            self._begin(trainer)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook; the optimizers are made, and their states not loaded yet."""
        if self._kept:
            self._begin(trainer)

    def _begin(self, trainer: Trainer) -> None:
        place, row = self._kept["place"], self._kept.get("row", {})
        if not place:
            console().print("warning: the checkpoint was written inside a step or a validation: resuming is not exact")
        own = trainer.ckpt_path is not None and Path(trainer.ckpt_path).is_relative_to(trainer.default_root_dir)
        for logger in trainer.loggers if own and row else ():
            if isinstance(logger, MetricsCSV):
                logger.log_metrics({"epoch": self._kept["epoch"], **row}, self._kept["row_step"])
                logger.flush()
        if place == "epoch" and trainer.max_steps != -1:
            # FitLoop.restarting takes every epoch of a run with max_steps for an interrupted one, and ends it twice
            self._max_steps = trainer.max_steps
            trainer.fit_loop.epoch_loop.max_steps = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook; the loaders are made, and no batch has been asked for."""
        if self._max_steps is not None:
            trainer.fit_loop.epoch_loop.max_steps = self._max_steps
            self._max_steps = None
        kept, self._kept = self._kept, {}
        if not kept.get("place"):
            return
        trainer.callback_metrics.update(kept["monitored"])
        if kept["place"] == "batch":
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, GradientAccumulationScheduler):
                    callback.on_train_epoch_start(trainer, pl_module)  # a hook that Lightning leaves out then
        else:
            for config in trainer.lr_scheduler_configs:
                due = config.reduce_on_plateau and config.interval == "epoch"
                if due and (kept["epoch"] + 1) % config.frequency == 0 and config.monitor in kept["monitored"]:
                    value = kept["monitored"][config.monitor].to(pl_module.device)
                    pl_module.lr_scheduler_step(config.scheduler, value)
        if len(kept["ranks"]) != trainer.world_size:
            console().print(
                f"warning: the checkpoint is that of {len(kept['ranks'])} processes, resumed by {trainer.world_size}: "
                "what is drawn at random (dropout) goes another way",
                soft_wrap=True,
            )
            return
        restore(pl_module, kept["ranks"][trainer.global_rank])

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook, called too where a run resumed from its end has nothing left to train."""
        if not self._ended:
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                swa = isinstance(callback, StochasticWeightAveraging) and not callback._model_contains_batch_norm
                if swa or isinstance(callback, WeightAveraging):
                    callback.on_train_end(trainer, pl_module)  # takes the averaged weights, as at training's end
        if trainer.is_global_zero:
            for path in Path(trainer.default_root_dir).glob("hpc_ckpt_*.ckpt"):
                path.unlink(missing_ok=True)  # under Slurm, Lightning would load it before it predicts
        trainer.strategy.barrier()


class TimedCheckpoint(Checkpoint):
    """Keeps `step.ckpt` between the ends of epochs, which `crossval` goes on from where it is the newest.

    It is written at the first batch, from when it is due on, that can be resumed from exactly.

    Args:
        every_n_minutes: so long after the last one.
        every_n_steps: so many optimizer steps after the last one.

    Raises:
        UserError: where neither is given, or one is not positive.
    """

    def __init__(self, every_n_minutes: float | None = None, every_n_steps: int | None = None) -> None:
        given = [value for value in (every_n_minutes, every_n_steps) if value is not None]
        if not given or min(given) <= 0:
            raise CheckpointError("TimedCheckpoint: give a positive every_n_minutes or every_n_steps")
        self.every_n_minutes, self.every_n_steps = every_n_minutes, every_n_steps
        self.directory: Path | None = None  # the run's, which the run sets
        self._began, self._step = 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: counts minutes and steps from here."""
        self._began, self._step = time.monotonic(), trainer.global_step

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook; `last.ckpt` has just been written."""
        self._began, self._step = time.monotonic(), trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Lightning's hook: keeps `step.ckpt` where it is due."""
        if trainer.fast_dev_run or not resumable(trainer, pl_module, batch_idx):  # type: ignore[attr-defined]
            return
        due = self.every_n_steps is not None and trainer.global_step - self._step >= self.every_n_steps
        if self.every_n_minutes is not None:
            late = time.monotonic() - self._began >= 60 * self.every_n_minutes
            due = trainer.strategy.reduce_boolean_decision(due or late, all=False)  # clocks of ranks differ
        if due:
            trainer.save_checkpoint((self.directory or Path(trainer.default_root_dir)) / STEP)
            self._began, self._step = time.monotonic(), trainer.global_step


def seconds_between() -> float:
    """How many seconds pass at least between two checkpoints at ends of epochs; a killed run trains these again.

    Raises:
        ConfigError: where the environment's LIGHTNING_BASE_CHECKPOINT_SECONDS is no number.
    """
    given = os.environ.get(SECONDS, "5")
    try:
        if (found := float(given)) >= 0:
            return found
    except ValueError:
        pass
    raise ConfigError(f"{SECONDS}: {given!r:.40} is no number of seconds; give 0 for a checkpoint after each epoch")


class LastCheckpoint(ModelCheckpoint):
    """Keeps `last.ckpt`, written at ends of epochs, stamped with the fold and the split it was trained on.

    It is written after the last epoch, where a signal ends training, and else after so many seconds: an epoch of 50
    milliseconds would wait for the disk as long again.

    A decision to stop (early stopping) is kept too: without it, a run resumed from the checkpoint of the epoch
    that made the decision would train one epoch more than one that was never interrupted.

    Args:
        directory: of the run's checkpoints.
        settings: those that its predictions depend on, which whoever scores with the weights must have too.
    """

    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        super().__init__(
            dirpath=directory,
            filename="last",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
            auto_insert_metric_name=False,
        )
        self._stop, self._settings = False, json.dumps(settings, sort_keys=True, default=str)
        self._every, self._written = seconds_between(), -math.inf

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: writes it where it is due."""
        due = time.monotonic() - self._written >= self._every or raised() is not None
        if self._every:
            due = trainer.strategy.reduce_boolean_decision(due, all=False)  # clocks of ranks differ
        if due or _is_last(trainer):
            super().on_train_epoch_end(trainer, pl_module)
            self._written = time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: writes it where training has ended otherwise than by the limits that are looked at."""
        super().on_train_end(trainer, pl_module)
        if self._last_global_step_saved != trainer.global_step and trainer.global_step:
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook: every checkpoint of the run gets the stamp, and the log is as far as it is."""
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.flush()
        sizes = dict(getattr(pl_module, "sizes", {}))
        stamp: dict[str, Any] = {"should_stop": trainer.should_stop, SETTINGS: self._settings, SIZES: sizes}
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, BaseDataModule):
            stamp |= {"fold": data.fold, "split_hash": data.folds.hash}
        checkpoint[STAMP] = stamp

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook: takes whether the run had decided to stop."""
        self._stop = bool(checkpoint.get(STAMP, {}).get("should_stop", False))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: takes the kept decision up again."""
        super().on_train_start(trainer, pl_module)
        trainer.should_stop = trainer.should_stop or self._stop
