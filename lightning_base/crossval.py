"""Cross-validation: functions over `build(experiment, fold)` that train, skip what is done, collect and summarise."""

import shutil
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.console import Console

from lightning_base import states
from lightning_base.claim import claim
from lightning_base.data import BaseDataModule
from lightning_base.display import FoldProgress, console, fold_table, show_scores
from lightning_base.errors import FoldsFailed, UserError, one_line
from lightning_base.evaluate import Predictions, details, frame, predict, scores
from lightning_base.files import read_json, write_json, write_parquet, write_text
from lightning_base.inspection import inspect
from lightning_base.run import Experiment, Run, build, close, git_commit, preflight, versions
from lightning_base.selection import scored_checkpoint, selection
from lightning_base.stats import Estimate, corrected_interval, oof_intervals


@dataclass(frozen=True)
class Plan:
    """A cross-validation in its directory: the experiment, and the data as its first fold saw it."""

    experiment: Experiment
    directory: Path
    data: BaseDataModule

    @property
    def k(self) -> int:
        """Number of folds, over all repeats."""
        return len(self.data.folds.folds)

    def fold_directory(self, fold: int) -> Path:
        """Where a fold's run lives."""
        return self.directory / f"fold_{fold}"

    def is_done(self, fold: int) -> bool:
        """A fold is done when its result stands: it is the last file that the fold writes."""
        return (self.fold_directory(fold) / "result.json").is_file()


def crossval(experiment: Experiment, folds: Sequence[int] | None = None, overwrite: bool = False) -> Path:
    """Trains every fold that is not done, then collects; returns the directory.

    Args:
        experiment: the configuration.
        folds: numbers of the folds to train; all by default.
        overwrite: delete what an earlier run left, and begin anew.

    Raises:
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
    main, world = first.trainer.is_global_zero, first.trainer.world_size
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
        failed = [fold for fold in waiting if not attempt(plan, fold, progress, alone=world == 1)]
    if failed:
        errors = [f"fold {fold} ({states.read(plan.fold_directory(fold))['error']})" for fold in failed]
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


def attempt(plan: Plan, fold: int, progress: FoldProgress, alone: bool) -> bool:
    """Trains a fold and keeps its state; False where it failed, so that the others can go on.

    Args:
        plan: the cross-validation.
        fold: which.
        progress: what shows it.
        alone: whether this is the only process: where there are others, an error ends them all.
    """
    directory = plan.fold_directory(fold)
    write_json(directory / states.STATE, states.running())
    try:
        result = train_fold(plan, fold, progress)
    except Exception as error:  # whatever the network, the data or the machine did
        write_json(directory / states.STATE, states.failed(error))
        write_text(directory / "error.txt", traceback.format_exc())
        if not alone:
            raise
        progress.finish(fold, f"failed: {type(error).__name__}: {one_line(error)[:200]}")
        return False
    (directory / states.STATE).unlink(missing_ok=True)
    (directory / "error.txt").unlink(missing_ok=True)
    progress.finish(fold, f"{show_scores(result['metrics'])}  {result['epochs']} epochs  {result['seconds']:.1f} s")
    return True


def train_fold(plan: Plan, fold: int, progress: FoldProgress | None = None) -> dict[str, Any]:
    """Trains one fold, from its last checkpoint where it has one, and scores it; returns its result."""
    watchers = [] if progress is None else [progress.watch(fold)]
    run = build(plan.experiment, fold, plan.fold_directory(fold), quiet=True, watchers=watchers)
    try:
        preflight(run)  # a fold's network may not fit where the first one's did
        return train(run, run.last_checkpoint if run.last_checkpoint.is_file() else None)[0]
    finally:
        close(run)


def train(run: Run, checkpoint: Path | None = None) -> tuple[dict[str, Any], Predictions]:
    """Trains a run and scores it on the held-out samples, each predicted once; the result and these.

    The last weights are scored, or with `data.inner_val` those of the checkpoint that its slice chose.

    Writes predictions.parquet, then result.json, which marks the run as done.

    Args:
        run: a run as built.
        checkpoint: where to go on from.
    """
    began = time.perf_counter()
    run.trainer.fit(
        run.model,
        datamodule=run.datamodule,
        ckpt_path=str(checkpoint) if checkpoint else None,
        weights_only=True,
    )
    epochs = run.trainer.current_epoch
    scored = scored_checkpoint(run)
    held_out = predict(run, "val", None if scored == run.last_checkpoint else scored)
    result = {
        "fold": run.fold,
        "seed": run.seed,
        "n_train": len(run.datamodule.rows("train")),
        "n_val": len(run.datamodule.rows("val")),
        "epochs": epochs,
        "seconds": time.perf_counter() - began,
        "resumed": checkpoint is not None,
        "selection": selection(run),
        "checkpoint": scored.name,
        "split_hash": run.datamodule.folds.hash,
        "metrics": scores(run.model, held_out),
        "details": details(run.model, held_out),
    }
    write_parquet(run.directory / "predictions.parquet", frame(run.model, held_out))
    write_json(run.directory / "result.json", result)
    run.trainer.strategy.barrier()  # no rank goes on to the next fold before this one is done
    return result, held_out


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
        "threads": torch.get_num_threads(),
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
