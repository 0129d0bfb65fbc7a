"""What a LightningModule of somebody else's has logged, and what its checkpoints keep beside its own."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_base.tasks.any_module import PREDICTS, AnyModule
from lightning_base.tasks.base import BaseModule

LOGGED = "lightning_base_logged"  # in checkpoints: what the module has logged last, by name


class Told(Callback):
    """Keeps in checkpoints what the module's predictions are, which one sample alone does not tell.

    Args:
        task: which holds the module.
    """

    def __init__(self, task: AnyModule) -> None:
        self.task = task
        self.logged: dict[str, float] = {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook."""
        checkpoint[PREDICTS] = self.task.scale
        checkpoint[LOGGED] = self.logged = _values(trainer)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook: a training that had ended is not done again, and logs nothing then."""
        self.logged = dict(checkpoint.get(LOGGED) or {})


def as_logged(task: BaseModule, trainer: Trainer) -> dict[str, float] | None:
    """What the module logged last, by name; None for a task of ours, whose metrics are the scores."""
    if task.trained is task:
        return None
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    before = next((one.logged for one in callbacks if isinstance(one, Told)), {})
    return before | _values(trainer)


def _values(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
