"""The callback that tells a board how far a training is."""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, Timer
from torch import Tensor

from lightning_base.stats.digits import number
from lightning_base.stats.metrics import headline
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import console
from lightning_base.training.board import Board, Seen

MOVES = 0.1  # seconds between two moves within an epoch


class Watch(Callback):
    """Shows a training on a board; it only looks on.

    Args:
        board: where.
        fold: whose training it is.
        name: what it is called.
        part: which training of how many of the fold.
        alone: whether the board is this training's, opened and closed with it.
    """

    def __init__(self, board: Board, fold: int, name: str, part: tuple[int, int] = (1, 1), alone: bool = False) -> None:
        self.board, self.fold, self.name, self.part, self.alone = board, fold, name, part, alone
        self._next = 0.0
        self._began = 0
        self._said = ("", "")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: begins a row, where a resumed run has come to."""
        if self.alone:
            self.board.__enter__()
        self._began = trainer.current_epoch
        self._show(trainer, trainer.current_epoch)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Lightning's hook: moves on within an epoch. No metric is read here: ranks would wait for each other."""
        if (now := self.board.clock()) >= self._next:
            self._next = now + MOVES
            share = (batch_idx + 1) / trainer.num_training_batches
            self._show(trainer, trainer.current_epoch + min(share, 0.999))  # the epoch ends after its validation

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: shows the epoch before, whose losses are only now known."""
        if trainer.current_epoch > self._began:
            self._ended(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: shows the last epoch."""
        if trainer.current_epoch > self._began:
            self._ended(trainer)
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Lightning's hook."""
        self._close()

    def _close(self) -> None:
        if self.alone:
            self.board.close()

    def _ended(self, trainer: Trainer) -> None:
        task = trainer.lightning_module
        self._said = words(trainer.callback_metrics, task.ordered if isinstance(task, BaseModule) else headline)
        self._show(trainer, trainer.current_epoch, ended=True)

    def _show(self, trainer: Trainer, epochs: float, ended: bool = False) -> None:
        loss, score = self._said
        seen = Seen(
            epochs=epochs,
            total=expected(trainer),
            done=share(trainer, epochs),
            part=self.part,
            loss=loss,
            score=score,
            at_most=any(isinstance(callback, EarlyStopping) for callback in trainer.callbacks),  # type: ignore[attr-defined]
        )
        self.board.show([self.fold], self.name, seen, ended)


def watch_alone(bars: bool | None) -> Watch:
    """What shows a training that is the only one; lines where its configuration wants no bar (False)."""
    return Watch(Board(console(), bars=bars is not False), 0, "training", alone=True)


def words(metrics: Mapping[str, Tensor], ordered: Callable[[list[str]], list[str]]) -> tuple[str, str]:
    """The training loss and the validation's score of an epoch, as `name value`; "" for what there is not.

    Args:
        metrics: the epoch's.
        ordered: puts the score first.
    """
    loss = f"train_loss {number(float(metrics['train_loss']))}" if "train_loss" in metrics else ""
    first = ordered([name.removeprefix("val_") for name in metrics if name.startswith("val_")])
    return loss, f"val_{first[0]} {number(float(metrics[f'val_{first[0]}']))}" if first else ""


def expected(trainer: Trainer) -> int | None:
    """The epochs that a training has at most, by max_epochs and max_steps; None where neither limits it."""
    limits = [trainer.max_epochs] if (trainer.max_epochs or -1) > 0 else []
    batches = trainer.num_training_batches
    if trainer.max_steps > 0 and 0 < batches < float("inf"):
        steps = ceil(batches / trainer.accumulate_grad_batches)
        limits.append(ceil(trainer.max_steps / steps))
    return min((limit for limit in limits if limit is not None), default=None)


def share(trainer: Trainer, epochs: float) -> float | None:
    """How much of a training is done, by whichever of epochs, steps and time will end it first."""
    shares = [epochs / trainer.max_epochs] if trainer.max_epochs is not None and trainer.max_epochs > 0 else []
    if trainer.max_steps > 0:
        shares.append(trainer.global_step / trainer.max_steps)
    for timer in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(timer, Timer) and (left := timer.time_remaining()) is not None:
            shares.append(timer.time_elapsed() / max(timer.time_elapsed() + left, 1e-9))
    return min(max(shares), 1.0) if shares else None
