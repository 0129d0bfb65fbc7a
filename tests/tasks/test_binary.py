"""Two classes seen from the positive one's side, as scikit-learn scores them, with a threshold of the training part."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score
from sklearn.model_selection import KFold, StratifiedKFold

import lightning_base as lb
from lightning_base.errors import UserError
from lightning_base.tasks import Binary
from lightning_base.tasks.binary_scores import best_f1
from lightning_base.verbs.results import CrossValidation
from models.mlp import MLP
from tests.helpers import weights

TRAINER = {"max_epochs": 4, "logger": False, "accelerator": "cpu"}
X, Y = load_breast_cancer(return_X_y=True)
Y = np.array(["ill", "well"])[Y]


def result(name: str, **options: object) -> CrossValidation:
    data: dict[str, object] = {"split": StratifiedKFold(3), "test_size": 0.2}
    if options.get("threshold") == "f1":
        data["inner_val"] = 0.2
    task = {"positive": "ill", **options}
    return lb.crossval(
        task=lambda: Binary(MLP(num_outputs=2, hidden=[8]), **task), x=X, y=Y, data=data, trainer=TRAINER, name=name
    )


def test_the_scores_are_scikit_learns_of_the_positive_class(work: Path) -> None:
    run = result("binary", threshold=0.3)
    for fold in range(3):
        mine = run.oof[run.oof["fold"] == fold]
        y, p = mine["target_class"] == "ill", mine["prob_0"]
        assert (mine["pred_class"] == np.where(p > 0.3, "ill", "well")).all()
        for name, score in (
            ("positive_precision", precision_score(y, p > 0.3)),
            ("positive_recall", recall_score(y, p > 0.3)),
            ("positive_f1", f1_score(y, p > 0.3)),
            ("average_precision", average_precision_score(y, p)),
            ("accuracy", (y == (p > 0.3)).mean()),
        ):
            assert run.summary.metrics[name].folds[fold] == pytest.approx(score, abs=1e-6), name
    assert run.summary.metrics["accuracy"].ci95[0] < run.summary.metrics["accuracy"].score


def test_beside_the_positive_classes_scores_stands_the_majority_class(work: Path) -> None:
    run = result("beside", threshold=0.3)
    metrics = run.summary.metrics
    assert run.summary.trivial == "the training part's majority class and class shares"
    shares = [(run.oof.loc[run.oof["fold"] == fold, "target_class"] == "ill").mean() for fold in range(3)]
    assert metrics["average_precision"].trivial == pytest.approx(np.mean(shares))  # of equal probabilities
    assert metrics["average_precision"].better is None  # no interval of the difference is known
    assert metrics["positive_recall"].trivial == metrics["positive_f1"].trivial == 0  # most are well
    assert metrics["accuracy"].trivial == pytest.approx(1 - np.mean(shares), abs=1e-3)
    assert metrics["ece"].trivial is None
    found = run.test()
    assert found.metrics.loc["average_precision", "trivial"] == pytest.approx(
        (found.predictions["target_class"] == "ill").mean()
    )


def test_calibration_is_that_of_the_class_which_the_threshold_chooses_per_fold_and_pooled(work: Path) -> None:
    run = result("calibrated", threshold=0.2)
    metric, expected = run.summary.metrics["ece"], []
    for fold in [*range(3), None]:
        mine = run.oof if fold is None else run.oof[run.oof["fold"] == fold]
        p = np.where(mine["pred"] == 0, mine["prob_0"], mine["prob_1"])
        right = (mine["pred"] == mine["target"]).to_numpy(dtype=float)
        bins = np.minimum((p * 15).astype(int), 14)
        expected.append(abs(np.bincount(bins, p - right, 15)).sum() / len(mine))
    assert metric.folds == pytest.approx(expected[:3], abs=1e-5)
    assert metric.score == pytest.approx(expected[3], abs=1e-5)


def test_a_threshold_is_chosen_inside_the_training_part_and_kept_with_the_weights(work: Path) -> None:
    run = result("chosen", threshold="f1")
    limits = [float(weights(run.directory / f"fold_{k}")["limit"]) for k in range(3)]
    assert len(set(limits)) > 1
    for fold in range(3):
        assert (run.oof.loc[run.oof["fold"] == fold, "threshold"] == limits[fold]).all()
    scored = run.test().predictions
    assert scored["threshold"].to_numpy() == pytest.approx(np.mean(limits))
    assert (scored["pred_class"] == np.where(scored["prob_0"] > np.mean(limits), "ill", "well")).all()


def test_held_out_targets_choose_no_threshold(work: Path) -> None:
    def limit(y: np.ndarray, name: str) -> float:  # type: ignore[type-arg]
        run = lb.crossval(
            task=lambda: Binary(MLP(num_outputs=2, hidden=[8]), "ill", "f1"),
            x=X,
            y=y,
            data={"split": KFold(3), "inner_val": 0.2},
            trainer=TRAINER,
            name=name,
        )
        return float(weights(run.directory / "fold_0")["limit"])

    other = Y.copy()
    other[:190] = np.where(Y[:190] == "ill", "well", "ill")  # the first third is what fold 0 holds out
    assert limit(Y, "as_it_is") == limit(other, "turned_round")


def test_the_best_threshold_is_that_of_all() -> None:
    rng = np.random.default_rng(0)
    p = np.round(rng.random(200), 2)
    y = rng.random(200) < p
    every = [f1_score(y, p > t) for t in np.arange(-0.005, 1, 0.01)]
    found = float(best_f1(torch.from_numpy(p), torch.from_numpy(y)))
    assert f1_score(y, p > found) == pytest.approx(max(every))


def test_misuse_is_one_line(work: Path) -> None:
    with pytest.raises(UserError, match=r"model\.positive: no class 'il'; did you mean 'ill'\?"):
        result("a", positive="il")
    with pytest.raises(UserError, match=r"none is set aside; give data\.inner_val"):
        lb.crossval(
            task=lambda: Binary(MLP(num_outputs=2, hidden=[8]), "ill", "f1"), x=X, y=Y, trainer=TRAINER, name="b"
        )
    with pytest.raises(UserError, match="Binary needs two classes, and Memory has 3"):
        lb.crossval(
            task=lambda: Binary(MLP(num_outputs=3, hidden=[8]), "0"),
            x=X,
            y=np.arange(len(X)) % 3,
            trainer=TRAINER,
            name="c",
        )
    with pytest.raises(UserError, match=r"model\.threshold: 2 is neither between 0 and 1 nor 'f1'"):
        result("d", threshold=2)
