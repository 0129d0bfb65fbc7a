"""Losses by class path: Dice is the formula and learns masks, weights weigh samples, what is a sum is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import KFold, StratifiedKFold
from torch import nn

import lightning_base as lb
from lightning_base.errors import UserError
from lightning_base.tasks import Classification, Dice, Focal, MultiLabel, Regression
from lightning_base.tasks.given_losses import demand_mean, is_mean
from models.linear import Linear
from models.mlp import MLP
from tests.any_task.segmentation import Ink, Segmentation
from tests.helpers import weights

X, Y = load_breast_cancer(return_X_y=True)
TRAINER: dict[str, Any] = {"max_epochs": 2, "accelerator": "cpu", "logger": False}
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2, 0])
LOGITS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


def dice(p: np.ndarray, t: np.ndarray, smooth: float) -> float:
    return float(1 - (2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth))


def test_dice_is_the_formula_of_each_sample() -> None:
    rng = torch.Generator().manual_seed(1)
    logits, mask = torch.randn(4, 1, 5, 6, generator=rng), (torch.rand(4, 5, 6, generator=rng) > 0.6).long()
    mask[0] = 0  # a sample without a pixel of it
    p = logits.double().sigmoid().numpy()[:, 0]
    expected = [dice(p[i], mask[i].numpy(), 2.0) for i in range(4)]
    for target in (mask, mask[:, None], mask[:, None].float()):
        assert Dice(2.0)(logits, target).tolist() == pytest.approx(expected, rel=1e-5)
    assert Dice(2.0)(logits[:, 0], mask).tolist() == pytest.approx(expected, rel=1e-5)


def test_dice_of_classes_is_their_mean_without_the_pixels_that_count_for_nothing() -> None:
    rng = torch.Generator().manual_seed(2)
    logits, classes = torch.randn(3, 4, 5, 6, generator=rng), torch.randint(0, 4, (3, 5, 6), generator=rng)
    classes[:, 0, :3] = 255
    p, kept = logits.double().softmax(dim=1).numpy(), (classes != 255).numpy()
    expected = [
        np.mean([dice(p[i, c][kept[i]], (classes[i].numpy() == c)[kept[i]], 1.0) for c in range(4)]) for i in range(3)
    ]
    assert Dice()(logits, classes.to(torch.uint8)).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("logits", "target", "said"),
    [
        (torch.zeros(2, 1, 3, 3), torch.full((2, 3, 3), 7), "other numbers than 0 and 1"),
        (torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), 3), "not below 3"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 5), "need masks of that shape"),
    ],
)
def test_dice_refuses_targets_that_are_no_masks(logits: torch.Tensor, target: torch.Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Dice()(logits, target)
    with pytest.raises(UserError, match="smooth"):
        Dice(0)


def test_dice_finds_few_pixels(work: Path) -> None:
    """Masks of some of an image's pixels, trained by Dice alone: the overlap is that of NumPy, and high."""
    found = lb.crossval(
        task=lambda: Segmentation(
            nn.Conv2d(1, 1, 3, padding=1), optimizer=lambda p: torch.optim.Adam(p, lr=0.1), loss=Dice()
        ),
        data=lambda: Ink(split=KFold(2, shuffle=True), batch_size=20),
        trainer={**TRAINER, "max_epochs": 6},
        name="dice",
    )
    assert list(found.summary.metrics) == ["iou", "accuracy"]  # as the task says, not accuracy first
    assert found.summary.score == found.score.name == "iou"
    for fold, part in found.oof.groupby("fold"):
        y, p = np.stack(list(part["target"])) == 1, np.stack(list(part["pred"])) > 0.5
        assert found.summary.metrics["iou"].folds[fold] == pytest.approx((y & p).sum() / (y | p).sum(), abs=1e-6)
    assert found.score.value > 0.8


def test_class_weights_weigh_a_loss_of_each_sample_as_the_tasks_own(work: Path) -> None:
    """Cross-entropy by class path without a reduction, balanced, trains the weights that the task's own does."""
    for name, loss in (("own", None), ("given", nn.CrossEntropyLoss(reduction="none"))):
        lb.fit(
            task=lambda loss=loss: Classification(MLP(num_outputs=2, hidden=[4]), class_weights="balanced", loss=loss),  # type: ignore[misc]
            x=X,
            y=Y,
            data={"split": StratifiedKFold(3)},
            trainer=TRAINER,
            name=name,
        )
    own, given = (weights(work / "runs" / name / "fit" / "version_0") for name in ("own", "given"))
    for key, value in own.items():
        torch.testing.assert_close(value, given[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("task", "y", "said"),
    [
        (lambda: Classification(Linear(30, 2), loss=nn.CrossEntropyLoss(reduction="sum")), Y, "reduction: mean"),
        (lambda: Classification(Linear(30, 2), loss=Total()), Y, "Total is a sum over samples"),
        (lambda: Regression(Linear(30, 1), loss=nn.HuberLoss(reduction="sum")), X[:, 0], "reduction: mean"),
        (
            lambda: MultiLabel(Linear(30, 2), loss=nn.BCEWithLogitsLoss(reduction="sum")),
            np.stack([Y, 1 - Y], axis=1),
            "reduction: mean",
        ),
        (
            lambda: Classification(Linear(30, 2), loss=nn.CrossEntropyLoss(), class_weights=[1.0, 2.0]),
            Y,
            "give reduction: none",
        ),
    ],
)
def test_what_would_train_other_than_it_says_is_refused_before_training(
    task: Any, y: Any, said: str, work: Path
) -> None:
    with pytest.raises(UserError, match=said):
        lb.crossval(task=task, x=X, y=y, data={"split": KFold(2)}, trainer=TRAINER, name="sum")
    assert not list(work.rglob("fold_*"))


class Total(nn.Module):
    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, target, reduction="none").sum()


def test_a_sum_is_told_from_a_mean_and_a_weighted_mean_from_a_plain_one() -> None:
    for loss in (nn.CrossEntropyLoss(label_smoothing=0.1), Focal(), Dice(), nn.MultiMarginLoss()):
        demand_mean(loss, LOGITS, CLASSES)
        assert is_mean(loss, LOGITS, CLASSES)
    with pytest.raises(UserError, match="sum over samples"):
        demand_mean(Total(), LOGITS, CLASSES)
    weighted = nn.CrossEntropyLoss(torch.tensor([1.0, 5.0, 1.0]))
    demand_mean(weighted, LOGITS, CLASSES)
    assert not is_mean(weighted, LOGITS, CLASSES)
    assert not is_mean(Spread(), LOGITS, CLASSES)


class Spread(nn.Module):
    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, target, reduction="none").square().mean().sqrt()


def test_a_loss_of_log_probabilities_takes_no_logits() -> None:
    logits, y = torch.randn(6, 3), torch.arange(6) % 3
    with pytest.raises(lb.errors.ConfigError, match="which is both"):
        demand_mean(nn.NLLLoss(), logits, y)
    demand_mean(nn.NLLLoss(), logits.log_softmax(dim=1), y)
