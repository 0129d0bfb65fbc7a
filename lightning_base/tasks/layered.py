"""Layered: a task some of whose layers are frozen, or learn from a later epoch on."""

from typing import Self

from lightning_base.finetune.frozen import Freezing
from lightning_base.tasks.predictor import Predictor


class Layered(Predictor):
    """Lightning's hooks at which layers are frozen and let go.

    Attributes:
        freezing: which layers are frozen, and until when.
    """

    freezing: Freezing

    def _freeze(self, epoch: int) -> None:
        self.freezing.bring(self.network, epoch, self._trainer is None or self.trainer.world_size == 1)

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode (torch's); frozen layers stay in evaluation mode."""
        super().train(mode)
        self.freezing.hold(self.network)
        return self

    def on_train_start(self) -> None:
        """Lightning's hook: freezes what is frozen in this epoch, a resumed one in its middle too."""
        self.freezing.trains = True
        self._freeze(self.current_epoch)

    def on_train_epoch_start(self) -> None:
        """Lightning's hook: lets the layers learn whose epoch has come."""
        self._freeze(self.current_epoch)

    def on_after_backward(self) -> None:
        """Lightning's hook: processes average the gradients of layers that learn later too, which count for nothing."""
        if self.freezing.unfreeze and self.trainer.world_size > 1:
            self.freezing.drop(self.network)
