"""Claims about the refit: the whole pool, the epochs that the folds chose, and nothing that scores it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from lightning_base.cli.entry import main
from lightning_base.training.seeds import derive_seed
from tests.helpers import CONFIGS, Run, assert_same_weights, checkpoint, crossval, read_json, refused, weights

SMALL = (
    *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.logger", "false", "--audit", "off"),
    *("--data.split", "sklearn.model_selection.StratifiedKFold", "--data.split.n_splits", 3),
    *("--data.split.shuffle", "true", "--trainer.max_epochs", 2, "--threads", 1, "--refit", "true"),
)
HOME = crossval("breast_cancer_mlp")
STOPPING = (
    *("--data.inner_val", 0.2, "--trainer.max_epochs", 9, "--model.optimizer.lr", 0.01),
    *("--trainer.callbacks+", "lightning.pytorch.callbacks.EarlyStopping", "--trainer.callbacks.monitor", "val_loss"),
    *("--trainer.callbacks.patience", 2),
    *("--trainer.callbacks+", "lightning.pytorch.callbacks.ModelCheckpoint", "--trainer.callbacks.monitor", "val_loss"),
)


@pytest.mark.slow
def test_a_linear_refit_is_what_plain_pytorch_gives_on_the_whole_pool(run: Run, work: Path) -> None:
    run(
        *(*SMALL, "--seed_everything", 7, "--trainer.max_epochs", 3, "--model.class_weights", "null"),
        *("--model.network", "models.linear.Linear", "--model.network.num_inputs", 30),
        *("--model.network.num_outputs", 2, "--model.l2", 0),
        *("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", 0.1),
    )
    data = load_breast_cancer()
    pool, sealed = train_test_split(np.arange(569), test_size=0.2, random_state=0, stratify=data.target)
    pool = np.sort(pool)
    x, y = torch.tensor(data.data, dtype=torch.float32), torch.tensor(data.target)
    mean, std = x[pool].double().mean(0), x[pool].double().std(0, correction=0)
    z = ((x - mean) / std).float()
    weight, bias = torch.zeros(2, 30, requires_grad=True), torch.zeros(2, requires_grad=True)
    for epoch in range(3):
        order = np.random.default_rng([derive_seed(7, 2**32 - 1), epoch]).permutation(pool)
        for start in range(0, len(order), 32):
            batch = order[start : start + 32]
            loss = F.cross_entropy(z[batch] @ weight.T + bias, y[batch])
            gradients = torch.autograd.grad(loss, [weight, bias])
            with torch.no_grad():
                for parameter, gradient in zip((weight, bias), gradients, strict=True):
                    parameter -= 0.1 * gradient
    state = weights(HOME / "refit")
    np.testing.assert_allclose(state["network.affine.weight"], weight.detach(), rtol=1e-4, atol=1e-5)
    result = read_json(HOME / "refit" / "result.json")
    assert (result["epochs"], result["n_train"], result["n_val"]) == (3, 455, 0)
    assert "metrics" not in result
    assert "nothing" in result["scored_by"]
    run("test", "--ckpt_path", HOME / "refit")
    logits = (z[sealed] @ weight.T + bias).detach()
    expected = read_json(HOME / "refit" / "test.json")
    assert expected["n"] == len(sealed)
    assert expected["metrics"]["loss"]["value"] == pytest.approx(float(F.cross_entropy(logits, y[sealed])), rel=1e-4)
    np.savez("new.npz", x=data.data[sealed])
    run("predict", "--ckpt_path", HOME / "refit", "--data.predict", "new.npz")
    predicted = pd.read_parquet(HOME / "refit" / "predict.parquet")["pred"]
    assert predicted.tolist() == data.target_names[logits.argmax(1).numpy()].tolist()


def test_a_refit_trains_for_the_median_of_the_epochs_that_inner_slices_chose(run: Run, work: Path) -> None:
    run(*SMALL, *STOPPING)
    chosen = []
    for fold in range(3):
        result = read_json(HOME / f"fold_{fold}" / "result.json")
        assert result["checkpoint"] != "last.ckpt"
        epochs = checkpoint(HOME / f"fold_{fold}", result["checkpoint"])["epoch"] + 1
        assert result["scored_epochs"] == epochs
        log = pd.read_csv(HOME / f"fold_{fold}" / "metrics.csv").dropna(subset="val_loss")
        assert log["val_loss"].argmin() + 1 == epochs  # another way: the best line of the log
        chosen.append(epochs)
    result = read_json(HOME / "refit" / "result.json")
    assert result["epochs_of_folds"] == chosen
    assert result["epochs"] == sorted(chosen)[1] == checkpoint(HOME / "refit")["epoch"] + 1
    assert result["n_train"] == 455  # the inner slices train too
    assert not list((HOME / "refit" / "checkpoints").glob("epoch=*"))  # nothing monitors
    assert list((HOME / "fold_0" / "checkpoints").glob("epoch=*"))
    assert not pd.read_csv(HOME / "refit" / "metrics.csv").filter(like="val_").size


@pytest.mark.slow
def test_a_broken_refit_goes_on_with_the_same_weights_and_a_finished_one_is_kept(run: Run, work: Path) -> None:
    breaking = ("--trainer.callbacks+", "tests.support.faults.BreakRefit")
    run(*SMALL, *breaking, "--name", "whole")
    Path("break").touch()
    with pytest.raises(ZeroDivisionError):
        main([*map(str, SMALL), *breaking])
    Path("break").unlink()
    assert not (HOME / "refit" / "result.json").exists()
    run(*SMALL, *breaking)
    assert read_json(HOME / "refit" / "result.json")["resumed"]
    assert_same_weights(HOME / "refit", crossval("whole") / "refit")
    before = (HOME / "refit" / "result.json").stat().st_mtime_ns
    run(*SMALL, *breaking)
    assert (HOME / "refit" / "result.json").stat().st_mtime_ns == before


def test_more_folds_make_the_refit_anew(run: Run, work: Path) -> None:
    repeated = ("--data.split", "sklearn.model_selection.RepeatedStratifiedKFold", "--data.split.n_splits", 2)
    run(*SMALL, *repeated, "--data.split.n_repeats", 1)
    run(*SMALL, *repeated, "--data.split.n_repeats", 2)
    result = read_json(HOME / "refit" / "result.json")
    assert result["split_hash"] == read_json(HOME / "summary.json")["split_hash"]
    assert len(result["epochs_of_folds"]) == 4
    assert not result["resumed"]


@pytest.mark.slow
def test_a_nested_refit_searches_the_whole_pool(run: Run, work: Path) -> None:
    grid = ("--search.grid", '{"model.optimizer.lr": [0.0003, 0.01]}', "--search.inner.n_splits", 2)
    run(*SMALL, "--config", CONFIGS / "tune" / "optimizer.yaml", *grid)
    search = read_json(HOME / "refit" / "search.json")
    assert search["n"] == 455
    for line in search["candidates"]:
        rate = line["values"]["model.optimizer.lr"]
        run(
            *(*SMALL, "--refit", "false", "--data.split.n_splits", 2, "--seed_everything", derive_seed(0, 0, 1)),
            *("--model.optimizer.lr", rate, "--name", rate),
        )
        alone = read_json(Path("runs", str(rate), "crossval", "summary.json"))["metrics"]["loss"]
        assert line["scores"] == alone["folds"]
    best = min(search["candidates"], key=lambda line: sum(line["scores"]))["values"]
    assert read_json(HOME / "refit" / "result.json")["chosen"] == best
    state = checkpoint(HOME / "refit")["optimizer_states"][0]["param_groups"][0]
    assert state["lr"] == best["model.optimizer.lr"]
    run("test", "--ckpt_path", HOME / "refit")


def test_the_refit_waits_for_every_fold(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(*SMALL, "--folds", "[1]")
    assert "the refit waits for them" in capsys.readouterr().out
    assert not (HOME / "refit").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--model.scheduler", "lightning.pytorch.cli.ReduceLROnPlateau", "--model.scheduler.monitor", "val_loss"],
            "--refit: model.scheduler follows val_loss",
        ),
        (["--trainer.max_steps", "50"], "--refit: trainer.max_steps counts steps"),
    ],
)
def test_what_cannot_be_refitted_is_said_before_anything_is_trained(
    work: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    refused(capsys, [*SMALL, *options], message)
    assert list(work.iterdir()) == []


def test_validate_says_that_a_refit_holds_nothing_out(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(*SMALL, "--trainer.max_epochs", 1)
    validate = ["validate", "--ckpt_path", HOME / "refit" / "checkpoints" / "last.ckpt"]
    refused(capsys, validate, "is a refit, which has trained on the whole pool")
