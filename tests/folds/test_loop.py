"""Claims about crossval: a partition, honest scores, isolated folds, and a kill that changes nothing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from sklearn.datasets import load_diabetes, load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict, train_test_split

from lightning_base.cli.entry import main
from lightning_base.training.seeds import derive_seed
from tests.helpers import (
    CONFIGS,
    Run,
    assert_same_weights,
    checkpoint,
    crossval,
    environment,
    read_json,
    refused,
    run_in,
    weights,
)

DIGITS = ("--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 2, "--model.network.widths", [8])


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished five-fold run of a small network on the digits."""
    work = tmp_path_factory.mktemp("digits")
    run_in(work, "crossval", *DIGITS)
    return crossval("digits_cnn", work)


def summary(directory: Path) -> dict:
    return read_json(directory / "summary.json")


def test_each_sample_is_predicted_once_across_folds(digits: Path) -> None:
    oof, split = pd.read_parquet(digits / "oof.parquet"), pd.read_parquet(digits / "split.parquet")
    assert oof["id"].is_unique
    assert len(oof) == summary(digits)["n"] == 1437
    held_out = split[split["role"] == "val"].set_index("id")["fold"]
    assert oof.set_index("id")["fold"].equals(held_out.reindex(oof["id"]))
    sealed = split[split["role"] == "test"]["id"]
    assert len(sealed) == 360
    assert not set(sealed) & set(oof["id"])
    assert (split[split["role"] != "test"].groupby("fold").size() == 1437).all()
    np.testing.assert_allclose(oof.filter(like="prob_").sum(axis=1), 1, atol=1e-5)


def test_reported_scores_are_those_scikit_learn_computes_from_the_predictions(digits: Path) -> None:
    oof, metrics = pd.read_parquet(digits / "oof.parquet"), summary(digits)["metrics"]
    for fold, part in oof.groupby("fold"):
        prob = part.filter(like="prob_").to_numpy(dtype=np.float64)
        expected = {
            "accuracy": accuracy_score(part["target"], part["pred"]),
            "f1": f1_score(part["target"], part["pred"], average="macro"),
            "precision": precision_score(part["target"], part["pred"], average="macro", zero_division=0),
            "recall": recall_score(part["target"], part["pred"], average="macro"),
            "auroc": roc_auc_score(part["target"], prob / prob.sum(1, keepdims=True), multi_class="ovr"),
            "loss": log_loss(part["target"], prob / prob.sum(1, keepdims=True)),
        }
        for name, value in expected.items():
            assert metrics[name]["folds"][fold] == pytest.approx(value, abs=1e-5), name
    assert np.average(metrics["accuracy"]["folds"], weights=oof.groupby("fold").size()) == pytest.approx(
        accuracy_score(oof["target"], oof["pred"]), abs=1e-6
    )
    assert summary(digits)["details"]["confusion_matrix"] == confusion_matrix(oof["target"], oof["pred"]).tolist()


def test_the_log_of_the_last_epoch_agrees_with_the_result(digits: Path) -> None:
    assert all(v <= 1 for v in summary(digits)["metrics"]["f1"]["folds"])
    log = pd.read_csv(digits / "fold_1" / "metrics.csv").dropna(subset="val_accuracy")
    assert log["epoch"].tolist() == [0, 1]
    for name in ("accuracy", "auroc", "ece", "loss"):
        assert log[f"val_{name}"].iloc[-1] == pytest.approx(summary(digits)["metrics"][name]["folds"][1], abs=1e-5)
    assert list((digits / "fold_1" / "tensorboard").glob("events.out.tfevents.*"))


