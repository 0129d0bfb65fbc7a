"""Nested cross-validation: values tuned inside a fold's training part, so that what scores the fold chose nothing."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ArtefactError, ConfigError, Diverged, UserError, suggest
from lightning_base.results.fold_result import FoldResult, is_done, read_result
from lightning_base.splitters.split import WHOLE
from lightning_base.tools.console import console
from lightning_base.tools.files import read_json, write_json
from lightning_base.tools.process import is_main
from lightning_base.training.experiment import Experiment, naming
from lightning_base.training.preflight import preflight
from lightning_base.training.run import Run, build
from lightning_base.training.search_space import Search, Values, shown
from lightning_base.training.seeds import derive_seed
from lightning_base.training.settings import differing, predicting, read_saved
from lightning_base.training.train import Chosen

Part: TypeAlias = tuple[int, int]  # which training of how many of a fold: those of the search, and its own
Train: TypeAlias = Callable[[Experiment, int, Path, Part], FoldResult]


@dataclass(frozen=True)
class Choice:
    """What a search chose.

    Attributes:
        experiment: with the values put in.
        chosen: the values, and the seconds that all inner runs trained.
        results: the inner folds' results with them.
        trainings: how many the search took.
    """

    experiment: Experiment
    chosen: Chosen
    results: list[FoldResult]
    trainings: int


def tuned(experiment: Experiment, directory: Path) -> Experiment:
    """The experiment with the values that a search chose for the run in this directory; as it is where none did.

    The file is a run's folder's, and is not trusted: what is put in are values of the configuration's own search. A
    configuration without one must be that of the run itself, which has the values already.

    Raises:
        ArtefactError: where the file has other values.
    """
    path = directory / "search.json"
    if not path.is_file():
        return experiment
    values = read_json(path, needs={"values": dict})["values"]
    if experiment.search is None:
        demand_chosen(experiment, path)
        return experiment
    for candidate, one in zip(experiment.search.candidates(), experiment.candidates(), strict=True):
        if json.dumps(candidate, sort_keys=True) == json.dumps(values, sort_keys=True):
            return one
    raise ArtefactError(
        f"{path}: the values {shown(values)[:200]} are none that the configuration's search tries; give the "
        "configuration that the run was made with, or restore the file"
    )


def demand_chosen(experiment: Experiment, path: Path) -> None:
    """Refuses a configuration that searches nothing, and is not that of the run that a search chose values for.

    Raises:
        ArtefactError: naming search.json.
    """
    saved = path.with_name("config.yaml")
    mend = "give the configuration that the run was made with, with its search"
    if not saved.is_file():
        raise ArtefactError(f"{path}: a search chose values, and the configuration has no search; {mend}")
    if difference := next(differing(predicting(read_saved(saved)), experiment.predicting), None):
        key, was, now = difference
        raise ArtefactError(
            f"{path}: a search chose values, and the configuration has none, nor is it the one beside the file: {key} "
            f"is {now!r}, there {was!r}; {mend}"
        )


def describe(chosen: Sequence[Values]) -> str:
    """The values that folds chose, and by how many, the most frequent first."""
    texts = [shown(values) for values in chosen]
    counts = sorted(((texts.count(text), text) for text in set(texts)), key=lambda pair: (-pair[0], pair[1]))
    return "; ".join(f"{text} ({count} of {len(texts)} folds)" for count, text in counts)


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
    return candidate.with_(
        {
            "data.init_args.split": experiment.config.search.inner,
            "seed_everything": derive_seed(experiment.seed, 1 + fold, 1),  # (seed, fold, 0) would be (seed, fold)
            "name": f"{experiment.name}_{'refit' if fold == WHOLE else f'fold_{fold}'}_search",  # for loggers
        },
        only=ids,
    )


def check(experiment: Experiment, data: BaseDataModule) -> None:
    """Tries every candidate, and every fold's inner split, before anything is trained or written.

    Args:
        experiment: one that searches, or not.
        data: the whole pool, as `crossval` splits it.

    Raises:
        UserError: naming the candidate that cannot be built, does not fit the data or changes the split; or for a
            metric or an inner splitter that cannot serve.
    """
    search = experiment.search
    if search is None:
        return
    tried, nowhere = experiment.candidates(), experiment.root / "search"
    for values, candidate in zip(search.candidates(), tried, strict=True):
        with naming(values):
            run = build(candidate, 0, nowhere, quiet=True)
            preflight(run)
            if run.datamodule.folds.hash != data.folds.hash:
                raise ConfigError("it changes which samples there are, or the folds, that all candidates must share")
    for fold, assignment in enumerate(data.folds.folds):
        one = inner(experiment, tried[0], fold, data.folds.ids[assignment.train])
        run = build(one.without_model(), 0, nowhere, quiet=True)
        try:
            if run.datamodule.seals and run.datamodule.test_size is None:
                raise ConfigError("it names test samples, which are sealed before any fold; take one that does not")
            _ = run.datamodule.folds
            if fold == 0:
                run = build(one, 0, nowhere, quiet=True)
                preflight(run)
        except UserError as error:
            raise ConfigError(f"search.inner, in the training part of fold {fold}: {error}") from error
        if fold == 0:
            best_is_largest(run, search)


def best_is_largest(run: Run, search: Search) -> bool:
    """Whether the best value of the search's metric is the largest.

    Raises:
        UserError: for a metric that the task does not have, or one that does not say which is best.
    """
    metrics = dict(run.model.all_metrics().items())
    name = decides(run, search)
    if name not in metrics:
        raise ConfigError(
            f"search.metric: no metric {name!r}, the task has {', '.join(metrics)}{suggest(name, metrics)}"
        )
    larger = run.model.larger_is_better(metrics).get(name) if search.mode is None else search.mode == "max"
    if larger is None:
        raise ConfigError(f"search.mode: {name} does not say which value is best; give max or min")
    return larger


def decides(run: Run, search: Search) -> str:
    """The metric by which a search chooses: the one it names, else the task's score."""
    return search.metric or run.model.leading()


