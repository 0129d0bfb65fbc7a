"""How many optimizer steps are taken in one call: as many as can be without another result, else one, and why."""

import dis
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from types import FunctionType
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import (
    EarlyStopping,
    GradientAccumulationScheduler,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    StochasticWeightAveraging,
    Timer,
)
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from lightning_base.data.first import first_batch
from lightning_base.distributed.tpu import on_tpu
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import console
from lightning_base.training.as_logged import Told
from lightning_base.training.callbacks import Acquaintance
from lightning_base.training.limits import takes_all
from lightning_base.training.preempt import Preemption
from lightning_base.training.rank_state import rng_state, set_rng_state
from lightning_base.training.resume import ExactResume, LastCheckpoint, TimedCheckpoint
from lightning_base.training.run import Run
from lightning_base.training.seeds import EpochSeed
from lightning_base.training.watch import Watch

MOST = 16  # steps: of more the rest of Lightning's path is too little to tell
ROOM = 1 << 26  # bytes that the batches of one call may take together; steps on larger ones take long by themselves
AT_STEPS = (
    *("on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", "on_before_backward", "on_after_backward"),
    *("on_before_optimizer_step",),
)
OF_TASK = (
    *("training_step", "backward", "optimizer_step", "optimizer_zero_grad", "lr_scheduler_step", "on_train_batch_end"),
    *AT_STEPS,
)
OF_BATCHES = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
OF_EPOCHS = ("on_", "validation_", "test_", "predict_", "configure_", "setup", "teardown")  # how such hooks begin
SHIPPED = ("lightning.", "pytorch_lightning.", "lightning_base.", "torch.")
# from which epoch on batches are gathered to steps, or to no step at all
BY_EPOCH = (GradientAccumulationScheduler, StochasticWeightAveraging)
# these look on, or count calls as Lightning does
OURS = (Acquaintance, EpochSeed, ExactResume, LastCheckpoint, Preemption, TimedCheckpoint, Told, Watch)


def steps_per_call(run: Run) -> int:
    """How many steps a run may take in one call; that it is one, though more were asked for, is said."""
    asked = run.model.steps_per_execution
    if asked == 1:
        return 1
    if (why := next(reasons(run), None)) is not None:
        if asked is not None or "callbacks" in why:
            _say(run.experiment.name, why)
        return 1
    return asked or min(MOST, max(1, ROOM // max(bytes_of_batch(run), 1)))


@cache  # once for all folds
def _say(name: str, why: str) -> None:
    console().print(f"{name}: steps are taken one at a time, not several in one call: {why}", soft_wrap=True)


def bytes_of_batch(run: Run) -> int:
    """About how many bytes a training batch of a run takes, preprocessed: so many times what its first sample does."""
    state = rng_state()
    held = bytes_of(first_batch(run.datamodule, 1))
    set_rng_state(state)  # a dataset may draw what it gives
    return held * (run.datamodule.batch_size or 1)


def bytes_of(value: Any) -> int:
    """The bytes of the tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        return value.nbytes
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return sum(map(bytes_of, parts))


def reasons(run: Run) -> Iterator[str]:
    """Why steps are taken one at a time, each in words; nothing where they need not be."""
    trainer, task = run.trainer, run.model
    if task.trained is not task:
        yield "your LightningModule takes its own steps"
        return
    if not isinstance(trainer.strategy, SingleDeviceStrategy) or on_tpu(trainer):
        yield "several processes, or a TPU"
    if trainer.precision != "32-true" or type(trainer.precision_plugin) is not Precision:
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
    if not isinstance(trainer.profiler, PassThroughProfiler):  # type: ignore[attr-defined]
        yield "trainer.profiler"
    for hook in (*OF_TASK, *OF_BATCHES):
        if getattr(type(task), hook) is not getattr(BaseModule, hook):
            yield f"{type(task).__name__}.{hook}"
    for hook in (*OF_BATCHES, "train_dataloader"):
        if not getattr(type(run.datamodule), hook).__module__.startswith(SHIPPED):
            yield f"{type(run.datamodule).__name__}.{hook}"
    if (name := logs_itself(type(task))) is not None:
        yield f"{type(task).__name__}.{name} logs"
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
    if isinstance(callback, BY_EPOCH):
        return True
    if type(callback) is ModelCheckpoint:
        return bool(callback._every_n_train_steps) or callback._train_time_interval is not None
    if type(callback) is LearningRateMonitor:
        return callback.logging_interval != "epoch"
    if type(callback).__module__.startswith(SHIPPED):
        return True  # averages, pruning, other accumulations: some act without a hook of a step
    return any(is_overridden(hook, callback, parent=Callback) for hook in AT_STEPS)


def logs_itself(kind: type) -> str | None:
    """The first method, of those by which a user's own task may take a step, that logs by `self.log`; None for none.

    What is logged at each step would be what was logged at one of several.
    """
    for owner in kind.__mro__:
        if owner.__module__.startswith(SHIPPED):
            continue
        for name, method in vars(owner).items():
            if isinstance(method, FunctionType) and not name.startswith(OF_EPOCHS) and _logs(method):
                return name
    return None


def _logs(method: FunctionType) -> bool:
    """Whether a function asks its first argument for `log` or `log_dict`."""
    code = [*dis.get_instructions(method)]
    own = method.__code__.co_varnames[:1]
    return any(
        (first.argval,) == own and then.argval in ("log", "log_dict") and then.opname in ("LOAD_ATTR", "LOAD_METHOD")
        for first, then in pairwise(code)
        if first.opname.startswith("LOAD_FAST")
    )
