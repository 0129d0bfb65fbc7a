"""Coverage of what `crossval` and `test` print, over simulated data sets, where intervals are hard to get right too.

python benchmarks/coverage_settings.py [SETS] [NAME …]    (500 data sets a setting; all settings)

Models are solved or drawn in NumPy; scores and intervals come from the functions of lightning_base/stats that
`crossval` calls. The true scores of every model are known: from the distribution, or from 5,000 inputs whose class
probabilities are known. A line a setting and metric says in how many per cent of the data sets an interval is given, in
how many per cent of these it covers what it says it is of, its mean width, and beside it the same of the corrected
resampled t interval of the folds' mean (`ci95_folds`), of the expected score.

"Of": Err is the expected score of models trained so, its mean over all data sets; "models" that of the data set's own
folds' models; "model" that of its one model. The gain is the score minus the trivial model's.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
)

from lightning_base.splitters.repeats import repeats_of
from lightning_base.stats.estimates import ERR, MODELS, Score, estimate
from lightning_base.stats.facts import Design
from lightning_base.stats.linear import Lines, scores
from lightning_base.stats.trivial import Known, trivial_lines

Floats = npt.NDArray[np.float64]
Folds = list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
OF = {ERR: "Err", MODELS: "models", None: "-"}
INPUTS = np.c_[np.random.default_rng(99).normal(size=(5000, 10)), np.ones(5000)]


@dataclass(frozen=True)
class Drawn:
    """One data set: what is reported of it, and the true scores of its models, and of the trivial one."""

    found: dict[str, Score]
    truth: dict[str, float]
    trivial: dict[str, float]


def reported(
    table: pd.DataFrame,
    folds: Folds,
    y: Any,
    splitter: Any,
    groups: Any = None,
    temporal: bool = False,
    classes: int = 0,
) -> dict[str, Score]:
    """What `crossval` reports of predictions (fold, row, target, pred, prob_0, …) of samples with targets y (n,)."""
    lines = Lines.of(table.assign(id=table["row"]))
    assert lines is not None
    k = len(folds)
    by_fold = [scores(lines.take(lines.fold == fold)) for fold in range(k)]
    metrics = {name: [one.get(name, np.nan) for one in by_fold] for name in by_fold[0]}
    if classes:
        metrics["ece"] = [np.nan] * k
    repeats = repeats_of(splitter, [val for _, val in folds], len(y))
    group = None if groups is None else groups[table["row"]]
    sizes = [len(train) for train, _ in folds], [len(val) for _, val in folds]
    design = Design(*sizes, repeats, group, temporal, temporal)
    other = trivial_lines(lines, table["row"].to_numpy(), folds, Known(y, classes)) if k > 1 else None
    found = estimate(metrics, design, lines)
    gained = {name: metrics[name] for name in ("accuracy", "mse") if name in metrics}
    return found if other is None else found | estimate(gained, design, lines, other)


def class_table(rows: Any, fold: Any, y: Any, probs: Floats) -> pd.DataFrame:
    """The lines of a classifier's probabilities (L, C)."""
    columns = {f"prob_{c}": probs[:, c] for c in range(probs.shape[1])}
    return pd.DataFrame({"row": rows, "fold": fold, "target": y[rows], "pred": probs.argmax(axis=1), **columns})


