"""From held-out predictions to the scores that are reported: one centre each, an interval where one is known to hold.

Which interval a score has, of what, and where it has none, is decided here by what is known at run time: numbers of
samples, groups, folds and positives, and how heavy the errors' tails are. docs/statistics.md has the simulations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan

import numpy as np
from scipy import stats

from lightning_base.stats.calibration import calibration
from lightning_base.stats.counts import drawn_ratios
from lightning_base.stats.facts import FEW_ERRORS, RATIOS, Design, Facts, why_never
from lightning_base.stats.intervals import (
    Estimate,
    Floats,
    Interval,
    Scale,
    corrected_interval,
    on_scale,
    proportion_interval,
    spread,
)
from lightning_base.stats.linear import Lines, terms
from lightning_base.stats.metrics import higher_is_better, kind_of, range_of

NONE: Interval = (nan, nan)

ERR, MODELS, MODEL = "models trained so", "these models", "this model"
SAMPLES = "variance over samples (Bayle et al. 2020), widened for shared training samples"
BINOMIAL = "exact binomial (Clopper & Pearson 1934)"
CURVE = "influence curve (LeDell et al. 2015) on the logit, widened for shared training samples"
REDRAWN = "bootstrap of the pooled counts, classes redrawn, on the logit, widened half as much"
SPREAD = "corrected resampled t (Nadeau & Bengio 2003): the folds differ by more than their samples"


@dataclass(frozen=True)
class Score(Estimate):
    """A metric over all held-out samples, beside its values over folds.

    Attributes:
        score: the value that is reported: pooled over held-out samples, or for metrics that cannot be, the folds' mean.
        pooled: whether it is pooled.
        interval: how `ci95` was computed; where it is NaN, why there is none.
        target: what `ci95` is an interval of: the expected score of models trained so, or that of these models.
        ci95_folds: the corrected resampled t interval of the folds' mean, whatever it covers.
        trivial: the score of the trivial model on the same folds; None where there is none.
        gain, ci95_gain: score minus trivial, sample by sample, and its interval.
        better: whether the score is shown to be better than the trivial one; None where neither can be said.
        last, trend: of windows over time the last one's value, and the change per window.
    """

    score: float = nan
    pooled: bool = False
    interval: str = ""
    target: str | None = None
    ci95_folds: Interval = NONE
    trivial: float | None = None
    gain: float | None = None
    ci95_gain: Interval | None = None
    better: bool | None = None
    last: float | None = None
    trend: float | None = None


def estimate(
    metrics: Mapping[str, Sequence[float]], design: Design, lines: Lines | None = None, trivial: Lines | None = None
) -> dict[str, Score]:
    """Per metric its score, interval, and what it gains over a trivial model.

    Args:
        metrics: by name each fold's value; NaN where a fold has none.
        design: how the predictions were come by.
        lines: the predictions; None where they are no classes or values (detection).
        trivial: the same lines as a trivial model predicts them.
    """
    facts = None if lines is None else Facts(lines, design)
    pooled = {} if lines is None else terms(lines)
    own = {} if lines is None else known(pooled, lines, metrics)
    theirs = {} if trivial is None else terms(trivial)
    found = {}
    for name, values in metrics.items():
        mean = _of_folds(name, values, design)
        if facts is None or name not in own:
            found[name] = replace(mean, interval=why_never(name, design) or why_not_pooled(name, lines, pooled))
            continue
        one = replace(mean, score=float(facts.lines.weight @ own[name]), pooled=True)
        one = with_interval(one, name, own[name], facts)
        found[name] = one if trivial is None else with_gain(one, name, own[name], theirs[name], facts, trivial)
    if lines is not None and lines.probs is not None and "ece" in metrics:
        both = _calibrated(found["ece"], lines, design)
        return {key: one for name in found for key, one in (both if name == "ece" else {name: found[name]}).items()}
    return found


def beside_own(
    found: Mapping[str, Score], trivial: Sequence[Mapping[str, float]], others: bool = False
) -> dict[str, Score]:
    """The scores beside those of a task's own trivial model: means over folds, as these are, without an interval.

    Args:
        found: the scores.
        trivial: of each fold what the trivial model scores, by metric.
        others: whether they stand beside the same model's already, but for metrics that are no matter of classes or
            values alone: these alone are looked at then.
    """
    beside = {}
    for name, one in found.items():
        theirs = [fold[name] for fold in trivial if name in fold and np.isfinite(fold[name])]
        is_there = others and (one.trivial is not None or kind_of(name) != "other")
        if is_there or not theirs or not np.isfinite(one.score):
            beside[name] = one
            continue
        other = float(np.mean(theirs))
        gain = one.score - other
        way = higher_is_better(name)
        worse = way is not None and (gain <= 0 if way else gain >= 0)
        beside[name] = replace(one, trivial=other, gain=gain, better=False if worse else None)
    return beside


def why_not_pooled(name: str, lines: Lines | None, pooled: Mapping[str, Floats]) -> str:
    """Why a metric of a known name is no score over all held-out samples, as which alone it would have an interval.

    Args:
        name: the metric's.
        lines: the predictions; None where they are no classes or values.
        pooled: by metric the terms of what they give.
    """
    if lines is None:
        return "none: what one covers was not simulated for such predictions"
    if name in pooled:
        return "none: another metric of this name: the predictions give other values of the folds"
    if name == "r2" and lines.probs is None:
        return "none: all targets are equal"
    if name == "auroc" and lines.probs is not None:
        one = len(np.unique(lines.target)) == 1
        return "none: all samples are of one class" if one else "none: no fold holds out samples of two classes"
    return "none: such predictions do not give it"


def known(found: Mapping[str, Floats], lines: Lines, metrics: Mapping[str, Sequence[float]]) -> dict[str, Floats]:
    """The terms of the metrics whose folds' values are those reported: others of that name are another thing.

    Args:
        found: the terms of all that the predictions give.
        lines: the predictions.
        metrics: by name each fold's value.
    """
    k = len(next(iter(metrics.values()), ()))
    by_fold = [terms(part) | {"_": part.weight} for part in (lines.take(lines.fold == fold) for fold in range(k))]
    same = {}
    for name in found.keys() & metrics.keys():
        theirs = [float(one["_"] @ one[name]) if name in one else nan for one in by_fold]
        if np.allclose(theirs, np.asarray(metrics[name], dtype=np.float64), rtol=1e-3, atol=1e-5, equal_nan=True):
            same[name] = found[name]
    return same


def _of_folds(name: str, values: Sequence[float], design: Design) -> Score:
    """The folds' values with mean, standard deviation, t interval, and of windows over time the last and the trend."""
    n_train, n_val = float(np.mean(design.n_train)), float(np.mean(design.n_val))
    one = corrected_interval(values, n_train, n_val, repeats=design.repeats)
    there = [value for value in one.folds if np.isfinite(value)]
    mean = float(np.mean(there)) if there else nan
    std = float(np.std(there, ddof=1)) if len(there) > 1 else nan
    score = Score(mean, std, NONE, one.folds, mean, ci95_folds=clipped(name, one.folds, one.ci95))
    if not design.ordered or len(one.folds) < 2:
        return score
    trend = float(np.polyfit(np.arange(len(one.folds)), one.folds, 1)[0]) if len(there) == len(one.folds) else nan
    return replace(score, last=one.folds[-1], trend=trend)


