"""How many optimizer steps a training takes, and what share of them is done."""

import math

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler

from lightning_base.errors import ConfigError

SCHEDULE = "model.scheduler: it"


def total_steps(trainer: Trainer, steps_per_batch: float = 1, asks: str = SCHEDULE) -> int:
    """The optimizer steps of a whole training.

    Lightning's estimated_stepping_batches makes the loaders before a checkpoint is loaded, so that a training that goes
    on inside an epoch would begin that epoch anew (FitLoop.setup_data takes a loader's state once).

    Args:
        trainer: with its data.
        steps_per_batch: optimizer steps of a training batch.
        asks: the key of what is laid over them, for messages.

    Raises:
        ConfigError: where they cannot be known.
    """
    demand_counted(trainer, asks)
    loader = getattr(trainer.datamodule, "loader", None)  # type: ignore[attr-defined]
    if loader is None:
        return int(trainer.estimated_stepping_batches * steps_per_batch)
    batches, limit = len(loader("train")), trainer.limit_train_batches
    if limit is not None:
        batches = min(limit, batches) if isinstance(limit, int) else int(batches * limit)
    steps = math.inf
    if trainer.max_epochs not in (None, -1):
        steps = math.ceil(batches / trainer.accumulate_grad_batches) * steps_per_batch * int(trainer.max_epochs or 0)
    return max(int(min(steps, trainer.max_steps) if trainer.max_steps != -1 else steps), 1)


def demand_counted(trainer: Trainer, asks: str = SCHEDULE) -> None:
    """Refuses a training whose number of steps is not known before it.

    Raises:
        ConfigError: naming the key.
    """
    where = f"{asks} is laid over all steps of the training, "
    if any(isinstance(c, GradientAccumulationScheduler) for c in trainer.callbacks):  # type: ignore[attr-defined]
        raise ConfigError(
            f"{where}which GradientAccumulationScheduler changes on the way; give trainer.accumulate_grad_batches"
        )
    if trainer.max_steps == -1 and trainer.max_epochs in (None, -1):
        raise ConfigError(f"{where}and no end is set; give trainer.max_epochs")
