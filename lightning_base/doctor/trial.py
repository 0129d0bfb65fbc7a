"""A short training of one process, otherwise as the configuration says: what it takes, in bytes and seconds."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from lightning_base.doctor.measure import Kept, forget_peak, highest, now, state_bytes, typical
from lightning_base.training.experiment import Experiment
from lightning_base.training.preflight import preflight
from lightning_base.training.run import Run, build

SECONDS = 3.0  # that the timed steps may take before training stops
STEPS = 30  # timed steps at most
EVALUATED = 5  # batches of validation at most


class Stopwatch(Callback):
    """Times training and validation batches, without the first step, and stops training when it knows enough.

    Attributes:
        activations: bytes kept for the backward pass of one batch; None before there was one.
        state: bytes that the optimizers keep.
        peak: bytes at the highest: of GPU memory, or of the whole process.
        first: seconds of a batch up to the first step.
        checkpoint: bytes of a checkpoint.
        writing: seconds that writing it took; 0 where there was no room to try.

    Args:
        folder: a temporary one, for one checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.activations: int | None = None
        self.state = self.peak = 0
        self.checkpoint, self.writing = 0, 0.0
        self.first = self.between = 0.0
        self.trained: list[float] = []
        self.evaluated: list[float] = []
        self.ends = 0
        self._mark = self._began = self._ended = 0.0
        self._first_batches = 0
        self._hooks: Any = None
        self._kept: Kept | None = None

    @property
    def batch(self) -> float:
        """Seconds of a training batch, with its loading; those of the first where there was no other."""
        return typical(self.trained) if self.trained else self.first

    @property
    def evaluation(self) -> float:
        """Seconds of a validation batch; 0 where there was none."""
        return typical(self.evaluated[1:] or self.evaluated) if self.evaluated else 0.0

    @property
    def end(self) -> float:
        """Seconds of an epoch that are neither training nor validation batches nor a checkpoint's."""
        return max(self.between - sum(self.evaluated), 0) / self.ends if self.ends else 0.0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forgets the peak so far, so that only this training is measured (Lightning's hook)."""
        forget_peak(pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins to time the epoch, and ends the time between two (Lightning's hook)."""
        self._mark = now(pl_module.device)
        self._began = self._began or self._mark
        self._count_end(self._mark)

    def _count_end(self, moment: float) -> None:
        """Adds what has passed since the epoch's last training batch."""
        if self._ended:
            self.between += moment - self._ended
            self.ends += 1
            self._ended = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begins to count what the first backward pass keeps (Lightning's hook)."""
        if self._kept is None:
            self._kept = Kept(pl_module.parameters())
            self._hooks = saved_tensors_hooks(self._kept.pack, self._kept.unpack)
            self._hooks.__enter__()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Times the batch, and stops training when enough is known (Lightning's hook)."""
        self.let_go()
        if self.first == 0:  # until the first step is done, which is slower than others: with all that it accumulates
            self._first_batches += 1
            if trainer.global_step:
                moment = now(pl_module.device)
                self.first = (moment - self._mark) / self._first_batches
                self.state = state_bytes(trainer.optimizers)
                self._mark = self._began = moment
                self._ended = moment if batch_idx + 1 >= trainer.num_training_batches else 0.0
            return
        moment = now(pl_module.device)
        self.trained.append(moment - self._mark)
        self._mark = moment
        over = moment - self._began > SECONDS or len(self.trained) >= STEPS
        if over or batch_idx + 1 >= trainer.num_training_batches:
            self._ended = moment
        if over:
            trainer.should_stop = True

    def let_go(self) -> None:
        """Ends the count of what is kept."""
        if self._hooks is not None and self._kept is not None:
            self._hooks.__exit__(None, None, None)
            self._hooks, self.activations = None, self._kept.bytes

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Begins to time the first batch of a validation (Lightning's hook)."""
        if batch_idx == 0:
            self._mark = now(pl_module.device)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Times the batch (Lightning's hook)."""
        moment = now(pl_module.device)
        self.evaluated.append(moment - self._mark)
        self._mark = moment

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures the peak, and a checkpoint's size and time (Lightning's hook)."""
        self.peak = highest(pl_module.device)
        self._count_end(now(pl_module.device))
        weights = [value for value in pl_module.state_dict().values() if isinstance(value, Tensor)]
        self.checkpoint = sum(value.nbytes for value in weights) + self.state
        if 2 * self.checkpoint < shutil.disk_usage(self.folder).free:
            began, path = time.perf_counter(), self.folder / "trial.ckpt"
            trainer.save_checkpoint(path)
            self.writing = time.perf_counter() - began
            self.checkpoint = sum(p.stat().st_size for p in (path, *path.rglob("*")) if p.is_file())


def shortened(experiment: Experiment, ranks: int) -> Experiment:
    """The experiment as one of so many processes trains it: its share of the batch, one device."""
    given, data = experiment.config.trainer, experiment.config.data.get("init_args") or {}
    limit = given.limit_val_batches
    evaluated = min(limit, EVALUATED) if isinstance(limit, int) else 0 if limit == 0.0 else EVALUATED
    trainer = {
        "devices": 1,
        "num_nodes": 1,
        "strategy": "auto",
        "sync_batchnorm": False,
        "logger": given.logger is not False,  # TensorBoard stands for all: others would show the trial
        "min_epochs": None,
        "min_steps": None,
        "max_time": None,
        "fast_dev_run": False,
        "profiler": None,
        "num_sanity_val_steps": 0,
        "val_check_interval": None,
        "check_val_every_n_epoch": 1,
        "limit_val_batches": evaluated,
    }
    sizes = {key: -(-data[key] // ranks) for key in ("batch_size", "eval_batch_size") if data.get(key)}
    return experiment.with_(
        {f"trainer.{key}": value for key, value in trainer.items()}
        | {f"data.init_args.{key}": value for key, value in sizes.items()}
    )


@dataclass(frozen=True)
class Trial:
    """A short training, what it took, and the callbacks of the configuration that would have kept checkpoints."""

    run: Run
    watch: Stopwatch
    keepers: list[Checkpoint]

    @property
    def device(self) -> torch.device:
        """Where it ran."""
        return torch.device(self.run.trainer.strategy.root_device)


def attempt(experiment: Experiment, ranks: int, directory: Path) -> Trial:
    """A trial: fold 0 trained for some batches and validated on a few; it writes below the directory alone.

    Args:
        experiment: the configuration.
        ranks: how many processes a batch will be divided among.
        directory: a temporary one.

    Raises:
        UserError: for what run.build and run.preflight refuse.
        Exception: whatever network and data raise.
    """
    directory.mkdir(parents=True)
    watch = Stopwatch(directory)
    run = build(shortened(experiment, ranks), 0, directory, quiet=True, watchers=[watch])
    preflight(run)
    callbacks = run.trainer.callbacks  # type: ignore[attr-defined]
    keepers = [callback for callback in callbacks if isinstance(callback, Checkpoint)]
    run.trainer.callbacks = [c for c in callbacks if c not in keepers]  # type: ignore[attr-defined]
    try:
        run.trainer.fit(run.model.trained, datamodule=run.datamodule, weights_only=True)
    finally:
        watch.let_go()
    return Trial(run, watch, keepers)
