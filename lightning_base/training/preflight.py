"""Preflight: what can be known to be wrong with a run before it trains; no steps, batches of one, no such metric, …."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    StochasticWeightAveraging,
    Timer,
)
from lightning.pytorch.cli import ReduceLROnPlateau
from torch import nn

from lightning_base.data.any_dataset import AnyDataset
from lightning_base.data.check import try_augmentations, try_first_step
from lightning_base.data.first import first_batch
from lightning_base.data.resolved import demand_resolved
from lightning_base.data.steps import demand_counted
from lightning_base.distributed import strategies
from lightning_base.errors import ConfigError, UserError, one_line, suggest
from lightning_base.splitters.split import WHOLE
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.given_losses import is_mean, tried
from lightning_base.tasks.lead import VALIDATION, demand_score
from lightning_base.tasks.schedules import StepSchedule
from lightning_base.tools.console import console
from lightning_base.tools.imports import fault, naming_faults
from lightning_base.training.averaging import demand_averages
from lightning_base.training.callbacks import follow_score
from lightning_base.training.initial import check as check_initial
from lightning_base.training.limits import demand_sensible, takes_all
from lightning_base.training.run import Run
from lightning_base.training.seeds import derive_seed

ONE_OPTIMIZER = (GradientAccumulationScheduler, StochasticWeightAveraging)
SHIPPED = ("lightning.", "lightning_base.")  # whose tasks and callbacks log nothing but what is known here


def preflight(run: Run) -> None:
    """Everything that can be known to be wrong before training starts; nothing is written.

    Raises:
        UserError: for data that cannot be read, split or normalised, a network that does not fit it, an optimizer that
            refuses its arguments, or a training that can come to no result.
    """
    if not isinstance(run.model, BaseModule):
        raise ConfigError("model must be a BaseModule for this verb")
    data = run.datamodule
    strategies.check(run.trainer, run.model.network, data.batch_size)
    name, task = type(data).__name__, type(run.model).__name__
    with naming_faults(f"data: {name} fails"):
        data.prepare_data()
        data.samples("pool")
    run.model.demand_kind(pool := data.samples("pool"))
    with naming_faults(f"data: {name} fails"):
        data.setup("fit")
    if isinstance(data, AnyDataset):
        data.demand_order()
    demand_resolved(pool)
    with naming_faults(f"model: {task} fails"):
        run.model.use(data)
        metrics = dict(run.model.all_metrics().items())
    if not metrics and not (_is_others(run) and pool.kind is None):  # else what it logs is all that is told
        if _is_others(run):
            raise ConfigError(
                f"model: targets are {pool.kind}, of which no score is known; name one (metrics) of "
                "torchmetrics, or let data.predicted be none: then what the module logs is all that is told"
            )
        raise ConfigError(f"model: {task} has no metrics, so that nothing could be told of it; give one in `metrics`")
    demand_score(run.model.score, run.model.score_mode, metrics, run.model.given_metrics)
    if not _is_others(run):  # what that logs is its own affair
        follow_score(run.model, run.trainer.callbacks)  # type: ignore[attr-defined]
    demand_training(run)
    demand_vocabulary(run)
    _try(run)
    check_initial(run)
    try_augmentations(data)
    try_first_step(data, run.trainer, run.model.check)
    try:
        optimizers = run.model.configure_optimizers()
    except UserError:
        raise
    except Exception as error:  # whatever the user's own function does
        raise ConfigError(f"model.optimizer or model.scheduler: {fault(error)}") from error
    if isinstance(scheduler_of(optimizers), StepSchedule):
        demand_counted(run.trainer)
    demand_averages(run.trainer, scheduler_of(optimizers) is not None)
    demand_monitors(run, metrics, optimizers)
    demand_batches(run, [run.fold])


def _try(run: Run) -> None:
    """One forward pass of two samples; lazy layers take their width from it, and weights that the run's seed draws."""
    data = run.datamodule
    with naming_faults(f"data: {type(data).__name__} fails"):
        batch = data.handed(first_batch(data, run.model.tried))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        run.model.check(batch)
    loss = getattr(run.model, "loss", None)
    if run.trainer.world_size == 1 or not isinstance(loss, nn.Module) or not hasattr(run.model, "compared"):
        return
    if not is_mean(loss, *tried(run.model, batch)):
        console().print(
            f"model.loss: {type(loss).__name__} is no plain mean over samples: on {run.trainer.world_size} processes "
            "it is the mean of theirs, which is another loss; one that gives a number per sample is the same",
            soft_wrap=True,
        )


