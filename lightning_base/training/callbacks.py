"""The callbacks of a run: the configuration's, as far as runs serve them, and those that make it resumable."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    BatchSizeFinder,
    EarlyStopping,
    LearningRateFinder,
    ModelCheckpoint,
    ModelPruning,
    WeightAveraging,
)

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.lead import SCORE, VALIDATION
from lightning_base.training.preempt import Preemption
from lightning_base.training.resume import ExactResume, LastCheckpoint, TimedCheckpoint
from lightning_base.training.seeds import EpochSeed

CHECKPOINTS = "checkpoints"


class Acquaintance(Callback):
    """Lets the task meet the data before other callbacks look at it: they copy what it has, class weights too.

    Those that follow "score" are told which metric that is, and which way is better.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Lightning's hook; callbacks' come before the task's own."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(pl_module, BaseModule) and isinstance(data, BaseDataModule):
            pl_module.use(data)
            if stage == "fit":
                pl_module.fit_layers(data)
            follow_score(pl_module, trainer.callbacks)  # type: ignore[attr-defined]


def follow_score(task: BaseModule, callbacks: Sequence[Callback]) -> None:
    """Has callbacks whose `monitor` is "score" follow the metric that leads, as it is validated, to its better end.

    Raises:
        ConfigError: where nothing says which way is better.
    """
    following = [one for one in callbacks if isinstance(one, EarlyStopping | ModelCheckpoint) and one.monitor == SCORE]
    if not following:
        return
    metrics = dict(task.all_metrics().items())
    name = task.ordered(metrics)[0]
    larger = task.larger_is_better(metrics).get(name)
    if larger is None:
        raise ConfigError(
            f"model.score_mode: callbacks follow the score, and {name} does not say which way is better; give "
            f"model.score: {name} and model.score_mode: max or min"
        )
    worst = torch.tensor(-torch.inf if larger else torch.inf)
    for callback in following:
        turned = callback.mode != ("max" if larger else "min")
        callback.monitor, callback.mode = VALIDATION + name, "max" if larger else "min"
        if isinstance(callback, ModelCheckpoint):
            callback.kth_value = worst
        elif turned:
            callback.best_score, callback.min_delta = worst, -callback.min_delta


def served(
    given: Any, directory: Path, seed: int, settings: Mapping[str, Any]
) -> tuple[list[Any], LearningRateFinder | None]:
    """The callbacks of a run, and what finds its learning rate before it begins.

    Args:
        given: the configuration's.
        directory: the run's, in which its checkpoints are kept.
        seed: the run's.
        settings: those that its predictions depend on, which its checkpoints keep.

    Raises:
        ConfigError: for one that cannot be served.
    """
    callbacks = list(given) if isinstance(given, list | tuple) else [given] if given else []
    averaging = any(isinstance(callback, WeightAveraging) for callback in callbacks)
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint):
            _keep_inside(callback, directory / CHECKPOINTS, averaging)
        if isinstance(callback, TimedCheckpoint):
            callback.directory = directory / CHECKPOINTS
        if isinstance(callback, BatchSizeFinder):
            raise ConfigError(
                "trainer.callbacks: BatchSizeFinder takes the size that fits the memory free at that moment, so that "
                "folds, and the same command run again, would train with different ones; `lightning-base doctor` with "
                "this configuration and --batch_sizes tells which to put into data.batch_size"
            )
        if isinstance(callback, ModelPruning) and not callback._make_pruning_permanent:
            raise ConfigError(
                "trainer.callbacks: ModelPruning with make_pruning_permanent: false keeps weights that the network "
                "cannot load; leave it out"
            )
    callbacks.sort(key=lambda callback: isinstance(callback, TimedCheckpoint))  # it keeps the others' states, so last
    finders = [callback for callback in callbacks if isinstance(callback, LearningRateFinder)]
    if len(finders) > 1 or any(type(finder) is not LearningRateFinder for finder in finders):
        raise ConfigError(
            "trainer.callbacks: one LearningRateFinder is served, Lightning's own, which looks before training"
        )
    kept = [callback for callback in callbacks if callback not in finders]
    return [Acquaintance(), *kept, *own(directory, seed, settings)], finders[0] if finders else None


def own(directory: Path, seed: int, settings: Mapping[str, Any]) -> Sequence[Callback]:
    """What makes a run resumable, and its randomness a function of seed and epoch."""
    folder = directory / CHECKPOINTS
    return EpochSeed(seed), ExactResume(), LastCheckpoint(folder, settings), Preemption(folder)


def _keep_inside(callback: ModelCheckpoint, folder: Path, averaging: bool) -> None:
    """Has a callback keep its checkpoints in the run's folder, from which they are scored."""
    if callback.dirpath is not None:
        raise ConfigError(
            f"trainer.callbacks: ModelCheckpoint's dirpath {callback.dirpath} would be shared by folds; leave it out: "
            "checkpoints stand in each run's own folder"
        )
    if callback.filename is not None and "/" in callback.filename:
        raise ConfigError(f"trainer.callbacks: ModelCheckpoint's filename {callback.filename!r} names a folder too")
    if averaging and callback.save_weights_only:
        raise ConfigError(
            "trainer.callbacks: ModelCheckpoint with save_weights_only keeps the weights that are trained, not their "
            "average, which its metric is of; leave save_weights_only out"
        )
    callback.dirpath = str(folder)
