"""Cross-validation: functions over `build(experiment, fold)` that train, skip what is done, collect and summarise."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lightning_base.auditing.gate import inspect
from lightning_base.distributed.process import leave_allocation
from lightning_base.errors import ArtefactError, ConfigError, FoldsFailed
from lightning_base.folds.directory import demand_unchanged, take
from lightning_base.folds.executors.options import Execution
from lightning_base.folds.executors.runner import Runner, computing_threads, runner
from lightning_base.folds.fold import LOCK
from lightning_base.folds.longer import lengthen
from lightning_base.folds.own import demand_own_folds, demand_room
from lightning_base.folds.plan import Plan
from lightning_base.folds.progress import FoldProgress
from lightning_base.folds.refit import check as check_refit
from lightning_base.folds.refit import refit
from lightning_base.folds.search import check as check_search
from lightning_base.folds.summary import collect, show
from lightning_base.results import states
from lightning_base.tools.console import Level, console
from lightning_base.tools.locks import claiming, is_held
from lightning_base.tools.process import is_main
from lightning_base.training.board import Board
from lightning_base.training.experiment import Experiment
from lightning_base.training.initial import check_folds
from lightning_base.training.preflight import demand_batches, preflight
from lightning_base.training.run import Run, build, describe


def crossval(
    experiment: Experiment,
    folds: Sequence[int] | None = None,
    overwrite: bool = False,
    execution: Execution | None = None,
    refitting: bool = False,
    longer: bool = False,
) -> Path:
    """Trains every fold that is not done, then collects; returns the directory.

    Args:
        experiment: the configuration.
        folds: numbers of the folds to train; all by default.
        overwrite: delete what an earlier run left, and begin anew.
        execution: where folds are trained; by default one after another in this process.
        refitting: train once more on the whole pool when all folds are done.
        longer: let a finished cross-validation of the same experiment with fewer epochs go on.

    Raises:
        FoldsFailed: where folds failed; the others have gone on.
        UserError: for a mistake in the configuration or the data (nothing is written then), or a directory that
            holds another experiment.
    """
    out, execution = console(), execution or Execution()
    if execution.executor == "slurm":
        leave_allocation()
    first = open_first(experiment, execution)
    plan = Plan(experiment, experiment.root / "crossval", first.datamodule)
    chosen = chosen_folds(plan, folds)
    if first.trainer.fast_dev_run:  # type: ignore[attr-defined]
        return dry_run(plan, chosen)
    demand_batches(first, chosen)
    check_folds(first, chosen)
    train = checked_runner(execution, experiment, first, refitting)
    if is_main():
        runs = [plan.fold_directory(fold) for fold in range(plan.k)] + [plan.directory / "refit"]
        demand_room(plan.directory, [] if overwrite else runs)
        if longer:
            lengthen(plan.directory, experiment, first)
        plan = replace(plan, stamp=take(plan.directory, experiment, plan.data, overwrite))
        demand_own_folds(plan)
    alone = first.trainer.world_size == 1
    out.print(begins(plan, first), soft_wrap=not out.is_terminal)
    del first
    train_waiting(plan, chosen, train, out)
    demand_ended(plan, chosen)
    missing = [fold for fold in range(plan.k) if not plan.is_done(fold)]
    if missing:
        waits = "; the refit waits for them" if refitting else ""
        out.print(f"{len(missing)} of {plan.k} folds are still to run: {missing}{waits}")
        return plan.directory
    if is_main():
        with claiming(plan.directory):
            demand_unchanged(plan)
            summary = collect(plan)
        show(plan, summary)
    if refitting:
        with computing_threads(execution.threads), Board(out) as board:
            again = refit(plan, board, alone)
        console(Level.QUIET).print(
            f"refit: {again.epochs} epochs on {again.n_train} samples, in {plan.directory / 'refit'}"
        )
    return plan.directory


def demand_ended(plan: Plan, chosen: Sequence[int]) -> None:
    """Refuses to end as if all were done, where other processes train some of the folds that were asked for.

    Raises:
        ArtefactError: naming a fold and its process.
    """
    theirs = [fold for fold in chosen if not plan.is_done(fold) and is_held(plan.fold_directory(fold) / LOCK)]
    if theirs:
        raise ArtefactError(
            f"{plan.directory}: fold {theirs[0]} is trained by {states.holder(plan.fold_directory(theirs[0]))}; run "
            "the same command again when it has ended: the other folds are kept"
        )


def begins(plan: Plan, first: Run) -> str:
    """What a cross-validation will do, on one line."""
    search = plan.experiment.search
    searched = "" if search is None else f", each with a search of {len(search.candidates())} candidates"
    n = len(plan.data.samples("pool"))
    return f"{plan.experiment.name}: {n:,} samples, {plan.k} folds{searched}, {describe(first)}"


def open_first(experiment: Experiment, execution: Execution) -> Run:
    """The run of fold 0, tried out on its data, which are audited; it is not trained.

    Raises:
        UserError: for what can be known to be wrong.
    """
    here = experiment.on_cpu() if execution.executor == "slurm" else experiment
    first = build(here, 0, experiment.root / "crossval" / "fold_0", quiet=True)
    preflight(first)
    inspect(experiment.audit, experiment.root, first.datamodule)
    return first


def chosen_folds(plan: Plan, folds: Sequence[int] | None) -> list[int]:
    """The folds to train, each once and in order; all where none are named.

    Raises:
        UserError: for a fold that there is not.
    """
    chosen = list(range(plan.k)) if folds is None else sorted(set(folds))
    for fold in chosen:
        if not 0 <= fold < plan.k:
            raise ConfigError(f"--folds: fold {fold} does not exist, data.split has folds 0 to {plan.k - 1}")
    return chosen


def dry_run(plan: Plan, chosen: Sequence[int]) -> Path:
    """Lets a few batches of each fold through, as trainer.fast_dev_run asks; nothing is written."""
    for fold in chosen:
        run = build(plan.experiment, fold, plan.fold_directory(fold), quiet=True)
        preflight(run)
        run.trainer.fit(run.model.trained, datamodule=run.datamodule)
    console(Level.QUIET).print(f"fast_dev_run: {len(chosen)} folds ran, nothing was written")
    return plan.directory


def checked_runner(execution: Execution, experiment: Experiment, first: Run, refitting: bool) -> Runner:
    """What trains folds, when search, refit and executor have been tried as far as can be without training.

    Raises:
        UserError: where one of them cannot serve the experiment.
    """
    check_search(experiment, first.datamodule)
    if execution.executor == "vectorized" and experiment.search is not None:
        raise ConfigError("--executor vectorized: a search trains each fold by itself; take inline, process or slurm")
    if refitting:
        check_refit(experiment, execution.executor == "inline")
    return runner(execution, experiment, first)


def train_waiting(plan: Plan, chosen: Sequence[int], train: Runner, out: Console) -> None:
    """Trains those of the chosen folds that are not done, and shows each as it ends.

    Raises:
        FoldsFailed: where some failed, when the others have ended.
    """
    waiting = [fold for fold in chosen if not plan.is_done(fold)]
    if len(waiting) < len(chosen):
        out.print(f"{plan.directory}: {len(chosen) - len(waiting)} of {len(chosen)} folds are done already")
    bars = plan.experiment.config.trainer.enable_progress_bar is not False
    progress = FoldProgress(out, len(waiting), plan.k, plan.fold_directory, bars=bars)
    with progress:
        train(plan, waiting, progress)
    ended = {fold: states.read(plan.fold_directory(fold)) for fold in waiting}
    errors = [f"fold {fold} ({state['error']})" for fold, state in ended.items() if state["state"] == "failed"]
    if errors:
        raise FoldsFailed(
            f"{len(errors)} of {plan.k} folds failed: {'; '.join(errors)}; tracebacks stand in error.txt in their "
            "folders; mend the cause and run the same command again: the other folds are kept"
        )
