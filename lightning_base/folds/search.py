"""Nested cross-validation: values tuned inside a fold's training part, so that what scores the fold chose nothing."""

import json
import shutil
from argparse import ArgumentError
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from sklearn.model_selection import ParameterGrid

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import UserError, suggest
from lightning_base.splitters.base import TableSplitter
from lightning_base.splitters.split import WHOLE, Splitter
from lightning_base.tools.files import read_json, write_json
from lightning_base.tools.process import is_main
from lightning_base.training.config_errors import explain
from lightning_base.training.experiment import Experiment
from lightning_base.training.run import Run, build, preflight
from lightning_base.training.seeds import derive_seed

Values: TypeAlias = Mapping[str, Any]
Train: TypeAlias = Callable[[Experiment, int, Path], Mapping[str, Any]]
TUNABLE = ("model", "data", "trainer")


@dataclass(frozen=True, kw_only=True)
class Search:
    """What each fold tunes, by cross-validating its training part alone; the fold is then trained with the best.

    A score that was also used to choose is too good (Varma & Simon 2006, BMC Bioinformatics 7:91); here the samples
    that a fold holds out are read once its values are chosen. The folds may choose differently: what is estimated is
    the procedure, tuning and all.

    Args:
        grid: the values to try of each key, which is written as on the command line; every combination is a candidate.
        metric: the task's metric that decides, by its mean over the inner folds; of equals the first is taken.
        mode: whether the largest or the smallest is best; by default what is better for the metric.
        inner: what splits a fold's training part; by default what data.split is by default.
    """

    grid: dict[str, list[Any]]
    metric: str
    mode: Literal["max", "min"] | None = None
    inner: Splitter | TableSplitter | None = None

    def candidates(self) -> list[dict[str, Any]]:
        """Every combination of the grid's values; keys in alphabetical order, the last varying fastest.

        Raises:
            UserError: for a key that is none of model, data or trainer, or that has no values.
        """
        if not self.grid:
            raise UserError("search.grid: names no key; give e.g. {model.optimizer.lr: [0.001, 0.01]}, or leave it out")
        for key, values in self.grid.items():
            if key.partition(".")[0] not in TUNABLE or "." not in key:
                raise UserError(f"search.grid: {key!r} cannot be tuned; name a key of {', '.join(TUNABLE)}")
            if not values:
                raise UserError(f"search.grid: {key} has no values; give a list of one or more")
        return list(ParameterGrid(self.grid))


@dataclass(frozen=True)
class Choice:
    """What a search chose: the experiment with the values, these, and the inner folds' results with them.

    seconds: that all of its inner runs trained.
    """

    experiment: Experiment
    values: dict[str, Any]
    results: list[dict[str, Any]]
    seconds: float

    @property
    def notes(self) -> dict[str, Any]:
        """What the result of the run says about it."""
        return {"chosen": self.values, "search_seconds": self.seconds}


def settings(experiment: Experiment) -> Search | None:
    """What the experiment searches, without the splitter, which is built with the data; None where it does not."""
    given = experiment.config.get("search")
    return None if given is None else Search(grid=dict(given.grid), metric=given.metric, mode=given.mode)


def with_values(experiment: Experiment, values: Values) -> Experiment:
    """The experiment with values put in as the command line's --key=value does.

    Raises:
        UserError: for a key that does not exist, or a value that does not fit it.
    """
    arguments = [f"--{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()]
    parser = experiment.parser
    try:
        return replace(experiment, config=parser.parse_args(arguments, namespace=experiment.config.clone()))
    except ArgumentError as error:
        known = list(parser.get_defaults(skip_validation=True).keys())
        raise UserError(explain(str(error), [], known)) from error


def tuned(experiment: Experiment, directory: Path) -> Experiment:
    """The experiment with the values that a search chose for the run in this directory; as it is where none did."""
    path = directory / "search.json"
    return with_values(experiment, read_json(path)["values"]) if path.is_file() else experiment


def candidates(experiment: Experiment) -> list[Experiment]:
    """The experiment with each candidate's values and no search; itself alone where it does not search."""
    search = settings(experiment)
    if search is None:
        return [experiment]
    found = []
    for values in search.candidates():
        with naming(values):
            found.append(settled(with_values(experiment, values)))
    return found


def settled(experiment: Experiment) -> Experiment:
    """The experiment without its search."""
    config = experiment.config.clone()
    config.search = None
    return replace(experiment, config=config)


def describe(chosen: Sequence[Values]) -> str:
    """The values that folds chose, and by how many, the most frequent first."""
    texts = [_text(values) for values in chosen]
    counts = sorted(((texts.count(text), text) for text in set(texts)), key=lambda pair: (-pair[0], pair[1]))
    return "; ".join(f"{text} ({count} of {len(texts)} folds)" for count, text in counts)


def _text(values: Values) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())


@contextmanager
def naming(values: Values) -> Iterator[None]:
    """Puts the candidate's values before the message of a user's mistake."""
    try:
        yield
    except UserError as error:
        raise UserError(f"search.grid ({_text(values)}): {error}") from error


