"""Claims about the nested interval: it is the paper's, its folds are trained and scored like any, and covers."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge

from lightning_base.splitters.paired import Paired
from lightning_base.splitters.split import make_split
from lightning_base.stats.nested import Outer, nested_interval, nested_intervals
from tests.helpers import CONFIGS, Run, read_json, run_in

Floats = npt.NDArray[np.float64]
SMALL = (
    *("--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 2, "--trainer.logger", "false"),
    *("--audit", "off"),
)
PAIRED = ("--config", CONFIGS / "cv" / "nested_interval.yaml", "--data.split.n_splits", 3)


def paper(outs: list[list[Floats]], inners: list[list[Floats]], n: int, k: int) -> tuple[float, float, float]:
    """Algorithm 1, the bias correction and the practical limits of Bates, Hastie & Tibshirani, step by step.

    outs[r][f] are the errors of fold f, inners[r][f] those of the inner cross-validation that leaves f out.
    """
    es, a_list, b_list = [], [], []
    for out, inner in zip(outs, inners, strict=True):
        for e_out, e_in in zip(out, inner, strict=True):
            a_list.append((np.mean(e_in) - np.mean(e_out)) ** 2)
            b_list.append(np.var(e_out, ddof=1) / len(e_out))
            es += list(e_in)
    mse = np.mean(a_list) - np.mean(b_list)
    n_sub = n * (k - 1) / k
    naive = np.std(es, ddof=1) / np.sqrt(n_sub)
    root = min(max(np.sqrt(max(0, mse)), naive), np.sqrt(k) * naive)
    bias = (1 + ((k - 2) / k) ** 1.5) * (np.mean(es) - np.mean([e for out in outs for part in out for e in part]))
    centre, half = np.mean(es) - bias, stats.norm.ppf(0.975) * np.sqrt((k - 1) / k) * root
    return float(centre), float(centre - half), float(centre + half)


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_the_interval_is_that_of_the_papers_algorithm(kind: str) -> None:
    x, y = load_diabetes(return_X_y=True)
    x, y, k = x[:200], y[:200], 4
    if kind == "classes":
        y = (y > np.median(y)).astype(int)
    table = pd.DataFrame({"id": [f"{i:03d}" for i in range(200)], "target": y})
    split = make_split(table, Paired(k, 2), seed=3)

    def errors(train: npt.NDArray[Any], rows: npt.NDArray[Any]) -> tuple[Floats, pd.DataFrame]:
        part = table.iloc[rows].reset_index(drop=True)
        if kind == "values":
            pred = Ridge(0.1).fit(x[train], y[train]).predict(x[rows])
            return (pred - y[rows]) ** 2, part.assign(pred=pred)
        probs = LogisticRegression(C=10).fit(x[train], y[train]).predict_proba(x[rows])
        part = part.assign(pred=probs.argmax(axis=1), prob_0=probs[:, 0], prob_1=probs[:, 1])
        return -np.log(probs[np.arange(len(rows)), y[rows]]), part

    whole, outs, inners = np.arange(200), [], []
    for repeat in range(2):  # nested cross-validation as the paper has it: an inner one in every outer training part
        held = [fold.val for fold in split.ordinary if fold.repeat == repeat]
        outs.append([errors(np.setdiff1d(whole, val), val)[0] for val in held])
        inners.append([])
        for f in range(k):
            rest = np.setdiff1d(whole, held[f])
            parts = [errors(np.setdiff1d(rest, held[g]), held[g])[0] for g in range(k) if g != f]
            inners[-1].append(np.concatenate(parts))
    expected = paper(outs, inners, 200, k)

    name = "mse" if kind == "values" else "loss"
    parts = [errors(fold.train, fold.val)[1] for fold in split.folds]
    reported = [float(np.mean(part)) for out in outs for part in out]
    other = [value + 1 for value in reported]
    found = nested_intervals(parts, split.folds, {name: reported, "accuracy": other, "mae": other})
    assert found.keys() == {name}, "metrics of that name that are another thing are left out"
    assert (found[name].mean, *found[name].ci95) == pytest.approx(expected)
    assert 1 <= found[name].inflation <= np.sqrt(k)
    alone = nested_intervals(parts, split.folds, {name: reported}, pd.Series(np.arange(200), index=table["id"]))
    assert alone[name].ci95 == pytest.approx(expected[1:])
    groups = pd.Series(np.arange(200) // 4, index=table["id"])
    together = nested_intervals(parts, split.folds, {name: reported}, groups)[name]
    assert together.mean == pytest.approx(expected[0])
    assert together.ci95 != pytest.approx(expected[1:])


def test_samples_in_groups_count_as_their_groups() -> None:
    rng = np.random.default_rng(0)
    held, inner = rng.normal(size=(4, 15)), rng.normal(size=(4, 45))
    rows = [np.arange(15) + 15 * f for f in range(4)]
    places = [np.setdiff1d(np.arange(60), part) for part in rows]
    alone = nested_interval([[Outer(held[f], inner[f], rows[f], places[f]) for f in range(4)]])
    threefold = [Outer(*(np.repeat(part, 3) for part in (held[f], inner[f], rows[f], places[f]))) for f in range(4)]
    together = nested_interval([threefold])
    assert together.mean == pytest.approx(alone.mean)
    assert together.ci95 == pytest.approx(alone.ci95)


def test_it_covers_the_error_of_the_model_on_all_samples_where_the_naive_interval_does_not() -> None:
    """Least squares with 20 inputs on 60 samples: the true error is 1 + |w - β|², known exactly."""
    rng, n, p, k, sets = np.random.default_rng(1), 60, 20, 5, 300
    rows = np.arange(n).reshape(k, -1)
    nested, naive = [], []
    for _ in range(sets):
        x = rng.normal(size=(n, p))
        y = rng.normal(size=n)  # β = 0
        fit = {
            out: np.linalg.lstsq(np.delete(x, rows[list(out)], 0), np.delete(y, rows[list(out)], 0))[0]
            for m in (0, 1, 2)
            for out in combinations(range(k), m)
        }
        truth = 1 + float((fit[()] ** 2).sum())
        square = {out: (y - x @ w) ** 2 for out, w in fit.items()}
        outer = []
        for f in range(k):
            inner = np.concatenate([square[min(f, g), max(f, g)][rows[g]] for g in range(k) if g != f])
            outer.append(Outer(square[(f,)][rows[f]], inner, rows[f], np.delete(rows, f, 0).ravel()))
        low, high = nested_interval([outer]).ci95
        nested.append(low <= truth <= high)
        e = np.concatenate([part.held for part in outer])
        naive.append(abs(e.mean() - truth) <= 1.96 * e.std(ddof=1) / np.sqrt(n))
    assert np.mean(nested) > 0.92
    assert np.mean(naive) < 0.88


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished crossval of three folds drawn twice; then extended by the pairs."""
    root = tmp_path_factory.mktemp("runs")
    for name in ("plain", "nested"):
        run_in(root, "crossval", *SMALL, "--data.split.n_splits", 3, "--name", name)
    run_in(root, "crossval", *SMALL, *PAIRED, "--name", "nested")
    return root / "runs"


