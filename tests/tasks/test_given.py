"""Losses and metrics from YAML: scored as scikit-learn scores, trained as they say, refused before training."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, cohen_kappa_score, explained_variance_score, roc_auc_score
from sklearn.model_selection import KFold
from torch import nn
from torchmetrics import MeanSquaredError
from torchmetrics.classification import MultilabelAUROC, MultilabelAveragePrecision

import lightning_base as lb
from lightning_base.errors import UserError
from lightning_base.tasks import Classification, Focal, MultiLabel, Regression
from lightning_base.tasks.given import by_name, snake
from lightning_base.tasks.given_losses import mean_loss
from models.linear import Linear
from tests.helpers import CONFIGS, Run, crossval, read_json, refused, weights

KAPPA = "{class_path: torchmetrics.classification.MulticlassCohenKappa, init_args: {num_classes: 2}}"
CANCER = ["--config", str(CONFIGS / "breast_cancer_mlp.yaml"), "--trainer.max_epochs", "2", "--trainer.logger", "false"]
PLAIN = [*CANCER, "--model.init_args.class_weights", "null"]


def test_a_metric_of_torchmetrics_stands_beside_the_tasks_own(run: Run, work: Path) -> None:
    run("crossval", *CANCER, "--model.init_args.metrics", f"[{KAPPA}]")
    oof, metrics = (
        pd.read_parquet(crossval("breast_cancer_mlp") / "oof.parquet"),
        read_json(crossval("breast_cancer_mlp") / "summary.json")["metrics"],
    )
    expected = [cohen_kappa_score(part["target"], part["pred"]) for _, part in oof.groupby("fold")]
    assert metrics["cohen_kappa"]["folds"] == pytest.approx(expected, abs=1e-6)
    assert metrics["accuracy"]["score"] > 0.9
    assert (metrics["cohen_kappa"]["trivial"], metrics["accuracy"]["better"]) == (0.0, True)  # of the majority class
    run("test", "--ckpt_path", str(crossval("breast_cancer_mlp")))
    table = pd.read_parquet(crossval("breast_cancer_mlp") / "test.parquet")
    found = read_json(crossval("breast_cancer_mlp") / "test.json")["metrics"]["cohen_kappa"]["value"]
    assert found == pytest.approx(cohen_kappa_score(table["target"], table["pred"]), abs=1e-6)


class Varied(MeanSquaredError):
    """Knows no predictions that are all the same."""

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        if len(preds) > 10 and preds.std(dim=0).max() == 0:
            raise ValueError("all the same")
        super().update(preds[:, 0], target.float())


def test_a_metric_that_the_trivial_models_predictions_break_is_left_out_beside_it(work: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32), np.arange(60) % 2
    found = lb.crossval(
        task=lambda: Classification(Linear(num_outputs=2), metrics={"varied": Varied(), "squares": Squares()}),
        x=x,
        y=y,
        data={"split": KFold(3)},
        trainer={"max_epochs": 1, "logger": False, "accelerator": "cpu"},
        name="own",
    ).summary.metrics
    assert found["varied"].trivial is None
    assert np.isfinite(found["varied"].score)
    assert found["squares"].trivial == pytest.approx(0.25, abs=0.02)


class Squares(MeanSquaredError):
    """Of the first class's probability."""

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        super().update(preds[:, 0], 1 - target.double())


def test_a_metric_with_a_name_can_be_followed_by_a_callback(run: Run, work: Path) -> None:
    """Early stopping follows it where validation sees a slice of the training part."""
    data = ["--config", str(CONFIGS / "linear_regression_gd.yaml"), "--trainer.max_epochs", "4", "--trainer.logger"]
    explained = "{explained: {class_path: torchmetrics.regression.ExplainedVariance}}"
    stop = "{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: val_explained, mode: max}}"
    more = ["false", "--trainer.check_val_every_n_epoch", "1", "--data.init_args.inner_val", "0.2"]
    run("crossval", *data, *more, "--model.init_args.metrics", explained, "--trainer.callbacks", f"[{stop}]")
    oof = pd.read_parquet(crossval("linear_regression_gd") / "oof.parquet")
    expected = [explained_variance_score(part["target"], part["pred"]) for _, part in oof.groupby("fold")]
    found = read_json(crossval("linear_regression_gd") / "summary.json")["metrics"]["explained"]["folds"]
    assert found == pytest.approx(expected, abs=1e-4)


def test_focal_loss_of_gamma_0_trains_as_the_cross_entropy_and_of_2_otherwise(run: Run, work: Path) -> None:
    for name, loss in (("own", "null"), ("zero", 0.0), ("two", 2.0)):
        focal = f"{{class_path: lightning_base.tasks.Focal, init_args: {{gamma: {loss}}}}}" if name != "own" else "null"
        run("fit", *PLAIN, "--model.init_args.loss", focal, "--name", name)
    own, zero, two = (weights(work / "runs" / name / "fit" / "version_0") for name in ("own", "zero", "two"))
    for key, value in own.items():
        torch.testing.assert_close(value, zero[key], rtol=1e-4, atol=1e-5)
    assert any(not torch.allclose(value, two[key], atol=1e-4) for key, value in own.items())


