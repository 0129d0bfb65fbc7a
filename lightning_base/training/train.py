"""Trains a run, scores it on the samples it held out, and leaves its result."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lightning_base.tools.files import write_json, write_parquet
from lightning_base.training.checkpoint import drop_earlier
from lightning_base.training.evaluate import Predictions, details, frame, predict, scores
from lightning_base.training.run import Run
from lightning_base.training.scored import scored_checkpoint, scored_epochs, selection

NOTHING: Mapping[str, Any] = {}


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
