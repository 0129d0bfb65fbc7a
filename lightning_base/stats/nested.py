"""The nested cross-validation interval of Bates, Hastie and Tibshirani, from the predictions of folds and their pairs.

Stephen Bates, Trevor Hastie, Robert Tibshirani: Cross-validation: what does it estimate and how well does it do it?
Journal of the American Statistical Association 119, 2024 (arXiv 2104.00673), section 4 and algorithm 1; details of
practice as in the authors' R package nestedcv.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lightning_base.splitters.split import Fold
from lightning_base.stats.intervals import Floats, Rows
from lightning_base.stats.linear import Lines, sample_terms

NAME = "nested cross-validation, Bates, Hastie & Tibshirani 2024"


@dataclass(frozen=True)
class Outer:
    """What one fold of a cross-validation gives the nested interval; errors are any scores whose mean is the metric.

    Attributes:
        held: (M,) errors of the fold's samples, by the model trained on all other folds.
        inner: (N - M,) errors of all other samples, each by the model trained without its own fold and without this
            one.
        held_cluster: (M,) the group of each; a number of its own where samples are independent.
        inner_cluster: (N - M,) likewise.
    """

    held: Floats
    inner: Floats
    held_cluster: Rows
    inner_cluster: Rows


@dataclass(frozen=True)
class Nested:
    """A nested estimate.

    Attributes:
        mean: corrected for the smaller training sets of cross-validation: an estimate for the model of all samples.
        ci95: around it.
        inflation: how much wider it is than with independent errors, between 1 and √K.
    """

    mean: float
    ci95: tuple[float, float]
    inflation: float


def nested_interval(repeats: Sequence[Sequence[Outer]], confidence: float = 0.95) -> Nested:
    """The interval of the error of the model that is trained on all N samples.

    For each fold f of K, a = (mean of its inner errors - mean of its held-out errors)² estimates the mean squared error
    of the inner cross-validation plus the variance of the held-out mean, b = var(held)/M that variance alone; over
    all folds and repeats MSE = mean(a) - mean(b). It belongs to N (K - 1)/K samples and is taken times (K - 1)/K. Its
    root is kept between the standard error of independent errors and √K times it (an MSE below 0 gives the former).
    With the mean NCV of all inner errors and the mean CV of all held-out ones the bias is
    (1 + ((K - 2)/K)^1.5) · (NCV - CV), and the interval NCV - bias ± z · √((K - 1)/K · MSE).

    The paper estimates the bias from other divisions into folds than NCV; here both take the same ones. Variances are
    those of whole clusters (with one sample each: the sample variance).

    Args:
        repeats: for each division into K folds, its folds; K the same in each, 3 or more.
        confidence: coverage that the interval aims at.
    """
    k = len(repeats[0])
    outers = [outer for repeat in repeats for outer in repeat]
    n = sum(len(outer.held) for outer in repeats[0])
    squares = [(outer.inner.mean() - outer.held.mean()) ** 2 for outer in outers]
    noise = [_variance(outer.held, outer.held_cluster) / len(outer.held) for outer in outers]
    mse = max(float(np.mean(squares) - np.mean(noise)), 0.0)
    inner = np.concatenate([outer.inner for outer in outers])
    cells = np.concatenate([outer.inner_cluster for outer in outers])
    run = np.repeat(np.arange(len(outers)), [len(outer.inner) for outer in outers])
    variance = _variance(inner, run * (int(cells.max()) + 1) + cells)
    independent = float(np.sqrt(variance / (n * (k - 1) / k)))
    inflation = float(np.clip(np.sqrt(mse) / independent, 1, np.sqrt(k))) if independent > 0 else 1.0
    ncv, cv = float(inner.mean()), float(np.mean(np.concatenate([outer.held for outer in outers])))
    mean = ncv - (1 + ((k - 2) / k) ** 1.5) * (ncv - cv)
    half = float(stats.norm.ppf((1 + confidence) / 2) * np.sqrt(variance / n)) * inflation
    return Nested(mean, (mean - half, mean + half), inflation)


def _variance(errors: Floats, cluster: Rows) -> float:
    """What, divided by their number, is the variance of the errors' mean, where whole clusters are drawn; else NaN.

    With G clusters G/(G - 1) · Σ_g (Σ_{i in g} (e_i - mean))² / n, which is the sample variance where each is one.
    """
    _, codes = np.unique(cluster, return_inverse=True)
    sums = np.bincount(codes, errors - errors.mean())
    return float(len(sums) / (len(sums) - 1) * (sums**2).sum() / len(errors)) if len(sums) > 1 else np.nan


def nested_intervals(
    parts: Sequence[pd.DataFrame],
    folds: Sequence[Fold],
    reported: Mapping[str, Sequence[float]],
    groups: pd.Series | None = None,
) -> dict[str, Nested]:
    """The nested estimates of the metrics that are a mean over samples: accuracy, loss, mse, mae.

    Args:
        parts: the predictions of each fold: id, target, pred and, for classes, prob_0, …
        folds: what each held out; the pairs among them.
        reported: per metric the values of the folds that are no pairs. Metrics that differ from the mean over samples
            here are other metrics of that name, and are left out.
        groups: the samples' groups by id, where they have some.

    Returns:
        By metric; none without pairs.
    """
    pairs = {fold.pair: k for k, fold in enumerate(folds) if fold.pair is not None}
    ordinary = [k for k, fold in enumerate(folds) if fold.pair is None]
    if not pairs:
        return {}
    ids = pd.Index(pd.concat([parts[k]["id"] for k in ordinary]).unique())
    rows = [ids.get_indexer(pd.Index(part["id"])) for part in parts]
    cluster = np.arange(len(ids)) if groups is None else pd.factorize(groups.reindex(ids))[0]
    losses = [sample_errors(part) for part in parts]
    found = {}
    for name, values in reported.items():
        errors = [loss[name] for loss in losses if name in loss]
        means = [float(errors[k].mean()) for k in ordinary] if len(errors) == len(parts) else []
        if not means or not np.allclose(means, np.asarray(values, dtype=np.float64), rtol=1e-3, atol=1e-5):
            continue
        if not all(np.isfinite(error).all() for error in errors):
            continue
        repeats: dict[int, list[Outer]] = {}
        for f in ordinary:
            inner, places = [], []
            for g in ordinary:
                if (pair := pairs.get((min(f, g), max(f, g)))) is not None:
                    of_g = np.isin(rows[pair], rows[g])
                    inner.append(errors[pair][of_g])
                    places.append(rows[pair][of_g])
            outer = Outer(errors[f], np.concatenate(inner), cluster[rows[f]], cluster[np.concatenate(places)])
            repeats.setdefault(folds[f].repeat, []).append(outer)
        found[name] = nested_interval(list(repeats.values()))
    return found


def sample_errors(predictions: pd.DataFrame) -> dict[str, Floats]:
    """By metric that is a mean over samples, as the tasks define them: what each line adds (L,)."""
    lines = Lines.of(predictions)
    return {} if lines is None else sample_terms(lines.target, lines.pred, lines.probs)
