"""Coverage of the intervals that `crossval` offers, over simulated data sets whose true error is known.

python benchmarks/coverage.py [SETS] [EXECUTOR]    (500 data sets a setting, vectorized; three settings)
python benchmarks/coverage.py [SETS] exact         (penalised logistic regression, solved; nine settings)
python benchmarks/coverage.py [SETS] settings      (imbalance, few folds, heavy tails, groups, time, test samples …:
                                                    benchmarks/coverage_settings.py)

A data set has n samples of standard normal inputs; a logistic model of the first five gives the class. In each setting
`crossval` trains a network on SETS of them, its pairs of folds included, and once more on all samples (`--refit`); with
"exact" a solver does so, without the front door. The true accuracy and loss of every model come from 20,000 other
inputs whose class probabilities are known. Two targets are counted as covered or not:

Err     the expected score of the procedure at a fold's training size: its mean over the folds of all data sets;
Err_XY  the score of the model that is trained on all samples of this data set.

Printed are, a line a setting and metric, for each interval the share of the data sets in which it covers Err / Err_XY
(one that is not given, where all predictions are right, does not cover), and its mean width. Two processes work.
"""

import contextlib
import io
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import coverage_settings
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import yaml

from lightning_base.folds.executors.options import Execution
from lightning_base.folds.loop import crossval
from lightning_base.splitters.paired import Paired
from lightning_base.splitters.split import Fold, make_split
from lightning_base.stats.bootstrap import oof_intervals
from lightning_base.stats.estimates import clipped, estimate
from lightning_base.stats.facts import Design
from lightning_base.stats.intervals import corrected_interval
from lightning_base.stats.linear import Lines
from lightning_base.stats.nested import nested_intervals, sample_errors
from lightning_base.training.experiment import Experiment
from lightning_base.verbs.opening import open_experiment
from models.mlp import MLP

Floats = npt.NDArray[np.float64]
METRICS = ("accuracy", "loss")
INTERVALS = ("mean ± 1.96·std/√k", "corrected t as published", "ci95", "ci95_oof_bootstrap", "ci95_nested")


@dataclass(frozen=True)
class Setting:
    """What is simulated: n samples of p inputs, the signal's strength, folds × repeats, hidden units or a penalty."""

    n: int
    p: int
    signal: float
    k: int
    repeats: int
    hidden: int = 0
    penalty: float = 0.01
    epochs: int = 20


FRONT = [
    Setting(100, 10, 2.0, 5, 2, hidden=16, epochs=10),
    Setting(100, 10, 2.0, 10, 1),
    Setting(400, 10, 2.0, 5, 2, hidden=16, epochs=10),
]
EXACT = [
    Setting(100, 10, 2.0, 5, 2),
    Setting(400, 10, 2.0, 5, 2),
    Setting(100, 10, 2.0, 10, 1),
    Setting(400, 10, 2.0, 10, 1),
    Setting(100, 30, 2.0, 5, 2, penalty=0.003),
    Setting(400, 50, 2.0, 10, 1, penalty=0.003),
    Setting(100, 5, 20.0, 5, 2, penalty=0.001),
    Setting(400, 5, 20.0, 10, 1, penalty=0.001),
    Setting(100, 10, 2.0, 5, 10),
]


@dataclass(frozen=True)
class Trained:
    """One data set's cross-validation: predictions, results and true scores (METRICS) of its models."""

    folds: tuple[Fold, ...]
    parts: list[pd.DataFrame]
    results: list[dict[str, Any]]
    true_folds: Floats  # (k · repeats, 2)
    true_whole: Floats  # (2,)


@dataclass(frozen=True)
class World:
    """The distribution that data sets are drawn from, and inputs that true scores are taken over."""

    beta: Floats  # (p,)
    inputs: Floats  # (20000, p)

    @classmethod
    @lru_cache
    def of(cls, setting: Setting) -> "World":
        """The setting's."""
        beta = np.zeros(setting.p)
        beta[:5] = setting.signal / np.sqrt(5)
        return cls(beta, np.random.default_rng(99).normal(size=(20_000, setting.p)))

    def draw(self, n: int, seed: Sequence[int]) -> tuple[Floats, npt.NDArray[np.int64]]:
        """A data set: inputs (n, p), classes (n,)."""
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(n, len(self.beta)))
        return x, (rng.random(n) < 1 / (1 + np.exp(-x @ self.beta))).astype(np.int64)

    def table(self, y: npt.NDArray[np.int64]) -> pd.DataFrame:
        """The sample table as datamodules.arrays makes it."""
        return pd.DataFrame({"id": [f"{i:0{len(str(len(y) - 1))}d}" for i in range(len(y))], "target": y})

    def scores(self, logit: Floats) -> Floats:
        """True accuracy and loss (F, 2) of models that give these logits of class 1 (F, 20000) for the inputs."""
        p = 1 / (1 + np.exp(-self.inputs @ self.beta))
        hit = np.where(logit > 0, p, 1 - p).mean(axis=1)
        return np.stack([hit, (p * np.logaddexp(0, -logit) + (1 - p) * np.logaddexp(0, logit)).mean(axis=1)], axis=1)


