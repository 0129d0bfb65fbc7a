"""How many optimizer steps are taken in one call: as many as can be without another result, else one, and why."""

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, ModelSummary, Timer
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden

from lightning_base.distributed.tpu import on_tpu
from lightning_base.tasks.base import BaseModule
from lightning_base.training.as_logged import Told
from lightning_base.training.callbacks import Acquaintance
from lightning_base.training.limits import takes_all
from lightning_base.training.preempt import Preemption
from lightning_base.training.resume import ExactResume, LastCheckpoint, TimedCheckpoint
from lightning_base.training.run import Run
from lightning_base.training.seeds import EpochSeed
from lightning_base.training.watch import Watch

MOST = 16  # steps: of more the rest of Lightning's path is too little to tell
AT_STEPS = (
    *("on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", "on_before_backward", "on_after_backward"),
    *("on_before_optimizer_step",),
)
OF_TASK = (
    *("training_step", "backward", "optimizer_step", "optimizer_zero_grad", "lr_scheduler_step", "on_train_batch_end"),
    *AT_STEPS,
)
SHIPPED = ("lightning.", "pytorch_lightning.", "lightning_base.")
# these look on, or count calls as Lightning does
OURS = (Acquaintance, EpochSeed, ExactResume, LastCheckpoint, Preemption, TimedCheckpoint, Told, Watch)


def steps_per_call(run: Run) -> int:
    """How many steps a run may take in one call."""
    asked = run.model.steps_per_execution
    return 1 if asked == 1 or next(reasons(run), None) is not None else asked or MOST


def reasons(run: Run) -> Iterator[str]:
    """Why steps are taken one at a time, each in words; nothing where they need not be."""
    trainer, task = run.trainer, run.model
    if task.trained is not task:
        yield "your LightningModule takes its own steps"
        return
    if not isinstance(trainer.strategy, SingleDeviceStrategy) or on_tpu(trainer):
        yield "several processes, or a TPU"
    if trainer.precision not in ("32-true", "64-true"):
        yield f"trainer.precision {trainer.precision}"
    if trainer.accumulate_grad_batches != 1:
        yield "trainer.accumulate_grad_batches"
    if trainer.max_steps != -1:
        yield "trainer.max_steps"
    if not takes_all(trainer.limit_train_batches) or trainer.overfit_batches or trainer.fast_dev_run:  # type: ignore[attr-defined]
        yield "trainer.limit_train_batches"
    if trainer.val_check_interval != 1.0 or trainer.check_val_every_n_epoch is None:
        yield "trainer.val_check_interval"
    if task.lr_scale is not None:
        yield "model.lr_scale, which acts at the optimizer's step"
    if not task.automatic_optimization:
        yield f"{type(task).__name__} takes its steps itself"
    for hook in OF_TASK:
        if getattr(type(task), hook) is not getattr(BaseModule, hook):
            yield f"{type(task).__name__}.{hook}"
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if acts_at_steps(callback):
            yield f"trainer.callbacks: {type(callback).__name__}"
    optimizer = task.make_optimizer(task.parameters())
    if type(optimizer).__module__.partition(".")[0] != "torch" or isinstance(optimizer, torch.optim.LBFGS):
        yield f"model.optimizer {type(optimizer).__name__}"


def acts_at_steps(callback: Any) -> bool:
    """Whether a callback does something at each step, which it would do at one of several alone."""
    if type(callback) in (*OURS, EarlyStopping, ModelSummary, Timer):
        return False
    if type(callback) is ModelCheckpoint:
        return bool(callback._every_n_train_steps) or callback._train_time_interval is not None
    if type(callback) is LearningRateMonitor:
        return callback.logging_interval != "epoch"
    if type(callback).__module__.startswith(SHIPPED):
        return True  # averages, pruning, other accumulations: some act without a hook of a step
    return any(is_overridden(hook, callback, parent=Callback) for hook in AT_STEPS)