def test_focal_loss_is_the_formula() -> None:
    logits, y = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    p = logits.double().softmax(dim=1).numpy()[np.arange(7), y.numpy()]
    assert Focal(1.5)(logits, y).numpy() == pytest.approx(-((1 - p) ** 1.5) * np.log(p), rel=1e-5)
    labels = (logits > 0.3).float()
    q = logits.double().sigmoid().numpy()
    q = np.where(labels > 0, q, 1 - q)
    assert Focal(2)(logits, labels).numpy() == pytest.approx((-((1 - q) ** 2) * np.log(q)).mean(axis=1), rel=1e-5)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("metrics", "[torchmetrics.regression.PearsonCorrCoef]", "pearson_corr_coef does not take predictions"),
        ("metrics", "[torchmetrics.aggregation.MeanMetric]", "mean_metric does not take predictions"),
        (
            "metrics",
            "[{class_path: torchmetrics.classification.MulticlassAccuracy, init_args: {num_classes: 2}}]",
            "the task has a 'accuracy' itself",
        ),
        (
            "metrics",
            "{each: {class_path: torchmetrics.classification.MulticlassF1Score, "
            "init_args: {num_classes: 2, average: none}}}",
            "each gives (2,) where a metric is one number",
        ),
        ("metrics", f"[{KAPPA}, {KAPPA}]", "two are called 'cohen_kappa'"),
        ("loss", "torch.nn.HuberLoss", "HuberLoss does not take"),
        ("loss", "{class_path: lightning_base.tasks.Focal, init_args: {gamma: -1}}", "gamma -1"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    option: str, value: str, said: str, capsys: pytest.CaptureFixture[str], work: Path
) -> None:
    refused(capsys, ["crossval", *PLAIN, f"--model.init_args.{option}", value], said)
    assert not (work / "runs").exists() or not list((work / "runs").rglob("fold_*"))


def test_a_loss_and_what_shapes_the_tasks_own_exclude_each_other() -> None:
    with pytest.raises(UserError, match="belongs to the task's own loss"):
        Classification(Linear(4, 2), loss=Focal(), label_smoothing=0.1)


@pytest.mark.parametrize("task", [Classification, MultiLabel, Regression])
def test_a_loss_that_is_none_is_refused(task: Any) -> None:
    with pytest.raises(UserError, match=r"model\.loss"):
        task(Linear(4, 2), loss=3)


def test_a_loss_gives_one_number_or_one_per_sample() -> None:
    found, y = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.zeros(3, 2)
    assert mean_loss(nn.MSELoss(), found, y).item() == pytest.approx(91 / 6)
    with pytest.raises(UserError, match=r"gives \(3, 2\)"):
        mean_loss(nn.MSELoss(reduction="none"), found, y)


def test_names_are_those_of_classes() -> None:
    names = {"MulticlassCohenKappa": "cohen_kappa", "R2Score": "r2_score", "BinaryAUROC": "auroc"}
    assert {name: snake(name) for name in names} == names
    with pytest.raises(UserError, match="is no metric"):
        by_name({"a": 3})  # type: ignore[dict-item]


def test_metrics_of_several_values_and_of_labels_are_scikit_learns(work: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    trainer: dict[str, Any] = {"max_epochs": 2, "accelerator": "cpu", "logger": False}
    several = {"task": lambda: Regression(Linear(4, 2), metrics={"square": MeanSquaredError()})}
    labels = {
        "task": lambda: MultiLabel(
            Linear(4, 3), metrics={"ap": MultilabelAveragePrecision(3), "area": MultilabelAUROC(3)}
        )
    }
    values, tags = x[:, :2] + rng.normal(size=(60, 2)), (x[:, :3] + rng.normal(size=(60, 3)) > 0).astype(np.int64)
    for name, y, what in (("values", values.astype(np.float64), several), ("tags", tags, labels)):
        result = lb.crossval(**what, x=x, y=y, trainer=trainer, data={"split": KFold(2)}, name=name)
        for fold, part in result.oof.groupby("fold"):
            target = part.filter(like="target_").to_numpy()
            if name == "values":
                found = result.summary.metrics["square"].folds[fold]
                assert found == pytest.approx(((part.filter(like="pred_").to_numpy() - target) ** 2).mean(), rel=1e-5)
                continue
            prob = part.filter(like="prob_").to_numpy()
            metrics = result.summary.metrics
            assert metrics["ap"].folds[fold] == pytest.approx(average_precision_score(target, prob), abs=1e-5)
            assert metrics["area"].folds[fold] == pytest.approx(roc_auc_score(target, prob), abs=1e-5)
