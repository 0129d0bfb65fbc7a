"""Cross-validation: functions over `build(experiment, fold)` that train, skip what is done, collect and summarise."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from lightning_base import states
from lightning_base.claim import claim, clear
from lightning_base.display import FoldProgress, console, fold_table, show_nested
from lightning_base.errors import FoldsFailed, UserError
from lightning_base.estimates import NAME as INTERVAL
from lightning_base.estimates import clipped, estimate
from lightning_base.execute import Execution, computing_threads, runner
from lightning_base.files import read_json, write_json, write_parquet
from lightning_base.fold import Plan
from lightning_base.inspection import inspect
from lightning_base.ncv import NAME as NESTED
from lightning_base.ncv import nested_intervals
from lightning_base.oof import oof_intervals
from lightning_base.refit import check as check_refit
from lightning_base.refit import refit
from lightning_base.run import Experiment, build, git_commit, preflight, versions
from lightning_base.search import check, describe, settings
from lightning_base.stats import Estimate


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
    inspect(experiment, first.datamodule)
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
    if execution.executor == "vectorized" and settings(experiment) is not None:
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


def collect(plan: Plan) -> tuple[dict[str, Any], dict[str, Estimate]]:
    """Writes oof.parquet and summary.json from the finished folds; returns the summary and its estimates.

    Folds that hold out a pair of others serve the nested interval alone.
    """
    trained = [read_json(plan.fold_directory(fold) / "result.json") for fold in range(plan.k)]
    folds, parts = plan.data.folds.ordinary, []
    for fold, assignment in enumerate(plan.data.folds.folds):
        if trained[fold]["split_hash"] != plan.data.folds.hash:
            raise UserError(f"{plan.fold_directory(fold)} was trained on another split; delete it and run again")
        part = pd.read_parquet(plan.fold_directory(fold) / "predictions.parquet")
        part.insert(1, "fold", fold)
        part.insert(2, "repeat", assignment.repeat)
        parts.append(part)
    results = trained[: len(folds)]
    oof = pd.concat(parts[: len(folds)], ignore_index=True).sort_values(["repeat", "id"], ignore_index=True)
    write_parquet(plan.directory / "oof.parquet", oof)
    table = plan.data.samples("pool").table.set_index("id")
    estimates = estimate(results, [fold.repeat for fold in folds], "group" in table)
    values = {name: e.folds for name, e in estimates.items()}
    groups = table["group"].reindex(oof["id"]).to_numpy() if "group" in table else None
    intervals = oof_intervals(oof, values, groups)
    nested = nested_intervals(parts, plan.data.folds.folds, values, table.get("group"))
    n = len(table)
    repeats = folds[-1].repeat + 1
    summary = {
        "metrics": {
            name: {
                "mean": e.mean,
                "std": e.std,
                "ci95": list(e.ci95),
                "ci95_oof_bootstrap": list(intervals[name]) if name in intervals else None,
                "folds": list(e.folds),
            }
            | (
                {"nested_mean": nested[name].mean, "ci95_nested": list(clipped(name, e.folds, nested[name].ci95))}
                if name in nested
                else {}
            )
            for name, e in estimates.items()
        },
        "details": pooled_details(results),
        "n": n,
        "n_scored": int(oof["id"].nunique()),  # fewer than n where a splitter never holds some samples out
        "n_oof": len(oof),
        "every_sample_once_per_repeat": len(oof) == n * repeats and not oof.duplicated(["id", "repeat"]).any(),
        "k": len(folds),
        "repeats": repeats,
        "interval": INTERVAL,
        "nested": NESTED if nested else None,
        "oof_bootstrap": f"percentile bootstrap over {'samples' if groups is None else 'groups'}, models held fixed",
        "oof_groups": None if groups is None else int(table["group"].nunique()),
        "selection": results[0]["selection"],
        "chosen": [result["chosen"] for result in results] if settings(plan.experiment) else None,
        "classes": list(plan.data.classes),
        "splitter": plan.data.folds.splitter,
        "split_hash": plan.data.folds.hash,
        "data_fingerprint": plan.data.samples("pool").fingerprint,
        "seed": plan.experiment.seed,
        "threads": sorted({result["threads"] for result in results}),
        "versions": versions(),
        "git_commit": git_commit(),
        "seconds": sum(result["seconds"] + result.get("search_seconds", 0) for result in trained),
    }
    write_json(plan.directory / "summary.json", summary)
    return summary, estimates


def pooled_details(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The folds' confusion matrices added up; other details as their mean over folds."""
    pooled: dict[str, Any] = {}
    for name in results[0]["details"]:
        values = np.array([result["details"][name] for result in results], dtype=np.float64)
        pooled[name] = (
            values.sum(axis=0).astype(int).tolist() if name == "confusion_matrix" else values.mean(axis=0).tolist()
        )
    return pooled


def show(plan: Plan, summary: dict[str, Any], estimates: dict[str, Estimate], out: Console) -> None:
    """Prints the table of scores, and where the results are."""
    title = f"{plan.experiment.name}: {summary['k']} folds, held-out samples, {summary['seconds']:.0f} s"
    out.print(fold_table(title, estimates, summary["n_scored"]))
    if summary["chosen"]:
        out.print(f"each fold chose, by {plan.experiment.config.search.metric}: {describe(summary['chosen'])}")
    out.print(f"interval: {summary['interval']}; scored: {summary['selection']}")
    if summary["nested"]:
        out.print(f"{summary['nested']}: {show_nested(summary['metrics'])}")
    out.print(f"results: {plan.directory}")