def test_linear_folds_equal_a_plain_pytorch_loop(run: Run, work: Path) -> None:
    run(
        *("crossval", "--config", CONFIGS / "digits_cnn.yaml", "--name", "linear", "--trainer.max_epochs", 3),
        *("--model.network", "models.linear.Linear", "--model.network.num_inputs", 64),
        *("--model.network.num_outputs", 10, "--model.channels_last", "false"),
        *("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", 0.1, "--seed_everything", 7),
    )
    metrics = summary(crossval("linear", work))["metrics"]
    data = load_digits()
    rows, _ = train_test_split(np.arange(1797), test_size=0.2, random_state=0, stratify=data.target)
    rows = np.sort(rows)
    x, y = torch.tensor(data.data[rows], dtype=torch.float32), torch.tensor(data.target[rows])
    splitter = StratifiedKFold(5, shuffle=True, random_state=7)
    for fold, (train, val) in enumerate(splitter.split(x, y)):
        # images have one channel, and so one mean and one standard deviation
        mean, std = x[train].double().mean().float(), x[train].double().std(correction=0).float()
        z = (x - mean) / std
        weight, bias = torch.zeros(10, 64, requires_grad=True), torch.zeros(10, requires_grad=True)
        for epoch in range(3):
            order = np.random.default_rng([derive_seed(7, fold), epoch]).permutation(np.sort(train))
            for start in range(0, len(order), 64):
                batch = order[start : start + 64]
                loss = F.cross_entropy(z[batch] @ weight.T + bias, y[batch])
                gradients = torch.autograd.grad(loss, [weight, bias])
                with torch.no_grad():
                    for parameter, gradient in zip((weight, bias), gradients, strict=True):
                        parameter -= 0.1 * gradient
        logits = (z[val] @ weight.T + bias).detach()
        assert metrics["loss"]["folds"][fold] == pytest.approx(float(F.cross_entropy(logits, y[val])), rel=1e-4)
        assert metrics["accuracy"]["folds"][fold] == pytest.approx(float((logits.argmax(1) == y[val]).float().mean()))


@pytest.mark.slow
def test_gradient_descent_reaches_the_closed_form_solution(run: Run, work: Path) -> None:
    run("crossval", "--config", CONFIGS / "linear_regression_gd.yaml", "--data.split.n_splits", 3)
    directory = crossval("linear_regression_gd", work)
    x, y = load_diabetes(return_X_y=True)
    for fold, (train, val) in enumerate(KFold(3, shuffle=True, random_state=0).split(x)):
        mean, std = x[train].mean(0), x[train].std(0)
        exact = LinearRegression().fit((x[train] - mean) / std, y[train])
        found = weights(directory / f"fold_{fold}")
        np.testing.assert_allclose(found["network.affine.weight"][0], exact.coef_, atol=0.05, rtol=1e-3)
        assert float(found["network.affine.bias"][0]) == pytest.approx(exact.intercept_, abs=1e-2)
        r2 = exact.score((x[val] - mean) / std, y[val])
        assert summary(directory)["metrics"]["r2"]["folds"][fold] == pytest.approx(r2, abs=1e-4)


def test_a_fold_run_alone_is_bit_identical_to_the_same_fold_of_the_full_run(digits: Path, run: Run, work: Path) -> None:
    run("crossval", *DIGITS, "--folds", "[3]")
    alone = crossval("digits_cnn", work)
    assert not (alone / "summary.json").exists()
    assert_same_weights(alone / "fold_3", digits / "fold_3")
    pd.testing.assert_frame_equal(
        *(pd.read_parquet(d / "fold_3" / "predictions.parquet") for d in (digits, alone)), check_exact=True
    )


@pytest.mark.slow
def test_a_run_killed_in_fold_2_ends_with_the_same_numbers(digits: Path, run: Run, preloaded: None, work: Path) -> None:
    slow = ("--trainer.callbacks+", "tests.support.faults.SlowEpoch")
    command = [sys.executable, "-m", "lightning_base", "crossval", *map(str, DIGITS), *slow]
    directory = crossval("digits_cnn", work)
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL) as process:
        while not (directory / "fold_2" / "checkpoints" / "last.ckpt").exists():
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not (directory / "fold_2" / "result.json").exists()
    finished = {fold: (directory / f"fold_{fold}" / "result.json").stat().st_mtime_ns for fold in (0, 1)}
    run("crossval", *DIGITS, *slow)
    assert {f: (directory / f"fold_{f}" / "result.json").stat().st_mtime_ns for f in (0, 1)} == finished
    assert read_json(directory / "fold_2" / "result.json")["resumed"]
    assert summary(directory)["metrics"] == summary(digits)["metrics"]
    assert_same_weights(directory / "fold_2", digits / "fold_2")
    log, whole = (pd.read_csv(d / "fold_2" / "metrics.csv") for d in (directory, digits))
    pd.testing.assert_frame_equal(log, whole)