def demand_vocabulary(run: Run) -> None:
    """Refuses a network that is given fewer tokens than the data's texts have: of one batch it would not show.

    Raises:
        ConfigError: naming the key and both numbers.
    """
    given = run.experiment.config.get("model.init_args.network.init_args.vocabulary")
    known = run.datamodule.preprocess.known
    if isinstance(given, int) and known is not None and given < known:
        raise ConfigError(
            f"model.network.vocabulary: {given}, and the data's texts have {known} tokens; give as many, or leave it "
            "out"
        )


def demand_training(run: Run) -> None:
    """Refuses a run that would take no step: its scores would be those of the weights that it was made with.

    Raises:
        ConfigError: naming the key.
    """
    trainer: Any = run.trainer
    for key in ("max_epochs", "max_steps", "limit_train_batches"):
        demand_sensible(f"trainer.{key}", getattr(trainer, key))
    for callback in trainer.callbacks:
        if isinstance(callback, Timer) and (left := callback.time_remaining()) is not None and left <= 0:
            raise ConfigError("trainer.max_time: no time to train in; give more, as 00:01:00:00 for an hour")
    batches, limit = len(run.datamodule.loader("train")), trainer.limit_train_batches
    if batches == 0:
        raise ConfigError(
            f"data.drop_last: fold {run.fold} has {len(run.datamodule.rows('train'))} training samples, fewer than "
            f"data.batch_size {run.datamodule.batch_size}, and would train nothing; give a smaller one"
        )
    if isinstance(limit, float) and int(batches * limit) == 0:
        raise ConfigError(f"trainer.limit_train_batches: {limit} of {batches} batches is none; give a larger share")
    if not trainer.fast_dev_run and not takes_all(trainer.limit_predict_batches):
        raise ConfigError("trainer.limit_predict_batches leaves samples out of the predictions; leave it out")
    if not run.model.automatic_optimization:
        demand_own_steps(run)
    if run.finder is not None and _is_others(run):
        raise ConfigError(
            "trainer.callbacks: LearningRateFinder sets the rate of a task's optimizer, and your LightningModule makes "
            "its own; leave it out"
        )
    if run.finder is not None and trainer.world_size > 1:
        raise ConfigError("trainer.callbacks: LearningRateFinder is served in one process; set trainer.devices to 1")


def _is_others(run: Run) -> bool:
    """Whether a LightningModule of somebody else's is trained."""
    return run.model.trained is not run.model


def demand_own_steps(run: Run) -> None:
    """Refuses what acts on one optimizer's steps, where a task takes the steps of its optimizers itself.

    Raises:
        ConfigError: naming the key.
    """
    trainer: Any = run.trainer
    acting = [type(callback).__name__ for callback in trainer.callbacks if isinstance(callback, ONE_OPTIMIZER)]
    asked = [
        ("trainer.gradient_clip_val", trainer.gradient_clip_val is not None),
        ("trainer.accumulate_grad_batches", trainer.accumulate_grad_batches != 1),
        ("trainer.callbacks: LearningRateFinder", run.finder is not None),
        *((f"trainer.callbacks: {name}", True) for name in acting),
    ]
    for key, given in asked:
        if given:
            raise ConfigError(f"{key}: {type(run.model).__name__} takes its optimizers' steps itself; leave it out")


def demand_batches(run: Run, folds: Iterable[int]) -> None:
    """Refuses a last batch of one sample where the network cannot train on one, as BatchNorm cannot.

    Args:
        run: one that preflight has passed, in one process.
        folds: which.

    Raises:
        ConfigError: naming the fold.
    """
    size = run.datamodule.batch_size
    if run.trainer.world_size > 1 or size is None:
        return
    for fold in folds:
        n = len(_of_fold(run, fold).rows("train"))
        single = (n % size == 1 and not run.datamodule.drop_last) or size == 1
        if single and (why := _untrainable(run)):
            which = "the refit" if fold == WHOLE else f"fold {fold}"
            raise ConfigError(
                f"data.batch_size: the last batch of {which} has one sample ({n} in batches of {size}), and "
                f"{type(run.model.network).__name__} cannot train on one: {why}; give data.drop_last: true, or "
                "another batch_size"
            )


