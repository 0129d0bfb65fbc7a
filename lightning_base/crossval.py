"""Cross-validation: functions over `build(experiment, fold)` that train, skip what is done, collect and summarise."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from lightning_base import states
from lightning_base.claim import claim
from lightning_base.display import FoldProgress, console, fold_table
from lightning_base.errors import FoldsFailed, UserError
from lightning_base.execute import Execution, runner
from lightning_base.files import read_json, write_json, write_parquet
from lightning_base.fold import Plan
from lightning_base.inspection import inspect
from lightning_base.run import Experiment, build, git_commit, preflight, versions
from lightning_base.stats import Estimate, corrected_interval, oof_intervals


def crossval(
    experiment: Experiment,
    folds: Sequence[int] | None = None,
    overwrite: bool = False,
    execution: Execution | None = None,
) -> Path:
    """Trains every fold that is not done, then collects; returns the directory.

    Args:
        experiment: the configuration.
        folds: numbers of the folds to train; all by default.
        overwrite: delete what an earlier run left, and begin anew.
        execution: where folds are trained; by default one after another in this process.

    Raises:
        FoldsFailed: where folds failed; the others have gone on.
        UserError: for a mistake in the configuration or the data (nothing is written then), or a directory that
            holds another experiment.
    """
    out = console()
    directory = experiment.root / "crossval"
    first = build(experiment, 0, directory / "fold_0", quiet=True)
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
    train = runner(execution or Execution(), first)
    main = first.trainer.is_global_zero
    if main and overwrite and directory.exists():
        labels = first.datamodule.labels
        if labels is not None and Path(labels).resolve().is_relative_to(directory.resolve()):
            raise UserError(f"--overwrite: {labels} stands in {directory}, which would be deleted; give another --name")
        shutil.rmtree(directory)
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
    if not main:
        return directory
    missing = [fold for fold in range(plan.k) if not plan.is_done(fold)]
    if missing:
        out.print(f"{len(missing)} of {plan.k} folds are still to run: {missing}")
    else:
        show(plan, *collect(plan), out)
    return directory


def collect(plan: Plan) -> tuple[dict[str, Any], dict[str, Estimate]]:
    """Writes oof.parquet and summary.json from the finished folds; returns the summary and its estimates."""
    results = [read_json(plan.fold_directory(fold) / "result.json") for fold in range(plan.k)]
    parts = []
    for fold, assignment in enumerate(plan.data.folds.folds):
        if results[fold]["split_hash"] != plan.data.folds.hash:
            raise UserError(f"{plan.fold_directory(fold)} was trained on another split; delete it and run again")
        part = pd.read_parquet(plan.fold_directory(fold) / "predictions.parquet")
        part.insert(1, "fold", fold)
        part.insert(2, "repeat", assignment.repeat)
        parts.append(part)
    oof = pd.concat(parts, ignore_index=True).sort_values(["repeat", "id"], ignore_index=True)
    write_parquet(plan.directory / "oof.parquet", oof)
    estimates = estimate(results)
    table = plan.data.samples("pool").table.set_index("id")
    groups = table["group"].reindex(oof["id"]).to_numpy() if "group" in table else None
    intervals = oof_intervals(oof, {name: e.folds for name, e in estimates.items()}, groups)
    n = len(table)
    repeats = plan.data.folds.folds[-1].repeat + 1
    summary = {
        "metrics": {
            name: {
                "mean": e.mean,
                "std": e.std,
                "ci95": list(e.ci95),
                "ci95_oof_bootstrap": list(intervals[name]) if name in intervals else None,
                "folds": list(e.folds),
            }
            for name, e in estimates.items()
        },
        "details": pooled_details(results),
        "n": n,
        "n_scored": int(oof["id"].nunique()),  # fewer than n where a splitter never holds some samples out
        "n_oof": len(oof),
        "every_sample_once_per_repeat": len(oof) == n * repeats and not oof.duplicated(["id", "repeat"]).any(),
        "k": plan.k,
        "repeats": repeats,
        "interval": "corrected resampled t, Nadeau & Bengio 2003",
        "oof_bootstrap": f"percentile bootstrap over {'samples' if groups is None else 'groups'}, models held fixed",
        "oof_groups": None if groups is None else int(table["group"].nunique()),
        "selection": results[0]["selection"],
        "classes": list(plan.data.classes),
        "splitter": plan.data.folds.splitter,
        "split_hash": plan.data.folds.hash,
        "data_fingerprint": plan.data.samples("pool").fingerprint,
        "seed": plan.experiment.seed,
        "threads": sorted({result["threads"] for result in results}),
        "versions": versions(),
        "git_commit": git_commit(),
        "seconds": sum(result["seconds"] for result in results),
    }
    write_json(plan.directory / "summary.json", summary)
    return summary, estimates


def estimate(results: Sequence[dict[str, Any]]) -> dict[str, Estimate]:
    """Per metric, the folds' values with mean, standard deviation and corrected interval."""
    n_train, n_val = (float(np.mean([r[key] for r in results])) for key in ("n_train", "n_val"))
    return {
        name: corrected_interval(
            [np.nan if r["metrics"][name] is None else r["metrics"][name] for r in results], n_train, n_val
        )
        for name in results[0]["metrics"]
    }


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
    title = f"{plan.experiment.name}: {plan.k} folds, held-out samples, {summary['seconds']:.0f} s"
    out.print(fold_table(title, estimates, summary["n_scored"]))
    out.print(f"interval: {summary['interval']}; scored: {summary['selection']}")
    out.print(f"results: {plan.directory}")
