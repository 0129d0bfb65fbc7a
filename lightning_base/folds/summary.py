"""From finished folds to oof.parquet, summary.json and the table of scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lightning_base.errors import ArtefactError
from lightning_base.folds.plan import Plan
from lightning_base.folds.search import describe
from lightning_base.results.fold_result import FoldResult, read_result
from lightning_base.results.summary import MetricSummary, Summary
from lightning_base.results.tables import read_table
from lightning_base.stats.bootstrap import oof_intervals
from lightning_base.stats.estimates import NAME as INTERVAL
from lightning_base.stats.estimates import clipped, estimate
from lightning_base.stats.nested import NAME as NESTED
from lightning_base.stats.nested import nested_intervals
from lightning_base.stats.tables import fold_table, show_nested
from lightning_base.tools.console import Level, console
from lightning_base.tools.files import write_parquet
from lightning_base.training.provenance import git_commit, versions

NOTE = 100  # columns of a note, at most


def collect(plan: Plan) -> Summary:
    """Writes oof.parquet and summary.json from the finished folds; returns the summary.

    Folds that hold out a pair of others serve the nested interval alone.
    """
    trained, parts = read_folds(plan)
    results = trained[: len(plan.data.folds.ordinary)]
    oof = pd.concat(parts[: len(results)], ignore_index=True).sort_values(["repeat", "id"], ignore_index=True)
    write_parquet(plan.directory / "oof.parquet", oof)
    summary = summarise(plan, trained, oof, estimates(plan, results, parts, oof))
    summary.write(plan.directory)
    return summary


def read_folds(plan: Plan) -> tuple[list[FoldResult], list[pd.DataFrame]]:
    """The result and the predictions (id, fold, repeat, …) of every fold.

    Raises:
        UserError: where one was trained on another split.
    """
    results, parts = [], []
    for fold, assignment in enumerate(plan.data.folds.folds):
        directory = plan.fold_directory(fold)
        results.append(read_result(directory))
        if results[-1].split_hash != plan.data.folds.hash:
            raise ArtefactError(f"{directory} was trained on another split; delete it and run again")
        part = read_table(directory / "predictions.parquet", mend=f"delete {directory}, and run crossval again")
        part.insert(1, "fold", fold)
        part.insert(2, "repeat", assignment.repeat)
        parts.append(part)
    return results, parts


def estimates(
    plan: Plan, results: Sequence[FoldResult], parts: Sequence[pd.DataFrame], oof: pd.DataFrame
) -> dict[str, MetricSummary]:
    """Per metric the folds' values with mean, standard deviation and intervals.

    Args:
        plan: the cross-validation.
        results: of the folds that are scored.
        parts: the predictions of every fold, pairs included.
        oof: those of the folds that are scored, joined.
    """
    split, table = plan.data.folds, plan.data.samples("pool").table.set_index("id")
    by_metric = {name: [result.metrics[name] for result in results] for name in results[0].metrics}
    sizes = [result.n_train for result in results], [result.n_val for result in results]
    found = estimate(by_metric, *sizes, [fold.repeat for fold in split.ordinary], "group" in table)
    values = {name: one.folds for name, one in found.items()}
    drawn = oof_intervals(oof, values, groups_of(plan, oof))
    nested = nested_intervals(parts, split.folds, values, table.get("group"))
    return {
        name: MetricSummary(
            mean=one.mean,
            std=one.std,
            ci95=one.ci95,
            folds=one.folds,
            ci95_oof_bootstrap=drawn.get(name),
            nested_mean=nested[name].mean if name in nested else None,
            ci95_nested=clipped(name, one.folds, nested[name].ci95) if name in nested else None,
        )
        for name, one in found.items()
    }


def groups_of(plan: Plan, oof: pd.DataFrame) -> Any:
    """(L,) the group of each line of oof.parquet; None where samples have none."""
    table = plan.data.samples("pool").table.set_index("id")
    return table["group"].reindex(oof["id"]).to_numpy() if "group" in table else None


def summarise(
    plan: Plan, trained: Sequence[FoldResult], oof: pd.DataFrame, metrics: dict[str, MetricSummary]
) -> Summary:
    """The summary of a cross-validation.

    Args:
        plan: the cross-validation.
        trained: the results of every fold, pairs included.
        oof: the held-out samples' predictions.
        metrics: their estimates.
    """
    split, pool = plan.data.folds, plan.data.samples("pool")
    results, repeats = trained[: len(split.ordinary)], split.ordinary[-1].repeat + 1
    grouped = "group" in pool.table
    return Summary(
        metrics=metrics,
        details=pooled_details(results),
        n=len(pool),
        n_scored=int(oof["id"].nunique()),  # fewer than n where a splitter never holds some samples out
        n_oof=len(oof),
        every_sample_once_per_repeat=len(oof) == len(pool) * repeats and not oof.duplicated(["id", "repeat"]).any(),
        k=len(results),
        repeats=repeats,
        interval=INTERVAL,
        nested=NESTED if any(metric.ci95_nested for metric in metrics.values()) else None,
        oof_bootstrap=f"percentile bootstrap over {'groups' if grouped else 'samples'}, models held fixed",
        oof_groups=int(pool.table["group"].nunique()) if grouped else None,
        selection=results[0].selection,
        chosen=[result.chosen for result in results] if plan.experiment.search else None,
        classes=list(plan.data.classes),
        splitter=split.splitter,
        split_hash=split.hash,
        data_fingerprint=pool.fingerprint,
        seed=plan.experiment.seed,
        threads=sorted({result.threads for result in results}),
        versions=versions(),
        git_commit=git_commit(),
        seconds=sum(result.seconds + result.search_seconds for result in trained),
    )


def pooled_details(results: Sequence[FoldResult]) -> dict[str, Any]:
    """The folds' confusion matrices added up; other details as their mean over folds."""
    pooled: dict[str, Any] = {}
    for name in results[0].details:
        values = np.array([result.details[name] for result in results], dtype=np.float64)
        pooled[name] = (
            values.sum(axis=0).astype(int).tolist() if name == "confusion_matrix" else values.mean(axis=0).tolist()
        )
    return pooled


def show(plan: Plan, summary: Summary) -> None:
    """Prints the table of scores, what they mean, and where the results are."""
    out, notes = console(Level.QUIET), console()
    title = f"{plan.experiment.name}: {summary.k} folds, held-out samples, {summary.seconds:.0f} s"
    table, left_out = fold_table(title, summary.metrics, summary.n_scored, out.width)
    out.print(table)
    if left_out:
        out.print(left_out)
    if summary.chosen:
        chosen = describe([values for values in summary.chosen if values is not None])
        notes.print(f"each fold chose, by {plan.experiment.config.search.metric}: {chosen}", width=NOTE)
    notes.print(f"interval: {summary.interval}; scored: {summary.selection}", width=NOTE)
    if summary.nested:
        nested = {name: (m.nested_mean, m.ci95_nested) for name, m in summary.metrics.items() if m.ci95_nested}
        notes.print(f"{summary.nested}: {show_nested(nested)}", width=NOTE)
    out.print(f"results: {plan.directory}", soft_wrap=True)
