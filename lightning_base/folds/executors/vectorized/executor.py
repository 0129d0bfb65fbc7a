"""The vectorised executor: folds of a small network trained in one batch, then each left as a fold of its own."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import lightning
import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn

from lightning_base.folds.executors.vectorized.check import check
from lightning_base.folds.executors.vectorized.feed import Feed
from lightning_base.folds.executors.vectorized.stack import Stack
from lightning_base.folds.fold import begin as begin_fold
from lightning_base.folds.fold import held_by_me
from lightning_base.folds.plan import Plan
from lightning_base.folds.progress import FoldProgress, outcome
from lightning_base.results import states
from lightning_base.results.states import note_failure, note_success
from lightning_base.stats.digits import number
from lightning_base.tasks.losses import diverged
from lightning_base.tasks.schedules import StepSchedule
from lightning_base.training import initial
from lightning_base.training.board import Seen
from lightning_base.training.checkpoint import RESUME, write
from lightning_base.training.counted import trained_samples
from lightning_base.training.evaluate import Predictions
from lightning_base.training.preflight import preflight
from lightning_base.training.resume import LastCheckpoint
from lightning_base.training.run import Run, build, close
from lightning_base.training.seeds import derive_seed
from lightning_base.training.train import Trained, finish

MOST = 128  # folds in one batch: more gain little, and each holds a file and its data module
SMALL = 10**8  # operations of a step: with fewer, threads wait for each other for longer than they compute


@dataclass(frozen=True)
class Stacked:
    """What a fold's training in a stack leaves beside its weights.

    Attributes:
        rows: the epochs' metrics, as Lightning logs them.
        steps: optimizer steps of an epoch.
        seconds: the fold's share of the time.
        threads: how many threads have computed it.
        diverged: the epoch and the batch, from 0, of its first loss that is no number; None where all are.
    """

    rows: list[dict[str, float]]
    steps: int
    seconds: float
    threads: int
    diverged: tuple[int, int] | None = None


def check_stackable(first: Run) -> None:
    """Tries whether folds of a run's experiment can be trained in one batch.

    Raises:
        UserError: naming why they cannot.
    """
    check(begin(first))


def train_vectorized(plan: Plan, folds: Sequence[int], progress: FoldProgress) -> None:
    """Trains folds, of an experiment that `check_stackable` has passed, in one batch.

    Each leaves what it would have left alone, or why it failed.
    """
    for start in range(0, len(folds), MOST):
        with ExitStack() as held:
            mine = []
            for fold in folds[start : start + MOST]:
                directory = plan.fold_directory(fold)
                if not held.enter_context(held_by_me(directory, True)):
                    progress.finish(fold, [f"{states.holder(directory)} trains it"])
                elif plan.is_done(fold):
                    progress.finish(fold, outcome(directory))
                elif not begin_fold(plan, fold):
                    progress.finish(fold, [f"{states.holder(directory)} trains it"])
                else:
                    mine.append(fold)
            _train(plan, mine, progress)


def _train(plan: Plan, folds: Sequence[int], progress: FoldProgress) -> None:
    """Trains folds that are held; those with equally many steps an epoch together."""
    stacks: dict[int, list[Run]] = {}
    for fold in folds:
        try:
            run = _open(plan, fold)
            stacks.setdefault(len(run.datamodule.loader("train")), []).append(run)
        except Exception as error:  # a fold's network may not fit where the first one's did
            _fail(plan, fold, error, progress)
    for runs in stacks.values():
        try:
            trained = train_stack(runs, progress)
        except Exception as error:  # whatever the network, the data or the machine did
            for run in runs:
                _fail(plan, run.fold, error, progress)
            continue
        for run, one in zip(runs, trained, strict=True):
            try:
                if one.diverged is not None:
                    raise diverged(*one.diverged)
                leave(run, one)
            except Exception as error:
                _fail(plan, run.fold, error, progress)
                continue
            note_success(run.directory)
            progress.finish(run.fold, outcome(run.directory))


def _open(plan: Plan, fold: int) -> Run:
    run = build(plan.experiment, fold, plan.fold_directory(fold), quiet=True)
    preflight(run)
    initial.begin(run)
    return begin(run)


def begin(run: Run) -> Run:
    """A run that preflight has passed, as it is when Lightning begins to fit it."""
    run.model.trainer, run.trainer.datamodule = run.trainer, run.datamodule  # type: ignore[attr-defined]
    run.trainer.state.fn = TrainerFn.FITTING
    run.model.use(run.datamodule)
    run.model.fit_layers(run.datamodule)
    return run


def _fail(plan: Plan, fold: int, error: Exception, progress: FoldProgress) -> None:
    directory = plan.fold_directory(fold)
    note_failure(directory, error)
    progress.finish(fold, outcome(directory))


def train_stack(runs: Sequence[Run], progress: FoldProgress) -> list[Stacked]:
    """Trains runs with equally many steps an epoch in one batch; their tasks have the last epoch's weights then."""
    began = time.perf_counter()
    trainer, first = runs[0].trainer, runs[0].model
    device = trainer.strategy.root_device
    by: Literal["norm", "value"] = "value" if trainer.gradient_clip_algorithm == "value" else "norm"
    stack = Stack([run.model for run in runs], trainer.gradient_clip_val, by, device)
    scheduler: Any = first.make_scheduler(stack.optimizer) if first.make_scheduler else None
    feed = Feed([run.datamodule for run in runs], device)
    epochs = int(trainer.max_epochs or 0)
    each_step = isinstance(scheduler, StepSchedule)
    if each_step:
        scheduler.over(epochs * len(feed.loaders[0]))
    folds, name = [run.fold for run in runs], f"{len(runs)} folds at once"
    progress.show(folds, name, Seen(total=epochs, done=0.0))
    rows: list[list[dict[str, float]]] = [[] for _ in runs]
    ended: dict[int, tuple[int, int]] = {}
    allowed = torch.get_num_threads()
    threads = 1 if stack.work(next(feed.steps(0))) < SMALL else allowed
    torch.set_num_threads(threads)
    try:
        for epoch in range(epochs):
            stack.begin([derive_seed(run.seed, epoch, 0) for run in runs])  # as EpochSeed seeds a fold's
            for parts in feed.steps(epoch):
                stack.step(parts)
                if each_step:
                    scheduler.step()
            if scheduler is not None and not each_step:
                scheduler.step()
            lr = float(stack.optimizer.param_groups[0]["lr"])
            losses = stack.mean_losses
            for k, step in stack.diverged().items():
                ended.setdefault(k, (epoch, step))
            for own, loss in zip(rows, losses, strict=True):
                own.append({"epoch": epoch, "train_loss": loss, "lr": lr})
            mean = f"train_loss {number(float(np.mean(losses)))}"
            progress.show(folds, name, Seen(epoch + 1, epochs, (epoch + 1) / epochs, loss=mean), ended=True)
    finally:
        torch.set_num_threads(allowed)
    stack.give_back()
    steps, seconds = len(feed.loaders[0]), (time.perf_counter() - began) / len(runs)
    return [Stacked(own, steps, seconds, threads, ended.get(k)) for k, own in enumerate(rows)]


