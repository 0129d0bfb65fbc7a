"""summary.json: what a finished cross-validation says of itself, typed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from lightning_base.errors import ArtefactError
from lightning_base.results.tables import read_table
from lightning_base.stats.estimates import Score
from lightning_base.tools.checksums import file_sum
from lightning_base.tools.files import write_json
from lightning_base.tools.records import read_record

if TYPE_CHECKING:  # --status needs none of it
    import pandas as pd

SUMMARY, OOF = "summary.json", "oof.parquet"
MEND = "delete it, and run crossval again"
Interval: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class MetricSummary(Score):
    """A metric: its score, as stats/estimates.py has it, and further intervals.

    Attributes:
        ci95_oof_bootstrap: that of the held-out samples, the folds' models held fixed; None where it cannot be had.
        nested_mean, ci95_nested: the nested estimate and its interval; None without folds that hold out pairs.
    """

    ci95_oof_bootstrap: Interval | None = None
    nested_mean: float | None = None
    ci95_nested: Interval | None = None


@dataclass(frozen=True)
class Summary:
    """A finished cross-validation.

    Attributes:
        metrics: by name, in the order they are shown in.
        details: confusion matrices added up over the folds, other vectors and matrices as their mean over the folds
            that have them. Of classes also `NAME_pooled`, from the confusion matrix, and `folds_with_class`.
        n, n_scored, n_oof: samples of the pool, those that some fold holds out, and lines of oof.parquet.
        rarest, rarest_class: number of samples of the rarest class that is there (the positives, where there are two),
            and its name; None without classes.
        trivial: what the trivial model predicts, in words; None where there is none.
        every_sample_once_per_repeat: whether each repeat holds out each sample once.
        k, repeats: folds over all repeats, and repeats.
        untrained: that not all samples of the training parts have trained, in words; None where all have.
        drawn: whether folds are drawn at random, each a repeat of its own, and do not divide the samples.
        interval, nested, oof_bootstrap: what the intervals are of and how they were computed, in words; nested is None
            without any.
        oof_groups: number of groups that the bootstrap draws whole; None where samples have none.
        selection: what chose the weights that are scored, in words.
        chosen: the values that each fold's search chose; None without a search.
        classes: their names; empty for regression.
        splitter: what made the folds, as text.
        split_hash, data_fingerprint: SHA-256 of the split and of the data's content.
        seed: the experiment's.
        threads: numbers of threads that folds were computed with.
        versions: of the libraries that results depend on.
        git_commit: of the working directory; None outside git.
        seconds: of all trainings, searches included.
        logged: by name what a LightningModule of somebody else's logged last, per fold; None for a task of ours.
        oof_sum: SHA-256 of oof.parquet; "" in what earlier versions wrote.
        n_train: number of samples that a fold has trained on, in the mean; None in what earlier versions wrote.
        score: the metric that leads: shown first, monitored, compared; None in what earlier versions wrote.
        higher_is_better: of metrics whether a greater value is the better one, where that is known.
    """

    metrics: dict[str, MetricSummary]
    details: dict[str, Any]
    n: int
    n_scored: int
    n_oof: int
    every_sample_once_per_repeat: bool
    k: int
    repeats: int
    interval: str
    nested: str | None
    oof_bootstrap: str
    oof_groups: int | None
    selection: str
    chosen: list[dict[str, Any] | None] | None
    classes: list[str]
    splitter: str
    split_hash: str
    data_fingerprint: str
    seed: int
    threads: list[int]
    versions: dict[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    seconds: float = 0.0
    rarest: int | None = None
    rarest_class: str | None = None
    trivial: str | None = None
    drawn: bool = False
    oof_sum: str = ""
    untrained: str | None = None
    n_train: float | None = None
    score: str | None = None
    higher_is_better: dict[str, bool] = field(default_factory=dict)
    logged: dict[str, list[float]] | None = None

    def write(self, directory: Path) -> None:
        """Writes it into a crossval directory; metrics without a nested estimate have no keys of it."""
        content = asdict(self)
        for metric in content["metrics"].values():
            for key in ("nested_mean", "ci95_nested"):
                if metric[key] is None:
                    del metric[key]
        write_json(directory / SUMMARY, content)


def read_summary(directory: Path) -> Summary:
    """The summary of a crossval directory; what JSON has as null where a number belongs is NaN again.

    Raises:
        UserError: where there is none, or it cannot be read.
    """
    path = directory / SUMMARY
    summary = read_record(Summary, path, MEND)
    for name, metric in summary.metrics.items():
        if len(metric.folds) != summary.k:
            raise ArtefactError(f"{path}: {name} has {len(metric.folds)} folds of {summary.k}; {MEND}")
    return summary


def read_oof(directory: Path, summary: Summary, needs: Sequence[str] = ("id",)) -> "pd.DataFrame":
    """The held-out samples' predictions of a finished cross-validation, with these columns.

    Args:
        directory: of the cross-validation.
        summary: its summary.json, which was written with them.
        needs: columns that there must be.

    Raises:
        ArtefactError: where they cannot be read, or are another run's.
    """
    found = read_table(directory / OOF, needs, MEND)
    if summary.oof_sum and file_sum(directory / OOF) != summary.oof_sum:
        raise ArtefactError(f"{directory / OOF}: it is not the one that {SUMMARY} beside it was written with; {MEND}")
    return found
