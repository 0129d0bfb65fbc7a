"""The verbs fit, validate, test and predict: what they train, read, score, write and print."""

import time
from collections.abc import Sequence
from pathlib import Path

from lightning_base.auditing.gate import inspect, write_split
from lightning_base.cli.paths import describe, members_of, read_stamp
from lightning_base.data.datamodule import Role
from lightning_base.errors import UserError
from lightning_base.folds.search import tuned
from lightning_base.results import states
from lightning_base.splitters.split import WHOLE
from lightning_base.stats.tables import score_table
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import console
from lightning_base.tools.files import read_json, write_json, write_parquet
from lightning_base.training import evaluate
from lightning_base.training.checkpoint import resume_point
from lightning_base.training.experiment import Experiment
from lightning_base.training.preempt import listening
from lightning_base.training.run import Run, build, close, preflight
from lightning_base.training.train import train


def fit(experiment: Experiment, run: Run, path: Path | None) -> None:
    """Trains fold 0 of data.split, and scores the samples it holds out; a run that was broken off goes on.

    Args:
        experiment: the configuration.
        run: as built, in a folder of its own.
        path: a checkpoint to begin from; None for a beginning.

    Raises:
        UserError: for what can be known to be wrong; nothing is written then.
    """
    if experiment.search is not None:
        raise UserError(
            "search: fit does not search; take crossval (one fold is enough: lightning_base.splitters.Ratio), or give "
            "--search null"
        )
    preflight(run)
    inspect(experiment.audit, experiment.root, run.datamodule)
    if run.trainer.fast_dev_run:  # type: ignore[attr-defined]
        run.trainer.fit(run.model, datamodule=run.datamodule)
        return
    begun = resume_point(run.directory)
    if begun is not None:
        console().print(f"{run.directory}: goes on from {begun.name}; delete the folder to begin anew")
    experiment.save(run.directory / "config.yaml")
    write_split(run.directory, run.datamodule)
    write_json(run.directory / states.STATE, states.running())
    try:
        with listening():
            result, held_out = train(run, begun or path)
    finally:
        (run.directory / states.STATE).unlink(missing_ok=True)
    close(run)
    report(experiment, "held-out samples of fold 0", run.model, held_out, result.metrics)
    console().print(f"scored: {result.selection}\nresults: {run.directory}")


def validate(experiment: Experiment, run: Run, path: Path | None) -> None:
    """Scores a checkpoint on the samples that its fold held out.

    Raises:
        UserError: where the path names no checkpoint of a fold.
    """
    if path is None or path.is_dir():
        raise UserError(
            "validate needs --ckpt_path of one run's checkpoint; the held-out scores of a crossval directory stand in "
            "its summary.json"
        )
    if run.fold == WHOLE:
        raise UserError(f"--ckpt_path: {path} is a refit, which has trained on the whole pool; test takes it")
    report(experiment, f"held-out samples of fold {run.fold}", run.model, evaluate.predict(run, "val", path))


def test(experiment: Experiment, path: Path | None) -> None:
    """Scores a checkpoint, or the ensemble of a crossval directory, on the sealed test samples; writes test.json.

    Raises:
        UserError: where the path names none, or the test samples have no target.
    """
    members, home = members_of(path, "test")
    record = home / "test.json"
    reads = read_json(record, needs={"reads": list})["reads"] if record.is_file() else []
    task, predictions = ensemble(experiment, "test", members)
    if predictions.target is None:
        raise UserError(f"{predictions.samples.origin}: the test samples have no target; use predict")
    scores = evaluate.scores(task, predictions)
    intervals = report(experiment, f"test samples, {describe(members)}", task, predictions, scores)
    reads = [*reads, time.strftime("%Y-%m-%dT%H:%M:%S%z")]
    if len(reads) > 1:
        console().print(
            f"the test samples were read {len(reads)} times for this run, first {reads[0]}: what was chosen in "
            "between is fitted to them"
        )
    write_parquet(home / "test.parquet", evaluate.frame(task, predictions))
    write_json(
        record,
        {
            "metrics": {k: {"value": v, "ci95": list(intervals[k])} for k, v in scores.items()},
            "details": evaluate.details(task, predictions),
            "n": len(predictions.rows),
            "members": len(members),
            "interval": "accuracy: exact binomial; others: percentile bootstrap over test samples",
            "data_fingerprint": predictions.samples.fingerprint,
            "reads": reads,
        },
    )
    console().print(f"results: {record}")


def predict(experiment: Experiment, path: Path | None) -> None:
    """Writes the predictions of the predict source, by a checkpoint or a crossval directory's ensemble.

    Raises:
        UserError: where the path names none, or the source cannot be read.
    """
    members, home = members_of(path, "predict")
    task, predictions = ensemble(experiment, "predict", members)
    written = home / ("ensemble.parquet" if len(members) > 1 else "predict.parquet")
    write_parquet(written, evaluate.frame(task, predictions))
    console().print(f"{len(predictions.rows)} samples predicted by {describe(members)}\nresults: {written}")


def ensemble(experiment: Experiment, role: Role, members: Sequence[Path]) -> tuple[BaseModule, evaluate.Predictions]:
    """The members' predictions of a role as one, and the last one's task, which knows the classes.

    Args:
        experiment: the configuration that they share, but for what a search chose.
        role: which samples.
        members: checkpoints, one or more.
    """
    found = []
    for checkpoint in members:
        home = checkpoint.parent.parent
        fold = read_stamp(checkpoint).get("fold", 0)
        run = build(tuned(experiment, home), fold, home, quiet=True, training=False)
        found.append(evaluate.predict(run, role, checkpoint))
    return run.model, evaluate.ensemble(run.model, found)


def report(
    experiment: Experiment,
    title: str,
    task: BaseModule,
    predictions: evaluate.Predictions,
    scores: dict[str, float] | None = None,
) -> dict[str, tuple[float, float]]:
    """Prints the scores with their intervals; returns the intervals."""
    scores = scores or evaluate.scores(task, predictions)
    intervals = evaluate.score_intervals(task, predictions)
    console().print(score_table(f"{experiment.name}: {title}", scores, intervals, len(predictions.rows)))
    return intervals
