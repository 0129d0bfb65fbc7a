"""result.json: what a run leaves when it is done; it is the last file that the run writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_base.tools.files import read_json
from lightning_base.tools.records import read_record, write_record

RESULT = "result.json"
MEND = "delete it, and run the same command again"


@dataclass(frozen=True)
class FoldResult:
    """What a fold's training came to.

    Attributes:
        fold: its number, from 0.
        seed: drawn from (seed, fold).
        n_train, n_val: numbers of samples that have trained the scored weights, and that were held out.
        epochs: how many were trained.
        seconds: that training and predicting took.
        resumed: whether it went on from a checkpoint.
        threads: that computed it.
        selection: what chose the weights that are scored, in words.
        checkpoint: name of the file with these weights.
        scored_epochs: how many epochs these weights have.
        split_hash: SHA-256 of the split.
        metrics: the task's, over the held-out samples; NaN for what has no value.
        details: vectors and matrices, as lists.
        chosen: the values that a search chose for the fold; None without one.
        search_seconds: that the search's trainings took.
        n_given: number of samples of its training part, of which fewer may have trained; None in older results.
    """

    fold: int
    seed: int
    n_train: int
    n_val: int
    epochs: int
    seconds: float
    resumed: bool
    threads: int
    selection: str
    checkpoint: str
    scored_epochs: float
    split_hash: str
    metrics: dict[str, float]
    details: dict[str, Any]
    chosen: dict[str, Any] | None = None
    search_seconds: float = 0.0
    n_given: int | None = None

    def write(self, directory: Path) -> None:
        """Writes it into the fold's directory, which marks the fold as done."""
        write_record(directory / RESULT, self)


@dataclass(frozen=True)
class RefitResult:
    """What a training on the whole pool came to; nothing scores it.

    Attributes:
        epochs_chosen_by: how their number was chosen, in words.
        epochs_of_folds: the numbers it was chosen from.
        scored_by: what the honest estimate is, in words.

    The others are those of `FoldResult`.
    """

    seed: int
    n_train: int
    n_val: int
    epochs: int
    epochs_chosen_by: str
    epochs_of_folds: list[float]
    scored_by: str
    seconds: float
    resumed: bool
    threads: int
    checkpoint: str
    split_hash: str
    chosen: dict[str, Any] | None = None
    search_seconds: float = 0.0

    def write(self, directory: Path) -> None:
        """Writes it into the refit's directory."""
        write_record(directory / RESULT, self)


def is_done(directory: Path) -> bool:
    """Whether the run of a directory has left its result."""
    return (directory / RESULT).is_file()


def read_result(directory: Path) -> FoldResult:
    """The result of a fold's directory.

    Raises:
        UserError: where it is none, or cannot be read.
    """
    return read_record(FoldResult, directory / RESULT, MEND)


def read_refit(directory: Path) -> RefitResult:
    """The result of a refit's directory.

    Raises:
        UserError: where it is none, or cannot be read.
    """
    return read_record(RefitResult, directory / RESULT, MEND)


def scored_checkpoint(directory: Path) -> Path:
    """The checkpoint of a run whose weights were scored; its last where it is not done."""
    name = read_json(directory / RESULT, MEND).get("checkpoint") if is_done(directory) else None
    return directory / "checkpoints" / str(name or "last.ckpt")