def test_a_resumed_run_keeps_the_decision_to_stop_early(run: Run, work: Path) -> None:
    options = (
        *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--folds", "[0]", "--trainer.max_epochs", 9),
        *("--trainer.callbacks+", "lightning.pytorch.callbacks.EarlyStopping"),
        *("--trainer.callbacks.monitor", "val_accuracy", "--trainer.callbacks.mode", "max"),
        *("--trainer.callbacks.patience", 1),
    )
    run(*options)
    fold = crossval("breast_cancer_mlp", work) / "fold_0"
    before, state = read_json(fold / "result.json"), weights(fold)
    assert before["epochs"] < 9
    assert "optimistic" in before["selection"]
    (fold / "result.json").unlink()
    run(*options)
    after = read_json(fold / "result.json")
    assert after["resumed"]
    assert (after["epochs"], after["metrics"]) == (before["epochs"], before["metrics"])
    assert all(torch.equal(value, weights(fold)[name]) for name, value in state.items())


def test_statistics_come_from_the_training_part_of_the_fold_only(digits: Path) -> None:
    data = load_digits()
    split = pd.read_parquet(digits / "split.parquet")  # ids are row numbers
    for fold in (0, 4):
        rows = split[(split["fold"] == fold) & (split["role"] == "train")]["id"].astype(int)
        state = checkpoint(digits / f"fold_{fold}")["Arrays"]
        assert float(state["preprocess"]["mean"]) == pytest.approx(data.data[rows].mean(), rel=1e-6)
        assert float(state["preprocess"]["std"]) == pytest.approx(data.data[rows].std(), rel=1e-6)


def test_scores_are_pooled_with_intervals_and_a_trivial_model_beside_them(digits: Path) -> None:
    found, oof = summary(digits), pd.read_parquet(digits / "oof.parquet")
    accuracy = found["metrics"]["accuracy"]
    right, folds = (oof["target"] == oof["pred"]).to_numpy(), np.array(accuracy["folds"])
    assert accuracy["score"] == pytest.approx(right.mean())
    # two epochs leave folds that differ by more than 287 or 288 samples explain: t of the folds, half of a fifth shared
    assert 4 * folds.var(ddof=1) / (right.var() / 287.4) > stats.chi2.ppf(0.99, 4)
    half = stats.t.ppf(0.975, 4) * folds.std(ddof=1) * np.sqrt(1 / 5 + 1 / 9)
    np.testing.assert_allclose(accuracy["ci95"], [right.mean() - half, right.mean() + half], rtol=1e-6)
    assert accuracy["target"] == "models trained so"
    assert accuracy["mean"] == pytest.approx(np.mean(accuracy["folds"]))
    rows, _ = train_test_split(np.arange(1797), test_size=0.2, random_state=0, stratify=load_digits().target)
    y = load_digits().target[np.sort(rows)]
    splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    dummy, nothing = DummyClassifier(strategy="prior"), np.zeros((1437, 1))
    prob = cross_val_predict(dummy, nothing, y, cv=splitter, method="predict_proba")
    pred = prob.argmax(axis=1)
    trivial = {"accuracy": accuracy_score(y, pred), "loss": log_loss(y, prob), "f1": f1_score(y, pred, average="macro")}
    for name, value in trivial.items():
        metric = found["metrics"][name]
        assert metric["trivial"] == pytest.approx(value), name
        assert metric["gain"] == pytest.approx(metric["score"] - value), name
    assert found["metrics"]["ece"]["ci95"] == [None, None]
    assert (found["rarest"], found["rarest_class"]) == (139, "8")


@pytest.mark.slow
def test_the_ensemble_is_the_mean_of_the_folds_probabilities(digits: Path, run: Run) -> None:
    run("test", "--ckpt_path", digits)
    table = pd.read_parquet(digits / "test.parquet")
    record = read_json(digits / "test.json")
    assert record["n"] == len(table) == 360
    assert record["metrics"]["accuracy"]["value"] == pytest.approx(accuracy_score(table["target"], table["pred"]))
    members = []
    for fold in range(5):
        run("test", "--ckpt_path", digits / f"fold_{fold}" / "checkpoints" / "last.ckpt")
        members.append(pd.read_parquet(digits / f"fold_{fold}" / "test.parquet").filter(like="prob_").to_numpy())
    np.testing.assert_allclose(table.filter(like="prob_"), np.mean(members, axis=0), atol=1e-6)
    np.savez("new.npz", x=load_digits().images[:7, None].astype(np.uint8))
    run("predict", "--ckpt_path", digits, "--data.predict", "new.npz")
    assert len(pd.read_parquet(digits / "ensemble.parquet")) == 7


