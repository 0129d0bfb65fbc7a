"""What a LightningModule of somebody else's has logged, and what its checkpoints keep beside its own."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_base.tasks.any_module import PREDICTS, AnyModule
from lightning_base.tasks.base import BaseModule


class Told(Callback):
    """Keeps in checkpoints what the module's predictions are, which one sample alone does not tell.

    Args:
        task: which holds the module.
    """

    def __init__(self, task: AnyModule) -> None:
        self.task = task

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook."""
        checkpoint[PREDICTS] = self.task.scale


def as_logged(task: BaseModule, trainer: Trainer) -> dict[str, float] | None:
    """What the module logged last, by name; None for a task of ours, whose metrics are the scores."""
    if task.trained is task:
        return None
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