def held(folds: Folds) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The row and the fold of each line."""
    return np.concatenate([val for _, val in folds]), np.repeat(np.arange(len(folds)), [len(val) for _, val in folds])


def newton(x: Floats, y: npt.NDArray[np.int64], folds: Folds, penalty: float) -> Floats:
    """Weights (F, p) minimising the mean loss of each training part, plus penalty/2 · |weights but the last|²."""
    used = np.zeros((len(folds), len(x)))
    for fold, (train, _) in enumerate(folds):
        used[fold, train] = 1 / len(train)
    weights, ridge = np.zeros((len(folds), x.shape[1])), np.full(x.shape[1], penalty)
    ridge[-1] = 1e-6
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(weights @ x.T, -30, 30)))
        slope = ((p - y) * used) @ x + ridge * weights
        curve = np.einsum("fn,ni,nj->fij", used * p * (1 - p), x, x, optimize=True) + np.diag(ridge)
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        weights -= step
        if abs(step).max() < 1e-6:
            break
    return weights


def of_matrix(matrix: Floats) -> dict[str, float]:
    """Macro precision, recall and F1 of a confusion matrix of probabilities, rows true."""
    hits, true, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    found = {
        "precision": hits / np.maximum(predicted, 1e-12),
        "recall": hits / true,
        "f1": 2 * hits / (true + predicted),
    }
    return {name: float(values.mean()) for name, values in found.items()}


def area(score: Floats, p: Floats) -> float:
    """The area under the ROC curve of scores of inputs whose probabilities of class 1 are known."""
    p = p[np.argsort(score)]
    below = np.cumsum(1 - p) - (1 - p) / 2
    return float((p * below).sum() / (p.sum() * (1 - p).sum()))


def of_logits(logit: Floats, p: Floats) -> dict[str, float]:
    """True scores of models that give logits (F, P) for inputs of known probabilities (P,), in the mean over models."""
    chosen = logit > 0
    loss = p * np.logaddexp(0, -logit) + (1 - p) * np.logaddexp(0, logit)
    rows = [[((1 - p) * ~chosen).mean(), ((1 - p) * chosen).mean()], [(p * ~chosen).mean(), (p * chosen).mean()]]
    found = {"accuracy": float(np.where(chosen, p, 1 - p).mean()), "loss": float(loss.mean())}
    found["auroc"] = float(np.mean([area(one, p) for one in logit[:5]]))
    confidence = 1 / (1 + np.exp(-abs(logit)))
    off = np.where(chosen, p, 1 - p) - confidence
    bins = np.minimum((confidence * 15).astype(int), 14)
    found["ece"] = float(abs(np.bincount(bins.ravel(), off.ravel(), 15)).sum() / off.size)
    order = np.array_split(np.argsort(confidence.ravel()), 15)
    found["ece2"] = float(np.mean([off.ravel()[part].mean() ** 2 for part in order]))
    return found | of_matrix(np.array(rows))


def logistic(
    seed: int,
    n: int,
    bias: float = 0.0,
    signal: float = 2.0,
    k: int = 5,
    repeats: int = 1,
    penalty: float = 0.01,
    shuffle: bool = False,
    fails: float = 0.0,
) -> Drawn:
    """Penalised logistic regression of ten normal inputs, five of which tell the class; a training fails at times."""
    rng = np.random.default_rng([seed, n])
    beta = np.r_[np.full(5, signal / np.sqrt(5)), np.zeros(5), bias]
    x = np.c_[rng.normal(size=(n, 10)), np.ones(n)]
    y = (rng.random(n) < 1 / (1 + np.exp(-x @ beta))).astype(np.int64)
    splitter = (
        ShuffleSplit(k, test_size=0.2, random_state=seed)
        if shuffle
        else RepeatedStratifiedKFold(n_splits=k, n_repeats=repeats, random_state=seed)
    )
    folds = list(splitter.split(x, y))
    weights = newton(x, y, folds, penalty)
    weights[rng.random(len(folds)) < fails] *= -1
    rows, fold = held(folds)
    p = 1 / (1 + np.exp(-(x[rows] * weights[fold]).sum(axis=1)))
    table = class_table(rows, fold, y, np.c_[1 - p, p])
    truth = 1 / (1 + np.exp(-INPUTS @ beta))
    share = float(truth.mean())
    trivial = {"accuracy": max(share, 1 - share)}
    found = reported(table, folds, y, splitter, classes=2)
    return Drawn(found, of_logits(weights @ INPUTS.T, truth), trivial)


def majority(seed: int, n: int = 500, share: float = 0.05) -> Drawn:
    """A classifier that learns nothing but the classes' shares."""
    rng = np.random.default_rng([seed, 5])
    y = (rng.random(n) < share).astype(np.int64)
    splitter = RepeatedStratifiedKFold(n_splits=5, n_repeats=1, random_state=seed)
    folds = list(splitter.split(y, y))
    rows, fold = held(folds)
    p = np.array([y[train].mean() for train, _ in folds])[fold]
    loss = np.mean([-share * np.log(q) - (1 - share) * np.log(1 - q) for q in np.unique(p)])
    truth = {"accuracy": 1 - share, "loss": float(loss)}
    return Drawn(reported(class_table(rows, fold, y, np.c_[1 - p, p]), folds, y, splitter, classes=2), truth, {})


