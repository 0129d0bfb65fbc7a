"""Claims about the intervals and the tests of differences, against values computed another way."""

from itertools import combinations
from math import comb

import baycomp
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
)

from lightning_base.stats.bootstrap import oof_intervals
from lightning_base.stats.differences import compare_folds, holm, mcnemar
from lightning_base.stats.intervals import bootstrap_interval, corrected_interval, proportion_interval


def test_the_corrected_interval_is_that_of_the_corrected_t_statistic() -> None:
    folds = [0.81, 0.79, 0.86, 0.83, 0.80, 0.84, 0.78, 0.85, 0.82, 0.83]
    found = corrected_interval(folds, n_train=900, n_val=100)
    # the bound is where the corrected t statistic's two-sided p-value is 0.05
    scale = np.sqrt((1 / 10 + 1 / 9) * np.var(folds, ddof=1))
    for bound in found.ci95:
        assert 2 * stats.t.sf(abs(found.mean - bound) / scale, 9) == pytest.approx(0.05)
    naive = stats.t.interval(0.95, 9, np.mean(folds), stats.sem(folds))
    assert found.ci95[0] < naive[0] < naive[1] < found.ci95[1]


def test_one_fold_has_no_interval() -> None:
    found = corrected_interval([0.9], 80, 20)
    assert found.mean == 0.9
    assert np.isnan([found.std, *found.ci95]).all()


def test_the_bootstrap_interval_of_a_mean_is_about_two_standard_errors() -> None:
    values = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap_interval(lambda rows: {"mean": float(values[rows].mean())}, 400, resamples=2000)["mean"]
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_no_error_among_n_leaves_the_rule_of_three() -> None:
    low, high = proportion_interval(360, 360)
    assert high == 1
    assert low == pytest.approx(0.025 ** (1 / 360))


A = [0.81, 0.79, 0.86, 0.83, 0.80, 0.84, 0.78, 0.85, 0.82, 0.83]
B = [0.80, 0.80, 0.83, 0.81, 0.79, 0.84, 0.77, 0.81, 0.82, 0.80]


@pytest.mark.parametrize("repeats", [1, 2])
@pytest.mark.parametrize("width", [0.0, 0.01, 0.05])
def test_the_posterior_is_that_of_baycomp(repeats: int, width: float) -> None:
    n = len(A) // repeats  # folds of one repeat; each holds out one n-th
    found = compare_folds(list(np.subtract(A, B)), n - 1, 1, width)
    left, *rope, right = baycomp.two_on_single(np.array(B), np.array(A), rope=width, runs=repeats)
    # baycomp takes its second argument minus its first
    assert (found.left, found.right) == (pytest.approx(left), pytest.approx(right))
    assert found.rope == pytest.approx(rope[0] if rope else 0, abs=1e-12)


def test_the_corrected_t_test_is_students_with_a_larger_variance() -> None:
    found = compare_folds(list(np.subtract(A, B)), n_train=900, n_val=100, width=0.01)
    naive = stats.ttest_rel(A, B)
    # the variance of the mean is s² (1/k + n_val/n_train) in place of s²/k
    t = naive.statistic / np.sqrt(1 + 10 / 9)
    assert found.t == pytest.approx(t)
    assert found.p == pytest.approx(2 * (1 - stats.t.cdf(t, 9)))
    assert found.p > naive.pvalue
    assert found.ci95 == corrected_interval(list(np.subtract(A, B)), 900, 100).ci95
    back = compare_folds(list(np.subtract(B, A)), n_train=900, n_val=100, width=0.01)
    assert (back.t, back.p, back.left, back.right) == (-found.t, found.p, found.right, found.left)


def test_differences_without_variance_are_certain_and_one_fold_tells_nothing() -> None:
    same, other = compare_folds([0.0] * 5, 80, 20, 0.01), compare_folds([0.25] * 5, 80, 20, 0.01)
    assert (same.p, same.left, same.rope, same.right) == (1, 0, 1, 0)
    assert (other.p, other.left, other.rope, other.right) == (0, 0, 0, 1)
    one = compare_folds([0.25], 80, 20, 0.01)
    assert one.mean == 0.25
    assert np.isnan([one.t, one.p, one.left, one.rope, one.right, *one.ci95]).all()


def test_mcnemar_is_that_of_r_and_exact_for_few_pairs() -> None:
    # printed by R's mcnemar.test, which corrects for continuity: χ² = 14.395 and 11.362
    assert mcnemar(50, 97) == (pytest.approx(0.0001482, rel=1e-3), "chi-squared")
    assert mcnemar(49, 20) == (pytest.approx(0.0007495, rel=1e-3), "chi-squared")
    p, method = mcnemar(6, 15)
    assert method == "exact binomial"
    assert p == pytest.approx(2 * sum(comb(21, i) for i in range(7)) / 2**21)
    assert mcnemar(0, 0)[0] == mcnemar(12, 12)[0] == mcnemar(20, 20)[0] == 1


def test_holm_is_the_closed_test_of_bonferroni() -> None:
    p = [0.01, 0.04, 0.03, 0.005, 0.5, 0.04]
    # closed testing: a hypothesis falls when every intersection that holds it does, each by Bonferroni
    subsets = [s for size in range(1, 7) for s in combinations(range(6), size)]
    expected = [max(min(len(s) * min(p[j] for j in s), 1) for s in subsets if i in s) for i in range(6)]
    assert holm(p) == pytest.approx(expected)
    assert holm([0.3]) == [0.3]
    with_nan = holm([0.01, np.nan, 0.04])
    assert with_nan[::2] == [0.02, 0.04]
    assert np.isnan(with_nan[1])