def summary(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(directory / "crossval" / "summary.json")
    return content


def test_a_finished_crossval_is_extended_by_the_pairs_and_reports_the_same(runs: Path) -> None:
    before, after = summary(runs / "plain"), summary(runs / "nested")
    for key in ("n", "n_scored", "n_oof", "every_sample_once_per_repeat", "k", "repeats", "details", "interval"):
        assert after[key] == before[key]
    assert after["k"] == 6
    for name, metric in before["metrics"].items():
        found = after["metrics"][name]
        assert {key: found[key] for key in metric} == metric
        assert ("ci95_nested" in found) == (name in ("accuracy", "loss"))
    plain, nested = (pd.read_parquet(runs / name / "crossval" / "oof.parquet") for name in ("plain", "nested"))
    pd.testing.assert_frame_equal(plain, nested)
    assert len(list((runs / "nested" / "crossval").glob("fold_*/result.json"))) == 6 + 6


def test_the_summarys_nested_interval_is_the_papers_over_its_predictions(runs: Path) -> None:
    directory = runs / "nested" / "crossval"
    oof = pd.read_parquet(directory / "oof.parquet")
    parts = [pd.read_parquet(directory / f"fold_{k}" / "predictions.parquet").set_index("id") for k in range(12)]
    outs: list[list[Floats]] = [[], []]
    inners: list[list[Floats]] = [[], []]
    for fold in range(6):
        part, repeat = parts[fold], fold // 3
        outs[repeat].append((part["target"] == part["pred"]).to_numpy(dtype=np.float64))
        inner = []
        for pair in parts[6:]:
            held, mine = set(pair.index), set(part.index)
            if mine < held:  # a pair of this fold and another of its repeat
                rest = pair.loc[sorted(held - mine)]
                assert len(set(oof.loc[(oof["repeat"] == repeat) & oof["id"].isin(rest.index), "fold"])) == 1
                inner.append((rest["target"] == rest["pred"]).to_numpy(dtype=np.float64))
        assert len(inner) == 2
        inners[repeat].append(np.concatenate(inner))
    accuracy, n = summary(runs / "nested")["metrics"]["accuracy"], summary(runs / "nested")["n"]
    centre, low, high = paper(outs, inners, n, 3)
    assert accuracy["nested_mean"] == pytest.approx(centre)
    assert accuracy["ci95_nested"] == pytest.approx([low, min(high, 1)])


@pytest.mark.slow
def test_a_manifest_keeps_the_pairs(runs: Path, run: Run) -> None:
    manifest = runs / "nested" / "crossval" / "split.parquet"
    own = ("--data.split", "lightning_base.splitters.Manifest", "--data.split.path", manifest)
    run("crossval", *SMALL, *own, "--data.test_size", "null", "--name", "again")
    assert summary(Path("runs") / "again")["metrics"] == summary(runs / "nested")["metrics"]
    run("compare", runs / "nested" / "crossval", Path("runs") / "again" / "crossval")


def test_the_pairs_are_no_members_of_the_ensemble_and_no_folds_of_the_audit(
    runs: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("test", "--ckpt_path", runs / "nested" / "crossval")
    assert read_json(runs / "nested" / "crossval" / "test.json")["members"] == 6
    assert "ensemble of 6 folds" in capsys.readouterr().out
    x = np.random.default_rng(0).normal(size=(40, 30))
    x[39] = x[0]
    np.savez("own.npz", x=x, y=np.arange(40) % 2)
    own = ("--data.source", "own.npz", "--data.test_size", "null", "--data.split.n_repeats", 1)
    run("audit", *SMALL[:2], *PAIRED, *own)
    shown = " ".join(capsys.readouterr().out.split())
    assert "of 3 folds" in shown
    assert "of 6 folds" not in shown