def ranks(seed: int, positives: int, negatives: int = 60) -> Drawn:
    """A known score, normal in both classes, with so many positives and negatives a fold."""
    rng = np.random.default_rng([seed, positives])
    y = np.repeat([1, 0], [5 * positives, 5 * negatives])
    folds = list(RepeatedStratifiedKFold(n_splits=5, n_repeats=1, random_state=seed).split(y, y))
    rows, fold = held(folds)
    logit = rng.normal(size=len(y)) + 1.5 * y - 0.75 + np.log(positives / negatives)
    p = 1 / (1 + np.exp(-logit[rows]))
    splitter = RepeatedStratifiedKFold(n_splits=5, n_repeats=1)
    truth = {"auroc": float(stats.norm.cdf(1.5 / np.sqrt(2)))}
    return Drawn(reported(class_table(rows, fold, y, np.c_[1 - p, p]), folds, y, splitter, classes=2), truth, {})


CENTRES = 1.5 * np.array([[0, 1], [-0.87, -0.5], [0.87, -0.5]])


def discriminant(seed: int, n: int, shares: Sequence[float] = (0.5, 0.3, 0.2), k: int = 5) -> Drawn:
    """Three normal classes in the plane, told apart by means and shares of the training part."""
    rng = np.random.default_rng([seed, n, 3])
    y = rng.choice(3, n, p=shares)
    x = CENTRES[y] + rng.normal(size=(n, 2))
    inputs = np.concatenate([CENTRES[c] + np.random.default_rng(c).normal(size=(2000, 2)) for c in range(3)])
    weight = np.repeat(np.array(shares) / 2000, 2000)
    true = np.repeat(np.arange(3), 2000)
    splitter = RepeatedStratifiedKFold(n_splits=k, n_repeats=1, random_state=seed)
    folds = list(splitter.split(x, y))
    rows, fold = held(folds)

    def probs(points: Floats, train: npt.NDArray[np.int64]) -> Floats:
        means = np.stack([x[train][y[train] == c].mean(axis=0) for c in range(3)])
        logit = points @ means.T - (means**2).sum(axis=1) / 2 + np.log(np.bincount(y[train], minlength=3))
        odds = np.exp(logit - logit.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    table = class_table(rows, fold, y, np.concatenate([probs(x[val], train) for train, val in folds]))
    found: list[dict[str, float]] = []
    matrix = np.zeros((3, 3))
    for train, _ in folds:
        q = probs(inputs, train)
        np.add.at(matrix, (true, q.argmax(axis=1)), weight / k)
        areas = []
        for c in range(3):
            order = np.argsort(q[:, c])
            positive, w = (true == c)[order], weight[order]
            below = np.cumsum(w * ~positive)
            areas.append((w * positive * below).sum() / ((w * positive).sum() * (w * ~positive).sum()))
        loss = -(weight * np.log(q[np.arange(6000), true])).sum()
        found.append({"auroc": float(np.mean(areas)), "loss": float(loss)})
    truth = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return Drawn(
        reported(table, folds, y, splitter, classes=3),
        truth | of_matrix(matrix) | {"accuracy": float(np.trace(matrix))},
        {"accuracy": max(shares)},
    )


def least_squares(seed: int, n: int, noise: str = "normal", k: int = 5, groups: int = 0) -> Drawn:
    """Least squares with five normal inputs; noise normal, Student's t, lognormal, or shared by unequal groups."""
    rng = np.random.default_rng([seed, n, groups])
    group = np.repeat(np.arange(groups), rng.integers(3, 30, groups)) if groups else None
    n = n if group is None else len(group)
    x, beta = np.c_[rng.normal(size=(n, 5)), np.ones(n)], np.r_[np.full(5, 1 / np.sqrt(5)), 0]
    variance = 1.0
    if noise.startswith("t"):
        error, variance = rng.standard_t(int(noise[1:]), n), int(noise[1:]) / (int(noise[1:]) - 2)
    elif noise == "lognormal":
        error, variance = rng.lognormal(size=n) - np.exp(0.5), (np.e - 1) * np.e
    elif group is not None:
        error = rng.normal(0, 0.7, groups)[group] + rng.normal(0, np.sqrt(0.51), n)
    else:
        error = rng.normal(size=n)
    y = x @ beta + error
    splitter: Any = KFold(k or 5, shuffle=True, random_state=seed)
    if group is not None:
        splitter = GroupKFold(k, shuffle=True, random_state=seed) if k else LeaveOneGroupOut()
    folds = list(splitter.split(x, y, group))
    weights = np.array([np.linalg.lstsq(x[train], y[train], rcond=None)[0] for train, _ in folds])
    rows, fold = held(folds)
    table = pd.DataFrame({"row": rows, "fold": fold, "target": y[rows], "pred": (x[rows] * weights[fold]).sum(axis=1)})
    off = variance + ((weights - beta) ** 2).sum(axis=1)
    mse = float(np.average(off, weights=[len(val) for _, val in folds]))
    truth = {"mse": mse, "rmse": float(np.sqrt(mse)), "r2": 1 - mse / (variance + 1)}
    if noise == "normal":
        truth["mae"] = float(np.average(np.sqrt(2 * off / np.pi), weights=[len(val) for _, val in folds]))
    return Drawn(reported(table, folds, y, splitter, group), truth, {"mse": variance + 1} if noise == "normal" else {})


def drift(seed: int, n: int = 300) -> Drawn:
    """A level that drifts, forecast by the mean of the last twenty values before each of five windows."""
    rng = np.random.default_rng([seed, 8])
    y = np.cumsum(rng.normal(0, 0.1, n)) + rng.normal(size=n)
    folds = list(TimeSeriesSplit(5).split(y))
    rows, fold = held(folds)
    pred = np.array([y[train][-20:].mean() for train, _ in folds])[fold]
    table = pd.DataFrame({"row": rows, "fold": fold, "target": y[rows], "pred": pred})
    found = reported(table, folds, y, TimeSeriesSplit(5), temporal=True)
    return Drawn(found, {name: found[name].score for name in ("mse", "mae")}, {})


@lru_cache
def of_known(signal: float) -> dict[str, float]:
    """The true scores of the classifier that `test` is tried with."""
    points = signal * stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    return of_logits(1.5 * points[None], 1 / (1 + np.exp(-points)))


def one_model(seed: int, n: int, signal: float = 2.0) -> Drawn:
    """`test`: a known classifier of one input on n sealed samples."""
    rng = np.random.default_rng([seed, n, 1])
    logit = rng.normal(size=n) * signal
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    p = 1 / (1 + np.exp(-1.5 * logit))
    table = class_table(np.arange(n), np.zeros(n, dtype=np.int64), y, np.c_[1 - p, p])
    return Drawn(reported(table, [(np.arange(n), np.arange(n))], y, KFold(2), classes=2), of_known(signal), {})


SHOWN = ("accuracy", "loss", "auroc", "f1", "precision", "recall", "ece", "ece2")
VALUES = ("mse", "rmse", "mae", "r2")
SETTINGS: dict[str, tuple[str, Callable[[int], Drawn], tuple[str, ...]]] = {
    "balanced_120": ("balanced, n 120, 5 folds", lambda s: logistic(s, 120), SHOWN),
    "balanced_400": ("balanced, n 400, 5 folds", lambda s: logistic(s, 400), SHOWN),
    "balanced_400_10": ("balanced, n 400, 10 folds", lambda s: logistic(s, 400, k=10), SHOWN[:6]),
    "overfit": ("balanced, n 60, 5 folds, hardly penalised", lambda s: logistic(s, 60, penalty=0.003), SHOWN[:4]),
    "two_folds": ("balanced, n 200, 2 folds", lambda s: logistic(s, 200, k=2), SHOWN[:6]),
    "three_folds": ("balanced, n 200, 3 folds", lambda s: logistic(s, 200, k=3), SHOWN[:6]),
    "repeated_2x5": ("balanced, n 200, 5 × 2 folds", lambda s: logistic(s, 200, k=2, repeats=5), SHOWN[:6]),
    "repeated_5x2": ("balanced, n 120, 2 × 5 folds", lambda s: logistic(s, 120, repeats=2), SHOWN[:6]),
    "shuffled": ("balanced, n 200, 10 draws of a fifth", lambda s: logistic(s, 200, k=10, shuffle=True), SHOWN[:6]),
    "fails": ("balanced, n 200, 5 folds, a training in ten fails", lambda s: logistic(s, 200, fails=0.1), SHOWN[:2]),
    "separable": ("nearly separable, n 400, 5 folds", lambda s: logistic(s, 400, signal=20, penalty=0.001), SHOWN[:6]),
    "rare_300": ("7 % positives, stratified, n 300, 5 folds", lambda s: logistic(s, 300, bias=-4), SHOWN[:6]),
    "rare_1000": ("7 % positives, stratified, n 1000, 5 folds", lambda s: logistic(s, 1000, bias=-4), SHOWN),
    "rare_13": ("13 % positives, stratified, n 500, 5 folds", lambda s: logistic(s, 500, bias=-3), SHOWN[:6]),
    "majority": ("majority classifier, 5 % positives, n 500, 5 folds", majority, SHOWN[:2]),
    "ranks_2": ("2 positives per fold, 60 negatives, 5 folds", lambda s: ranks(s, 2), ("auroc",)),
    "ranks_5": ("5 positives per fold, 60 negatives, 5 folds", lambda s: ranks(s, 5), ("auroc",)),
    "ranks_10": ("10 positives per fold, 60 negatives, 5 folds", lambda s: ranks(s, 10), ("auroc",)),
    "three_classes": ("three classes (50, 30, 20 %), n 300, 5 folds", lambda s: discriminant(s, 300), SHOWN[:6]),
    "normal_100": ("normal errors, n 100, 5 folds", lambda s: least_squares(s, 100), VALUES),
    "normal_300": (
        "normal errors, n 300, 10 folds",
        lambda s: least_squares(s, 300, k=10),
        ("mse", "rmse", "mae", "r2"),
    ),
    "tails_3": ("heavy tails (t, 3 degrees of freedom), n 200", lambda s: least_squares(s, 200, "t3"), ("mse", "r2")),
    "tails_5": ("heavy tails (t, 5 degrees of freedom), n 200", lambda s: least_squares(s, 200, "t5"), ("mse", "r2")),
    "lognormal": ("lognormal errors, n 200", lambda s: least_squares(s, 200, "lognormal"), ("mse", "r2")),
    "groups_40": ("40 unequal groups, 5 folds", lambda s: least_squares(s, 0, groups=40), VALUES),
    "groups_25": (
        "25 unequal groups, each left out",
        lambda s: least_squares(s, 0, k=0, groups=25),
        ("mse", "mae", "r2"),
    ),
    "groups_12": (
        "12 unequal groups, each left out",
        lambda s: least_squares(s, 0, k=0, groups=12),
        ("mse", "mae", "r2"),
    ),
    "drift": ("time series with drift, 5 windows", drift, ("mse", "mae")),
    "test_100": ("one model, 100 test samples", lambda s: one_model(s, 100), SHOWN[:6]),
    "test_400": ("one model, 400 test samples", lambda s: one_model(s, 400), SHOWN[:6]),
}


def covered(low: Floats, high: Floats, truth: Floats | float) -> str:
    """In how many per cent of the intervals the truth is, and their mean width; "-" where there are none."""
    there = np.isfinite(low)
    if not there.any():
        return "-"
    inside = ((low <= truth) & (truth <= high))[there]
    return f"{100 * inside.mean():.1f} ({np.mean((high - low)[there]):.3f})"


def report(title: str, drawn: Sequence[Drawn], names: Sequence[str]) -> None:
    """Prints a line per metric, and one of the gain in accuracy or MSE where the trivial model's score is known."""
    for name in names:
        own = np.array([one.truth.get(name, np.nan) for one in drawn])
        found = [one.found[name] for one in drawn]
        low, high = np.array([one.ci95 for one in found]).T
        before = np.array([one.ci95_folds for one in found]).T
        given = np.isfinite(low)
        [of] = {one.target for one in found if one.target} or {None}
        truth = own if of not in (ERR, None) else np.full(len(own), own.mean())
        centre = f"{name} | {own.mean():.3f} | {np.mean([one.score for one in found]):.3f}"
        what = f"{OF.get(of, 'model')} | {100 * given.mean():.0f} | {covered(low, high, truth)}"
        print(f"| {title} | {centre} | {what} | {covered(*before, own.mean())} |", flush=True)
    for name, trivial in ((key, [one.trivial[key] for one in drawn]) for key in drawn[0].trivial):
        found = [one.found[name] for one in drawn]
        gain = np.mean([one.truth[name] for one in drawn]) - np.mean(trivial)
        low, high = np.array([one.ci95_gain or (np.nan, np.nan) for one in found]).T
        centre = f"{name}, gain | {gain:.3f} | {np.mean([one.gain for one in found]):.3f}"  # type: ignore[arg-type]
        print(f"| {title} | {centre} | Err | {100 * np.isfinite(low).mean():.0f} | {covered(low, high, gain)} | - |")


def main(sets: int, names: Sequence[str]) -> None:
    """Prints the table."""
    warnings.filterwarnings("ignore")
    began = time.perf_counter()
    print(f"{sets} data sets a setting: a coverage of 95 % is known to ± {196 * np.sqrt(0.05 * 0.95 / sets):.1f}\n")
    print("| setting | metric | true | mean score | of | given, % | covered, % (width) | t over folds |")
    print("|" + " --- |" * 8, flush=True)
    for name in names or SETTINGS:
        title, draw, metrics = SETTINGS[name]
        report(title, [draw(seed) for seed in range(sets)], metrics)
    print(f"\n{(time.perf_counter() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500, sys.argv[2:])
