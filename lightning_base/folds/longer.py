"""Training a cross-validation longer: its folds go on from their last checkpoints, and all that was scored goes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import StochasticWeightAveraging

from lightning_base.data.loading import paced
from lightning_base.errors import ArtefactError, CheckpointError, ConfigError, one_line
from lightning_base.folds.directory import EPOCHS, changes, demand_idle, forget_test, refuse_changed
from lightning_base.results.summary import SUMMARY
from lightning_base.tasks.schedules import StepSchedule
from lightning_base.tools.console import console
from lightning_base.tools.files import read_json, write_json
from lightning_base.tools.locks import claiming
from lightning_base.training.averaging import SWA
from lightning_base.training.checkpoint import RESUME, opened
from lightning_base.training.experiment import Experiment
from lightning_base.training.preflight import scheduler_of
from lightning_base.training.run import Run
from lightning_base.training.settings import MEND

SCORED = re.compile(r"(predictions|oof|test|predict|ensemble|labels)[\w.]*")  # what is of the weights as they were
ANEW = f"it trains anew: {MEND}"


def lengthen(directory: Path, experiment: Experiment, first: Run) -> None:
    """Makes a cross-validation's directory that of the same experiment with more epochs.

    All results are removed, and then the settings are written: no fold of the shorter training stands beside one of the
    longer. Where a process is killed in between, either command puts it right.

    Args:
        directory: of the cross-validation.
        experiment: with the new number of epochs.
        first: the run of its fold 0, which preflight has passed.

    Raises:
        UserError: where it holds no such run, or none whose longer training begins as it did.
    """
    config, stamp = directory / "config.yaml", directory / "identity.json"
    if not stamp.is_file():
        raise ArtefactError(f"--longer: {directory} holds no run to go on with; leave it out")
    with claiming(directory):
        changed = changes(config, experiment)
        if not changed:
            return  # a longer training that was broken off goes on as any other
        was = demand_more(directory, changed)
        known = {experiment.identity, experiment.with_({EPOCHS: was}).identity}
        stored = read_json(stamp, needs={"experiment": str})
        if stored["experiment"] not in known:
            raise ArtefactError(f"{config}: it was changed after the run had begun; {MEND}")
        demand_same_beginning(first)
        demand_idle(directory, "--longer")
        for fold in sorted(directory.glob("fold_*")):
            demand_onward(fold)
        forget(directory)
        write_json(stamp, stored | {"experiment": experiment.identity})
        experiment.save(config)
    now = first.trainer.max_epochs
    console().print(f"{directory}: trains on from {was} to {now} epochs, whose results take the place of the earlier")


def demand_more(directory: Path, changed: Mapping[str, tuple[Any, Any]]) -> int:
    """The number of epochs so far, where more of them are all that has changed.

    Raises:
        UserError: naming what else has, or that there are no more.
    """
    refuse_changed(directory, {key: values for key, values in changed.items() if key != EPOCHS})
    was, now = changed[EPOCHS]
    if not isinstance(was, int) or not isinstance(now, int) or was < 0 or now <= was:
        raise ConfigError(f"--longer: {EPOCHS} was {was}, is now {now}; give more epochs")
    return was


def demand_same_beginning(run: Run) -> None:
    """Refuses an experiment whose longer training is not the shorter one and some epochs more.

    Raises:
        ConfigError: naming what depends on the length.
    """
    trainer, made = run.trainer, run.model.configure_optimizers()
    if run.experiment.search is not None:
        raise ConfigError(f"--longer: search chose for trainings of the earlier length; {ANEW}")
    if isinstance(schedule := scheduler_of(made), StepSchedule):
        name = type(schedule).__name__
        raise ConfigError(f"--longer: {name} leads the learning rate over the whole training, however long; {ANEW}")
    for op in run.datamodule.augment:
        if op.paced:
            raise ConfigError(f"--longer: {paced(op)} follows the whole training, however long; {ANEW}")
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, SWA | StochasticWeightAveraging):
            raise ConfigError(f"--longer: {type(callback).__name__} averages the last epochs of so many; {ANEW}")
    for key, given in (("max_steps", trainer.max_steps != -1), ("max_time", run.experiment.config.trainer.max_time)):
        if given:
            raise ConfigError(f"--longer: trainer.{key} ends trainings inside an epoch; {ANEW}")


def demand_onward(fold: Path) -> None:
    """Refuses a fold whose last checkpoint is not that of an epoch's end.

    Raises:
        CheckpointError: naming it.
    """
    path = fold / "checkpoints" / "last.ckpt"
    if not path.exists():
        return  # nothing of it was finished: it begins anew, or goes on
    try:
        place = opened(path).get(RESUME, {}).get("place")
    except Exception as error:  # torch raises many kinds for a broken file
        raise CheckpointError(f"{path}: cannot be loaded ({one_line(error)[:200]}); {ANEW}") from error
    if place != "epoch":
        raise CheckpointError(
            f"--longer: {path} has weights alone, or such as a callback left when the training had ended (pruned, "
            f"averaged, all folds at once): no training goes on from it; {ANEW}"
        )


def forget(directory: Path) -> None:
    """Removes what was scored, predicted or trained by the earlier weights; folds keep checkpoints and logs."""
    for fold in sorted(directory.glob("fold_*")):
        (fold / "result.json").unlink(missing_ok=True)  # first: it marks the fold as done
        _remove_scored(fold)
    (directory / SUMMARY).unlink(missing_ok=True)
    forget_test(directory)
    _remove_scored(directory)


def _remove_scored(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_file() and SCORED.fullmatch(path.name) and path.name != "test.json":
            path.unlink()
