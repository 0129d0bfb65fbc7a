"""Claims about reported scores: their centres, their intervals computed another way, and where there is none."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import (
    f1_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import cross_val_predict

from lightning_base.stats.calibration import calibration
from lightning_base.stats.estimates import Score, estimate
from lightning_base.stats.facts import Design
from lightning_base.stats.intervals import corrected_interval
from lightning_base.stats.linear import Lines, terms
from lightning_base.stats.trivial import Known, trivial_lines
from lightning_base.stats.words import centre, untrained

Floats = np.ndarray[Any, np.dtype[np.float64]]
MACRO = {"average": "macro", "zero_division": 0}


def classes(n: int = 200, c: int = 2, k: int = 5, signal: float = 0.3, seed: int = 0, repeats: int = 1) -> pd.DataFrame:
    """Held-out predictions of c classes by k folds, with ties, of each sample once a repeat."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, c, n)
    parts = []
    for repeat in range(repeats):
        prob = np.round(rng.dirichlet(np.ones(c), n) + signal * np.eye(c)[target], 2) + 1e-3
        prob /= prob.sum(axis=1, keepdims=True)
        fold = repeat * k + rng.permutation(n) % k
        table = pd.DataFrame({"id": np.arange(n).astype(str), "fold": fold, "target": target, "pred": prob.argmax(1)})
        parts.append(table.assign(**{f"prob_{j}": prob[:, j] for j in range(c)}))
    return pd.concat(parts, ignore_index=True)


