"""What the verbs give back in Python: scores, held-out predictions and where they stand, as tables; without torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

import lightning_base
from lightning_base.errors import ArtefactError, ConfigError, one_line
from lightning_base.results import states
from lightning_base.results.fold_result import RESULT, FoldResult, is_done, read_result
from lightning_base.results.summary import SUMMARY, Summary, read_oof, read_summary
from lightning_base.results.tables import read_table
from lightning_base.stats.digits import decimals
from lightning_base.stats.estimates import Score
from lightning_base.stats.metrics import headline
from lightning_base.stats.tables import SHOWN
from lightning_base.tools.asked import in_python

if TYPE_CHECKING:
    from lightning_base.training.experiment import Experiment

INTERVAL = ("low", "high")  # of 95 %


class Lead(NamedTuple):
    """The value of the metric that leads, and its 95 % interval; NaN where it has none.

    Attributes:
        name: the metric's.
    """

    value: float
    low: float
    high: float
    name: str


class Outcome:
    """What is shown of any result: a title, and a table."""

    @property
    def title(self) -> str:
        """What it is, on one line."""
        raise NotImplementedError

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per metric, the score first."""
        raise NotImplementedError

    @property
    def score(self) -> "Lead":
        """The metric that leads (`model.score`): its value, and its 95 % interval, NaN where it has none."""
        table = self.metrics
        first = table.iloc[0]
        low, high = (float(first.get(end, float("nan"))) for end in INTERVAL)
        return Lead(float(first.iloc[0]), low, high, str(table.index[0]))

    def __repr__(self) -> str:
        table = self.metrics
        return f"{self.title}\n{table.head(SHOWN).to_string(float_format=decimals)}{further(table)}"

    def _repr_html_(self) -> str:
        """The table as a notebook shows it."""
        from html import escape

        table = self.metrics
        more = escape(further(table).strip())
        return f"<p>{escape(self.title)}</p>{table.head(SHOWN).to_html(float_format=decimals)}" + (
            f"<p>{more}</p>" if more else ""
        )


@dataclass(frozen=True, repr=False)
class Trained(Outcome):
    """A run in its directory, from which further samples are predicted.

    Attributes:
        directory: where it stands.
        experiment: what was run; None for one that was loaded, whose saved configuration is opened when it is needed.
    """

    directory: Path
    experiment: "Experiment | None" = field(default=None, compare=False)

    @property
    def place(self) -> Path:
        """The directory as it is shown: from the working directory, where it is below that."""
        here = Path.cwd()
        return self.directory.relative_to(here) if self.directory.is_relative_to(here) else self.directory

    def predict(self, x: Any = None, **options: Any) -> pd.DataFrame:
        """One row per sample; see `lightning_base.predict`."""
        return lightning_base.predict(self, x, **options)

    def test(self, **options: Any) -> "Scored":
        """Scores on the sealed test samples; see `lightning_base.test`."""
        return lightning_base.test(self, **options)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """What cleaning found: source, id, kind, detail, action.

        Raises:
            ArtefactError: where it is not there or cannot be read.
        """
        return read_table(self.directory / "cleaning.parquet")


@dataclass(frozen=True, repr=False)
class CrossValidation(Trained):
    """A cross-validation in its directory: `runs/<name>/crossval`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_stamp", self._now())

    def _now(self) -> Any:
        """What changes when another run takes the directory."""
        stamp = self.directory / "identity.json"
        return stamp.stat().st_mtime_ns if stamp.is_file() else None

    def _demand_same(self) -> None:
        if self._now() is None:
            raise ArtefactError(f"{self.place / 'identity.json'} is not there: the run was deleted; run it again")
        if self._now() != self.__dict__["_stamp"]:
            raise ArtefactError(f"{self.place}: a later run has taken the directory; load it anew")

    @property
    def title(self) -> str:
        """Its folds, its samples and what was scored."""
        if not self.finished:
            done = int((self.folds["state"] == "done").sum())
            return f"{self.place}: {done} of {len(self.folds)} folds are done"
        one = self.summary
        return f"{self.place}: {one.k} folds, {one.n_scored} held-out samples"

    @property
    def finished(self) -> bool:
        """Whether all folds are done, and summed up."""
        return (self.directory / SUMMARY).is_file()

    @cached_property
    @in_python()
    def summary(self) -> Summary:
        """summary.json, typed.

        Raises:
            ArtefactError: where folds are still to run.
        """
        self._demand_same()
        if not self.finished:
            raise ArtefactError(f"{self.place}: not all folds are done; run crossval to its end")
        return read_summary(self.directory)

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per metric: the score over all held-out samples and its 95 % interval, low to high; the trivial
        model's score, and whether this is better; mean and std over the folds. See `summary`.

        Raises:
            ArtefactError: where folds are still to run.
        """
        found = self.summary.metrics
        names = list(found) if self.summary.score else headline(found)  # earlier versions knew no order
        rows = {name: row(found[name]) | {"mean": found[name].mean, "std": found[name].std} for name in names}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric").rename(columns={"value": "score"})

    @property
    @in_python()
    def folds(self) -> pd.DataFrame:
        """One row per fold: its state ("done", "failed", "pending", …), and of those done n_train, n_val, epochs,
        seconds and each metric on the samples it held out.
        """
        self._demand_same()
        rows = []
        for number, state in enumerate(states.states(self.directory)):
            row: dict[str, Any] = {"fold": number, "state": state["state"]}
            if state["state"] == "done":
                row |= {key: state[key] for key in ("n_train", "n_val", "epochs", "seconds")} | state["metrics"]
            elif "error" in state:
                row["error"] = one_line(state["error"])
            rows.append(row)
        return pd.DataFrame(rows).set_index("fold")

    @cached_property
    def oof(self) -> pd.DataFrame:
        """One row per held-out sample and repeat: id, fold, repeat, target, pred, and for classes prob_0 ….

        Raises:
            ArtefactError: where folds are still to run.
        """
        self._demand_same()
        return read_oof(self.directory, self.summary, ("id", "fold", "repeat"))

    def __repr__(self) -> str:
        return super().__repr__() if self.finished else f"{self.title}\n{self.folds.to_string()}"

    def _repr_html_(self) -> str:
        return super()._repr_html_() if self.finished else f"<p>{self.title}</p>{self.folds.to_html()}"


