"""From finished folds to oof.parquet, summary.json and the table of scores."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.folds.own import read_fold
from lightning_base.folds.plan import Plan
from lightning_base.folds.search import describe
from lightning_base.results.arrays import write_predictions
from lightning_base.results.fold_result import FoldResult
from lightning_base.results.summary import OOF, MetricSummary, Summary
from lightning_base.stats import logged, words
from lightning_base.stats.bootstrap import oof_intervals
from lightning_base.stats.estimates import beside_own, clipped, estimate
from lightning_base.stats.facts import Design
from lightning_base.stats.linear import Lines
from lightning_base.stats.nested import NAME as NESTED
from lightning_base.stats.nested import nested_intervals
from lightning_base.stats.tables import first_shown, fold_table, show_nested
from lightning_base.tools.checksums import file_sum
from lightning_base.tools.console import Level, console, level, note
from lightning_base.training.beside import are_windows, held_out
from lightning_base.training.provenance import git_commit, versions

NOTE = 100  # columns of a note, at most


def collect(plan: Plan) -> Summary:
    """Writes oof.parquet and summary.json from the finished folds; returns the summary.

    Folds that hold out a pair of others serve the nested interval alone.
    """
    trained, parts = read_folds(plan)
    results = trained[: len(plan.data.folds.ordinary)]
    oof = pd.concat(parts[: len(results)], ignore_index=True).sort_values(["repeat", "id"], ignore_index=True)
    write_predictions(plan.directory / OOF, oof)
    summary = summarise(plan, trained, oof, *estimates(plan, results, parts, oof))
    summary.write(plan.directory)
    return summary


def read_folds(plan: Plan) -> tuple[list[FoldResult], list[pd.DataFrame]]:
    """The result and the predictions (id, fold, repeat, …) of every fold.

    Raises:
        UserError: where one is not this cross-validation's; see `read_fold`.
    """
    results, parts = [], []
    for fold, assignment in enumerate(plan.data.folds.folds):
        result, part = read_fold(plan, fold)
        part.insert(1, "fold", fold)
        part.insert(2, "repeat", assignment.repeat)
        results.append(result)
        parts.append(part)
    return results, parts


def estimates(
    plan: Plan, results: Sequence[FoldResult], parts: Sequence[pd.DataFrame], oof: pd.DataFrame
) -> tuple[dict[str, MetricSummary], str | None]:
    """Per metric its score and intervals, and beside them the trivial model's; what that predicts, in words.

    Args:
        plan: the cross-validation.
        results: of the folds that are scored.
        parts: the predictions of every fold, pairs included.
        oof: those of the folds that are scored, joined.
    """
    split, table = plan.data.folds, plan.data.samples("pool").table.set_index("id")
    by_metric = {name: [result.metrics[name] for result in results] for name in results[0].metrics}
    group, lines = groups_of(plan, oof), Lines.of(oof)
    design = Design(
        n_train=[result.n_train for result in results],
        n_val=[result.n_val for result in results],
        repeats=[fold.repeat for fold in split.ordinary],
        group=group,
        temporal=split.temporal,
        ordered=split.temporal and are_windows(plan.data.samples("pool").table, split.ordinary),
    )
    beside = None if lines is None else held_out(plan.data, lines, oof["id"].tolist(), split.ordinary)
    trivial, name_of_it = (None, None) if beside is None else beside
    found = estimate(by_metric, design, lines, trivial)
    if all(result.trivial for result in results) and name_of_it in (None, results[0].trivial_name):
        found = beside_own(found, [result.trivial or {} for result in results], name_of_it is not None)
        name_of_it = results[0].trivial_name
    values = {name: one.folds for name, one in found.items()}
    drawn = oof_intervals(oof, values, group)
    nested = nested_intervals(parts, split.folds, values, table.get("group"))
    metrics = {}
    for name, one in found.items():
        fields = {key.name: getattr(one, key.name) for key in dataclasses.fields(one)}
        own = nested.get(name)
        metrics[name] = MetricSummary(
            **fields,
            ci95_oof_bootstrap=drawn.get(name),
            nested_mean=None if own is None else own.mean,
            ci95_nested=None if own is None else clipped(name, one.folds, own.ci95),
        )
    return metrics, name_of_it


def groups_of(plan: Plan, oof: pd.DataFrame) -> Any:
    """(L,) the group of each line of oof.parquet; None where samples have none."""
    table = plan.data.samples("pool").table.set_index("id")
    return table["group"].reindex(oof["id"]).to_numpy() if "group" in table else None


def summarise(
    plan: Plan,
    trained: Sequence[FoldResult],
    oof: pd.DataFrame,
    metrics: dict[str, MetricSummary],
    trivial: str | None,
) -> Summary:
    """The summary of a cross-validation.

    Args:
        plan: the cross-validation.
        trained: the results of every fold, pairs included.
        oof: the held-out samples' predictions.
        metrics: their estimates.
        trivial: what the trivial model predicts, in words.
    """
    split, pool = plan.data.folds, plan.data.samples("pool")
    results, repeats = trained[: len(split.ordinary)], split.ordinary[-1].repeat + 1
    n_train = float(np.mean([result.n_train for result in results]))
    grouped, drawn = "group" in pool.table, 1 < repeats == len(results)
    rarest = words.rarest(oof, plan.data.classes)
    return Summary(
        metrics=metrics,
        details=pooled_details(results, bool(plan.data.classes)),
        n=len(pool),
        n_scored=int(oof["id"].nunique()),  # fewer than n where a splitter never holds some samples out
        n_oof=len(oof),
        every_sample_once_per_repeat=len(oof) == len(pool) * repeats and not oof.duplicated(["id", "repeat"]).any(),
        k=len(results),
        repeats=repeats,
        interval=words.intervals(metrics, n_train),
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
        rarest=rarest and rarest[1],
        rarest_class=rarest and rarest[0],
        trivial=trivial,
        drawn=drawn,
        oof_sum=file_sum(plan.directory / OOF),
        n_train=n_train,
        score=results[0].score or None,
        higher_is_better=results[0].higher_is_better,
        untrained=words.untrained([one.n_train for one in results], [one.n_given for one in results]) or None,
        logged=logged.by_name([one.logged for one in results]),
    )


def pooled_details(results: Sequence[FoldResult], classes: bool) -> dict[str, Any]:
    """The folds' confusion matrices added up; other details as their mean over the folds that have them.

    A class that a fold does not hold out has no precision, recall or F1 there. Beside their means stand the values of
    the added matrix, and in how many folds each class is.

    Args:
        results: of the folds.
        classes: whether these are a classifier's.
    """
    pooled: dict[str, Any] = {}
    for name in results[0].details:
        if name == "names":
            pooled[name] = results[0].details[name]
            continue
        values = np.array([result.details[name] for result in results], dtype=np.float64)
        if name == "confusion_matrix":
            pooled[name] = values.sum(axis=0).astype(int).tolist()
            if classes:
                pooled["folds_with_class"] = (values.sum(axis=2) > 0).sum(axis=0).tolist()
                pooled |= {f"{ratio}_pooled": value for ratio, value in ratios(values.sum(axis=0)).items()}
        else:
            there = np.isfinite(values)
            total = np.where(there, values, 0).sum(axis=0)
            mean = np.divide(total, there.sum(axis=0), out=np.full(total.shape, np.nan), where=there.any(axis=0))
            pooled[name] = mean.tolist()
    return pooled


def ratios(matrix: npt.NDArray[np.float64]) -> dict[str, list[float]]:
    """Precision, recall and F1 of each class from a confusion matrix (C, C), rows true; NaN for one without samples."""
    hits, true, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    found = {"precision": hits / np.maximum(predicted, 1), "recall": hits / np.maximum(true, 1)}
    found["f1"] = 2 * hits / np.maximum(true + predicted, 1)
    return {name: np.where(true > 0, values, np.nan).tolist() for name, values in found.items()}


def show(plan: Plan, summary: Summary) -> None:
    """Prints the table of scores, what they mean, and where the results are."""
    out, notes = console(Level.QUIET), console()
    title = f"{plan.experiment.name}: {summary.k} folds, held-out samples, {summary.seconds:.0f} s"
    if not summary.metrics:
        out.print(f"{title}\nno score: items have no target, and no metric is named; what is logged is not checked")
        _show_logged(plan, summary)
        out.print(f"results: {plan.directory}", soft_wrap=True)
        return
    shown, more = first_shown(summary.metrics, level() == Level.VERBOSE)
    table, left_out = fold_table(title, shown, out.width)
    out.print(table)
    if left_out:
        out.print(left_out)
    if more:
        out.print(f"{more}: summary.json; -v shows them", width=NOTE)
    rarest = None if summary.rarest is None else (str(summary.rarest_class), summary.rarest)
    scored = words.counted(summary.n_scored, "samples", rarest, summary.oof_groups)
    notes.print(f"score: {words.centre(shown)}, {scored}; scored: {summary.selection}", width=NOTE)
    for text in words.of_two(summary.classes, shown):
        notes.print(text, width=NOTE)
    if summary.untrained:
        note(f"! {summary.untrained}", Level.QUIET, NOTE)
    if summary.trivial:
        notes.print(f"trivial: {summary.trivial}, on the same folds", width=NOTE)
    if worse := words.no_better(summary.metrics):
        out.print(f"! not shown to be better than the trivial model: {worse}", width=NOTE)
    notes.print(f"intervals: {words.intervals(shown, summary.n_train)}", width=NOTE)
    _show_logged(plan, summary)
    if summary.chosen:
        chosen = describe([values for values in summary.chosen if values is not None])
        notes.print(
            f"each fold chose, by {plan.experiment.config.search.metric or summary.score}: {chosen}", width=NOTE
        )
    if summary.nested:
        nested = {name: (m.nested_mean, m.ci95_nested) for name, m in summary.metrics.items() if m.ci95_nested}
        notes.print(f"{summary.nested}: {show_nested(nested)}", width=NOTE)
    out.print(f"results: {plan.directory}", soft_wrap=True)


def _show_logged(plan: Plan, summary: Summary) -> None:
    """Prints what a LightningModule of somebody else's has logged, and where that is not what its predictions score."""
    scores = {name: metric.folds for name, metric in summary.metrics.items()}
    for line in logged.told(summary.logged or {}, scores, plan.data.inner_val is not None):
        if line.startswith("!"):
            note(line, Level.QUIET, NOTE)
        else:
            console().print(line, width=NOTE)