def _of_fold(run: Run, fold: int) -> Any:
    """The run's data module as another fold has it."""
    data = copy.copy(run.datamodule)
    data.__dict__.pop("inner_rows", None)
    data.fold, data.fold_seed = fold, derive_seed(run.experiment.seed, max(fold, 0))
    return data


def _untrainable(run: Run) -> str | None:
    """Why the network cannot train on a batch of one sample; None where it can."""
    data, task = run.datamodule, copy.deepcopy(run.model).train()
    if _is_others(run):
        return None  # how it takes a step is its own affair
    batch = data.transform(data.loader("train").gather(data.rows("train")[:1]))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            task.step(batch)
        except (ValueError, RuntimeError, IndexError) as error:
            return one_line(error)[:200]
    return None


def demand_monitors(run: Run, metrics: Mapping[str, Any], optimizers: Any) -> None:
    """Refuses callbacks and a scheduler that follow a metric which is never logged, or take the worst for the best.

    Where the task or a callback is a user's own, who may log more, Lightning tells it when it is missing.

    Args:
        run: as built.
        metrics: the task's, by name.
        optimizers: what its configure_optimizers gives.

    Raises:
        ConfigError: naming the metric, with the nearest one that there is.
    """
    callbacks: list[Callback] = run.trainer.callbacks  # type: ignore[attr-defined]
    own = any(not type(one).__module__.startswith(SHIPPED) for one in (run.model, *callbacks)) or _is_others(run)
    known = logged(run.trainer, metrics)
    for key, monitor in monitors(run, optimizers):
        if monitor not in known and not own:
            none = "; trainer.limit_val_batches is 0, so that nothing is validated" if len(known) == 2 else ""
            raise ConfigError(
                f"{key}: no metric {monitor!r} is logged{none}; there are {', '.join(known)}{suggest(monitor, known)}"
            )
    known_to_be = run.model.larger_is_better(metrics)
    following: list[tuple[str, Any]] = [
        ("trainer.callbacks", one) for one in callbacks if isinstance(one, EarlyStopping | ModelCheckpoint)
    ]
    if isinstance(scheduler := scheduler_of(optimizers), ReduceLROnPlateau):
        following.append(("model.scheduler", scheduler))
    for key, one in following:
        name = one.monitor or ""
        larger = known_to_be.get(name.removeprefix(VALIDATION)) if name.startswith(VALIDATION) else None
        if larger is not None and one.mode != ("max" if larger else "min"):
            raise ConfigError(
                f"{key}: {type(one).__name__} follows {name} with mode {one.mode}, which takes the worst for the best; "
                f"give mode: {'max' if larger else 'min'}"
            )


def logged(trainer: Trainer, metrics: Mapping[str, Any]) -> list[str]:
    """What a task logs that callbacks may follow."""
    validates = trainer.limit_val_batches != 0
    return ["train_loss", "train_loss_step", *(f"val_{name}" for name in metrics if validates)]


def scheduler_of(optimizers: Any) -> Any:
    """The scheduler among what a task's configure_optimizers gives; None where there is none, or several."""
    return optimizers.get("lr_scheduler", {}).get("scheduler") if isinstance(optimizers, dict) else None


def monitors(run: Run, optimizers: Any) -> Iterable[tuple[str, str]]:
    """The metrics that callbacks and the scheduler follow, each with its key."""
    for callback in run.trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(monitor := getattr(callback, "monitor", None), str):
            yield f"trainer.callbacks: {type(callback).__name__}.monitor", monitor
    scheduler = scheduler_of(optimizers)
    if isinstance(scheduler, ReduceLROnPlateau):
        if run.trainer.check_val_every_n_epoch is None and not scheduler.monitor.startswith("train"):
            raise ConfigError(
                f"model.scheduler: it follows {scheduler.monitor} at each epoch's end, and trainer."
                "check_val_every_n_epoch: null validates by steps; leave that out"
            )
        if run.fold != WHOLE:  # else what follows the held-out samples is refused for them
            yield "model.scheduler.monitor", scheduler.monitor
