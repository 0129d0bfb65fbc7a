"""Finished cross-validations, read from their directories without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import ArtefactError, ConfigError, suggest
from lightning_base.results.fold_result import RESULT, FoldResult, demand_own, is_done, is_told, read_result
from lightning_base.results.summary import SUMMARY, Summary, read_oof, read_summary
from lightning_base.stats.metrics import headline, higher_is_better
from lightning_base.tools.console import console
from lightning_base.tools.files import read_json

DIRECTIONS = {True: "higher", False: "lower", None: "higher?"}


@dataclass(frozen=True)
class Finished:
    """A finished cross-validation, as its directory tells it.

    Attributes:
        directory: where it stands.
        summary: its summary.json.
        n_train, n_val: mean number of samples over folds.
        oof: one line per (repeat, sample), in that order: repeat, id, target where there is one, pred.
    """

    directory: Path
    summary: Summary
    n_train: float
    n_val: float
    oof: pd.DataFrame

    @property
    def metrics(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.summary.metrics)

    @property
    def grouped(self) -> bool:
        """Whether its samples come in groups."""
        return bool(self.summary.oof_groups)

    def folds(self, name: str) -> npt.NDArray[np.float64]:
        """A metric's values (k,).

        Raises:
            UserError: where the run, or one of its folds, does not have it.
        """
        if name not in self.metrics:
            known = ", ".join(self.metrics)
            raise ConfigError(
                f"--metric: {self.directory} has no {name!r}, it has {known}{suggest(name, self.metrics)}"
            )
        values = np.array(self.summary.metrics[name].folds, dtype=np.float64)
        if (gone := np.flatnonzero(np.isnan(values))).size:
            raise ConfigError(f"--metric: {name} of {self.directory / f'fold_{gone[0]}'} is not a number; take another")
        return values


def load(directory: Path) -> Finished:
    """Reads a finished cross-validation.

    Raises:
        UserError: where it is none, not finished, or its folds are of different splits.
    """
    if not (directory / "identity.json").is_file():
        nested = directory / "crossval"
        mend = f"name {nested}" if (nested / "identity.json").is_file() else "name one: runs/NAME/crossval"
        raise ArtefactError(f"{directory} is no crossval directory (it has no identity.json); {mend}")
    demand_finished(directory, "compare", [SUMMARY, "oof.parquet"])
    identity, summary = read_json(directory / "identity.json", needs={"split_hash": str}), read_summary(directory)
    results = own_results(directory, summary)
    if identity["split_hash"] != summary.split_hash:
        raise ArtefactError(f"{directory} holds folds of different splits; run it again with --overwrite true")
    oof = read_oof(directory, summary, ("id", "repeat", "fold"))
    oof = oof.sort_values(["repeat", "id"], ignore_index=True)
    n_train, n_val = (float(np.mean([getattr(result, key) for result in results])) for key in ("n_train", "n_val"))
    return Finished(directory, summary, n_train, n_val, oof)


def own_results(directory: Path, summary: Summary) -> list[FoldResult]:
    """The results of the folds that a finished cross-validation scores, which must be its own.

    Raises:
        ArtefactError: for a fold of another experiment, split or number, or whose scores are not the summary's.
    """
    path = directory / "identity.json"
    stored = read_json(path, "run it again with --overwrite true") if path.is_file() else {}
    found = []
    for fold in range(summary.k):
        home = directory / f"fold_{fold}"
        result = read_result(home)
        if result.split_hash != summary.split_hash:
            raise ArtefactError(f"{directory} holds folds of different splits; run it again with --overwrite true")
        demand_own(home, result, str(stored.get("experiment", "")), summary.data_fingerprint)
        scores = {name: one.folds[fold] for name, one in summary.metrics.items()}
        if not same(scores, result.metrics):
            raise ArtefactError(
                f"{home / RESULT}: its scores are not those in {directory / SUMMARY}; delete {directory / SUMMARY} "
                "where the fold was trained again, and run crossval again"
            )
        found.append(result)
    if untold := [fold for fold, result in enumerate(found) if not is_told(result)]:
        console().print(
            f"{directory}: an earlier version wrote fold {untold[0]}: whether it is this run's is not told, and not "
            "checked",
            soft_wrap=True,
        )
    return found


def same(scores: Mapping[str, float], others: Mapping[str, float]) -> bool:
    """Whether two folds' scores are the same where both have them, NaN included; the summary computes more."""
    pairs = [(value, others[name]) for name, value in scores.items() if name in others]
    return all(a == b or (a != a and b != b) for a, b in pairs)


def demand_finished(directory: Path, key: str, names: Sequence[str]) -> None:
    """Refuses a directory that lacks one of these files, or one of whose folds has no result.

    Args:
        directory: what should be a crossval directory.
        key: the option that named it, for the message.
        names: files that it must have.

    Raises:
        UserError: naming the unfinished folds.
    """
    folds = sorted(directory.glob("fold_*"), key=lambda path: (len(path.name), path.name))
    unfinished = [fold.name for fold in folds if not is_done(fold)]
    missing = [name for name in names if not (directory / name).is_file()]
    if unfinished or missing:
        why = f"unfinished: {', '.join(unfinished)}" if unfinished else f"it has no {missing[0]}"
        raise ArtefactError(f"{key}: {directory} is no finished crossval directory ({why}); run crossval to its end")


def check_same_split(first: Finished, other: Finished) -> None:
    """Refuses to compare runs of different splits, samples or targets.

    Raises:
        UserError: naming the two runs, and what differs.
    """
    names = f"{first.directory} and {other.directory}"
    one, two = first.summary.split_hash, other.summary.split_hash
    if one != two:
        raise ArtefactError(
            f"{names} are on different splits ({one[:8]}, {two[:8]}); run one again with the other's split.parquet, "
            "by data.split lightning_base.splitters.Manifest"
        )
    keys = ["repeat", "id", *(["target"] if "target" in first.oof else [])]
    if not set(keys) <= set(other.oof.columns) or not first.oof[keys].equals(other.oof[keys]):
        raise ArtefactError(f"{names} have different samples or targets in oof.parquet; compare runs on the same data")


def score_of(runs: Mapping[str, Finished], shared: Sequence[str]) -> str:
    """The metric that leads in all runs; what earlier versions wrote names none.

    Args:
        runs: by name.
        shared: the metrics that all have.

    Raises:
        ArtefactError: where they are led by different ones.
    """
    named = {label: run.summary.score for label, run in runs.items() if run.summary.score}
    if len(set(named.values())) > 1:
        told = ", ".join(f"{label} {score}" for label, score in named.items())
        raise ArtefactError(f"compare: the runs have different scores ({told}); name what to compare, by --metric")
    score = next(iter(named.values()), None)
    return score if score is not None and score in shared else headline(shared)[0]


def direction(runs: Mapping[str, Finished], name: str) -> bool | None:
    """Whether a metric's greater value is the better one; None where that is not known.

    Raises:
        ArtefactError: where one run says that it is, and another that it is not.
    """
    said = {
        label: run.summary.higher_is_better[name] for label, run in runs.items() if name in run.summary.higher_is_better
    }
    if len(set(said.values())) > 1:
        told = ", ".join(f"{label} {DIRECTIONS[larger]}" for label, larger in said.items())
        raise ArtefactError(f"compare: the runs do not agree which {name} is better ({told}); compare another metric")
    return next(iter(said.values()), higher_is_better(name))