def test_validate_scores_the_fold_that_the_checkpoint_held_out(
    digits: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("validate", "--ckpt_path", digits / "fold_2" / "checkpoints" / "last.ckpt")
    shown = capsys.readouterr().out
    assert "held-out samples of fold 2" in shown
    assert f"{summary(digits)['metrics']['accuracy']['folds'][2]:.4f}" in shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--model.optimizer.lr", "0.5"], "model.init_args.optimizer.init_args.lr was 0.002, is now 0.5"),
        (["--seed_everything", "1"], "seed_everything was 0, is now 1"),
        (["--trainer.max_epochs", "3"], "trainer.max_epochs was 2, is now 3"),
    ],
)
def test_a_directory_of_another_experiment_is_refused(
    digits: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changes: list[str], message: str
) -> None:
    monkeypatch.chdir(digits.parent.parent.parent)
    before = (digits / "summary.json").read_bytes()
    refused(capsys, ["crossval", *DIGITS, *changes], message)
    assert (digits / "summary.json").read_bytes() == before


def test_changed_data_is_refused(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = load_diabetes(return_X_y=True)
    np.savez("data.npz", x=x, y=y)
    options = ["crossval", "--config", CONFIGS / "linear_regression_gd.yaml", "--data.source", "data.npz"]
    run(*options, "--trainer.max_epochs", 1)
    x[5, 5] += 1e-3
    np.savez("data.npz", x=x, y=y)
    refused(capsys, [*options, "--trainer.max_epochs", 1], "the data has changed")


def test_fast_dev_run_writes_nothing(run: Run, work: Path) -> None:
    run("crossval", *DIGITS, "--trainer.fast_dev_run", "true")
    run("fit", *DIGITS, "--trainer.fast_dev_run", "true")
    assert list(work.iterdir()) == []


@pytest.mark.slow
def test_two_ddp_processes_predict_each_sample_once_and_speak_once(preloaded: None, work: Path) -> None:
    strategy = (
        "--trainer.devices",
        "2",
        "--trainer.strategy",
        "ddp",
        "--folds",
        "[0, 1]",
        "--data.split.n_splits",
        "2",
    )
    command = [sys.executable, "-m", "lightning_base", "crossval", *map(str, DIGITS), *strategy]
    done = subprocess.run(
        command, env=environment(PYTHONWARNINGS="ignore"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("fold 1 (2 of 2)") == 1
    directory = crossval("digits_cnn", work)
    oof = pd.read_parquet(directory / "oof.parquet")
    assert oof["id"].is_unique
    assert len(oof) == summary(directory)["n"] == 1437
    for fold, part in oof.groupby("fold"):
        expected = accuracy_score(part["target"], part["pred"])
        assert summary(directory)["metrics"]["accuracy"]["folds"][fold] == pytest.approx(expected, abs=1e-6)
        log = pd.read_csv(directory / f"fold_{fold}" / "metrics.csv").dropna(subset="val_accuracy")
        assert log["val_accuracy"].iloc[-1] == pytest.approx(expected, abs=1e-6)


def test_the_summary_names_a_learning_rate_that_followed_the_held_out_samples(run: Run, work: Path) -> None:
    run(
        *("crossval", *DIGITS, "--folds", "[0]", "--model.scheduler", "lightning.pytorch.cli.ReduceLROnPlateau"),
        *("--model.scheduler.monitor", "val_loss"),
    )
    result = crossval("digits_cnn", work) / "fold_0" / "result.json"
    assert "optimistic" in read_json(result)["selection"]


def test_an_interrupt_says_how_to_go_on(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = signal.getsignal(signal.SIGINT)  # Lightning ignores further interrupts from then on
    try:
        status = main(["crossval", *map(str, DIGITS), "--trainer.callbacks+", "tests.support.faults.Interrupt"])
    finally:
        signal.signal(signal.SIGINT, handler)
    assert status == 130
    assert "run again" in capsys.readouterr().err
    fold = crossval("digits_cnn", work) / "fold_0"
    assert (fold / "checkpoints" / "last.ckpt").exists()
    assert not (fold / "result.json").exists()
