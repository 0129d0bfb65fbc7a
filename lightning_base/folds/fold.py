"""One fold of a cross-validation: trained from its last checkpoint, scored on what it held out, its state kept."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lightning.pytorch.callbacks import Callback

from lightning_base.errors import ArtefactError, ConfigError
from lightning_base.folds.directory import demand_unchanged
from lightning_base.folds.plan import Plan
from lightning_base.folds.progress import FoldProgress
from lightning_base.folds.search import Part, choose
from lightning_base.results import states
from lightning_base.results.fold_result import FoldResult
from lightning_base.results.states import note_failure, note_success
from lightning_base.tools.files import write_json
from lightning_base.tools.imports import ended
from lightning_base.tools.locks import claiming, hold
from lightning_base.tools.process import is_main
from lightning_base.training.checkpoint import resume_point
from lightning_base.training.experiment import Experiment
from lightning_base.training.preempt import Preempted
from lightning_base.training.preflight import preflight
from lightning_base.training.run import build, close
from lightning_base.training.train import Chosen, train

LOCK = ".lock"
Outcome: TypeAlias = Literal["done", "failed", "held"]


def attempt(plan: Plan, fold: int, progress: FoldProgress | None = None, alone: bool = True) -> Outcome:
    """Trains a fold and keeps its state: "failed" lets the others go on, "held" is one that another process trains.

    Args:
        plan: the cross-validation.
        fold: which.
        progress: what shows it.
        alone: whether this is the only process of the fold: where there are others, an error ends them all.

    Raises:
        Displaced: where the directory has become another experiment's.
    """
    directory = plan.fold_directory(fold)
    with held_by_me(directory, alone) as held:
        if not held:
            return "held"
        if plan.is_done(fold):
            return "done"
        if not begin(plan, fold):
            if alone:
                return "held"
            raise ArtefactError(f"{directory}: {states.holder(directory)} trains it; wait for it to end")
        try:
            unended(train_fold, plan, fold, progress)
        except Exception as error:  # whatever the network, the data or the machine did
            note_failure(directory, error)
            if not alone:
                raise
            return "failed"
        note_success(directory)
        return "done"


def unended(action: Callable[..., object], *arguments: Any) -> None:
    """Runs what may hold a user's code that ends the process, which fails its fold alone.

    Raises:
        ConfigError: where it ends it otherwise than by a signal or an interrupt.
    """
    try:
        action(*arguments)
    except Preempted:
        raise
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise
        raise ConfigError(ended(stop)) from stop


def held_by_me(directory: Path, alone: bool) -> AbstractContextManager[bool]:
    """Holds a fold's directory against other processes; whether it could be had.

    A lock ends with its process. Where there are several ranks none is taken: they would shut each other out.
    """
    return hold(directory / LOCK) if alone else nullcontext(True)


def begin(plan: Plan, fold: int) -> bool:
    """Writes that a fold runs, if it is still this cross-validation's and no other process has begun it.

    Raises:
        Displaced: where the directory is another's by now.
    """
    directory = plan.fold_directory(fold)
    with claiming(plan.directory):
        demand_unchanged(plan)
        if is_main() and states.runs_here(directory) and states.read(directory)["pid"] != os.getpid():
            return False
        write_json(directory / states.STATE, states.running())
    return True


def train_fold(plan: Plan, fold: int, progress: FoldProgress | None = None) -> FoldResult:
    """Trains one fold, from its last checkpoint where it has one, and scores it; returns its result.

    Where the experiment searches, the fold's training part alone chooses the values first.
    """

    def train_run(
        one: Experiment, number: int, home: Path, part: Part = (1, 1), chosen: Chosen | None = None
    ) -> FoldResult:
        return run_fold(one, number, home, [] if progress is None else [progress.watch(fold, part)], chosen)

    directory = plan.fold_directory(fold)
    if plan.experiment.search is None:
        return train_run(plan.experiment, fold, directory)
    ids = plan.data.folds.ids[plan.data.folds.folds[fold].train]
    choice = choose(plan.experiment, fold, directory, ids, train_run)
    choice.experiment.save(directory / "config.yaml")
    return train_run(choice.experiment, fold, directory, (choice.trainings + 1,) * 2, choice.chosen)


def run_fold(
    experiment: Experiment,
    fold: int,
    directory: Path,
    watchers: Sequence[Callback] = (),
    chosen: Chosen | None = None,
) -> FoldResult:
    """Builds the run of an experiment's fold, trains it from its last checkpoint where it has one, and scores it."""
    run = build(experiment, fold, directory, quiet=True, watchers=watchers)
    try:
        preflight(run)  # a fold's network may not fit where the first one's did
        return train(run, resume_point(run.directory), chosen)[0]
    finally:
        close(run)