def with_interval(one: Score, name: str, term: Floats, facts: Facts) -> Score:
    """The score with its interval, or why it has none."""
    if (why := facts.why_none(name, one.score)) is not None:
        return replace(one, interval=why)
    several = len(one.folds) > 1
    target = (MODELS if name in RATIOS else ERR) if several else MODEL
    low, high = range_of(name)
    if name == "accuracy" and facts.design.group is None and (exact := few_errors(term, facts.lines)) is not None:
        return replace(one, ci95=exact, interval=BINOMIAL, target=target)
    if name in RATIOS:
        widening = np.sqrt((1 + facts.design.widening**2) / 2)  # half of it: docs/statistics.md
        deviation = facts.deviation(name) * one.score * (1 - one.score)
        half, how = stats.norm.ppf(0.975) * widening * deviation, REDRAWN
    else:
        half, how = half_width(term, one.folds, facts, CURVE if name == "auroc" else SAMPLES)
    scale: Scale = "logit" if kind_of(name) == "share" else "log" if low == 0 and high == inf else "plain"
    interval = clipped(name, one.folds, on_scale(one.score, float(half), scale))
    if interval[0] != interval[0]:
        return replace(one, interval="none: all samples score the same", target=None)
    return replace(one, ci95=interval, interval=how if several else how.split(", widened")[0], target=target)


