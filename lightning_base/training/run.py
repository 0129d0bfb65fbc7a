"""Runs: `build(experiment, fold, directory)` makes one training in one directory; nothing else creates one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateFinder,
    ModelCheckpoint,
    ModelSummary,
    ProgressBar,
    Timer,
)
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO, XLACheckpointIO
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch.nn.parameter import UninitializedParameter

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError, UserError, one_line
from lightning_base.samples.sampling import drawn
from lightning_base.splitters.split import WHOLE
from lightning_base.tasks.any_module import AnyModule
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import Level, level
from lightning_base.training import wandb_logger
from lightning_base.training.as_logged import Told
from lightning_base.training.callbacks import served
from lightning_base.training.checkpoint import ExactIO, ExactXLAIO
from lightning_base.training.config_errors import refusal
from lightning_base.training.csv_logger import MetricsCSV
from lightning_base.training.experiment import Experiment
from lightning_base.training.seeds import derive_seed, seed_all
from lightning_base.training.watch import Watch

REFIT = 2**32 - 1  # stands for the fold in a refit's seed; no fold has this number


@dataclass(frozen=True)
class Run:
    """One training: its objects, its directory, its fold, the seed drawn for it, and what it was built from.

    Attributes:
        finder: what finds its learning rate before it begins; None where the configuration gives one.
    """

    model: BaseModule
    datamodule: BaseDataModule
    trainer: Trainer
    directory: Path
    fold: int
    seed: int
    experiment: Experiment
    finder: LearningRateFinder | None = None

    @property
    def last_checkpoint(self) -> Path:
        """Where the run keeps the checkpoint of its last epoch."""
        return self.directory / "checkpoints" / "last.ckpt"


def build(
    experiment: Experiment,
    fold: int,
    directory: Path,
    quiet: bool = False,
    watchers: Sequence[Callback] = (),
    training: bool = True,
    sizes: Mapping[str, int] | None = None,
) -> Run:
    """A run of its own: seeded from (seed, fold), then built from the configuration.

    Nothing is written until the run trains. What it reads is what earlier runs of this process have read of the same
    data: it is read-only, and all that is fitted on it is the run's own.

    Args:
        experiment: the configuration.
        fold: which fold of data.split the run trains on, from 0; WHOLE for all samples, without validation and what
            goes by it (early stopping, monitored checkpoints, `data.inner_val`).
        directory: where the run's checkpoints, logs and predictions go.
        quiet: without Lightning's own progress bar and model summary, even where the configuration asks for them.
        watchers: callbacks beside the configuration's, which only look on.
        training: False for a run that only predicts, and so logs nothing.
        sizes: of the networks, as the checkpoint has them whose weights they will take; None asks the data.

    Raises:
        UserError: where a class refuses its arguments, or the Trainer what it is asked for.
    """
    seed = derive_seed(experiment.seed, REFIT if fold == WHOLE else fold)
    seed_all(seed)
    config = experiment.config.clone()
    config.trainer.default_root_dir = str(directory)
    logs = training and not config.trainer.fast_dev_run
    if logs:
        _place_loggers(config, experiment, fold, directory)
    else:
        config.trainer.logger = False
    try:
        objects = experiment.instantiate(config)
        data: BaseDataModule = objects.data
        if not isinstance(data, BaseDataModule):
            raise ConfigError("data must be a BaseDataModule for this verb")
        data.fold, data.seed, data.fold_seed, data.only = fold, experiment.seed, seed, experiment.only
        data.join(experiment.pools, experiment.data_settings)
        seed_all(seed)  # whatever was drawn before: a network's weights are the seed's
        model = experiment.make_model(data, sizes)
        data.for_others = others = isinstance(model, AnyModule)
        arguments = dict(objects.trainer)
        if logs:
            arguments["logger"] = _loggers(arguments["logger"], directory)
        callbacks, finder = served(arguments["callbacks"], directory, seed, experiment.predicting if logs else {})
        arguments["callbacks"] = [*watchers, *callbacks, *([Told(model)] if others else [])]
        if arguments["enable_checkpointing"] is False:
            raise ConfigError("trainer.enable_checkpointing: false; runs resume from checkpoints, leave it out")
        if others and not is_overridden("validation_step", model.trained):
            arguments["limit_val_batches"] = 0  # Lightning would warn that it leaves them out
        if fold == WHOLE:
            _hold_nothing_out(data, arguments)
        _show(arguments, quiet)
        if arguments["num_sanity_val_steps"] is None:
            arguments["num_sanity_val_steps"] = 0  # preflight has tried the data and the network already
    except UserError:
        raise
    except Exception as error:  # whatever a constructor of the user's does
        raise ConfigError(f"the experiment cannot be built: {refusal(error)}") from error
    try:
        trainer = Trainer(**arguments)
    except (ValueError, TypeError, ImportError, MisconfigurationException) as error:
        raise ConfigError(f"trainer: {one_line(error)}") from error
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:  # else the YAML's, or the strategy's own
        trainer.strategy.checkpoint_io = ExactIO()
    elif type(trainer.strategy.checkpoint_io) is XLACheckpointIO:
        trainer.strategy.checkpoint_io = ExactXLAIO()
    return Run(model, data, trainer, directory, fold, seed, experiment, finder)


def _place_loggers(config: Namespace, experiment: Experiment, fold: int, directory: Path) -> None:
    """Sends loggers of the YAML into the run's directory, where the YAML does not say otherwise."""
    loggers = config.trainer.logger
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        if not isinstance(logger, Namespace):
            continue
        arguments = logger.get("init_args")
        if arguments is None:
            continue
        if str(arguments.get("save_dir", "set")) in ("None", "."):
            arguments.save_dir = str(directory)
        if logger.class_path.endswith("WandbLogger") and arguments.get("name") is None:
            arguments.name = f"{experiment.name}/{'refit' if fold == WHOLE else f'fold_{fold}'}"
            logger.dict_kwargs = {"group": experiment.name, **(logger.get("dict_kwargs") or {})}
        if logger.class_path.endswith("WandbLogger"):
            wandb_logger.hush(logger)


