"""What a person sees in the terminal: progress of folds over epochs, and tables of scores."""

import sys
from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from lightning_base import states
from lightning_base.errors import one_line
from lightning_base.stats import Estimate


def console() -> Console:
    """Standard output; a hundred columns where it is no terminal; silent in all processes but the main one."""
    silent = rank_zero_only.rank not in (0, None)  # type: ignore[attr-defined]
    width = None if sys.stdout.isatty() else 100
    return Console(highlight=False, width=width, quiet=silent)


class FoldProgress:
    """A bar of folds over a bar of the running fold's epochs; where there is no terminal, a line a finished fold."""

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
        """Lightning's hook."""
        total = trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None
        self.progress.update(self.bar, total=total, completed=trainer.current_epoch, description=f"fold {self.fold}")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook."""
        loss = trainer.callback_metrics.get("val_loss")
        shown = "" if loss is None else f"  val_loss {float(loss):.4g}"
        self.progress.update(self.bar, completed=trainer.current_epoch + 1, description=f"fold {self.fold}{shown}")


def show_scores(scores: Mapping[str, float | None]) -> str:
    """The scores on one line; None, as JSON has it, is not a number."""
    return "  ".join(f"{name} {number(nan if value is None else value)}" for name, value in scores.items())


def outcome(directory: Path) -> str:
    """One line on a fold that has ended, from its directory."""
    state = states.read(directory)
    if state["state"] == "done":
        return f"{show_scores(state['metrics'])}  {state['epochs']} epochs  {state['seconds']:.1f} s"
    return f"{state['state']}: {one_line(state.get('error', ''))[:200]}"


def number(value: float) -> str:
    """Four significant digits or four decimals, whichever is shorter."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.4g}"


def show_nested(metrics: Mapping[str, Any]) -> str:
    """The nested estimates of a summary's metrics on one line, each with its interval."""
    shown = {name: metric for name, metric in metrics.items() if "ci95_nested" in metric}
    return "  ".join(
        f"{name} {number(metric['nested_mean'])} ({' … '.join(map(number, metric['ci95_nested']))})"
        for name, metric in shown.items()
    )


def fold_table(title: str, estimates: Mapping[str, Estimate], n: int) -> Table:
    """Per metric the mean, standard deviation, 95 % interval, n, and each fold's value (at most ten)."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for heading in ("mean", "std", "95 % interval", "n"):
        table.add_column(heading, justify="right")
    table.add_column("folds")
    for name, estimate in estimates.items():
        interval = "-"
        if estimate.ci95[0] < estimate.ci95[1]:
            interval = f"{number(estimate.ci95[0])} … {number(estimate.ci95[1])}"
        folds = " ".join(map(number, estimate.folds[:10])) + (" …" if len(estimate.folds) > 10 else "")
        std = number(estimate.std) if len(estimate.folds) > 1 else "-"
        table.add_row(name, number(estimate.mean), std, interval, str(n), folds)
    return table


def score_table(title: str, scores: Mapping[str, float], intervals: Mapping[str, tuple[float, float]], n: int) -> Table:
    """Per metric its value, its 95 % interval ("-" where the samples cannot give one) and n."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for heading in ("value", "95 % interval", "n"):
        table.add_column(heading, justify="right")
    for name, value in scores.items():
        low, high = intervals[name]
        interval = f"{number(low)} … {number(high)}" if low < high else "-"
        table.add_row(name, number(value), interval, str(n))
    return table