def experiment(setting: Setting, folder: Path) -> Experiment:
    """The configuration of a setting's cross-validations; data.npz in the working directory is the data set."""
    model = {
        "network": {"class_path": "models.mlp.MLP", "init_args": network(setting)},
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.02}},
    }
    arguments = {"n_splits": setting.k, "n_repeats": setting.repeats}
    split = {"class_path": "lightning_base.splitters.Paired", "init_args": arguments}
    data = {"source": "data.npz", "batch_size": setting.n // 5, "split": split}
    config = {
        "name": "coverage",
        "audit": "off",
        "trainer": {"accelerator": "cpu", "max_epochs": setting.epochs, "logger": False},
        "model": {"class_path": "lightning_base.tasks.Classification", "init_args": model},
        "data": {"class_path": "datamodules.arrays.Arrays", "init_args": data},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return open_experiment(["crossval", "--config", str(folder / "config.yaml")])


def network(setting: Setting) -> dict[str, Any]:
    """The arguments of the setting's MLP; without hidden units it is logistic regression."""
    return {"num_inputs": setting.p, "num_outputs": 2, "hidden": [setting.hidden] if setting.hidden else []}


def front(setting: Setting, number: int, executor: Any, opened: Experiment) -> Trained:
    """A data set through `crossval`, in the working directory."""
    world = World.of(setting)
    x, y = world.draw(setting.n, [setting.n, number])
    np.savez("data.npz", x=x.astype(np.float32), y=y)
    config = opened.config.clone()
    config.seed_everything = number
    with contextlib.redirect_stdout(io.StringIO()):
        home = crossval(replace(opened, config=config), None, True, Execution(executor), True)
    ordinary = setting.k * setting.repeats
    folds = make_split(world.table(y), Paired(setting.k, setting.repeats), number).folds
    parts = [pd.read_parquet(home / f"fold_{k}" / "predictions.parquet") for k in range(len(folds))]
    results = [json.loads((home / f"fold_{k}" / "result.json").read_text()) for k in range(ordinary)]
    names = [*(f"fold_{k}" for k in range(ordinary)), "refit"]
    truth = world.scores(np.stack([logits(home / name, setting, world.inputs) for name in names]))
    trained = Trained(folds, parts, results, truth[:-1], truth[-1])
    summary = json.loads((home / "summary.json").read_text())["metrics"]
    for name, found in intervals(trained, setting.repeats).items():  # what is counted here is what `crossval` wrote
        for key in INTERVALS[2:]:
            np.testing.assert_allclose(found[key], np.array(summary[name][key], dtype=np.float64), rtol=1e-5)
    return trained


def logits(directory: Path, setting: Setting, inputs: Floats) -> Floats:
    """Log odds of class 1 (20000,) by a run's last weights."""
    kept = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)
    mlp, prefix = MLP(**network(setting)), "network."
    mlp.load_state_dict({k.removeprefix(prefix): v for k, v in kept["state_dict"].items() if k.startswith(prefix)})
    fitted = kept["Arrays"]["preprocess"]
    with torch.no_grad():
        out = mlp((torch.from_numpy(inputs).float() - fitted["mean"]) / fitted["std"]).double()
    return (out[:, 1] - out[:, 0]).numpy()


def exact(setting: Setting, number: int) -> Trained:
    """A data set with logistic regressions, each fold's solved by Newton's method."""
    world = World.of(setting)
    x, y = world.draw(setting.n, [setting.n, number])
    table = world.table(y)
    folds = make_split(table, Paired(setting.k, setting.repeats), number).folds
    used = np.array([*(np.isin(np.arange(setting.n), fold.train) for fold in folds), np.ones(setting.n)], np.float64)
    weights = newton(np.c_[x, np.ones(len(x))], y, used, setting.penalty)
    parts = []
    for k, fold in enumerate(folds):
        p = 1 / (1 + np.exp(-(x[fold.val] @ weights[k, :-1] + weights[k, -1])))
        parts.append(table.iloc[fold.val].assign(pred=(p > 0.5).astype(np.int64), prob_0=1 - p, prob_1=p))
    ordinary = setting.k * setting.repeats
    results = []
    for fold, part in zip(folds[:ordinary], parts, strict=False):
        metrics = {name: float(sample_errors(part)[name].mean()) for name in METRICS}
        results.append({"n_train": len(fold.train), "n_val": len(fold.val), "metrics": metrics})
    models = np.r_[weights[:ordinary], weights[-1:]]
    truth = world.scores(models[:, :-1] @ world.inputs.T + models[:, -1:])
    return Trained(folds, parts, results, truth[:-1], truth[-1])


def newton(x: Floats, y: npt.NDArray[np.int64], used: Floats, penalty: float) -> Floats:
    """Weights (F, p) minimising the mean loss of the samples used (F, n), plus penalty/2 · |weights but the last|²."""
    weights, ridge = np.zeros((len(used), x.shape[1])), np.full(x.shape[1], penalty)
    ridge[-1] = 1e-6
    share = used / used.sum(axis=1, keepdims=True)
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(weights @ x.T, -30, 30)))
        slope = ((p - y) * share) @ x + ridge * weights
        curve = np.einsum("fn,ni,nj->fij", share * p * (1 - p), x, x, optimize=True) + np.diag(ridge)
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        weights -= step
        if abs(step).max() < 1e-6:
            break
    return weights