def _hold_nothing_out(data: BaseDataModule, arguments: dict[str, Any]) -> None:
    """Leaves out validation, and the callbacks that stop training or keep a checkpoint by a metric."""
    data.inner_val = None
    arguments["limit_val_batches"] = 0
    arguments["callbacks"] = [
        c
        for c in arguments["callbacks"]
        if not isinstance(c, EarlyStopping) and not (isinstance(c, ModelCheckpoint) and c.monitor)
    ]


def _loggers(given: Any, directory: Path) -> list[Logger]:
    """The YAML's loggers (TensorBoard where it names none), and always the CSV."""
    if given is False:
        loggers: list[Logger] = []
    elif given is None or given is True:
        loggers = [TensorBoardLogger(save_dir=str(directory), name="tensorboard", version="")]
    else:
        loggers = list(given) if isinstance(given, list | tuple) else [given]
    return [*loggers, MetricsCSV(directory / "metrics.csv")]


def _show(arguments: dict[str, Any], quiet: bool) -> None:
    """Leaves Lightning's own bar and model summary to those who ask for them; our bar gives way to Lightning's."""
    callbacks = arguments["callbacks"]
    bar = arguments["enable_progress_bar"] or any(isinstance(c, ProgressBar) for c in callbacks)
    summary = arguments["enable_model_summary"] or any(isinstance(c, ModelSummary) for c in callbacks)
    kinds: tuple[type[Callback], ...] = (ProgressBar, ModelSummary) if quiet else (Watch,) if bar else ()
    arguments["callbacks"] = [c for c in callbacks if not isinstance(c, kinds)]
    arguments["enable_progress_bar"] = bool(bar) and not quiet
    arguments["enable_model_summary"] = bool(summary or level() == Level.VERBOSE) and not quiet


def describe(run: Run) -> str:
    """What a run will train, and for how long, on one line."""
    trainer, network = run.trainer, run.model.network
    parameters = sum(p.numel() for p in network.parameters() if not isinstance(p, UninitializedParameter))
    limits = [f"{trainer.max_epochs} epochs"] if (trainer.max_epochs or -1) > 0 else []
    if trainer.max_steps > 0:
        limits.append(f"{trainer.max_steps} steps")
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer) and (left := callback.time_remaining()) is not None:
            limits.append(str(timedelta(seconds=round(left))))
        if isinstance(callback, EarlyStopping):
            limits.append(f"until {callback.monitor} gets no better")
    adapted = "".join(f"; {one}" for one in run.model.adapted)
    how = drawn(run.datamodule.sampling)
    told = f"{' or '.join(limits) or 'no end set'}; {type(network).__name__} with {parameters:,} parameters"
    return f"{told}{adapted}" + ("" if how is None else f"; {how}")


def close(run: Run) -> None:
    """Ends what a run's loggers hold open, so that the next fold's begin anew."""
    for logger in run.trainer.loggers:
        if isinstance(logger, WandbLogger):
            wandb_logger.end(logger)