@dataclass(frozen=True, repr=False)
class Fitted(Trained):
    """A training on fold 0 in its directory: `runs/<name>/fit/version_<n>`."""

    @property
    def title(self) -> str:
        """Its samples and what was scored."""
        one = self.result
        return f"{self.place}: {one.n_val} held-out samples of fold {one.fold}; scored: {one.selection}"

    @cached_property
    def result(self) -> FoldResult:
        """result.json, typed.

        Raises:
            ArtefactError: where the run is not done.
        """
        if not is_done(self.directory):
            raise ArtefactError(f"{self.place}: the run is not done; run fit to its end")
        return read_result(self.directory)

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per metric on the held-out samples: value. `validate` gives their intervals."""
        return pd.DataFrame({"value": self.result.metrics}).rename_axis("metric")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per held-out sample: id, target, pred, and for classes prob_0 …."""
        return read_table(self.directory / "predictions.parquet")

    def validate(self, **options: Any) -> "Scored":
        """Scores on the held-out samples, with their intervals; see `lightning_base.validate`."""
        return lightning_base.validate(self, **options)


@dataclass(frozen=True, repr=False)
class Scored(Outcome):
    """Scores of a model on samples of one role.

    Attributes:
        samples: which, in words.
        estimates: each metric's value, its 95 % interval over these samples, the model held fixed, and what the trivial
            model scores.
        n: the number of samples.
        predictions: one row per sample: id, target, pred, and for classes prob_0 ….
        reads: when the test samples were read for this run, this time last; empty for other samples.
    """

    samples: str
    estimates: dict[str, Score]
    n: int
    predictions: pd.DataFrame
    reads: Sequence[str] = ()

    @property
    def scores(self) -> dict[str, float]:
        """Each metric's value."""
        return {name: one.score for name, one in self.estimates.items()}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Each metric's 95 % interval; NaN where there is none."""
        return {name: one.ci95 for name, one in self.estimates.items()}

    @property
    def title(self) -> str:
        """Which samples, and how many."""
        return f"{self.samples}, n = {self.n}" + (f", read {len(self.reads)} times" if len(self.reads) > 1 else "")

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per metric: value, its 95 % interval over these samples, low to high, and the trivial model's."""
        rows = {name: row(one) for name, one in self.estimates.items()}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


@dataclass(frozen=True)
class Prepared:
    """Data that is fetched, cleaned, packed and split.

    Attributes:
        directory: where cleaning.parquet and split.parquet stand: `runs/<name>/prepare`.
        samples: number of samples by source.
        findings: what cleaning found: source, id, kind, detail, action.
        split: one row per fold and sample: id, repeat, fold, role.
    """

    directory: Path
    samples: dict[str, int]
    findings: pd.DataFrame
    split: pd.DataFrame


def further(table: pd.DataFrame) -> str:
    """That there are more metrics than are shown; "" where there are none."""
    more = len(table) - SHOWN
    return f"\n{more} more {'metric' if more == 1 else 'metrics'}: .metrics" if more > 0 else ""


def row(one: Score) -> dict[str, Any]:
    """A score as a table's row: value, low, high, trivial, better (yes, no or NaN for what cannot be said)."""
    trivial = float("nan") if one.trivial is None else one.trivial
    better = {True: "yes", False: "no", None: float("nan")}[one.better]
    return {"value": one.score, **dict(zip(INTERVAL, one.ci95, strict=True)), "trivial": trivial, "better": better}


def demand_path(path: Any, key: str) -> Path:
    """A path that was given.

    Raises:
        ConfigError: for what is none; `key` is the argument.
    """
    if not isinstance(path, str | PathLike):
        what = "None" if path is None else f"a {type(path).__name__}"
        raise ConfigError(f"{key}: {what} is no path; give that of a run, as runs/NAME/crossval")
    return Path(path)


def load(directory: Path) -> CrossValidation | Fitted:
    """The run that a directory holds.

    Raises:
        ArtefactError: where it holds none, or several.
    """
    if (directory / "identity.json").is_file():
        return CrossValidation(directory)
    if (directory / RESULT).is_file():
        return Fitted(directory)
    found = [path for path in (directory / "crossval",) if (path / "identity.json").is_file()]
    runs = (*directory.glob("fit/version_*/" + RESULT), *directory.glob("version_*/" + RESULT))
    found += sorted(path.parent for path in runs)
    if len(found) == 1:
        return load(found[0])
    mend = f"name one of {', '.join(map(str, found))}" if found else "name one, as runs/NAME/crossval"
    raise ArtefactError(f"{directory} is no run's directory; {mend}")
