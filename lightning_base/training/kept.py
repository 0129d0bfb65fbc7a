"""What is scored is what is kept: a run's last.ckpt has the weights that training ended with, bit for bit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy, Strategy
from torch import Tensor

from lightning_base.errors import ArtefactError, ConfigError
from lightning_base.training.checkpoint import opened
from lightning_base.training.run import Run


def settle(run: Run) -> None:
    """Makes last.ckpt that of the weights a run ended with.

    It is written at an epoch's end; callbacks that average or prune put other weights into the network afterwards.

    Raises:
        UserError: where no step was taken, or a callback keeps other weights than it leaves in the network.
    """
    trainer = run.trainer
    if trainer.global_step == 0:
        raise ConfigError(
            "the training took no step, so that there is nothing to score; give trainer.max_time, max_epochs, "
            "max_steps or limit_train_batches room for one"
        )
    if is_sharded(trainer.strategy):
        return  # Lightning's averaging is not for sharded weights
    if differing(run) is None:
        return
    trainer.save_checkpoint(run.last_checkpoint)
    if (name := differing(run)) is not None:
        raise ArtefactError(
            f"{run.last_checkpoint} has another {name} than the trained network: a callback or a hook of the task "
            "changes what checkpoints keep, and the scores would not be theirs; leave it out"
        )


def is_sharded(strategy: Strategy) -> bool:
    """Whether each process has a part of the weights alone."""
    return isinstance(strategy, FSDPStrategy | ModelParallelStrategy)


def differing(run: Run) -> str | None:
    """The first weight in which last.ckpt and the network differ, as the main process sees it; None for none."""
    strategy = run.trainer.strategy
    found = None
    if strategy.is_global_zero:
        found = difference(weights_of(run.last_checkpoint), strategy.lightning_module_state_dict())
    told: str | None = strategy.broadcast(found)
    return told


def difference(kept: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """The first name under which two networks' weights are not the same, bit for bit; None where all are."""
    for name in sorted(kept.keys() | own.keys()):
        one, other = kept.get(name), own.get(name)
        if isinstance(one, Tensor) and isinstance(other, Tensor):
            if not _same(one, other.detach().cpu()):
                return name
        elif type(one) is not type(other):
            return name
    return None


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one, other) or bool(torch.isclose(one, other, rtol=0, atol=0, equal_nan=True).all())


def weights_of(checkpoint: Path) -> dict[str, Any]:
    """The weights that a checkpoint keeps; empty where there is no such file."""
    if not checkpoint.is_file():
        return {}
    content = opened(checkpoint)
    found: dict[str, Any] = content["state_dict"]
    return found


def take(run: Run, checkpoint: Path) -> Path | None:
    """Puts a checkpoint's weights into a trained network, as whoever loads the file has them.

    Lightning would hand the file to the callbacks of the training, and one that averages takes its own weights then.

    Returns:
        None; the checkpoint where its strategy has to load it, each process its part.
    """
    if is_sharded(run.trainer.strategy):
        return checkpoint
    run.trainer.strategy.barrier()  # the main process has written it
    run.model.load_state_dict(weights_of(checkpoint))
    return None
