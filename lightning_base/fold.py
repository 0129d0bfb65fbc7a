"""One fold of a cross-validation: trained from its last checkpoint, scored on what it held out, its state kept."""

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import Callback

from lightning_base import states
from lightning_base.checkpoint import drop_earlier, resume_point
from lightning_base.data import BaseDataModule
from lightning_base.display import FoldProgress
from lightning_base.evaluate import Predictions, details, frame, predict, scores
from lightning_base.files import write_json, write_parquet, write_text
from lightning_base.run import Experiment, Run, build, close, preflight
from lightning_base.search import choose, settings
from lightning_base.selection import scored_checkpoint, scored_epochs, selection

NOTHING: Mapping[str, Any] = {}
Outcome: TypeAlias = Literal["done", "failed", "held"]


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


def attempt(plan: Plan, fold: int, progress: FoldProgress | None = None, alone: bool = True) -> Outcome:
    """Trains a fold and keeps its state: "failed" lets the others go on, "held" is one that another process trains.

    Args:
        plan: the cross-validation.
        fold: which.
        progress: what shows it.
        alone: whether this is the only process of the fold: where there are others, an error ends them all.
    """
    directory = plan.fold_directory(fold)
    with hold(directory, alone) as held:
        if not held:
            return "held"
        if plan.is_done(fold):
            return "done"
        write_json(directory / states.STATE, states.running())
        try:
            train_fold(plan, fold, progress)
        except Exception as error:  # whatever the network, the data or the machine did
            note_failure(directory, error)
            if not alone:
                raise
            return "failed"
        note_success(directory)
        return "done"


def note_failure(directory: Path, error: Exception) -> None:
    """Leaves in a fold's directory why it failed."""
    write_json(directory / states.STATE, states.failed(error))
    write_text(directory / "error.txt", "".join(traceback.format_exception(error)))


def note_success(directory: Path) -> None:
    """Takes away what a fold that is done needs no more: its result says it all."""
    (directory / states.STATE).unlink(missing_ok=True)
    (directory / "error.txt").unlink(missing_ok=True)


@contextmanager
def hold(directory: Path, alone: bool) -> Iterator[bool]:
    """Holds a fold's directory against other processes of this machine; whether it could be had.

    A lock ends with its process. Where there are several ranks none is taken: they would shut each other out.
    """
    if not alone:
        yield True
        return
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except (NotImplementedError, OSError):  # a file system without locks
        yield True
        return
    try:
        yield True
    finally:
        lock.release()


def train_fold(plan: Plan, fold: int, progress: FoldProgress | None = None) -> dict[str, Any]:
    """Trains one fold, from its last checkpoint where it has one, and scores it; returns its result.

    Where the experiment searches, the fold's training part alone chooses the values first.
    """

    def train_run(one: Experiment, number: int, home: Path, notes: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
        return run_fold(one, number, home, [] if progress is None else [progress.watch(fold)], notes)

    directory = plan.fold_directory(fold)
    if settings(plan.experiment) is None:
        return train_run(plan.experiment, fold, directory)
    ids = plan.data.folds.ids[plan.data.folds.folds[fold].train]
    choice = choose(plan.experiment, fold, directory, ids, train_run)
    choice.experiment.save(directory / "config.yaml")
    return train_run(choice.experiment, fold, directory, choice.notes)


def run_fold(
    experiment: Experiment,
    fold: int,
    directory: Path,
    watchers: Sequence[Callback] = (),
    notes: Mapping[str, Any] = NOTHING,
) -> dict[str, Any]:
    """Builds the run of an experiment's fold, trains it from its last checkpoint where it has one, and scores it."""
    run = build(experiment, fold, directory, quiet=True, watchers=watchers)
    try:
        preflight(run)  # a fold's network may not fit where the first one's did
        return train(run, resume_point(run.directory), notes)[0]
    finally:
        close(run)


def train(
    run: Run, checkpoint: Path | None = None, notes: Mapping[str, Any] = NOTHING
) -> tuple[dict[str, Any], Predictions]:
    """Trains a run and scores it on the held-out samples, each predicted once; the result and these.

    The last weights are scored, or with `data.inner_val` those of the checkpoint that its slice chose.

    Args:
        run: a run as built.
        checkpoint: where to go on from.
        notes: what the result says beside its own.
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
    counted = scored_epochs(run, scored)
    held_out = predict(run, "val", None if scored == run.last_checkpoint else scored)
    result = finish(run, held_out, scored, epochs, counted, time.perf_counter() - began, checkpoint is not None, notes)
    run.trainer.strategy.barrier()  # no rank goes on to the next fold before this one is done
    return result, held_out


def finish(
    run: Run,
    held_out: Predictions,
    scored: Path,
    epochs: int,
    counted: float,
    seconds: float,
    resumed: bool = False,
    notes: Mapping[str, Any] = NOTHING,
) -> dict[str, Any]:
    """Writes a trained run's predictions.parquet, then result.json, which marks it as done; the result.

    Args:
        run: as trained.
        held_out: the held-out samples' predictions.
        scored: the checkpoint whose weights gave them.
        epochs: how many the run has trained.
        counted: how many these weights have.
        seconds: what training and predicting took.
        resumed: whether the run went on from a checkpoint.
        notes: what the result says beside its own.
    """
    result = {
        "fold": run.fold,
        "seed": run.seed,
        "n_train": len(run.datamodule.rows("train")),
        "n_val": len(run.datamodule.rows("val")),
        "epochs": epochs,
        "seconds": seconds,
        "resumed": resumed,
        "threads": torch.get_num_threads(),
        "selection": selection(run),
        "checkpoint": scored.name,
        "scored_epochs": counted,
        "split_hash": run.datamodule.folds.hash,
        "metrics": scores(run.model, held_out),
        "details": details(run.model, held_out),
        **notes,
    }
    write_parquet(run.directory / "predictions.parquet", frame(run.model, held_out))
    write_json(run.directory / "result.json", result)
    drop_earlier(run.directory)
    return result
