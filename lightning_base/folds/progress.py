"""What a person sees while folds are trained: a bar of folds and epochs, and a line per finished fold."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lightning_base.errors import one_line
from lightning_base.results import states
from lightning_base.stats.tables import show_scores


class FoldProgress:
    """A bar of folds over a bar of the running fold's epochs; where there is no terminal, a line per finished fold."""

    def __init__(self, out: Console, folds: int, total: int) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=out,
            disable=not out.is_terminal,
        )
        self.out, self.total = out, total
        self.folds = self.progress.add_task("folds", total=folds)
        self.epochs = self.progress.add_task("epochs", total=None)

    def watch(self, fold: int) -> Callback:
        """The callback that moves the epochs' bar for a fold."""
        return _Epochs(self.progress, self.epochs, fold)

    def finish(self, fold: int, line: str) -> None:
        """Moves the folds' bar, and leaves a line."""
        self.progress.advance(self.folds)
        self.out.print(f"fold {fold} ({fold + 1} of {self.total})  {line}", soft_wrap=True)


class _Epochs(Callback):
    def __init__(self, progress: Progress, bar: Any, fold: int) -> None:
        self.progress, self.bar, self.fold = progress, bar, fold

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: sets the bar to the fold's epochs."""
        total = trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None
        self.progress.update(self.bar, total=total, completed=trainer.current_epoch, description=f"fold {self.fold}")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: moves the bar by an epoch, and shows its loss."""
        loss = trainer.callback_metrics.get("val_loss")
        shown = "" if loss is None else f"  val_loss {float(loss):.4g}"
        self.progress.update(self.bar, completed=trainer.current_epoch + 1, description=f"fold {self.fold}{shown}")


def outcome(directory: Path) -> str:
    """One line on a fold that has ended, from its directory."""
    state = states.read(directory)
    if state["state"] == "done":
        return f"{show_scores(state['metrics'])}  {state['epochs']} epochs  {state['seconds']:.1f} s"
    return f"{state['state']}: {one_line(state.get('error', ''))[:200]}"
