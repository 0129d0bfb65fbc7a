"""How many of a fold's training samples a training has seen: fewer than there are, where something limits it."""

from math import ceil
from pathlib import Path

import numpy as np

from lightning_base.training.checkpoint import opened
from lightning_base.training.run import Run


def scored_steps(run: Run, scored: Path) -> int:
    """The optimizer steps that the scored weights have been trained for.

    Args:
        run: one that has been trained.
        scored: its checkpoint with these weights.
    """
    return run.trainer.global_step if scored == run.last_checkpoint else int(opened(scored)["global_step"])


def trained_samples(run: Run, steps: int) -> int:
    """How many different samples the first so many steps of a training have seen.

    An epoch's order is a function of seed and epoch, so it is gone through again; nothing is counted in training.
    With `trainer.limit_train_batches`, `overfit_batches`, `data.drop_last`, `data.sampling` or an end within the first
    epoch (`max_steps`, `max_time`) these may be fewer than the training part has.
    """
    loader, n = run.datamodule.loader("train"), len(run.datamodule.rows("train"))
    limit, batches = run.trainer.limit_train_batches, len(loader)
    if limit is not None:
        batches = min(limit, batches) if isinstance(limit, int) else int(batches * limit)
    gathered = run.trainer.accumulate_grad_batches
    epochs, rest = divmod(ceil(steps / run.model.steps_per_batch), ceil(batches / gathered))
    if epochs and batches * loader.batch_size >= n and loader.sampler.draws is None:
        return n
    seen = np.zeros(0, dtype=np.int64)
    for epoch in range(epochs + (rest > 0)):
        loader.sampler.set_epoch(epoch)
        those = batches if epoch < epochs else rest * gathered
        seen = np.union1d(seen, loader.sampler.order()[: those * loader.batch_size])
        if len(seen) == n:
            break
    return len(seen)