def numbers(n: int = 200, k: int = 5, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    y = rng.normal(1e5, 1, n)
    return pd.DataFrame({"id": np.arange(n).astype(str), "fold": np.arange(n) % k, "target": y, "pred": y}).assign(
        pred=lambda t: t["target"] + rng.normal(0, 0.5, n)
    )


def own_scores(part: pd.DataFrame) -> dict[str, float]:
    """The scores as scikit-learn computes them."""
    y, z = part["target"].to_numpy(), part["pred"].to_numpy()
    if "prob_0" not in part:
        mse = mean_squared_error(y, z)
        return {"mse": mse, "rmse": mse**0.5, "mae": mean_absolute_error(y, z), "r2": r2_score(y, z)}
    prob = part.filter(like="prob_").to_numpy()
    named = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
    found = {name: score(y, z, labels=np.unique(y), **MACRO) for name, score in named.items()}
    area = roc_auc_score(y, prob[:, 1] if prob.shape[1] == 2 else prob, multi_class="ovr")
    return found | {"accuracy": float((y == z).mean()), "loss": log_loss(y, prob), "auroc": area}


def of(table: pd.DataFrame, repeats: int = 1, trivial: Lines | None = None, **design: Any) -> dict[str, Score]:
    """What is reported of the predictions."""
    k, n = table["fold"].nunique(), table["id"].nunique()
    by_fold = [own_scores(part) for _, part in table.groupby("fold")]
    metrics = {name: [one[name] for one in by_fold] for name in by_fold[0]}
    held = [len(part) for _, part in table.groupby("fold")]
    made = Design([n - m for m in held], held, [fold // (k // repeats) for fold in range(k)], **design)
    return estimate(metrics, made, Lines.of(table), trivial)


@pytest.mark.parametrize("table", [classes(), classes(c=3), numbers()], ids=["two classes", "three", "values"])
def test_scores_are_scikit_learns_over_all_samples_and_terms_those_of_the_jackknife(table: pd.DataFrame) -> None:
    table = table.assign(fold=0)
    lines = Lines.of(table)
    assert lines is not None
    found, expected, n = terms(lines), own_scores(table), len(table)
    assert found.keys() == expected.keys()
    for name, term in found.items():
        assert term.mean() == pytest.approx(expected[name], rel=1e-6), name
        without = [own_scores(table.drop(index=i))[name] for i in range(8)]
        jackknife = n * expected[name] - (n - 1) * np.array(without)
        np.testing.assert_allclose(jackknife, term[:8], atol=0.02 * np.ptp(term), err_msg=name)


def test_areas_are_of_pairs_within_folds_with_the_variance_of_ledell() -> None:
    table = classes(n=200, k=4).assign(fold=np.arange(200) % 4)
    table = table.sort_values(["target", "id"], ignore_index=True).assign(fold=np.arange(200) % 4)
    parts = [part for _, part in table.groupby("fold")]
    won = pairs = 0.0
    for part in parts:
        one, zero = (part.loc[part["target"] == c, "prob_1"].to_numpy()[:, None] for c in (1, 0))
        won += float((one > zero.T).sum() + (one == zero.T).sum() / 2)
        pairs += one.size * zero.size
    found = of(table)["auroc"]
    assert found.score == pytest.approx(won / pairs)
    # LeDell, Petersen & van der Laan 2015, as in their R package cvAUC: the mean square of the influence curve, by fold
    p1 = table["target"].mean()
    curve = []
    for part in parts:
        area = roc_auc_score(part["target"], part["prob_1"])
        y, s = part["target"].to_numpy(), part["prob_1"].to_numpy()
        beats = (s[:, None] > s[None]) + (s[:, None] == s[None]) / 2
        fraction = np.where(y == 1, beats[:, y == 0].mean(axis=1), 1 - beats[:, y == 1].mean(axis=1))
        curve.append((((fraction - area) / np.where(y == 1, p1, 1 - p1)) ** 2).mean())
    error = np.sqrt(np.mean(curve) / 200)
    low, high = stats.logistic.ppf(found.ci95)
    half = 1.96 * error / (found.score * (1 - found.score)) * np.sqrt(1 + 4 / 7)
    assert (high - low) / 2 == pytest.approx(half, rel=0.03)
    assert (high + low) / 2 == pytest.approx(stats.logistic.ppf(found.score))


def test_repeats_are_averaged_per_sample_before_variances_are_taken() -> None:
    table = classes(n=300, repeats=3)
    right = (table["target"] == table["pred"]).groupby(table["id"]).mean()
    found = of(table, repeats=3)["accuracy"]
    half = stats.t.ppf(0.975, 299) * right.std() / np.sqrt(300) * np.sqrt(1 + 5 / 9)
    assert found.score == pytest.approx(right.mean())
    assert found.ci95 == pytest.approx((right.mean() - half, right.mean() + half))
    assert found.target == "models trained so"


def test_groups_are_what_varies_where_samples_come_in_them() -> None:
    table = numbers(n=300)
    group = np.arange(300) // 10
    found = of(table, group=group)["mae"]
    error = abs(table["pred"] - table["target"])
    sums = (error - error.mean()).groupby(group).sum()
    se = np.sqrt(30 / 29 * (sums**2).sum()) / 300
    half = stats.t.ppf(0.975, 29) * se * np.sqrt(1 + 5 / 9) / error.mean()
    assert found.ci95 == pytest.approx((error.mean() * np.exp(-half), error.mean() * np.exp(half)))
    assert "too few groups, 15 of 20" in of(table, group=np.arange(300) // 20)["mae"].interval


def test_folds_that_differ_by_more_than_their_samples_have_the_wider_interval() -> None:
    table = classes(n=500, signal=1.0)
    steady = of(table)["accuracy"]
    failed = table["fold"] == 3
    table.loc[failed, "pred"] = 1 - table.loc[failed, "pred"]
    found = of(table)["accuracy"]
    t = corrected_interval(found.folds, 400, 100, repeats=[0] * 5).ci95
    assert found.ci95[1] - found.ci95[0] == pytest.approx(
        min(found.score + (t[1] - t[0]) / 2, 1) - max(t[0], 0), rel=0.1
    )
    assert "differ by more than their samples" in found.interval
    assert steady.ci95[1] - steady.ci95[0] < (found.ci95[1] - found.ci95[0]) / 3


def test_few_errors_leave_the_exact_binomial_interval() -> None:
    table = classes(n=120, signal=9.0)
    assert (table["pred"] == table["target"]).all()
    assert of(table)["accuracy"].ci95 == pytest.approx((0.025 ** (1 / 120), 1))  # 120 samples, none of them wrong
    table.loc[:8, "pred"] = 1 - table.loc[:8, "pred"]
    bounds = stats.beta.ppf([0.025, 0.975], [111, 112], [10, 9])  # Clopper & Pearson, 111 of 120
    assert of(table)["accuracy"].ci95 == pytest.approx(tuple(bounds))
    assert of(table)["f1"].interval == "none: too few, 9 samples wrong, not 10"
    table.loc[9, "pred"] = 1 - table.loc[9, "pred"]
    assert "exact" not in of(table)["accuracy"].interval
    assert of(table)["f1"].ci95[0] < of(table)["f1"].score < of(table)["f1"].ci95[1]


def test_no_interval_is_given_where_none_is_known_to_hold() -> None:
    rare = classes(n=400)
    rare["target"] = (np.arange(400) % 10 == 0).astype(int)  # eight positives a fold
    rare["pred"] = (rare["prob_1"] > 0.5).astype(int)
    found = of(rare)
    for name in ("auroc", "f1", "precision", "recall"):
        assert found[name].interval == "none: too few, 8 of the rarest class per fold, not 10", name
        assert np.isnan(found[name].ci95).all()
    assert not np.isnan([*found["accuracy"].ci95, *found["loss"].ci95]).any()
    heavy = numbers()
    heavy.loc[0, "pred"] += 9
    found = of(heavy)
    assert all("heavy tails" in found[name].interval for name in ("mse", "rmse", "r2"))
    assert not np.isnan(found["mae"].ci95).any()
    assert all(np.isnan(one.ci95).all() and "in time" in one.interval for one in of(numbers(), temporal=True).values())
    design = Design([80] * 5, [20] * 5, [0] * 5)
    other = estimate({"dice": [0.8, 1.3, 0.9, 0.8, 0.9], "map50": [0.9, 1.0, 1.0, 0.8, 1.0]}, design)
    assert "its range is not known" in other["dice"].interval
    assert "range" not in other["map50"].interval
    assert other["map50"].ci95_folds[1] == 1.0 < other["dice"].ci95_folds[1]


def test_a_metric_of_a_known_name_that_is_another_thing_is_not_pooled() -> None:
    table, design = classes(), Design([160] * 5, [40] * 5, [0] * 5)
    found = estimate({"accuracy": [0.1, 0.2, 0.3, 0.4, np.nan]}, design, Lines.of(table))["accuracy"]
    assert (found.score, found.pooled) == (0.25, False)
    assert found.interval == "none: another metric of this name: the predictions give other values of the folds"


def test_what_is_not_pooled_says_its_true_reason() -> None:
    left_out = classes(n=30).assign(fold=np.arange(30))
    made = Design([29] * 30, [1] * 30, [0] * 30)
    nothing: dict[str, list[float]] = {"auroc": [np.nan] * 30}
    assert estimate(nothing, made, Lines.of(left_out))["auroc"].interval == (
        "none: no fold holds out samples of two classes"
    )
    one = classes(n=60).assign(fold=0, target=1)
    found = estimate({"auroc": [np.nan]}, Design([100], [60], [0]), Lines.of(one))["auroc"]
    assert found.interval == "none: all samples are of one class"
    for level in (0.1, 5.0, 1e9 + 0.1):
        same = numbers(n=60).assign(fold=0, target=level)
        found = estimate({"r2": [np.nan]}, Design([100], [60], [0]), Lines.of(same))["r2"]
        assert found.interval == "none: all targets are equal", level
    boxes = estimate({"recall": [0.5, 0.6]}, Design([9] * 2, [9] * 2, [0] * 2))["recall"]
    assert boxes.interval == "none: what one covers was not simulated for such predictions"


def test_the_caption_names_the_scores_that_are_means_over_folds() -> None:
    found = of(classes(n=300))
    assert centre({name: one for name, one in found.items() if name != "ece"}) == "pooled over held-out samples"
    own = estimate({"dice": [0.8, 0.9], "kappa": [0.7, 0.9]}, Design([9] * 2, [9] * 2, [0] * 2))
    assert centre(own) == "mean over folds"
    assert centre({**found, **own}) == "pooled over held-out samples, but dice, kappa: mean over folds"


def test_samples_that_have_not_trained_are_told() -> None:
    assert untrained([80, 80], [80, None]) == ""
    assert untrained([64], [303]).startswith("not all training samples have trained: 64 of 303 (trainer.limit")
    assert "in 2 of 3 folds: at least 64 of 303" in untrained([70, 303, 64], [303, 303, 303])


def test_windows_over_time_have_a_last_one_and_a_trend() -> None:
    table = numbers().assign(fold=lambda t: np.arange(200) // 40)
    found = of(table, temporal=True, ordered=True)["mae"]
    assert found.last == found.folds[-1]
    assert found.trend == pytest.approx(stats.linregress(range(5), found.folds).slope)


def test_calibration_takes_off_what_chance_adds() -> None:
    """Kumar, Liang & Ma 2019: perfectly calibrated classifiers have a plain error above 0, and a square around it."""
    rng, plain, square = np.random.default_rng(0), [], []
    for _ in range(200):
        p = rng.uniform(0.5, 1, 150)
        right = rng.random(150) < p
        probs = np.stack([1 - p, p], axis=1)
        lines = Lines(np.zeros(150, int), np.arange(150), right.astype(int), np.ones(150, int), probs)
        found = calibration(lines)
        plain.append(found["ece"])
        bins = np.array_split(np.argsort(p, kind="stable"), 15)
        hit = [right[rows].mean() for rows in bins]
        by_hand = sum(
            len(rows) / 150 * ((p[rows].mean() - h) ** 2 - h * (1 - h) / (len(rows) - 1))
            for rows, h in zip(bins, hit, strict=True)
        )
        square.append(by_hand)
        assert found["ece2"] == pytest.approx(max(by_hand, 0))
    assert np.mean(plain) > 0.05
    assert abs(np.mean(square)) < 3 * np.std(square) / np.sqrt(200)


def trivial(table: pd.DataFrame, known: Known) -> Lines:
    """The trivial model's predictions of a table whose ids are row numbers."""
    lines, rows = Lines.of(table), table["id"].astype(int).to_numpy()
    assert lines is not None
    held = [rows[table["fold"] == fold] for fold in range(5)]
    return trivial_lines(lines, rows, [(np.setdiff1d(np.arange(len(table)), val), val) for val in held], known)


def test_trivial_models_are_those_of_scikit_learn() -> None:
    by_class, by_value = classes(c=3), numbers()
    cases: Mapping[str, tuple[pd.DataFrame, int]] = {"classes": (by_class, 3), "values": (by_value, 0)}
    for kind, (table, count) in cases.items():
        y = table["target"].to_numpy()
        lines = trivial(table, Known(y, count))
        folds = [(np.flatnonzero(table["fold"] != k), np.flatnonzero(table["fold"] == k)) for k in range(5)]
        if kind == "classes":
            dummy = DummyClassifier(strategy="prior")
            prob = cross_val_predict(dummy, np.zeros((200, 1)), y, cv=folds, method="predict_proba")
            np.testing.assert_allclose(lines.probs, prob)
        else:
            np.testing.assert_allclose(lines.pred, cross_val_predict(DummyRegressor(), np.zeros((200, 1)), y, cv=folds))
    assert Lines.of(by_class) is not None
    one = of(by_class, trivial=trivial(by_class, Known(by_class["target"].to_numpy(), 3)))
    assert one["auroc"].trivial == pytest.approx(0.5)


def test_over_time_the_last_value_is_the_trivial_one_and_of_ratings_the_items_mean() -> None:
    table = numbers(n=60).assign(fold=np.repeat(np.arange(5), 12))
    y, series = table["target"].to_numpy(), np.arange(60) % 2
    lines = Lines.of(table)
    assert lines is not None
    folds = [(np.arange(max(12 * k, 1)), np.arange(12 * k, 12 * k + 12)) for k in range(5)]
    last = trivial_lines(lines, np.arange(60), folds, Known(y, time=np.arange(60), series=series))
    expected = [y[12 * k - 2 + i % 2] for k in range(1, 5) for i in range(12)]
    np.testing.assert_array_equal(last.pred[12:], expected)
    item = np.arange(60) % 7
    mean = trivial_lines(lines, np.arange(60), folds[2:3] * 5, Known(y, key=np.where(item == 3, np.arange(60), item)))
    for row in range(30, 40):
        train = [i for i in range(24) if i % 7 == row % 7 != 3]
        assert mean.pred[row] == pytest.approx(y[train].mean() if train else y[:24].mean())


def test_a_difference_to_the_trivial_model_is_taken_sample_by_sample() -> None:
    table = classes(n=200, signal=0.1, seed=2)
    other = trivial(table, Known(table["target"].to_numpy(), 2))
    found = of(table, trivial=other)["accuracy"]
    gain = (table["pred"] == table["target"]).to_numpy() * 1.0 - (other.pred == other.target)
    half = stats.t.ppf(0.975, 199) * gain.std(ddof=1) / np.sqrt(200) * np.sqrt(1 + 5 / 9)
    assert found.gain == pytest.approx(gain.mean())
    assert found.ci95_gain == pytest.approx((gain.mean() - half, gain.mean() + half))
    assert found.better == (gain.mean() > half)
    same = of(table.assign(pred=other.pred), trivial=other)["accuracy"]
    assert (same.gain, same.better) == (0, False)


def test_one_fold_has_the_interval_of_its_model_without_widening() -> None:
    table = classes(n=300).assign(fold=0)
    found = estimate({"accuracy": [own_scores(table)["accuracy"]]}, Design([1200], [300], [0]), Lines.of(table))[
        "accuracy"
    ]
    half = stats.t.ppf(0.975, 299) * np.sqrt(found.score * (1 - found.score) / 299)
    assert found.ci95 == pytest.approx((found.score - half, found.score + half))
    assert found.target == "this model"


def test_a_metric_that_a_fold_lacks_is_a_mean_over_the_others() -> None:
    found = estimate({"kappa": [0.9, np.nan, 0.8]}, Design([80] * 3, [20] * 3, [0] * 3))["kappa"]
    assert found.score == pytest.approx(0.85)
    assert np.isnan([*found.ci95, *found.ci95_folds]).all()
