"""Claims about `compare`: its numbers are those of other programs, and what cannot be compared is refused."""

import json
import shutil
from pathlib import Path

import baycomp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lightning_base.tools.files import write_parquet
from tests.helpers import CONFIGS, Run, crossval, read_json, refused, run_in, run_without

LINEAR = (
    *("--config", CONFIGS / "digits_cnn.yaml", "--data.split.n_splits", 4, "--model.channels_last", "false"),
    *("--model.network", "models.linear.Linear", "--model.network.num_inputs", 64, "--trainer.max_epochs", 1),
    *("--model.network.num_outputs", 10, "--trainer.logger", "false"),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished runs: three of one split, one of another, two regressions."""
    work = tmp_path_factory.mktemp("runs")
    digits = {"slow": ("--model.optimizer.lr", 0.0002), "fast": ("--model.optimizer.lr", 0.01), "large": ()}
    digits["large"] = ("--model.optimizer.lr", 0.01, "--data.batch_size", 256)
    digits["other"] = (*digits["fast"], "--data.split.n_splits", 2)
    regression = ("--config", CONFIGS / "linear_regression_gd.yaml", "--trainer.logger", "false")
    commands = {name: (*LINEAR, *options) for name, options in digits.items()}
    commands |= {f"gd{n}": (*regression, "--trainer.max_epochs", n) for n in (5, 20)}
    for name, options in commands.items():
        run_in(work, "crossval", *options, "--name", name)
    return {name: crossval(name, work) for name in commands}


def summary(directory: Path) -> dict:
    return read_json(directory / "summary.json")


def copy(directory: Path, to: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(directory, to, ignore=shutil.ignore_patterns("checkpoints")))


def test_two_runs_are_compared_as_scipy_and_baycomp_would(
    runs: dict[str, Path], run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("compare", runs["slow"], runs["fast"], "--metric", "loss", "--rope", 0.1, "--out", "compare.json")
    found = read_json(work / "compare.json")
    (test,), (errors,) = found["tests"], found["mcnemar"]
    a, b = (np.array(summary(runs[name])["metrics"]["loss"]["folds"]) for name in ("slow", "fast"))
    assert (test["a"], test["b"], test["higher_is_better"]) == ("slow", "fast", False)
    assert (test["mean_a"], test["mean_b"]) == pytest.approx((a.mean(), b.mean()))
    # four folds that hold out a quarter each: the variance of the mean is s² (1/4 + 1/3), where scipy has s²/4
    t = stats.ttest_rel(a, b).statistic / np.sqrt(1 + 4 / 3)
    assert test["difference"]["t"] == pytest.approx(t, rel=1e-6)
    assert test["p_holm"] == test["difference"]["p"] == pytest.approx(2 * stats.t.sf(abs(t), 3), rel=1e-6)
    left, rope, right = baycomp.two_on_single(b, a, rope=0.1)
    assert [test["difference"][key] for key in ("left", "rope", "right")] == pytest.approx(
        [left, rope, right], rel=1e-5
    )
    oof = [pd.read_parquet(runs[name] / "oof.parquet").set_index("id") for name in ("slow", "fast")]
    hits = [(table["target"] == table["pred"]).sort_index() for table in oof]
    table = pd.crosstab(*hits)
    assert (errors["only_a"], errors["only_b"]) == (table.loc[True, False], table.loc[False, True])
    assert errors["n"] == found["n"] == table.to_numpy().sum() == 1437
    chi = (abs(errors["only_a"] - errors["only_b"]) - 1) ** 2 / (errors["only_a"] + errors["only_b"])
    assert errors["p"] == pytest.approx(stats.chi2.sf(chi, 1))
    shown = capsys.readouterr().out
    for part in ("mean: over folds", "takes the trained models as given"):
        assert part in " ".join(shown.split())
    for part in ("loss", "lower is better", f"{a.mean():.4f}", f"{b.mean():.4f}", "±0.1", "4 folds, n = 1437"):
        assert part in shown


def test_the_better_run_has_the_probability_whichever_way_the_metric_points(
    runs: dict[str, Path], run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("compare", runs["slow"], runs["fast"], "--metric", "loss", "--metric", "accuracy", "--out", "both.json")
    loss, accuracy = read_json(work / "both.json")["tests"]
    assert loss["difference"]["mean"] > 0 > accuracy["difference"]["mean"]  # the fast run has the lower loss
    assert loss["difference"]["right"] > 0.9
    assert accuracy["difference"]["left"] > 0.75
    lines = [line for line in capsys.readouterr().out.splitlines() if "│" in line]
    for line in lines[1::2]:  # a row's second line is the second run's
        assert "fast" in line
        assert float(line.split("│")[6]) > 0.75


def test_more_than_two_runs_are_corrected_by_holm(runs: dict[str, Path], run: Run, work: Path) -> None:
    run("compare", runs["slow"], runs["fast"], runs["large"], "--out", "compare.json")
    found = read_json(work / "compare.json")
    assert [(test["a"], test["b"]) for test in found["tests"]] == [
        ("slow", "fast"),
        ("slow", "large"),
        ("fast", "large"),
    ]
    assert {test["metric"] for test in found["tests"]} == {"accuracy"}
    for p, corrected in (
        ([test["difference"]["p"] for test in found["tests"]], [test["p_holm"] for test in found["tests"]]),
        ([test["p"] for test in found["mcnemar"]], [test["p_holm"] for test in found["mcnemar"]]),
    ):
        low, middle, high = np.argsort(p)
        assert corrected[low] == pytest.approx(min(3 * p[low], 1))
        assert corrected[middle] == pytest.approx(min(max(2 * p[middle], 3 * p[low]), 1))
        assert corrected[high] == pytest.approx(max(p[high], corrected[middle]))


def test_the_order_of_two_runs_changes_nothing_but_signs_where_one_trained_on_fewer_samples(
    runs: dict[str, Path], run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = copy(runs["fast"], work / "few")
    for fold in range(4):
        result = read_json(few / f"fold_{fold}" / "result.json")
        (few / f"fold_{fold}" / "result.json").write_text(json.dumps(result | {"n_train": 200}))
    run("compare", runs["slow"], few, "--metric", "loss", "--out", "one.json")
    assert "trained on different numbers of samples (slow 1,078, few 200)" in " ".join(capsys.readouterr().out.split())
    run("compare", few, runs["slow"], "--metric", "loss", "--out", "other.json")
    one, other = (read_json(work / name)["tests"][0] for name in ("one.json", "other.json"))
    assert one["p_holm"] == other["p_holm"]
    assert one["difference"]["t"] == -other["difference"]["t"]
    assert one["difference"]["ci95"] == pytest.approx([-end for end in other["difference"]["ci95"][::-1]])
    assert one["difference"]["left"] == pytest.approx(other["difference"]["right"])
    a, b = (np.array(summary(runs[name])["metrics"]["loss"]["folds"]) for name in ("slow", "fast"))
    held = 1437 / 4  # of the two numbers of training samples the smaller: the larger variance
    t = stats.ttest_rel(a, b).statistic / np.sqrt(1 + 4 * held / 200)
    assert one["difference"]["t"] == pytest.approx(t, rel=1e-6)


def test_regressions_are_compared_by_r2_and_have_no_mcnemar(
    runs: dict[str, Path], run: Run, capsys: pytest.CaptureFixture[str], work: Path
) -> None:
    run("compare", runs["gd5"], runs["gd20"])
    shown = capsys.readouterr().out
    assert "r2" in shown
    assert "McNemar" not in shown
    assert list(work.iterdir()) == []  # nothing is written unless asked for


def test_compare_imports_neither_torch_nor_lightning(runs: dict[str, Path]) -> None:
    for arguments, shown in (([str(runs["slow"]), str(runs["fast"])], "accuracy"), (["--help"], "--rope")):
        done = run_without(("torch", "lightning", "torchmetrics"), "compare", *arguments)
        assert done.returncode == 0, done.stderr
        assert shown in done.stdout


def test_the_summary_has_the_bootstrap_interval_of_each_score_that_the_predictions_give(runs: dict[str, Path]) -> None:
    metrics = summary(runs["fast"])["metrics"]
    assert metrics["ece"]["ci95_oof_bootstrap"] is None
    for name in ("accuracy", "auroc", "f1", "loss", "precision", "recall"):
        low, high = metrics[name]["ci95_oof_bootstrap"]
        assert low < metrics[name]["mean"] < high, name
    accuracy = metrics["accuracy"]["mean"]
    low, high = metrics["accuracy"]["ci95_oof_bootstrap"]
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(accuracy * (1 - accuracy) / 1437), rel=0.25)
    for metric in summary(runs["gd20"])["metrics"].values():
        low, high = metric["ci95_oof_bootstrap"]
        assert low < metric["mean"] < high


def test_groups_are_drawn_whole_and_named(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 10)
    x, y = rng.normal(size=(300, 4)), (group % 3 == 0).astype(int)  # a group is right or wrong as a whole
    x[:, 0] += (group % 5) - 2
    np.savez("grouped.npz", x=x.astype(np.float32), y=y, group=group)
    for name, rate in (("a", 0.1), ("b", 0.01)):
        run(
            *("crossval", *LINEAR, "--name", name, "--data.source", "grouped.npz", "--data.test_size", "null"),
            *("--data.split", "sklearn.model_selection.GroupKFold", "--data.split.n_splits", 3),
            *("--model.network.num_inputs", 4, "--model.network.num_outputs", 2),
            *("--model.optimizer.lr", rate),
        )
    found = summary(crossval("a", work))
    assert found["oof_groups"] == 30
    assert "groups" in found["oof_bootstrap"]
    low, high = found["metrics"]["accuracy"]["ci95_oof_bootstrap"]
    accuracy = found["metrics"]["accuracy"]["mean"]
    assert (high - low) / 2 > 1.5 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / 300)
    capsys.readouterr()
    run("compare", crossval("a"), crossval("b"))
    assert "samples come in groups" in capsys.readouterr().out


def test_runs_on_different_splits_are_refused(
    runs: dict[str, Path], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, ["compare", runs["fast"], runs["other"]], "different splits", "Manifest")
    spoilt = copy(runs["slow"], work / "spoilt")
    oof = pd.read_parquet(spoilt / "oof.parquet")
    oof.loc[7, "target"] = (oof["target"][7] + 1) % 10
    write_parquet(spoilt / "oof.parquet", oof)
    refused(capsys, ["compare", runs["fast"], spoilt], "oof.parquet: it is not the one that summary.json beside it was")
    (spoilt / "summary.json").write_text(json.dumps(summary(spoilt) | {"oof_sum": ""}))
    refused(capsys, ["compare", runs["fast"], spoilt], "different samples or targets", "oof.parquet")


def test_an_unfinished_run_is_refused(runs: dict[str, Path], work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoilt = copy(runs["slow"], work / "spoilt")
    (spoilt / "fold_2" / "result.json").unlink()
    unfinished = ("spoilt is no finished crossval directory", "to its end")
    refused(capsys, ["compare", runs["fast"], spoilt], *unfinished, "(unfinished: fold_2)")
    shutil.copy(runs["slow"] / "fold_2" / "result.json", spoilt / "fold_2")
    (spoilt / "summary.json").unlink()
    refused(capsys, ["compare", runs["fast"], spoilt], *unfinished, "(it has no summary.json)")
    refused(capsys, ["compare", runs["fast"], work / "nowhere"], "nowhere is no crossval directory")
    refused(capsys, ["compare", runs["fast"], runs["slow"].parent], "no crossval directory", f"name {runs['slow']}")


def test_spoilt_files_are_named(runs: dict[str, Path], work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoilt = copy(runs["slow"], work / "spoilt")
    (spoilt / "oof.parquet").write_text("text")
    refused(capsys, ["compare", runs["fast"], spoilt], "oof.parquet", "cannot be read")
    result = read_json(spoilt / "fold_1" / "result.json")
    (spoilt / "fold_1" / "result.json").write_text(json.dumps(result | {"split_hash": "0" * 64}))
    refused(capsys, ["compare", runs["fast"], spoilt], "folds of different splits")
    (spoilt / "summary.json").write_text("{}")
    refused(capsys, ["compare", runs["fast"], spoilt], "summary.json: it lacks 'metrics'", "run crossval again")
    (spoilt / "summary.json").write_text("{")
    refused(capsys, ["compare", runs["fast"], spoilt], "summary.json", "cannot be read")


def test_a_metric_that_a_run_or_a_fold_lacks_is_refused(
    runs: dict[str, Path], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(
        capsys, ["compare", runs["slow"], runs["fast"], "--metric", "acuracy"], "acuracy", "did you mean 'accuracy'"
    )
    spoilt = copy(runs["slow"], work / "spoilt")
    content = summary(spoilt)
    content["metrics"]["auroc"]["folds"][3] = None
    (spoilt / "summary.json").write_text(json.dumps(content))
    refused(capsys, ["compare", runs["fast"], spoilt], "fold_3/result.json: its scores are not those in")
    result = read_json(spoilt / "fold_3" / "result.json")
    result["metrics"]["auroc"] = None
    (spoilt / "fold_3" / "result.json").write_text(json.dumps(result))
    refused(capsys, ["compare", runs["fast"], spoilt, "--metric", "auroc"], "auroc", "fold_3", "not a number")


MISTAKES = {
    "one directory": (["{a}"], "two crossval directories"),
    "none": ([], "required: directory"),
    "the same twice": (["{a}", "{a}/../crossval"], "given twice"),
    "an unknown option": (["{a}", "{b}", "--metrik", "f1"], "--metrik"),
    "a width that is no number": (["{a}", "{b}", "--rope", "wide"], "--rope: 'wide'"),
    "a negative width": (["{a}", "{b}", "--rope", "accuracy=-1"], "0 or more"),
    "a width of another metric": (["{a}", "{b}", "--rope", "f1=0.1"], "f1 is not compared, accuracy is"),
    "a file in no folder": (["{a}", "{b}", "--out", "no/where.json"], "--out: no/where.json"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_the_options_is_one_line(
    case: str, runs: dict[str, Path], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, part = MISTAKES[case]
    refused(capsys, ["compare", *(a.format(a=runs["slow"], b=runs["fast"]) for a in arguments)], part)
    assert list(work.iterdir()) == []
