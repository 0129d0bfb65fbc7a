"""From finished folds to oof.parquet, summary.json and the table of scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from lightning_base.errors import UserError
from lightning_base.folds.plan import Plan
from lightning_base.folds.search import describe
from lightning_base.stats.bootstrap import oof_intervals
from lightning_base.stats.estimates import NAME as INTERVAL
from lightning_base.stats.estimates import clipped, estimate
from lightning_base.stats.intervals import Estimate
from lightning_base.stats.nested import NAME as NESTED
from lightning_base.stats.nested import nested_intervals
from lightning_base.stats.tables import fold_table, show_nested
from lightning_base.tools.files import read_json, write_json, write_parquet
from lightning_base.training.provenance import git_commit, versions


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
        "chosen": [result["chosen"] for result in results] if plan.experiment.search else None,
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
