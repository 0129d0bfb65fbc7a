"""Plan: a cross-validation in its directory."""

from dataclasses import dataclass
from pathlib import Path

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.results.fold_result import is_done
from lightning_base.training.experiment import Experiment


@dataclass(frozen=True)
class Plan:
    """A cross-validation in its directory: the experiment, and the data as its first fold saw it.

    Attributes:
        stamp: of the directory as this process found or made it; "" where that is not looked after.
    """

    experiment: Experiment
    directory: Path
    data: BaseDataModule
    stamp: str = ""

    @property
    def k(self) -> int:
        """Number of folds, over all repeats."""
        return len(self.data.folds.folds)

    def fold_directory(self, fold: int) -> Path:
        """Where a fold's run lives."""
        return self.directory / f"fold_{fold}"

    def is_done(self, fold: int) -> bool:
        """A fold is done when its result stands: it is the last file that the fold writes."""
        return is_done(self.fold_directory(fold))
