"""Trains a run, scores it on the samples it held out, and leaves its result."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lightning_base.results.arrays import write_predictions
from lightning_base.results.fold_result import PREDICTIONS, FoldResult
from lightning_base.tasks.any_module import AnyModule
from lightning_base.tools.checksums import file_sum
from lightning_base.training.as_logged import as_logged
from lightning_base.training.checkpoint import drop_earlier, told_sum
from lightning_base.training.counted import scored_steps, trained_samples
from lightning_base.training.evaluate import Predictions, details, frame, predict, scores, trivial_scores
from lightning_base.training.grouping import steps_per_call
from lightning_base.training.initial import begin
from lightning_base.training.kept import settle, take
from lightning_base.training.no_gpus import no_gpus_looked_for
from lightning_base.training.rate import find_rate
from lightning_base.training.run import Run
from lightning_base.training.scored import scored_checkpoint, scored_epochs, selection, trained_epochs


@dataclass(frozen=True)
class Chosen:
    """What a search chose for a run, and the seconds that its trainings took.

    Attributes:
        experiment: SHA-256 over the settings of the experiment that searches.
    """

    values: dict[str, Any]
    seconds: float
    experiment: str


def train(run: Run, checkpoint: Path | None = None, chosen: Chosen | None = None) -> tuple[FoldResult, Predictions]:
    """Trains a run and scores it on the held-out samples, each predicted once; the result and these.

    The last weights are scored, or with `data.inner_val` those of the checkpoint that its slice chose: in either case
    those of the file that the result names.

    Args:
        run: a run as built.
        checkpoint: where to go on from.
        chosen: what a search chose for it, which the result tells too.
    """
    began = time.perf_counter()
    epochs = learn(run, checkpoint)
    scored = scored_checkpoint(run)
    counted, logged = scored_epochs(run, scored), as_logged(run.model, run.trainer)
    held_out = predict(run, "val", None if scored == run.last_checkpoint else take(run, scored))
    n_train = trained_samples(run, scored_steps(run, scored))
    trained = Trained(scored, epochs, counted, n_train, time.perf_counter() - began, torch.get_num_threads(), logged)
    result = finish(run, held_out, trained, checkpoint is not None, chosen)
    run.trainer.strategy.barrier()  # no rank goes on to the next fold before this one is done
    return result, held_out


def learn(run: Run, checkpoint: Path | None = None) -> int:
    """Trains a run, and leaves its weights as they are then in its last.ckpt; the number of epochs.

    Args:
        run: a run as built.
        checkpoint: where to go on from.

    Raises:
        UserError: where the loss is no number, or nothing was trained.
    """
    find_rate(run, checkpoint is not None)
    begin(run, checkpoint)
    run.datamodule.together = steps_per_call(run)
    try:
        with no_gpus_looked_for():
            run.trainer.fit(
                run.model.trained,
                datamodule=run.datamodule,
                ckpt_path=str(checkpoint) if checkpoint else None,
                weights_only=True,
            )
    finally:
        run.datamodule.together = 1
    settle(run)
    if isinstance(run.model, AnyModule):
        run.model.count_steps(run.trainer)
    return trained_epochs(run)


@dataclass(frozen=True)
class Trained:
    """What a training came to, beside weights and predictions.

    Attributes:
        scored: the checkpoint whose weights are scored.
        epochs: how many the run has trained.
        counted: how many these weights have.
        n_train: number of samples that have trained them.
        seconds: what training and predicting took.
        threads: that computed it.
        logged: what a LightningModule of somebody else's has logged last, by name; None for a task of ours.
    """

    scored: Path
    epochs: int
    counted: float
    n_train: int
    seconds: float
    threads: int
    logged: dict[str, float] | None = None


def finish(
    run: Run, held_out: Predictions, trained: Trained, resumed: bool = False, chosen: Chosen | None = None
) -> FoldResult:
    """Writes a trained run's predictions.parquet, then result.json, which marks it as done; the result.

    Args:
        run: as trained.
        held_out: the held-out samples' predictions.
        trained: what the training came to.
        resumed: whether the run went on from a checkpoint.
        chosen: what a search chose for it.
    """
    beside = trivial_scores(run.model, held_out, held_out.samples, run.datamodule.rows("train"))
    write_predictions(run.directory / PREDICTIONS, frame(run.model, held_out))
    metrics = scores(run.model, held_out)
    result = FoldResult(
        fold=run.fold,
        seed=run.seed,
        n_train=trained.n_train,
        n_val=len(run.datamodule.rows("val")),
        epochs=trained.epochs,
        seconds=trained.seconds,
        resumed=resumed,
        threads=trained.threads,
        selection=selection(run),
        checkpoint=trained.scored.name,
        scored_epochs=trained.counted,
        split_hash=run.datamodule.folds.hash,
        metrics=metrics,
        details=details(run.model, held_out),
        chosen=None if chosen is None else chosen.values,
        search_seconds=0.0 if chosen is None else chosen.seconds,
        experiment=run.experiment.identity if chosen is None else chosen.experiment,
        data_fingerprint=run.datamodule.samples("pool").fingerprint,
        predictions_sum=file_sum(run.directory / PREDICTIONS),
        checkpoint_sum=told_sum(trained.scored),
        n_given=len(run.datamodule.rows("train")),
        trivial=None if beside is None else beside[0],
        trivial_name=None if beside is None else beside[1],
        score=next(iter(metrics), ""),
        higher_is_better=run.model.larger_is_better(dict(run.model.all_metrics().items())),
        learning_rate=run.model.rate,
        logged=trained.logged,
    )
    result.write(run.directory)
    drop_earlier(run.directory)
    return result
