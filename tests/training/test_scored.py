"""Claims about selection: with an inner slice, what stops training or picks a checkpoint is not what scores it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss

from datamodules.arrays import Arrays
from lightning_base.auditing.audit import audit
from lightning_base.errors import UserError
from tests.helpers import CONFIGS, Run, crossval, read_json, refused

CANCER = ("--config", CONFIGS / "breast_cancer_mlp.yaml", "--folds", "[0, 1]", "--data.inner_val", 0.2)
STOPPING = (
    *("--trainer.callbacks+", "lightning.pytorch.callbacks.EarlyStopping"),
    *("--trainer.callbacks.monitor", "val_loss", "--trainer.callbacks.patience", 2),
)
BEST = (
    *("--trainer.callbacks+", "lightning.pytorch.callbacks.ModelCheckpoint"),
    *("--trainer.callbacks.monitor", "val_loss", "--trainer.callbacks.filename", "best"),
)


def data(**options: object) -> Arrays:
    module = Arrays(source="breast_cancer", inner_val=0.25, **options)  # type: ignore[arg-type]
    module.setup("fit")
    return module


def test_the_inner_slice_is_a_stratified_part_of_the_training_part_and_nothing_is_fitted_on_it() -> None:
    module = data()
    fold = module.folds.folds[0]
    train, inner = module.rows("train"), module.rows("inner")
    assert np.array_equal(np.sort(np.concatenate([train, inner])), fold.train)
    assert len(inner) == pytest.approx(0.25 * len(fold.train), abs=1)
    x, y = load_breast_cancer(return_X_y=True)
    assert y[inner].mean() == pytest.approx(y[fold.train].mean(), abs=0.01)
    np.testing.assert_allclose(module.preprocess.state()["mean"], x[train].mean(axis=0), rtol=1e-5)
    seen = torch.cat([batch.rows for batch in module.val_dataloader()])
    assert sorted(seen.tolist()) == sorted(inner)
    assert sorted(torch.cat([b.rows for b in module.loader("val")]).tolist()) == sorted(fold.val)


def test_whole_groups_and_the_latest_make_the_inner_slice(work: Path) -> None:
    x, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    for column in ("group", "time"):
        values = rng.integers(0, 40, len(y))
        np.savez("own.npz", x=x, y=y, **{column: values})
        module = Arrays(source="own.npz", inner_val=0.2)
        train, inner, val = (values[module.rows(role)] for role in ("train", "inner", "val"))
        if column == "group":
            assert not set(train) & set(inner)
        else:
            assert train.max() < inner.min() <= inner.max() < val.min()


def test_early_stopping_by_the_inner_slice_scores_held_out_samples_it_never_saw(run: Run, work: Path) -> None:
    run("crossval", *CANCER, *STOPPING, "--trainer.max_epochs", 60, "--model.optimizer.lr", 0.02)
    for fold in range(2):
        directory = crossval("breast_cancer_mlp", work) / f"fold_{fold}"
        result = read_json(directory / "result.json")
        assert result["epochs"] < 60
        assert result["selection"] == (
            "last epoch, stopped early by an inner slice of the training part (20%); the held-out samples chose nothing"
        )
        scored = pd.read_parquet(directory / "predictions.parquet")
        split = pd.read_parquet(directory.parent / "split.parquet")
        held_out = split[(split["fold"] == fold) & (split["role"] == "val")]["id"]
        assert sorted(scored["id"]) == sorted(held_out)
        # what was logged in training is another number: that of the inner slice
        logged = pd.read_csv(directory / "metrics.csv")["val_loss"].dropna().iloc[-1]
        prob = scored[["prob_0", "prob_1"]].to_numpy(dtype=np.float64)
        assert result["metrics"]["loss"] == pytest.approx(
            log_loss(scored["target"], prob / prob.sum(1, keepdims=True)), abs=1e-5
        )
        assert abs(logged - result["metrics"]["loss"]) > 1e-4


def test_the_best_checkpoint_by_the_inner_slice_is_scored_and_is_the_ensembles_member(run: Run, work: Path) -> None:
    options = ("crossval", *CANCER, *BEST, "--trainer.max_epochs", 30, "--model.optimizer.lr", 0.05)
    options = (*options, "--data.split", "sklearn.model_selection.StratifiedKFold", "--data.split.n_splits", 2)
    run(*options)
    directory = crossval("breast_cancer_mlp", work)
    results = [read_json(directory / f"fold_{k}" / "result.json") for k in range(2)]
    assert all(r["selection"].startswith("best checkpoint by an inner slice") for r in results)
    assert [r["checkpoint"] for r in results] == ["best.ckpt", "best.ckpt"]
    losses = [pd.read_csv(directory / f"fold_{k}" / "metrics.csv")["val_loss"].dropna() for k in range(2)]
    assert any(loss.idxmin() != loss.index[-1] for loss in losses), "else the best is the last, and shows nothing"
    run("test", "--ckpt_path", directory)
    members = []
    for k in range(2):
        run("test", "--ckpt_path", directory / f"fold_{k}" / "checkpoints" / "best.ckpt")
        members.append(pd.read_parquet(directory / f"fold_{k}" / "test.parquet").filter(like="prob_").to_numpy())
    table = pd.read_parquet(directory / "test.parquet").filter(like="prob_")
    np.testing.assert_allclose(table, np.mean(members, axis=0), atol=1e-6)


def test_a_share_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], work: Path) -> None:
    with pytest.raises(UserError, match=r"data\.inner_val: 1\.5 is not between 0 and 1"):
        Arrays(source="digits", inner_val=1.5)
    options = ["--config", CONFIGS / "digits_cnn.yaml", "--data.inner_val", 0.001]
    refused(capsys, ["crossval", *options], "data.inner_val: the training part")


def test_the_audit_finds_no_leak_in_the_inner_slice() -> None:
    assert audit(data(test_size=0.2)) == []