def leave(run: Run, trained: Stacked) -> None:
    """Writes what a trained fold leaves: checkpoint, logs, predictions and, last, its result."""
    began = time.perf_counter()
    epochs = len(trained.rows)
    checkpoint: dict[str, Any] = {
        "epoch": max(epochs - 1, 0),
        "global_step": epochs * trained.steps,
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": run.model.state_dict(),
        type(run.datamodule).__qualname__: run.datamodule.state_dict(),
        RESUME: {"place": ""},  # it has weights alone: nothing goes on training from it
    }
    for callback in run.trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, LastCheckpoint):
            callback.on_save_checkpoint(run.trainer, run.model, checkpoint)
    write(checkpoint, run.last_checkpoint)
    for logger in run.trainer.loggers:
        for row in trained.rows:
            logger.log_metrics(row, int(row["epoch"] + 1) * trained.steps - 1)
        logger.finalize("success")
    held_out = predictions(run)
    seconds = trained.seconds + time.perf_counter() - began
    n_train = trained_samples(run, epochs * trained.steps)
    finish(run, held_out, Trained(run.last_checkpoint, epochs, epochs, n_train, seconds, trained.threads))
    close(run)


def predictions(run: Run) -> Predictions:
    """The held-out samples' predictions, in the batches that evaluation has."""
    data, task = run.datamodule, run.model
    task.eval()
    with torch.inference_mode():
        parts = [task.predict_step(data.transform(batch), i) for i, batch in enumerate(data.loader("val"))]
    rows, preds = torch.cat([part[0] for part in parts]).numpy(), torch.cat([part[1] for part in parts])
    if not np.array_equal(rows, data.rows("val")):
        raise RuntimeError(f"{len(rows)} predictions for {len(data.rows('val'))} held-out samples")
    found = Predictions(data.samples("pool"), rows, preds)
    found.demand_finite("the network")
    return found
