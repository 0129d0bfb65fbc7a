"""Several values and labels per sample, from tables, arrays and Python, as scikit-learn scores them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_linnerud, make_multilabel_classification
from sklearn.metrics import average_precision_score, f1_score, r2_score, roc_auc_score

import lightning_base as lb
from datamodules.table import Table
from lightning_base.errors import UserError
from lightning_base.tasks import MultiLabel, Regression
from lightning_base.tasks.label_scores import LabelCounts, LabelRanking
from models.linear import Linear
from models.mlp import MLP
from tests.helpers import Run, crossval, read_json, refused

X, Y = make_multilabel_classification(240, n_features=12, n_classes=4, n_labels=2, random_state=0)
TRAINER = {"max_epochs": 3, "logger": False, "accelerator": "cpu"}


def network(k: int, features: int) -> MLP:
    return MLP(num_inputs=features, num_outputs=k, hidden=[16])


def log_loss(y: Any, p: Any) -> float:
    """The mean binary cross-entropy of labels."""
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def test_label_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    y = rng.random((300, 5)) < 0.3
    p = np.round(rng.random((300, 5)) * 0.5 + y * 0.3, 2)  # with ties
    y[:, 4] = False  # a label that no sample has
    preds, target = torch.from_numpy(p), torch.from_numpy(y.astype(np.int64))
    there = y.any(axis=0)
    f1 = LabelCounts(5, "f1")(preds, target).item()
    assert f1 == pytest.approx(f1_score(y[:, there], p[:, there] > 0.5, average="macro"), abs=1e-6)
    micro = LabelCounts(5, "micro_f1")(preds, target).item()
    assert micro == pytest.approx(f1_score(y, p > 0.5, average="micro"), abs=1e-6)
    exact = LabelCounts(5, "exact")(preds, target).item()
    assert exact == pytest.approx((y == (p > 0.5)).all(axis=1).mean(), abs=1e-6)
    auroc = LabelRanking("auroc")(preds, target).item()
    assert auroc == pytest.approx(roc_auc_score(y[:, there], p[:, there], average="macro"), abs=1e-6)
    ap = LabelRanking("average_precision")(preds, target).item()
    assert ap == pytest.approx(average_precision_score(y[:, there], p[:, there], average="macro"), abs=1e-6)


def test_a_table_of_several_label_columns_is_cross_validated(run: Run, work: Path) -> None:
    table = pd.DataFrame(X, columns=[f"word {i}" for i in range(12)]).assign(**{f"tag {c}": Y[:, c] for c in range(4)})
    table.to_csv(work / "tags.csv", index=False)
    (work / "tags.yaml").write_text(
        """
name: tags
trainer: {max_epochs: 3, logger: false, accelerator: cpu}
model:
  class_path: lightning_base.tasks.MultiLabel
  init_args: {network: {class_path: models.mlp.MLP, init_args: {num_outputs: 4, hidden: [16]}}}
data:
  class_path: datamodules.table.Table
  init_args: {path: tags.csv, target: [tag 0, tag 1, tag 2, tag 3], test_size: 0.2}
