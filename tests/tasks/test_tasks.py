"""Claims about the tasks: penalties, weights and smoothing act as written, and metrics are scikit-learn's."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import (
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
)
from torch import nn

from lightning_base.samples.batch import Batch
from lightning_base.stats.metrics import FACTS
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.classification import Classification, outputs_key
from lightning_base.tasks.detection import Detection
from lightning_base.tasks.regression import Regression
from lightning_base.tasks.scores import MacroAUROC
from models.cnn import CNN
from models.linear import Linear
from models.mlp import MLP


def test_penalties_leave_biases_and_norms_out_by_default() -> None:
    network = MLP(4, 2, hidden=(3,), batch_norm=True)
    weights = [network.layers[1].weight, network.layers[4].weight]
    l1 = sum(float(w.detach().abs().sum()) for w in weights)
    l2 = sum(float(w.detach().square().sum()) for w in weights)
    task = Classification(network, num_classes=2, l1=0.3, l2=0.5)
    assert float(task.penalty().detach()) == pytest.approx(0.3 * l1 + 0.25 * l2, rel=1e-6)
    everything = sum(float(p.detach().abs().sum()) for p in network.parameters())
    assert float(Classification(network, num_classes=2, l1=1.0, penalize_all=True).penalty().detach()) == pytest.approx(
        everything, rel=1e-6
    )


def test_l2_under_sgd_is_weight_decay() -> None:
    x, y = torch.randn(8, 4), torch.arange(8) % 2
    found = []
    for l2, decay in ((0.1, 0.0), (0.0, 0.1)):
        torch.manual_seed(0)
        network = Linear(4, 2, bias=False, zero_init=False)
        task = Classification(network, num_classes=2, l2=l2)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.5, weight_decay=decay)
        (task.step(Batch(x, y, torch.arange(8))).loss + task.penalty()).backward()
        optimizer.step()
        found.append(network.affine.weight.detach().clone())
    torch.testing.assert_close(*found)


def test_smoothing_and_class_weights_shape_the_training_loss_alone() -> None:
    network = Linear(4, 3, zero_init=False)
    task = Classification(network, num_classes=3, label_smoothing=0.1)
    task.weight = torch.tensor([1.0, 2.0, 4.0])
    x, y = torch.randn(9, 4), torch.arange(9) % 3
    log_p = F.log_softmax(network(x), dim=1).detach()
    w = task.weight
    plain = -log_p[torch.arange(9), y]
    smooth = (0.9 * w[y] * plain + 0.1 * (-(log_p * w).sum(1)) / 3).sum() / w[y].sum()
    batch = Batch(x, y, torch.arange(9))
    torch.testing.assert_close(task.train().step(batch).loss.detach(), smooth)
    torch.testing.assert_close(task.eval().step(batch).loss.detach(), plain.mean())


def test_auroc_leaves_absent_classes_out_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 50)
    y = rng.integers(0, 3, 50)  # class 3 never comes
    metric = MacroAUROC()
    for part in np.array_split(np.arange(50), 3):
        metric.update(torch.tensor(p[part]), torch.tensor(y[part]))
    expected = np.mean([roc_auc_score(y == c, p[:, c]) for c in range(3)])
    assert float(metric.compute()) == pytest.approx(expected, abs=1e-6)


def test_channels_last_changes_the_memory_and_not_the_result() -> None:
    network = CNN(3, 4, widths=(8,))
    x = torch.randn(2, 3, 8, 8)
    plain = Classification(network, num_classes=4).eval()(x).detach()
    task = Classification(network, num_classes=4, channels_last=True).eval()
    assert network.stages[0].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(task(x).detach(), plain)


def test_every_metric_of_regression_is_its_formula() -> None:
    task = Regression(nn.Linear(1, 1))
    preds, y = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 3.0, 3.0])
    found = {name: float(value) for name, value in task.metrics()(preds, y).items()}
    assert found == pytest.approx({"mse": 2 / 3, "rmse": (2 / 3) ** 0.5, "mae": 2 / 3, "r2": 0.25}, rel=1e-5)


def test_a_class_that_no_sample_has_is_left_out_of_means_and_has_no_score() -> None:
    rng = np.random.default_rng(1)
    y, p = rng.integers(0, 3, 60), torch.tensor(rng.dirichlet(np.ones(4), 60))  # class 3 is predicted, and never right
    task = Classification(nn.Linear(1, 4), num_classes=4)
    found, each = (metrics(p, torch.tensor(y)) for metrics in (task.metrics(), task.details()))
    pred = p.argmax(dim=1).numpy()
    assert (pred == 3).any()
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        expected = score(y, pred, labels=[0, 1, 2], average=None)
        assert float(found[name]) == pytest.approx(expected.mean(), abs=1e-6)
        np.testing.assert_allclose(each[name].numpy(), [*expected, np.nan], atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 1e5, 1e7])
def test_scores_of_values_keep_their_digits_far_from_zero(level: float) -> None:
    rng = np.random.default_rng(0)
    y = (level + rng.normal(size=500)).astype(np.float64)
    z = y + rng.normal(0, 0.3, 500)
    metrics = Regression(nn.Linear(1, 1)).metrics()
    for part in np.array_split(np.arange(500), 7):
        metrics.update(torch.tensor(z[part]), torch.tensor(y[part]))
    found = {name: float(value) for name, value in metrics.compute().items()}
    mse = mean_squared_error(y, z)
    assert found == pytest.approx(
        {"mse": mse, "rmse": mse**0.5, "mae": mean_absolute_error(y, z), "r2": r2_score(y, z)}, rel=1e-6
    )


@pytest.mark.parametrize(
    "task", [Classification(nn.Linear(1, 2), 2), Regression(nn.Linear(1, 1)), Detection(CNN(3, 2), 2)]
)
def test_what_is_known_of_metrics_stands_in_one_table(task: BaseModule) -> None:
    for name, metric in task.metrics().items():
        assert FACTS[name].higher_is_better == metric.higher_is_better, name


def test_the_key_of_the_outputs_is_told_by_the_networks_signature() -> None:
    assert outputs_key(MLP(4, num_outputs=3)) == "model.network.num_outputs"
    assert outputs_key(nn.Linear(4, 3)) == "model.network.out_features"
    assert outputs_key(nn.ReLU()) == "the network's number of outputs"
