"""The model card: what a run knows of its data, its scores and its limits, and what people are to fill in."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from lightning_base.exporting.members import Member
from lightning_base.results.fold_result import is_done, read_result
from lightning_base.results.summary import SUMMARY, read_summary
from lightning_base.splitters.split import WHOLE

FILL = "*to be filled in*"


def scores_of(home: Path) -> tuple[list[str], list[str]]:
    """Lines of a table of scores, and what they are of, in words; neither where the run has none."""
    if (home / SUMMARY).is_file() or (home.name == "refit" and (home.parent / SUMMARY).is_file()):
        summary = read_summary(home if (home / SUMMARY).is_file() else home.parent)
        rows = [
            f"| {name} | {number(one.score)} | {interval(one.ci95)} | {number(one.trivial)} |"
            for name, one in summary.metrics.items()
        ]
        said = [
            f"Scores are pooled over {summary.n_scored:,} held-out samples of {summary.k} folds, each predicted by a "
            "model that has not seen it. The exported model is "
            + (
                "a refit on all of them." if home.name == "refit" else f"the ensemble of the {summary.k} folds' models."
            ),
            f"Intervals: {summary.interval}.",
            f"Weights: {summary.selection}.",
        ]
        said += [f"Trivial model: {summary.trivial}."] if summary.trivial else []
        said += [f"Rarest class: {summary.rarest_class}, {summary.rarest} samples."] if summary.rarest else []
        return rows, said
    if is_done(home):
        result = read_result(home)
        trivial = result.trivial or {}
        rows = [f"| {k} | {number(v)} | | {number(trivial.get(k))} |" for k, v in result.metrics.items()]
        said = [
            f"Scores are of {result.n_val:,} held-out samples of fold {result.fold}.",
            f"Weights: {result.selection}.",
        ]
        return rows, said
    return [], []


def _made(home: Path, k: int) -> str:
    return "a refit on all of them" if home.name == "refit" else f"the ensemble of the {k} folds' models"


def number(value: float | None) -> str:
    """Four digits; nothing for what is not known."""
    return "" if value is None or not isfinite(value) else f"{value:.4f}"


def interval(ends: Sequence[float] | None) -> str:
    """The 95 % interval; nothing where none is known."""
    return "" if not ends or not all(map(isfinite, ends)) else f"{number(ends[0])} … {number(ends[1])}"


def card(
    member: Member, home: Path, manifest: Mapping[str, Any], kinds: Mapping[str, str], folds: Sequence[int]
) -> str:
    """The card as Markdown.

    Args:
        member: one of the model's, whose data is told.
        home: the run's directory.
        manifest: of the export.
        kinds: of the inputs.
        folds: that the members were trained as.
    """
    pool, checked = member.pool, manifest["checks"]
    rows, said = scores_of(home)
    classes = getattr(member.task, "classes", ())
    table = (
        ["| metric | held out | 95 % interval | trivial model |", "| --- | --- | --- | --- |", *rows] if rows else []
    )
    source = manifest["source"]
    of = (
        "refit on the whole pool"
        if list(folds) == [WHOLE]
        else f"fold{'s' if len(folds) > 1 else ''} {', '.join(map(str, folds))}"
    )
    lines = [
        f"# {manifest['name']}",
        "",
        f"Version {manifest['version']}; {manifest['answer']['kind'].replace('_', ' ')} of "
        f"{', '.join(f'{name} ({kind})' for name, kind in kinds.items())}; {type(member.task.network).__name__}, {of}; "
        f"{manifest['precision']}.",
        "",
        "## Intended use",
        FILL,
        "",
        "## Licence",
        FILL,
        "",
        "## Data",
        f"{len(pool):,} samples from `{Path(pool.origin).name}`"
        + (
            f", {len(classes)} classes: {', '.join(map(str, classes[:20]))}{', …' if len(classes) > 20 else ''}."
            if classes
            else "."
        ),
        f"Fingerprint of the data {source['data'][:16]}, of the split {source['split'][:16]}.",
        "",
        "## Scores",
        *(table or ["The run left none."]),
        "",
        *said,
        "The sealed test samples were not read for this card.",
        "",
        "## Checked when exported",
        f"On {checked['n']} real samples the exported model's answers differ from the run's by at most "
        f"{checked['largest']:.2g} ({checked['agreeing']} of {checked['n']} the same prediction), and by at most "
        f"{checked['alone']:.2g} between an answer alone and one in a batch with others.",
        *(_loss(manifest["loss"]) if manifest.get("loss") else []),
        "",
        "## Limits",
        "- It has learned from the data above, and is to be trusted on inputs like those; `reference.json` and "
        "`lightning-base serve` watch for others.",
        "- An answer's probability is the model's, not a promise; the scores say how far it can be relied on.",
        f"- {FILL}: who may be harmed by a wrong answer, and what is done about it.",
        "",
        "## Run it",
        "```bash",
        "pip install -r requirements.txt",
        "python predict.py input.json     # or a file, or rows.csv",
        "python verify.py                 # answers the examples, and compares",
        "```",
        "",
    ]
    return "\n".join(lines)


def _loss(loss: Mapping[str, Any]) -> list[str]:
    rows = [f"| {name} | {number(one['before'])} | {number(one['after'])} |" for name, one in loss["metrics"].items()]
    return [
        "",
        f"What {loss['precision']} costs, on {loss['n']:,} held-out samples:",
        "",
        "| metric | float32 | after |",
        "| --- | --- | --- |",
        *rows,
    ]