"""
    )
    run("prepare", "--config", "tags.yaml")
    assert (work / "runs/tags/prepare/schema.yaml").read_text().count("target, one of 4 labels") == 4
    run("crossval", "--config", "tags.yaml")
    oof = pd.read_parquet(crossval("tags") / "oof.parquet")
    assert len(oof) == 192
    y, p = oof.filter(like="target_tag").to_numpy(), oof.filter(like="prob_tag").to_numpy()
    row = oof["id"].astype(int).to_numpy()
    assert (y == Y[row]).all()
    per_fold = [roc_auc_score(y[oof["fold"] == k], p[oof["fold"] == k], average="macro") for k in range(5)]
    assert read_json(crossval("tags") / "summary.json")["metrics"]["auroc"]["folds"] == pytest.approx(
        per_fold, abs=1e-5
    )
    metrics = read_json(crossval("tags") / "summary.json")["metrics"]
    shares = [y[oof["fold"] != k].mean(axis=0) for k in range(5)]
    losses = [log_loss(y[oof["fold"] == k], shares[k]) for k in range(5)]
    assert metrics["loss"]["trivial"] == pytest.approx(np.mean(losses), abs=1e-5)
    assert (metrics["auroc"]["trivial"], metrics["auroc"]["better"]) == (0.5, None)
    run("test", "--ckpt_path", "runs/tags/crossval")
    assert read_json(crossval("tags") / "test.json")["metrics"]["auroc"]["trivial"] == 0.5


def test_labels_that_a_cell_lists_are_the_same_as_columns_of_them(work: Path) -> None:
    lists = [";".join(f"t{c}" for c in np.flatnonzero(row)) for row in Y]
    pd.DataFrame(X).rename(columns=str).assign(tags=lists).to_csv(work / "lists.csv", index=False)
    pool = Table(path="lists.csv", target="tags", label_separator=";").samples("pool")
    assert pool.targets is not None
    assert pool.targets.names == ("t0", "t1", "t2", "t3")
    assert (np.asarray(pool.targets.payload) == Y).all()
    assert pool.table.columns.tolist() == ["id"]


def test_three_values_scaled_on_the_training_role_score_as_scikit_learn_says(work: Path) -> None:
    data = load_linnerud(as_frame=True)
    result = lb.crossval(
        task=lambda: Regression(network(3, 3), scale_target=True),
        x=data.data,
        y=data.target,
        trainer=TRAINER,
        name="body",
    )
    oof = result.oof
    names = list(data.target.columns)
    assert (oof[[f"target_{name}" for name in names]].to_numpy() == data.target.to_numpy()).all()
    for fold, r2 in enumerate(result.summary.metrics["r2"].folds):
        mine = oof[oof["fold"] == fold]
        y, p = mine.filter(like="target_").to_numpy(), mine.filter(like="pred_").to_numpy()
        assert r2 == pytest.approx(r2_score(y, p), abs=1e-4)
    trivial = []
    for fold in range(5):
        held = oof["fold"] == fold
        mean = data.target[~np.isin(np.arange(20), oof.loc[held, "id"].astype(int))].mean()
        trivial.append(np.sqrt(((data.target.loc[oof.loc[held, "id"].astype(int)] - mean) ** 2).mean()).mean())
    assert result.summary.metrics["rmse"].trivial == pytest.approx(np.mean(trivial), rel=1e-5)
    assert result.summary.trivial == "the training part's mean of each value"
    assert oof["pred_Weight"].between(130, 240).mean() > 0.8  # pounds: in the target's unit


def test_scaled_values_are_those_of_a_network_trained_on_standardised_ones(work: Path) -> None:
    data = load_linnerud()
    y = data.target[:, 0].astype(np.float64)
    scaled = lb.crossval(
        task=lambda: Regression(Linear(num_inputs=3), scale_target=True), x=data.data, y=y, trainer=TRAINER, name="a"
    )
    for fold in range(5):
        train = ~np.isin(np.arange(20), scaled.oof.loc[scaled.oof["fold"] == fold, "id"].astype(int))
        state = torch.load(scaled.directory / f"fold_{fold}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        assert state["centre"].item() == pytest.approx(y[train].mean())
        assert state["spread"].item() == pytest.approx(y[train].std())


def test_arrays_of_labels_need_the_task_of_labels(capsys: pytest.CaptureFixture[str], work: Path) -> None:
    np.savez(work / "labels.npz", x=X, y=Y)
    arrays = ("--data", "datamodules.arrays.Arrays", "--data.source", "labels.npz", "--name", "wrong")
    model = (
        "--model",
        "lightning_base.tasks.Classification",
        "--model.network",
        "models.mlp.MLP",
        "--model.network.num_outputs",
        4,
    )
    refused(
        capsys,
        ["crossval", *model, *arrays],
        "which has several labels per sample; take lightning_base.tasks.MultiLabel",
    )
    with pytest.raises(UserError, match=r"whole numbers beside 0 and 1, first in row 0: .* give 0 and 1 for labels"):
        lb.crossval(task=lambda: MultiLabel(network(4, 12)), x=X, y=Y + 2, trainer=TRAINER, name="twos")
    with pytest.raises(UserError, match=r"gives .*, 3., and the data's 4 labels .* set model.network.num_outputs to 4"):
        lb.crossval(task=lambda: MultiLabel(network(3, 12)), x=X, y=Y, trainer=TRAINER, name="three")
    gaps = np.where(np.arange(240)[:, None] == 7, np.nan, Y.astype(float))
    with pytest.raises(UserError, match="row '007' has target '0' nan is not finite"):
        lb.crossval(task=lambda: Regression(network(4, 12)), x=X, y=gaps, trainer=TRAINER, name="gaps")


def test_a_target_among_several_is_no_input_and_names_of_classes_are_not_theirs(work: Path) -> None:
    table = pd.DataFrame(X).rename(columns=str).assign(a=Y[:, 0], b=Y[:, 1])
    table.to_csv(work / "t.csv", index=False)
    with pytest.raises(UserError, match=r"data\.columns: 'a' is a target; leave it out of the inputs"):
        Table(path="t.csv", target=["a", "b"], columns=["0", "1", "a"])
    with pytest.raises(UserError, match=r"data\.class_names: several target columns have their own names"):
        Table(path="t.csv", target=["a", "b"], class_names=["x", "y"])


def test_prepare_counts_labels_and_the_summary_names_them(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = [";".join(f"t{c}" for c in np.flatnonzero(row)) for row in Y]
    pd.DataFrame(X).rename(columns=str).assign(tags=lists).to_csv(work / "lists.csv", index=False)
    data = ["--data", "datamodules.table.Table", "--data.path", "lists.csv", "--data.target", "tags"]
    data += ["--data.label_separator", ";", "--name", "lists", "--data.split", "sklearn.model_selection.KFold"]
    run("prepare", *data)
    assert f"4 labels: {', '.join(f't{c} {Y[:, c].sum()}' for c in range(4))}" in capsys.readouterr().out
    result = lb.crossval(
        task=lambda: MultiLabel(network(4, 12)),
        data=lambda: Table(path="lists.csv", target="tags", label_separator=";"),
        trainer=TRAINER,
        name="named",
    )
    assert read_json(result.directory / "summary.json")["details"]["names"] == ["t0", "t1", "t2", "t3"]
