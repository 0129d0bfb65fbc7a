"""Claims about confident classifiers: samples whose logits differ are ranked, by one score, as scikit-learn does it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import rankdata
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn

from lightning_base.samples.batch import Batch
from lightning_base.stats.estimates import estimate
from lightning_base.stats.facts import Design
from lightning_base.stats.linear import Lines, auroc_terms
from lightning_base.tasks import Classification
from lightning_base.tasks.predictor import Output
from tests.helpers import CONFIGS, Run, crossval, read_json

SURE = (
    *("--config", CONFIGS / "breast_cancer_mlp.yaml", "--executor", "vectorized", "--trainer.max_epochs", 25),
    *("--model.optimizer.lr", 0.05, "--data.split.n_repeats", 1),
)


def evaluated(logits: np.ndarray, y: np.ndarray) -> tuple[Classification, Output, torch.Tensor]:
    """The task, what it gives its metrics, and what it predicts, where the network gives these logits."""
    task = Classification(nn.Identity(), num_classes=logits.shape[1]).eval()
    x = torch.tensor(logits, dtype=torch.float32)
    batch = Batch(x, torch.tensor(y), torch.arange(len(y)))
    return task, task.step(batch), task.predict_step(batch, 0)[1]


@pytest.mark.parametrize("classes", [2, 3])
def test_samples_whose_probabilities_are_one_in_float32_are_ranked_by_their_logits(classes: int) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 200)
    margin = rng.normal(20, 3, 200)  # in float32 a softmax is 1 from 17 on
    logits = np.zeros((200, classes), dtype=np.float32)
    logits[:, 1] = margin + 1.5 * (y == 1)
    task, out, predicted = evaluated(logits, y)
    assert float((torch.softmax(torch.tensor(logits), 1)[:, 1] == 1).float().mean()) > 0.5
    found = {name: float(value) for name, value in task.metrics()(out.preds, torch.tensor(y)).items()}
    own = {name: float(value) for name, value in task.metrics()(predicted, torch.tensor(y)).items()}
    assert own == found
    if classes == 2:
        expected = roc_auc_score(y, logits[:, 1].astype(np.float64))
        assert expected == roc_auc_score(y, predicted[:, 1].numpy())
    else:
        ranks = torch.log_softmax(torch.tensor(logits).double(), 1).numpy()
        expected = np.mean([roc_auc_score(y == c, ranks[:, c]) for c in range(3)])
    assert found["auroc"] == pytest.approx(expected, abs=1e-6)
    assert found["loss"] == pytest.approx(log_loss(y, predicted.numpy(), labels=range(classes)), rel=1e-5)


def test_two_classes_have_the_area_of_the_second_in_the_task_and_pooled_though_ones_tie() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 300)
    logits = np.stack([np.zeros(300), rng.normal(30, 8, 300) + 4 * y], axis=1)  # float64's softmax is 1 from 37 on
    task, out, _ = evaluated(logits, y)
    p = out.preds.numpy()
    one, other = roc_auc_score(y, p[:, 1]), roc_auc_score(1 - y, p[:, 0])
    assert one != other
    found = float(task.metrics()(out.preds, out.target)["auroc"])
    table = pd.DataFrame({"id": np.arange(300).astype(str), "target": y, "pred": p.argmax(1)})
    lines = Lines.of(table.assign(prob_0=p[:, 0], prob_1=p[:, 1]))
    pooled = estimate({"auroc": [found]}, Design([100], [300], [0]), lines)["auroc"]
    assert (pooled.pooled, pooled.score, found) == (True, pytest.approx(one), pytest.approx(one, abs=1e-6))


def test_what_crossval_prints_is_scikit_learns_area_of_the_stored_probabilities(run: Run, work: Path) -> None:
    run("crossval", *SURE)
    directory = crossval("breast_cancer_mlp", work)
    found, oof = read_json(directory / "summary.json")["metrics"]["auroc"], pd.read_parquet(directory / "oof.parquet")
    assert (oof["prob_1"].astype(np.float32) == 1).mean() > 0.05
    parts = [(part["target"].to_numpy(), part["prob_1"].to_numpy()) for _, part in oof.groupby("fold")]
    areas = [roc_auc_score(*part) for part in parts]
    assert found["folds"] == pytest.approx(areas, abs=1e-6)
    pairs = [int(y.sum() * (1 - y).sum()) for y, _ in parts]
    assert found["pooled"]
    assert found["score"] == pytest.approx(np.average(areas, weights=pairs), abs=1e-12)
    assert found["ci95"][0] < found["score"] < found["ci95"][1]
    assert found["ci95_oof_bootstrap"] is not None
    folds = read_json(directory / "fold_0" / "result.json")["metrics"]
    assert folds["loss"] == pytest.approx(log_loss(parts[0][0], parts[0][1]), rel=1e-5)


def test_areas_of_more_than_five_million_probabilities_are_pooled_too() -> None:
    rng = np.random.default_rng(0)
    n, c = 17_100, 300
    y = np.arange(n) % c
    probs = np.round(rng.random((n, c)), 3)
    probs[np.arange(n), y] += 0.2
    fold = (np.arange(n) // c) % 3
    term = auroc_terms(Lines(fold, np.arange(n), y, probs.argmax(1), probs))
    assert term is not None
    assert probs.size > 5_000_000
    won = []
    for k in range(3):
        part, own = probs[fold == k], y[fold == k]
        ranks = rankdata(part, axis=0)  # Mann & Whitney: an area is the positives' sum of ranks, less the least one
        m = len(own) // c
        sums = np.array([ranks[own == j, j].sum() for j in range(c)])
        won.append((sums - m * (m + 1) / 2) / (m * (len(own) - m)))
    assert np.mean(term) == pytest.approx(np.mean(won), rel=1e-9)