def half_width(term: Floats, folds: Sequence[float], facts: Facts, how: str = SAMPLES) -> tuple[float, str]:
    """Half the width of a pooled score's interval of 95 %, and how it was computed.

    The variance is that of the terms over samples, or whole groups, widened for the training samples that folds share.
    Where the folds' values differ by more than that explains (χ² at 1 %), as when trainings fail at times, the wider
    of it and the corrected resampled t interval.
    """
    design = facts.design
    error = spread(term, facts.lines.weight, facts.unit)
    half = float(stats.t.ppf(0.975, facts.units - 1)) * error * design.widening
    values = np.asarray(folds, dtype=np.float64)
    k = len(values)
    if k < 3 or not np.isfinite(values).all() or error == 0:
        return half, how
    n_train, n_val = float(np.mean(design.n_train)), float(np.mean(design.n_val))
    expected = facts.variance_within(term)
    if not (k - 1) * values.var(ddof=1) > stats.chi2.ppf(0.99, k - 1) * expected:
        return half, how
    low, high = corrected_interval(folds, n_train, n_val, repeats=design.repeats).ci95
    return (half, how) if (high - low) / 2 <= half else ((high - low) / 2, SPREAD)


def few_errors(term: Floats, lines: Lines) -> Interval | None:
    """The exact binomial interval of accuracy where fewer than ten samples are wrong, or right; else None."""
    n = int(lines.sample.max()) + 1
    right = round(float(lines.weight @ term) * n)
    return proportion_interval(right, n) if min(right, n - right) < FEW_ERRORS else None


def with_gain(one: Score, name: str, own: Floats, theirs: Floats, facts: Facts, trivial: Lines) -> Score:
    """The score beside the trivial model's, with the difference sample by sample and its interval."""
    other = float(facts.lines.weight @ theirs)
    gain, sign = one.score - other, 1 if higher_is_better(name) else -1
    interval = NONE
    if one.ci95[0] == one.ci95[0]:
        if name == "auroc":
            interval = (one.ci95[0] - other, one.ci95[1] - other)
        else:
            interval = _gained(name, own - theirs, gain, facts, trivial)
    known_better = sign * gain > 0 and min(sign * interval[0], sign * interval[1]) > 0
    point_only = interval[0] != interval[0] and sign * gain > 0
    better = None if point_only else known_better
    return replace(one, trivial=other, gain=gain, ci95_gain=interval, better=better)


def _gained(name: str, difference: Floats, gain: float, facts: Facts, trivial: Lines) -> Interval:
    """The interval of a difference of two models on the same samples."""
    if name in RATIOS:
        apart = facts.drawn[name] - drawn_ratios(trivial, facts.unit)[name]
        half = float(stats.norm.ppf(0.975) * np.std(apart, ddof=1))
    else:
        lines = facts.lines
        size = np.bincount(lines.fold)
        half, _ = half_width(difference, tuple(np.bincount(lines.fold, difference) / size), facts)
    return (gain - half, gain + half) if half > 0 else NONE


def _calibrated(ece: Score, lines: Lines, design: Design) -> dict[str, Score]:
    """ece pooled, and its debiased square, which folds have too."""
    repeats = np.asarray(design.repeats)
    pooled = calibration(lines, repeats[lines.fold])
    folds = [calibration(lines.take(lines.fold == fold))["ece2"] for fold in range(len(repeats))]
    square = _of_folds("ece2", folds, design)
    why = "none: debiased, 0 at least"
    return {
        "ece": replace(ece, score=pooled["ece"], pooled=True, interval="none: biased upwards"),
        "ece2": replace(square, score=pooled["ece2"], pooled=True, interval=why),
    }


def clipped(name: str, values: Sequence[float], interval: Interval) -> Interval:
    """The interval within the metric's range, where its values are; NaN for one without width."""
    low, high = range_of(name)
    if all(low <= value <= high for value in values):
        interval = max(interval[0], low), min(interval[1], high)
    return interval if interval[0] < interval[1] else NONE