def predictions(n: int = 90, classes: int = 3, folds: int = 1) -> pd.DataFrame:
    """Out-of-fold predictions with ties."""
    rng = np.random.default_rng(3)
    target = rng.integers(0, classes, n)
    prob = rng.dirichlet(np.ones(classes), n) + 0.3 * np.eye(classes)[target]
    prob = np.round(prob / prob.sum(axis=1, keepdims=True), 1) + 1e-3
    prob /= prob.sum(axis=1, keepdims=True)
    table = pd.DataFrame({"id": np.arange(n).astype(str), "fold": np.arange(n) % folds, "target": target})
    return table.assign(pred=prob.argmax(axis=1), **{f"prob_{c}": prob[:, c] for c in range(classes)})


def class_scores(part: pd.DataFrame) -> dict[str, float]:
    target, pred, prob = part["target"], part["pred"], part.filter(like="prob_").to_numpy()
    macro = {"average": "macro", "zero_division": 0}
    return {
        "accuracy": accuracy_score(target, pred),
        "loss": log_loss(target, prob),
        "precision": precision_score(target, pred, **macro),
        "recall": recall_score(target, pred, **macro),
        "f1": f1_score(target, pred, **macro),
        "auroc": roc_auc_score(target, prob, multi_class="ovr"),
    }


def value_scores(part: pd.DataFrame) -> dict[str, float]:
    y, z = part["target"], part["pred"]
    mse = mean_squared_error(y, z)
    return {"mse": mse, "rmse": mse**0.5, "mae": mean_absolute_error(y, z), "r2": r2_score(y, z)}


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_the_oof_bootstrap_is_scikit_learns_scores_of_the_drawn_samples(kind: str) -> None:
    oof, score = predictions(), class_scores
    if kind == "values":
        rng = np.random.default_rng(5)
        oof = oof[["id", "fold"]].assign(target=rng.normal(100, 1, 90)).assign(pred=lambda t: t["target"] + 1)
        oof, score = oof.assign(pred=oof["target"] + rng.normal(0, 0.5, 90)), value_scores
    found = oof_intervals(oof, {name: [value] for name, value in score(oof).items()}, resamples=40, seed=2)
    rng = np.random.default_rng(2)
    draws = pd.DataFrame([score(oof.iloc[rng.integers(0, 90, 90)]) for _ in range(40)])
    assert found.keys() == set(draws.columns)
    for name, interval in found.items():
        assert interval == pytest.approx(tuple(draws[name].quantile([0.025, 0.975]))), name


def test_the_oof_bootstrap_draws_groups_whole_and_samples_with_all_their_repeats() -> None:
    oof = predictions(400, folds=5)
    reported = {"accuracy": list(oof.assign(hit=oof["target"] == oof["pred"]).groupby("fold")["hit"].mean())}
    low, high = oof_intervals(oof, reported, resamples=2000)["accuracy"]
    accuracy = np.mean(reported["accuracy"])
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(accuracy * (1 - accuracy) / 400), rel=0.1)
    # nine copies of each sample tell nothing new, be they its repeats or the members of its group
    copies = pd.concat([oof.assign(fold=oof["fold"] + 5 * r) for r in range(9)], ignore_index=True)
    nine = {"accuracy": reported["accuracy"] * 9}
    assert oof_intervals(copies, nine, resamples=2000)["accuracy"] == pytest.approx((low, high))
    named = copies.assign(id=np.arange(len(copies)).astype(str))
    assert oof_intervals(named, nine, copies["id"].to_numpy(), resamples=2000)["accuracy"] == pytest.approx((low, high))
    alone = oof_intervals(named, nine, resamples=200)["accuracy"]
    assert (high - low) / (alone[1] - alone[0]) == pytest.approx(3, rel=0.25)


def test_the_oof_bootstrap_of_folds_of_one_group_each_is_that_of_the_folds_values() -> None:
    oof = predictions(400, folds=20)
    folds = oof.assign(hit=oof["target"] == oof["pred"]).groupby("fold")["hit"].mean().to_numpy()
    found = oof_intervals(oof, {"accuracy": list(folds)}, oof["fold"].to_numpy(), resamples=4000)["accuracy"]
    rng = np.random.default_rng(9)
    draws = folds[rng.integers(0, 20, (4000, 20))].mean(axis=1)
    assert found == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.005)


def test_a_score_that_the_out_of_fold_lines_do_not_give_has_no_bootstrap_interval() -> None:
    oof = predictions()
    reported = {"accuracy": [0.123], "kappa": [0.5], "ece": [0.1], "f1": [class_scores(oof)["f1"]], "loss": [np.nan]}
    assert oof_intervals(oof, reported).keys() == {"f1"}
    assert oof_intervals(oof.drop(columns="target"), reported) == {}
    assert oof_intervals(oof.assign(pred="boxes"), reported) == {}
    perfect = oof.assign(pred=oof["target"])
    assert oof_intervals(perfect, {"accuracy": [1.0]}) == {}  # no error among few samples: a bootstrap knows nothing
