"""result.json: what a run leaves when it is done; it is the last file that the run writes."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_base.errors import ArtefactError
from lightning_base.tools.checksums import file_sum
from lightning_base.tools.files import read_json
from lightning_base.tools.records import read_record, write_record

RESULT, PREDICTIONS = "result.json", "predictions.parquet"
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
        experiment: SHA-256 over the settings of the cross-validation; "" in what earlier versions wrote, as below.
        data_fingerprint: SHA-256 over the content of the pool.
        predictions_sum, checkpoint_sum: SHA-256 of predictions.parquet, and that in the checkpoint's own file.
        n_given: number of samples of its training part, of which fewer may have trained; None in older results.
        trivial: by metric what the task's own trivial model scores on the held-out samples; None where it has none.
        trivial_name: what that predicts, in words.
        score: the metric that leads, the first of `metrics`, which stand in the order they are shown in; "" in what
            earlier versions wrote.
        higher_is_better: of metrics whether a greater value is the better one, where that is known.
        learning_rate: that was found on the training part before training; None where the configuration gives it.
        logged: what a LightningModule of somebody else's logged last, by name; None for a task of ours.
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
    experiment: str = ""
    data_fingerprint: str = ""
    predictions_sum: str = ""
    checkpoint_sum: str = ""
    n_given: int | None = None
    trivial: dict[str, float] | None = None
    trivial_name: str | None = None
    score: str = ""
    higher_is_better: dict[str, bool] = field(default_factory=dict)
    learning_rate: float | None = None
    logged: dict[str, float] | None = None

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
    experiment: str = ""
    data_fingerprint: str = ""
    checkpoint_sum: str = ""

    def write(self, directory: Path) -> None:
        """Writes it into the refit's directory."""
        write_record(directory / RESULT, self)


def is_done(directory: Path) -> bool:
    """Whether the run of a directory has left its result."""
    return (directory / RESULT).is_file()


def read_result(directory: Path) -> FoldResult:
    """The result of a fold's directory.

    Raises:
        UserError: where it is none, cannot be read, or is another fold's than the directory's name says.
    """
    found = read_record(FoldResult, directory / RESULT, MEND)
    named = re.fullmatch(r"fold_(\d+)", directory.name)
    if named and int(named[1]) != found.fold:
        raise ArtefactError(f"{directory / RESULT}: it is of fold {found.fold}; delete {directory}, and run again")
    return found


def demand_own(directory: Path, result: FoldResult, experiment: str, fingerprint: str) -> None:
    """Refuses a fold's directory that is another experiment's, or whose predictions are not those of its result.

    What an earlier version has left does not tell, and is taken as it is; see `is_told`.

    Args:
        directory: the fold's.
        result: as read from it.
        experiment: SHA-256 over the settings that it should be of; "" where that is not known.
        fingerprint: SHA-256 over the content of the pool that it should be of.

    Raises:
        ArtefactError: naming the file.
    """
    for what, was, now in (
        ("experiment, of other settings", result.experiment, experiment),
        ("pool of samples, of other content", result.data_fingerprint, fingerprint),
    ):
        if was and now and was != now:
            raise ArtefactError(
                f"{directory / RESULT}: it is of another {what}, than its crossval directory; delete {directory}, and "
                "run crossval again"
            )
    path = directory / PREDICTIONS
    if result.predictions_sum and path.is_file() and file_sum(path) != result.predictions_sum:
        raise ArtefactError(
            f"{path}: it is damaged, or not the one that {RESULT} beside it was written with; delete {directory}, and "
            "run crossval again"
        )


def is_told(result: FoldResult) -> bool:
    """Whether a result tells whose it is, as this version's do."""
    return bool(result.experiment and result.data_fingerprint and result.predictions_sum)


def read_refit(directory: Path) -> RefitResult:
    """The result of a refit's directory.

    Raises:
        UserError: where it is none, or cannot be read.
    """
    return read_record(RefitResult, directory / RESULT, MEND)


def scored_checkpoint(directory: Path) -> Path:
    """The checkpoint of a run whose weights were scored; its last where it is not done.

    Raises:
        ArtefactError: where the result names one outside of the run's folder.
    """
    name = str((read_json(directory / RESULT, MEND).get("checkpoint") if is_done(directory) else None) or "last.ckpt")
    if Path(name).name != name or name == "..":
        raise ArtefactError(f"{directory / RESULT}: 'checkpoint' is {name[:60]!r}, which is no plain name; {MEND}")
    return directory / "checkpoints" / name