def inner(experiment: Experiment, candidate: Experiment, fold: int, ids: Iterable[str]) -> Experiment:
    """A candidate's cross-validation of a fold's training part: an experiment whose pool is these samples alone.

    Its seed is drawn from (seed, fold), so that all candidates of a fold meet the same inner folds, the same
    initial weights and the same order of samples.

    Args:
        experiment: one that searches.
        candidate: one of its candidates.
        fold: the outer fold.
        ids: of the outer fold's training samples.
    """
    config = candidate.config.clone()
    config.data.init_args.split = experiment.config.search.inner
    config.seed_everything = derive_seed(experiment.seed, 1 + fold, 1)  # (seed, fold, 0) would be (seed, fold)
    config.name = f"{experiment.name}_{'refit' if fold == WHOLE else f'fold_{fold}'}_search"  # for loggers
    return replace(candidate, config=config, only=frozenset(ids))


def check(experiment: Experiment, data: BaseDataModule) -> None:
    """Tries every candidate, and every fold's inner split, before anything is trained or written.

    Args:
        experiment: one that searches, or not.
        data: the whole pool, as `crossval` splits it.

    Raises:
        UserError: naming the candidate that cannot be built, does not fit the data or changes the split; or for a
            metric or an inner splitter that cannot serve.
    """
    search = settings(experiment)
    if search is None:
        return
    tried, nowhere = candidates(experiment), experiment.root / "search"
    for values, candidate in zip(search.candidates(), tried, strict=True):
        with naming(values):
            run = build(candidate, 0, nowhere, quiet=True)
            preflight(run)
            if run.datamodule.folds.hash != data.folds.hash:
                raise UserError("it changes which samples there are, or the folds, that all candidates must share")
    for fold, assignment in enumerate(data.folds.folds):
        run = build(inner(experiment, tried[0], fold, data.folds.ids[assignment.train]), 0, nowhere, quiet=True)
        try:
            if run.datamodule.seals and run.datamodule.test_size is None:
                raise UserError("it names test samples, which are sealed before any fold; take one that does not")
            _ = run.datamodule.folds
            if fold == 0:
                preflight(run)
        except UserError as error:
            raise UserError(f"search.inner, in the training part of fold {fold}: {error}") from error
        if fold == 0:
            best_is_largest(run, search)


def best_is_largest(run: Run, search: Search) -> bool:
    """Whether the best value of the search's metric is the largest.

    Raises:
        UserError: for a metric that the task does not have, or one that does not say which is best.
    """
    metrics = dict(run.model.metrics().items())
    if search.metric not in metrics:
        hint = suggest(search.metric, metrics)
        raise UserError(f"search.metric: no metric {search.metric!r}, the task has {', '.join(metrics)}{hint}")
    larger = metrics[search.metric].higher_is_better if search.mode is None else search.mode == "max"
    if larger is None:
        raise UserError(f"search.mode: {search.metric} does not say which value is best; give max or min")
    return bool(larger)


def choose(experiment: Experiment, fold: int, directory: Path, ids: Iterable[str], train: Train) -> Choice:
    """Cross-validates every candidate on a fold's training part, and takes the best.

    Each inner run lives in inner/candidate_<c>/fold_<j>, where a finished one is kept, and an interrupted one gone on
    with; its checkpoints are deleted when it is scored. search.json tells the candidates' scores and the choice.

    Args:
        experiment: one that searches.
        fold: the outer fold, whose seed the inner runs' are drawn from.
        directory: the outer fold's.
        ids: of the samples to choose on: the outer fold's training part.
        train: trains and scores a fold of an experiment in a directory, and leaves its result.json there.

    Raises:
        UserError: where no candidate's score is a number.
    """
    search = settings(experiment)
    assert search is not None
    tried, options = search.candidates(), candidates(experiment)
    inners = [inner(experiment, candidate, fold, ids) for candidate in options]
    first = build(inners[0], 0, directory / "inner", quiet=True)
    preflight(first)
    k, split_hash = len(first.datamodule.folds.folds), first.datamodule.folds.hash
    n, sign = len(first.datamodule.samples("pool")), 1 if best_is_largest(first, search) else -1
    del first  # it holds the data
    lines, all_results = [], []
    for number, (values, candidate) in enumerate(zip(tried, inners, strict=True)):
        home = directory / "inner" / f"candidate_{number}"
        results = [inner_result(candidate, j, home / f"fold_{j}", split_hash, train) for j in range(k)]
        scores = [result["metrics"][search.metric] for result in results]
        mean = float(np.mean([np.nan if score is None else score for score in scores]))
        lines.append({"values": values, "mean": mean, "scores": scores})
        all_results.append(results)
    means = sign * np.array([line["mean"] for line in lines])
    if np.isnan(means).all():
        raise UserError(f"search.metric: {search.metric} is not a number for any candidate; take another metric")
    best = int(np.nanargmax(means))
    seconds = float(sum(result["seconds"] for results in all_results for result in results))
    write_json(
        directory / "search.json",
        {
            "metric": search.metric,
            "mode": "max" if sign > 0 else "min",
            "chosen": best,
            "values": tried[best],
            "candidates": lines,
            "inner_folds": k,
            "n": n,
            "seconds": seconds,
        },
    )
    return Choice(options[best], tried[best], all_results[best], seconds)


def inner_result(candidate: Experiment, fold: int, directory: Path, split_hash: str, train: Train) -> dict[str, Any]:
    """The result of an inner fold, from its file where it stands and is of this split, else trained."""
    path = directory / "result.json"
    if not path.is_file() or read_json(path)["split_hash"] != split_hash:
        if path.is_file():
            _delete(directory)
        train(candidate, fold, directory)
    _delete(directory / "checkpoints")
    return read_json(path)


def _delete(directory: Path) -> None:
    if is_main():
        shutil.rmtree(directory, ignore_errors=True)