def intervals(trained: Trained, repeats: int) -> dict[str, dict[str, tuple[float, float]]]:
    """By metric and interval, what the first repeats give."""
    chosen = [k for k, fold in enumerate(trained.folds) if fold.repeat < repeats]
    folds, parts = [trained.folds[k] for k in chosen], [trained.parts[k] for k in chosen]
    ordinary = [fold for fold in folds if fold.pair is None]
    oof = [part.assign(fold=k, repeat=ordinary[k].repeat) for k, part in enumerate(parts[: len(ordinary)])]
    joined = pd.concat(oof).sort_values(["repeat", "id"], ignore_index=True)
    results = trained.results[: len(ordinary)]
    sizes = [result["n_train"] for result in results], [result["n_val"] for result in results]
    design = Design(*sizes, [fold.repeat for fold in ordinary])
    metrics = {name: [result["metrics"][name] for result in results] for name in METRICS}
    estimates = estimate(metrics, design, Lines.of(joined))
    values = {name: estimates[name].folds for name in METRICS}
    drawn = oof_intervals(joined, values)
    place = {number: k for k, number in enumerate(chosen)}
    folds = [replace(fold, pair=fold.pair and (place[fold.pair[0]], place[fold.pair[1]])) for fold in folds]
    nested = nested_intervals(parts, folds, values)
    n_train, n_val = (np.mean([r[key] for r in trained.results]) for key in ("n_train", "n_val"))
    found, unknown = {}, (np.nan, np.nan)
    for name in METRICS:
        one, naive = estimates[name], 1.96 * estimates[name].std / np.sqrt(len(ordinary))
        published = corrected_interval(one.folds, float(n_train), float(n_val)).ci95
        both = drawn.get(name, unknown), clipped(name, one.folds, nested[name].ci95)
        got = (one.mean - naive, one.mean + naive), published, one.ci95, *both
        found[name] = dict(zip(INTERVALS, got, strict=True))
    return found


def study(setting: Setting, numbers: list[int], how: str) -> list[tuple[Floats, Floats, dict[int, Any]]]:
    """True scores of the folds' models and of the whole, and the intervals by number of repeats, of these data sets."""
    torch.set_num_threads(1)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    found, counts = [], sorted({1, setting.repeats})
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        opened = None if how == "exact" else experiment(setting, Path(folder))
        for number in numbers:
            trained = exact(setting, number) if opened is None else front(setting, number, how, opened)
            found.append((trained.true_folds, trained.true_whole, {r: intervals(trained, r) for r in counts}))
    return found


def report(setting: Setting, found: list[tuple[Floats, Floats, dict[int, Any]]]) -> None:
    """Prints a line per metric and number of repeats."""
    learner = f"{setting.hidden} hidden units" if setting.hidden else "linear"
    for repeats in found[0][2]:
        for m, name in enumerate(METRICS):
            expected = np.mean([folds[:, m].mean() for folds, _, _ in found])
            whole = np.array([whole[m] for _, whole, _ in found])
            cells = []
            for key in INTERVALS:
                low, high = np.array([by[repeats][name][key] for _, _, by in found]).T
                covered = [100 * ((low <= truth) & (truth <= high)).mean() for truth in (expected, whole)]
                cells.append(f"{covered[0]:.1f} / {covered[1]:.1f} ({np.nanmean(high - low):.3f})")
            folds = f"{repeats} × {setting.k}".removeprefix("1 × ")
            what = f"{setting.n} | {setting.p} | {setting.signal:g} | {learner} | {folds} | {name} {expected:.3f}"
            print(f"| {what} | {' | '.join(cells)} |", flush=True)


def main(sets: int, how: str) -> None:
    """Prints the table."""
    if how == "settings":
        coverage_settings.main(sets, ())
        return
    began = time.perf_counter()
    print(f"{sets} data sets a setting: a coverage of 95 % is known to ± {196 * np.sqrt(0.05 * 0.95 / sets):.1f}\n")
    print(f"| n | p | signal | model | folds | metric | {' | '.join(INTERVALS)} |\n|{' --- |' * (6 + len(INTERVALS))}")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for setting in EXACT if how == "exact" else FRONT:
            jobs = [pool.submit(study, setting, list(range(first, sets, 8)), how) for first in range(min(sets, 8))]
            report(setting, [one for job in jobs for one in job.result()])
    print(f"\n{(time.perf_counter() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500, sys.argv[2] if len(sys.argv) > 2 else "vectorized")
