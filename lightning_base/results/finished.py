"""Finished cross-validations, read from their directories without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import UserError, one_line, suggest
from lightning_base.tools.files import read_json


@dataclass(frozen=True)
class Finished:
    """A finished cross-validation, as its directory tells it.

    metrics: per metric the folds' values, None where a fold has none.
    n_train, n_val: mean number of samples over folds.
    selection: what chose the weights that were scored, in words.
    grouped: whether its samples come in groups.
    oof: one line a (repeat, sample), in that order: repeat, id, target where there is one, pred.
    """

    directory: Path
    metrics: dict[str, list[float | None]]
    n_train: float
    n_val: float
    split_hash: str
    data_fingerprint: str
    classes: tuple[str, ...]
    selection: str
    grouped: bool
    oof: pd.DataFrame

    def folds(self, name: str) -> npt.NDArray[np.float64]:
        """A metric's values (k,).

        Raises:
            UserError: where the run, or one of its folds, does not have it.
        """
        if name not in self.metrics:
            known = ", ".join(self.metrics)
            raise UserError(f"--metric: {self.directory} has no {name!r}, it has {known}{suggest(name, self.metrics)}")
        for fold, value in enumerate(self.metrics[name]):
            if value is None:
                raise UserError(f"--metric: {name} of {self.directory / f'fold_{fold}'} is not a number; take another")
        return np.array(self.metrics[name], dtype=np.float64)


def load(directory: Path) -> Finished:
    """Reads a finished cross-validation.

    Raises:
        UserError: where it is none, not finished, or its folds are of different splits.
    """
    if not (directory / "identity.json").is_file():
        nested = directory / "crossval"
        mend = f"name {nested}" if (nested / "identity.json").is_file() else "name one: runs/NAME/crossval"
        raise UserError(f"{directory} is no crossval directory (it has no identity.json); {mend}")
    _demand(directory, ["summary.json", "oof.parquet"])
    identity, summary = (read_json(directory / name) for name in ("identity.json", "summary.json"))
    try:
        paths = [f"fold_{fold}/result.json" for fold in range(summary["k"])]
        _demand(directory, paths)
        results = [read_json(directory / path) for path in paths]
        if len({part["split_hash"] for part in (identity, summary, *results)}) > 1:
            raise UserError(f"{directory} holds folds of different splits; run it again with --overwrite true")
        return Finished(
            directory,
            {name: list(metric["folds"]) for name, metric in summary["metrics"].items()},
            float(np.mean([result["n_train"] for result in results])),
            float(np.mean([result["n_val"] for result in results])),
            summary["split_hash"],
            summary["data_fingerprint"],
            tuple(summary["classes"]),
            summary["selection"],
            bool(summary.get("oof_groups")),
            pd.read_parquet(directory / "oof.parquet").sort_values(["repeat", "id"], ignore_index=True),
        )
    except KeyError as error:
        raise UserError(f"{directory}: its files lack {error}; delete its summary.json, run crossval again") from error
    except (OSError, ValueError) as error:
        raise UserError(
            f"{directory / 'oof.parquet'}: cannot be read ({one_line(error)}); delete it, run crossval again"
        ) from error


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
    unfinished = [fold.name for fold in folds if not (fold / "result.json").is_file()]
    if unfinished or not all((directory / name).is_file() for name in names):
        raise UserError(
            f"{key}: {directory} is no finished crossval directory"
            f"{' (unfinished: ' + ', '.join(unfinished) + ')' if unfinished else ''}; run crossval to its end"
        )


def check_same_split(first: Finished, other: Finished) -> None:
    """Raises:
    UserError: where two runs are on different splits, or their samples or targets differ.
    """
    names = f"{first.directory} and {other.directory}"
    if first.split_hash != other.split_hash:
        raise UserError(
            f"{names} are on different splits ({first.split_hash[:8]}, {other.split_hash[:8]}); run one again with the "
            "other's split.parquet, by data.split lightning_base.splitters.Manifest"
        )
    keys = ["repeat", "id", *(["target"] if "target" in first.oof else [])]
    if not set(keys) <= set(other.oof.columns) or not first.oof[keys].equals(other.oof[keys]):
        raise UserError(f"{names} have different samples or targets in oof.parquet; compare runs on the same data")


def _demand(directory: Path, names: list[str]) -> None:
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise UserError(f"{directory} is not finished (it has no {missing[0]}); run crossval to its end")
