"""The verbs fit, validate, test and predict: what they train, read, score, write and print."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_base.auditing.gate import inspect, write_split
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.pool import Role
from lightning_base.errors import ConfigError, FoldsFailed, UserError
from lightning_base.folds.search import tuned
from lightning_base.preprocess.base import Preprocess
from lightning_base.results import states
from lightning_base.results.fold_result import RESULT
from lightning_base.results.written import demand_out, write_out
from lightning_base.splitters.split import WHOLE
from lightning_base.stats import words
from lightning_base.tools.console import Level, console
from lightning_base.tools.files import UNWRITABLE, write_json
from lightning_base.tools.imports import told
from lightning_base.tools.locks import claiming, hold
from lightning_base.tools.process import is_main
from lightning_base.training import evaluate
from lightning_base.training.checkpoint import resume_point
from lightning_base.training.experiment import Experiment
from lightning_base.training.fitting import demand_fitting, sizes_in
from lightning_base.training.preflight import preflight
from lightning_base.training.run import Run, build, close
from lightning_base.training.run import describe as describe_run
from lightning_base.training.settings import Use
from lightning_base.training.signals import listening
from lightning_base.training.train import train
from lightning_base.training.watch import watch_alone
from lightning_base.verbs.paths import (
    LOCK,
    RUN,
    demand_code_of_run,
    demand_fold_of_folder,
    describe,
    fit_directory,
    members_of,
    read_stamp,
    same_data,
)
from lightning_base.verbs.reported import NOTE, report
from lightning_base.verbs.results import Fitted, Scored
from lightning_base.verbs.tested import demand_file, reads_with, told_of, write_test
from lightning_base.verbs.told import say, tell_of_others, tell_unchecked, tell_unseen, unchecked


def fit(experiment: Experiment, path: Path | None = None) -> Fitted | None:
    """Trains fold 0 of data.split, and scores the samples it holds out; a run that was broken off goes on.

    Args:
        experiment: the configuration.
        path: a checkpoint to begin from; None for a beginning.

    Returns:
        The run; None where trainer.fast_dev_run let a few batches through.

    Raises:
        UserError: for what can be known to be wrong; nothing is written then.
    """
    if experiment.search is not None:
        raise ConfigError(
            "search: fit does not search; take crossval (one fold is enough: lightning_base.splitters.Ratio), or give "
            "--search null"
        )
    if path is not None:
        experiment = of_run(experiment, path)
    run = open_fit(experiment, path)
    inspect(experiment.audit, experiment.root, run.datamodule)
    if run.trainer.fast_dev_run:  # type: ignore[attr-defined]
        run.trainer.fit(run.model.trained, datamodule=run.datamodule)
        return None
    with ExitStack() as held:
        run = begin_fit(experiment, path, run, held)
        return _fit(experiment, path, run)


def open_fit(experiment: Experiment, path: Path | None, data: BaseDataModule | None = None) -> Run:
    """The run of a fit in the folder that is its own as far as can be seen now; it has passed preflight."""
    directory = fit_directory(experiment.root / "fit", None if path else experiment, data)
    run = build(experiment, 0, directory, watchers=[watch_alone(experiment.config.trainer.enable_progress_bar)])
    preflight(run)
    if path is not None:
        demand_fitting(run, path, "fit")
    return run


def begin_fit(experiment: Experiment, path: Path | None, run: Run, held: ExitStack) -> Run:
    """Takes the run's folder, which no other process has then, and writes what stands there from the beginning on.

    Args:
        experiment: the configuration.
        path: a checkpoint to begin from.
        run: as opened; another is opened where its folder has been taken in the meantime.
        held: holds the folder until it is closed.
    """
    home = experiment.root / "fit"
    while True:
        with claiming(home):
            if fit_directory(home, None if path else experiment, run.datamodule) == run.directory:
                if run.trainer.world_size == 1:
                    held.enter_context(hold(run.directory / LOCK))
                experiment.save(run.directory / "config.yaml")
                write_split(run.directory, run.datamodule)
                write_json(run.directory / states.STATE, states.running())
                if is_main():
                    os.environ[RUN] = str(run.directory.absolute())  # the ranks that it starts join it
                    held.callback(os.environ.pop, RUN, None)
                return run
        if (run.directory / "config.yaml").is_file() and not same_data(run.directory, run.datamodule):
            say(f"{run.directory} was broken off on other data, or other folds of it; a new version begins")
        run = open_fit(experiment, path, run.datamodule)


def _fit(experiment: Experiment, path: Path | None, run: Run) -> Fitted:
    of, n = len(run.datamodule.folds.folds), [len(run.datamodule.rows(role)) for role in ("train", "val")]
    samples = f"{n[0]:,} training and {n[1]:,} held-out samples"
    console().print(f"{experiment.name}: fold 0 of {of}, {samples}, {describe_run(run)}")
    begun = resume_point(run.directory)
    if begun is not None:
        console().print(f"{run.directory}: goes on from {begun.name}; delete the folder to begin anew")
    try:
        with listening():
            result, held_out = train(run, begun or path)
    except (UserError, MisconfigurationException):
        raise
    except Exception as error:  # whatever the network, a callback or the machine did
        if run.trainer.world_size > 1 or getattr(error, "errno", None) in UNWRITABLE:
            raise  # where other ranks wait, it ends them all
        states.note_failure(run.directory, error)
        raise FoldsFailed(
            f"{run.directory}: the training failed ({told(error)}); the traceback stands in error.txt there; mend the "
            "cause and run the same command again, which goes on from the last checkpoint"
        ) from error
    finally:
        (run.directory / states.STATE).unlink(missing_ok=True)
    close(run)
    report(run, f"{experiment.name}: held-out samples of fold 0", held_out, result.metrics, 0, RESULT)
    console().print(f"scored: {result.selection}")
    if few := words.untrained([result.n_train], [result.n_given]):
        console(Level.QUIET).print(f"! {few}", width=NOTE)
    console(Level.QUIET).print(f"results: {run.directory}", soft_wrap=True)
    return Fitted(run.directory.absolute(), experiment)


def validate(experiment: Experiment, path: Path | None) -> Scored:
    """Scores a checkpoint on the samples that its fold held out.

    Args:
        experiment: the configuration that it was trained with.
        path: of a checkpoint, or of the directory of a fit.

    Raises:
        UserError: where the path names no checkpoint of a fold.
    """
    if path is None or (path.is_dir() and not (path / "checkpoints").is_dir()):
        raise ConfigError(
            "validate: --ckpt_path must name one run's checkpoint; the held-out scores of a crossval directory stand "
            "in its summary.json"
        )
    [checkpoint], home = members_of(path, "validate")
    demand_code_of_run(experiment, home, "validate")
    stamp = read_stamp(checkpoint)
    if (fold := stamp.get("fold", 0)) == WHOLE:
        raise ConfigError(f"--ckpt_path: {path} is a refit, which has trained on the whole pool; test takes it")
    run = open_scored(of_run(experiment, checkpoint), fold, home, checkpoint, "val")
    held_out = evaluate.predict(run, "val", checkpoint)
    tell_unseen([run.datamodule.preprocess], held_out.samples, held_out.rows)
    tell_unchecked(unchecked(run, stamp, "val"))
    return report(run, f"{experiment.name}: held-out samples of fold {fold}", held_out, fold=fold)


def open_scored(experiment: Experiment, fold: int, home: Path, checkpoint: Path, use: Use) -> Run:
    """A run that a checkpoint is scored with: it fetches nothing, and the checkpoint is one of its own."""
    run = build(experiment, fold, home, quiet=True, training=False, sizes=sizes_in(checkpoint))
    run.datamodule.fetches = False
    run.datamodule.prepare_data()  # what is declared is there, or the command that fetches is told
    demand_fitting(run, checkpoint, use)
    return run


def of_run(experiment: Experiment, path: Path) -> Experiment:
    """The experiment with what a search chose for the run that a path names: a checkpoint, or a run's directory.

    Raises:
        ConfigError: where there is no such path.
    """
    if not path.exists():
        raise ConfigError(f"--ckpt_path: no file or directory {path}")
    return tuned(experiment, path.parent.parent if path.is_file() else path)


def test(experiment: Experiment, path: Path | None) -> Scored:
    """Scores a checkpoint, or the ensemble of a crossval directory, on the sealed test samples; writes test.json.

    Raises:
        UserError: where the path names none, or the test samples have no target.
    """
    members, home = members_of(path, "test")
    demand_code_of_run(experiment, home, "test")
    record = home / "test.json"
    told_of(record)  # one that cannot be read is refused before the samples are
    demand_file(record, record.with_name("test.parquet"))
    run, predictions, _ = ensemble(experiment, "test", members)
    if predictions.target is None and "none" not in run.model.takes:  # else its inputs are what it is scored by
        raise ConfigError(f"{predictions.samples.origin}: the test samples have no target; use predict")
    with claiming(record):  # no read is forgotten where two end at once
        reads, note = reads_with(told_of(record), predictions.samples.fingerprint)
        title = f"{experiment.name}: test samples, {describe(members)}"
        scored = report(run, title, predictions, fold=run.fold if len(members) == 1 else None, file=record.name)
        found = replace(scored, reads=[time for time, _ in reads])
        if note:
            say(note)
        write_test(record, found, run.model, predictions, reads, len(members))
    tell_of_others(record, predictions.samples.fingerprint)
    return found


def predict(
    experiment: Experiment, path: Path | None, x: Any = None, out: Path | None = None, overwrite: bool = False
) -> pd.DataFrame:
    """The predictions of new samples, by a checkpoint or a crossval directory's ensemble.

    Args:
        experiment: the configuration that was trained with.
        path: a checkpoint, or the directory of a fit or a cross-validation.
        x: the samples, as the data module takes them; None for its predict source, whose predictions are also written.
        out: where they are written, as CSV, Parquet or JSON lines by its ending; by default, of the predict source,
            into the run's directory.
        overwrite: replace a file that is there.

    Raises:
        UserError: where the path names none, or the samples cannot be read.
    """
    members, home = members_of(path, "predict")
    demand_code_of_run(experiment, home, "predict")
    written = home / ("ensemble.parquet" if len(members) > 1 else "predict.parquet")
    if out is not None:
        demand_out(out, overwrite)
        written = out
    elif x is None:
        demand_file(written)
    run, predictions, ids = ensemble(experiment, "predict", members, x)
    found = evaluate.answers(run.model, predictions)
    if ids is not None:
        if lost := len(ids) - len(found):
            say(f"{lost} of {len(ids)} samples were left out by cleaning; they have no prediction")
            found = found.set_index("id").reindex(ids).rename_axis("id").reset_index()
        if out is None:
            return found
    write_out(written, found)
    said = f"{len(found)} samples predicted by {describe(members)}\nresults: {written}"
    console(Level.QUIET).print(said, soft_wrap=True)
    return found


def ensemble(
    experiment: Experiment, role: Role, members: Sequence[Path], x: Any = None
) -> tuple[Run, evaluate.Predictions, pd.Index | None]:
    """The members' predictions of a role as one, the last one's run, which knows the classes, and the names in x.

    Args:
        experiment: the configuration that they share, but for what a search chose.
        role: which samples.
        members: checkpoints, one or more.
        x: the samples of role "predict", in place of those that the data module reads.
    """
    found, ids, seen = [], None, set[int]()
    fitted, untold = list[Preprocess](), list[str]()
    for checkpoint in members:
        home, stamp = checkpoint.parent.parent, read_stamp(checkpoint)
        fold = stamp.get("fold", 0)
        if len(members) > 1:
            demand_fold_of_folder(checkpoint, fold)
        run = open_scored(tuned(experiment, home), fold, home, checkpoint, "test" if role == "test" else "predict")
        if x is not None:
            ids = evaluate.give(run, x, checkpoint)
        found.append(evaluate.predict(run, role, checkpoint))
        untold = untold or unchecked(run, stamp, role)
        fitted.append(run.datamodule.preprocess)
        if run.datamodule.trained_on is not None:
            seen |= set(run.datamodule.trained_on.seen(found[-1].samples, found[-1].rows).tolist())
    tell_unseen(fitted, found[0].samples, found[0].rows)
    tell_unchecked(untold)
    if seen:
        of, who = len(found[0].rows), "the model" if len(members) == 1 else "some member of the ensemble"
        say(
            f"{len(seen)} of {of} samples {'has' if len(seen) == 1 else 'have'} the content of samples that {who} was "
            "trained on: their predictions say nothing about new ones"
        )
    return run, evaluate.ensemble(run.model, found), ids
