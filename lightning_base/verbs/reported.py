"""What is told of scores of a model's predictions: their table, beside a trivial model's, and what they mean."""

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import UserError
from lightning_base.splitters.split import WHOLE
from lightning_base.stats import words
from lightning_base.stats.estimates import beside_own
from lightning_base.stats.tables import first_shown, score_table
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import Level, console, level
from lightning_base.training import evaluate
from lightning_base.training.beside import sealed
from lightning_base.training.run import Run
from lightning_base.verbs.results import Scored

NOTE = 100  # columns of a note, at most


def report(
    run: Run,
    samples: str,
    predictions: evaluate.Predictions,
    scores: dict[str, float] | None = None,
    fold: int | None = None,
    file: str | None = None,
) -> Scored:
    """The scores with their intervals, beside the trivial model's, which are printed.

    Args:
        run: whose task and data they are.
        samples: which, in words, after the experiment's name and a colon.
        predictions: what is scored.
        scores: where they are known.
        fold: whose training part the trivial model is fitted on; None for the whole pool.
        file: where all scores stand.
    """
    task, data, out = run.model, run.datamodule, console(Level.QUIET)
    scores = scores or evaluate.scores(task, predictions)
    found, trivial = evaluate.estimates(task, predictions, scores, lambda lines: sealed(data, lines, fold))
    own = own_trivial(task, data, predictions, fold)
    if own is not None and trivial in (None, own[1]):
        found, trivial = beside_own(found, [own[0]], trivial is not None), own[1]
    table, n = evaluate.frame(task, predictions), len(predictions.rows)
    shown, more = first_shown(found, level() == Level.VERBOSE)
    out.print(score_table(samples, shown, n, out.width))
    if more:
        out.print(f"{more}: {f'{file}; ' if file else ''}-v shows them", width=NOTE)
    group = predictions.samples.table.iloc[predictions.rows].get("group")
    groups = None if group is None else int(group.nunique())
    notes = [words.counted(n, "samples", words.rarest(table, data.classes), groups)]
    notes += words.of_two(data.classes, shown)
    notes += [f"trivial: {trivial}"] if trivial is not None else []
    for note in [*notes, f"intervals: {words.intervals(shown)}"]:
        console().print(note, width=NOTE)
    if worse := words.no_better(found):
        out.print(f"! not shown to be better than the trivial model: {worse}", width=NOTE)
    return Scored(samples, found, n, table)


def own_trivial(
    task: BaseModule, data: BaseDataModule, predictions: evaluate.Predictions, fold: int | None
) -> tuple[dict[str, float], str] | None:
    """What a task's own trivial model scores on these samples; None where it has none, or the pool cannot be read.

    Args:
        task: whose metrics they are.
        data: whose pool trained.
        predictions: what is scored.
        fold: whose training part; None for the whole pool.
    """
    try:
        train = data.folds.whole.train if fold in (None, WHOLE) else data.folds.folds[fold or 0].train
        return evaluate.trivial_scores(task, predictions, data.samples("pool"), train)
    except UserError:
        return None
