"""Cross-validation: functions over `build(experiment, fold)` that train, skip what is done, collect and summarise."""

from collections.abc import Sequence
from pathlib import Path

from lightning_base.auditing.gate import inspect
from lightning_base.errors import FoldsFailed, UserError
from lightning_base.folds.directory import claim, clear
from lightning_base.folds.executors.options import Execution
from lightning_base.folds.executors.runner import computing_threads, runner
from lightning_base.folds.plan import Plan
from lightning_base.folds.progress import FoldProgress
from lightning_base.folds.refit import check as check_refit
from lightning_base.folds.refit import refit
from lightning_base.folds.search import check
from lightning_base.folds.summary import collect, show
from lightning_base.results import states
from lightning_base.tools.console import console
from lightning_base.training.experiment import Experiment
from lightning_base.training.run import build, preflight


def crossval(
    experiment: Experiment,
    folds: Sequence[int] | None = None,
    overwrite: bool = False,
    execution: Execution | None = None,
    refitting: bool = False,
) -> Path:
    """Trains every fold that is not done, then collects; returns the directory.

    Args:
        experiment: the configuration.
        folds: numbers of the folds to train; all by default.
        overwrite: delete what an earlier run left, and begin anew.
        execution: where folds are trained; by default one after another in this process.
        refitting: train once more on the whole pool when all folds are done.

    Raises:
        FoldsFailed: where folds failed; the others have gone on.
        UserError: for a mistake in the configuration or the data (nothing is written then), or a directory that
            holds another experiment.
    """
    out = console()
    directory = experiment.root / "crossval"
    execution = execution or Execution()
    here = experiment.on_cpu() if execution.executor == "slurm" else experiment
    first = build(here, 0, directory / "fold_0", quiet=True)
    preflight(first)
    inspect(experiment.audit, experiment.root, first.datamodule)
    plan = Plan(experiment, directory, first.datamodule)
    chosen = list(range(plan.k)) if folds is None else sorted(set(folds))
    for fold in chosen:
        if not 0 <= fold < plan.k:
            raise UserError(f"--folds: fold {fold} does not exist, data.split has folds 0 to {plan.k - 1}")
    if first.trainer.fast_dev_run:  # type: ignore[attr-defined]
        for fold in chosen:
            run = build(experiment, fold, plan.fold_directory(fold), quiet=True)
            run.trainer.fit(run.model, datamodule=run.datamodule)
        out.print(f"fast_dev_run: {len(chosen)} folds ran, nothing was written")
        return directory
    check(experiment, first.datamodule)
    if execution.executor == "vectorized" and experiment.search is not None:
        raise UserError("--executor vectorized: a search trains each fold by itself; take inline, process or slurm")
    if refitting:
        check_refit(experiment, execution.executor == "inline")
    train = runner(execution, experiment, first)
    main = first.trainer.is_global_zero
    if main and overwrite and directory.exists():
        clear(directory, first.datamodule.labels)
    if main:
        claim(directory, experiment, plan.data)
    del first
    waiting = [fold for fold in chosen if not plan.is_done(fold)]
    if len(waiting) < len(chosen):
        out.print(f"{directory}: {len(chosen) - len(waiting)} of {len(chosen)} folds are done already")
    progress = FoldProgress(out, len(waiting), plan.k)
    with progress.progress:
        train(plan, waiting, progress)
    ended = {fold: states.read(plan.fold_directory(fold)) for fold in waiting}
    failed = [fold for fold, state in ended.items() if state["state"] == "failed"]
    if failed:
        errors = [f"fold {fold} ({ended[fold]['error']})" for fold in failed]
        raise FoldsFailed(
            f"{len(failed)} of {plan.k} folds failed: {'; '.join(errors)}; tracebacks stand in error.txt in their "
            "folders; mend the cause and run the same command again: the other folds are kept"
        )
    missing = [fold for fold in range(plan.k) if not plan.is_done(fold)]
    if missing:
        waits = "; the refit waits for them" if refitting else ""
        out.print(f"{len(missing)} of {plan.k} folds are still to run: {missing}{waits}")
        return directory
    if main:
        show(plan, *collect(plan), out)
    if refitting:
        with computing_threads(execution.threads):
            again = refit(plan)
        out.print(f"refit: {again['epochs']} epochs on {again['n_train']} samples, in {directory / 'refit'}")
    return directory