def choose(experiment: Experiment, fold: int, directory: Path, ids: Iterable[str], train: Train) -> Choice:
    """Cross-validates every candidate on a fold's training part, and takes the best.

    Each inner run lives in inner/candidate_<c>/fold_<j>, where a finished one is kept, and an interrupted one gone on
    with; its checkpoints are deleted when it is scored. search.json tells the candidates' scores and the choice.

    Args:
        experiment: one that searches.
        fold: the outer fold, whose seed the inner runs' are drawn from.
        directory: the outer fold's.
        ids: of the samples to choose on: the outer fold's training part.
        train: trains and scores a fold of an experiment in a directory, and leaves its result.json there; it is told
            which of how many trainings that is.

    Raises:
        UserError: where no candidate's score is a number.
    """
    search = experiment.search
    assert search is not None
    tried, options = search.candidates(), experiment.candidates()
    inners = [inner(experiment, candidate, fold, ids) for candidate in options]
    first = build(inners[0], 0, directory / "inner", quiet=True)
    preflight(first)
    k, split_hash = len(first.datamodule.folds.folds), first.datamodule.folds.hash
    metric = decides(first, search)
    n, sign = len(first.datamodule.samples("pool")), 1 if best_is_largest(first, search) else -1
    del first  # it holds the data
    lines, all_results = [], []
    for number, (values, candidate) in enumerate(zip(tried, inners, strict=True)):
        home = directory / "inner" / f"candidate_{number}"
        parts = [(number * k + j + 1, len(tried) * k + 1) for j in range(k)]
        results: list[FoldResult] = []
        try:
            for j in range(k):
                results.append(inner_result(candidate, j, home / f"fold_{j}", split_hash, train, parts[j]))
        except Diverged as error:
            console().print(f"search, {shown(values)}: {error}; it is not chosen", soft_wrap=True, markup=False)
        scores = [result.metrics[metric] for result in results] + [nan] * (k - len(results))
        mean = float(np.mean(scores))
        lines.append({"values": values, "mean": mean, "scores": scores})
        all_results.append(results)
    means = sign * np.array([line["mean"] for line in lines])
    if np.isnan(means).all():
        raise ConfigError(f"search.metric: {metric} is not a number for any candidate; take another metric")
    best = int(np.nanargmax(means))
    seconds = float(sum(result.seconds for results in all_results for result in results))
    write_json(
        directory / "search.json",
        {
            "metric": metric,
            "mode": "max" if sign > 0 else "min",
            "chosen": best,
            "values": tried[best],
            "candidates": lines,
            "inner_folds": k,
            "n": n,
            "seconds": seconds,
        },
    )
    return Choice(options[best], Chosen(tried[best], seconds, experiment.identity), all_results[best], len(tried) * k)


def inner_result(
    candidate: Experiment, fold: int, directory: Path, split_hash: str, train: Train, part: Part
) -> FoldResult:
    """The result of an inner fold, from its file where it stands and is of this split and candidate, else trained."""
    if not is_kept(candidate, directory, split_hash):
        if is_done(directory):
            _delete(directory)
        train(candidate, fold, directory, part)
    _delete(directory / "checkpoints")
    return read_result(directory)


def is_kept(candidate: Experiment, directory: Path, split_hash: str) -> bool:
    """Whether an inner fold is done, for this candidate and split; what an earlier version left tells the split."""
    if not is_done(directory):
        return False
    result = read_result(directory)
    return result.split_hash == split_hash and result.experiment in ("", candidate.identity)


def _delete(directory: Path) -> None:
    if is_main():
        shutil.rmtree(directory, ignore_errors=True)
