"""Which experiments can be trained in one batch of folds; the others are refused before anything is written."""

from collections.abc import Iterator

import torch
from lightning.pytorch.callbacks import Callback, ModelSummary, ProgressBar, Timer
from lightning.pytorch.cli import ReduceLROnPlateau
from lightning.pytorch.core.hooks import CheckpointHooks, DataHooks, ModelHooks
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.loading import paced
from lightning_base.errors import ConfigError, one_line
from lightning_base.folds.executors.vectorized.stack import ELEMENTWISE, Stack, Step, tensors
from lightning_base.tasks.base import BaseModule
from lightning_base.training.callbacks import Acquaintance
from lightning_base.training.limits import takes_all
from lightning_base.training.preempt import Preemption
from lightning_base.training.resume import ExactResume, LastCheckpoint
from lightning_base.training.run import Run
from lightning_base.training.seeds import EpochSeed, derive_seed

# what they do for a fold is done for all, or is not needed
OURS = (Acquaintance, EpochSeed, ExactResume, LastCheckpoint, Preemption)
SHOWN = (ProgressBar, ModelSummary)
# Lightning calls these around each step of a fold; here no fold has steps of its own
TASK_HOOKS = (
    *(n for n in vars(ModelHooks) if n.startswith("on_") and not n.startswith(("on_validation_", "on_test_"))),
    *(n for n in vars(CheckpointHooks) if n.startswith("on_")),
    *("setup", "training_step", "backward", "optimizer_step", "optimizer_zero_grad", "configure_model"),
    *("configure_optimizers", "configure_gradient_clipping", "configure_callbacks", "lr_scheduler_step"),
)
DATA_HOOKS = (*(name for name in vars(DataHooks) if name.endswith(("_dataloader", "_transfer"))),)


def check(run: Run) -> None:
    """Tries the first batch of a run, after its preflight, in a stack; nothing is written, and the run is as before.

    Raises:
        UserError: naming why folds of this experiment cannot be trained in one batch.
    """
    reason = next(iter(_reasons(run)), None) or _misfit(run)
    if reason:
        raise ConfigError(f"--executor vectorized: {reason}; take --executor inline or process")


def _reasons(run: Run) -> Iterator[str]:
    trainer, task = run.trainer, run.model
    if task.trained is not task:
        yield f"{type(task.trained).__name__} takes its own steps, one fold's at a time"
    if trainer.world_size > 1 or not isinstance(trainer.strategy, SingleDeviceStrategy):
        yield "trainer.devices and trainer.strategy must be one device"
    if trainer.precision != "32-true":
        yield f"trainer.precision: {trainer.precision} is not served, 32-true is"
    for op in run.datamodule.augment:
        if op.paced:
            yield f"{paced(op)} follows the steps of one fold's Trainer"
    if trainer.accumulate_grad_batches != 1:
        yield "trainer.accumulate_grad_batches must be 1"
    if trainer.max_steps != -1:
        yield "trainer.max_steps ends folds inside an epoch"
    if not isinstance(trainer.max_epochs, int) or trainer.max_epochs < 0:
        yield "trainer.max_epochs must be a number of epochs"
    if not takes_all(trainer.limit_train_batches):
        yield "trainer.limit_train_batches and overfit_batches are not served"
    if run.finder is not None:
        yield "trainer.callbacks: LearningRateFinder trains one fold before it begins"
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, Timer):
            yield "trainer.max_time ends folds at their own moments"
        if type(callback) not in OURS and not isinstance(callback, SHOWN):
            yield f"trainer.callbacks: {type(callback).__name__} acts on one fold's Trainer"
    for one, base, hooks in ((task, BaseModule, TASK_HOOKS), (run.datamodule, BaseDataModule, DATA_HOOKS)):
        for hook in hooks:
            if getattr(type(one), hook, None) is not getattr(base, hook, None):
                yield f"{type(one).__name__}.{hook} is Lightning's hook for one fold"
    for key, given in (("freeze", bool(task.freezing)), ("lr_scale", task.lr_scale is not None)):
        if given:
            yield f"model.{key}: all layers of a stack learn alike"
    optimizer = task.make_optimizer(task.parameters())
    if type(optimizer) not in ELEMENTWISE:
        yield f"model.optimizer: {type(optimizer).__name__} is none of {', '.join(o.__name__ for o in ELEMENTWISE)}"
    if task.make_scheduler is not None and isinstance(task.make_scheduler(optimizer), ReduceLROnPlateau):
        yield "model.scheduler: ReduceLROnPlateau follows one fold's scores"


def _misfit(run: Run) -> str | None:
    """Why a training step of the task cannot be stacked, or gives another loss there than alone."""
    data, task = run.datamodule, run.model
    loader = data.loader("train")
    batch = data.transform(loader.gather(loader.sampler.order()[: loader.batch_size]), 0)
    if not isinstance(batch.x, Tensor):
        return f"{type(data).__name__} gives several inputs per sample"
    if batch.lengths is not None or not isinstance(batch.y, Tensor | None):
        return f"{type(data).__name__} gives samples of different lengths"
    if getattr(task, "threshold", None) == "f1":
        return "model.threshold: 'f1' is chosen by a validation of each fold's own"
    if not task.automatic_optimization:
        return f"{type(task).__name__} takes its optimizers' steps itself"
    seed = derive_seed(run.seed, 0, 0)
    kind = type(task.network).__name__
    try:
        stack = Stack([task, task])
    except (RuntimeError, TypeError) as error:
        return f"model.network: {kind} cannot be copied: {one_line(error)[:300]}"
    if stack.drops and run.trainer.strategy.root_device.type != "cpu":
        return f"model.network: dropout on {run.trainer.strategy.root_device} draws masks of its own"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        before = {name: buffer.clone() for name, buffer in task.named_buffers()}
        with torch.no_grad():
            alone = float(Step(task)(tensors(batch))[0])
        changed = [name for name, buffer in task.named_buffers() if not torch.equal(buffer, before[name])]
        for name, buffer in task.named_buffers():
            buffer.copy_(before[name])
        if changed:
            return f"model.network: {kind} changes {changed[0]} in its steps, as BatchNorm does"
    try:
        stack.begin([seed, seed])
        _, (total, _) = stack.gradients(
            [0, 1], {name: torch.stack([field] * 2) for name, field in tensors(batch).items()}
        )
    except Exception as error:  # whatever the network or the task does
        return f"model.network: {kind} cannot be stacked: {one_line(error)[:300]}"
    if not torch.allclose(total, torch.full_like(total, alone), rtol=1e-4, atol=1e-6, equal_nan=True):
        return f"{type(task).__name__}'s first loss is {float(total[0]):.6g} in a stack and {alone:.6g} alone"
    return None
