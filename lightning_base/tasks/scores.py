"""Metrics of classification and regression, over true counts and sums in float64."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lightning_base.stats.linear import SAME

Ratio: TypeAlias = Literal["precision", "recall", "f1"]


class CrossEntropy(Metric):
    """Mean of -log p(target), in nats, over probabilities (B, C) and class numbers (B,)."""

    full_state_update = False
    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        p = preds.gather(1, target[:, None]).double().clamp_min(torch.finfo(torch.float64).tiny)
        self.total += -p.log().sum()
        self.count += target.numel()

    def compute(self) -> Tensor:
        """The mean, as float32 ()."""
        return (self.total / self.count).float()


class ClassRatio(Metric):
    """Precision, recall or F1 over probabilities (B, C) and class numbers (B,), of the classes that the targets have.

    A class that no target has is left out of the mean, and NaN by itself: nothing was there to be found. A class that
    is there and never predicted has precision 0. So scikit-learn has it with `labels=np.unique(target)` and
    `zero_division=0`; its own macro average counts a class that is only predicted as 0.

    Args:
        num_classes: C.
        ratio: which.
        each: give the ratio of each class (C,) instead of their mean.
    """

    full_state_update = False
    higher_is_better = True
    right: Tensor
    true: Tensor
    predicted: Tensor

    def __init__(self, num_classes: int, ratio: Ratio, each: bool = False) -> None:
        super().__init__()
        self.num_classes, self.ratio, self.each = num_classes, ratio, each
        for name in ("right", "true", "predicted"):
            self.add_state(name, torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        chosen = preds.argmax(dim=1)
        self.right += torch.bincount(target[chosen == target], minlength=self.num_classes)
        self.true += torch.bincount(target, minlength=self.num_classes)
        self.predicted += torch.bincount(chosen, minlength=self.num_classes)

    def compute(self) -> Tensor:
        """The mean (), or of each class (C,), float32."""
        base = {"precision": self.predicted, "recall": self.true, "f1": (self.true + self.predicted) / 2}[self.ratio]
        found = self.right.double() / base.clamp_min(0.5)  # at 0 the count of right ones is 0 too
        found = torch.where(self.true > 0, found, torch.nan)
        return (found if self.each else found.nanmean()).float()


class MacroAUROC(Metric):
    """Mean of the one-against-the-rest areas under the ROC curve, over probabilities (B, C) and targets (B,).

    Two classes have one area, that of the second one's probabilities: where these are 1.0 for several samples, the
    first one's may still differ, and its area would be another. Classes without a positive or a negative sample have no
    area and are left out, as in scikit-learn; NaN where no class has one. torchmetrics' own macro average counts a
    class without positives as 0.
    """

    full_state_update = False
    higher_is_better = True
    preds: list[Tensor]
    target: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("preds", [], dist_reduce_fx="cat")
        self.add_state("target", [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Keeps a batch."""
        self.preds.append(preds)
        self.target.append(target)

    def compute(self) -> Tensor:
        """The mean, as float32 ()."""
        preds, target = dim_zero_cat(self.preds), dim_zero_cat(self.target)
        count = torch.bincount(target, minlength=preds.shape[1])
        there = ((count > 0) & (count < len(target))).nonzero().flatten()
        areas = [area(preds[:, c], target == c) for c in (there if preds.shape[1] != 2 else there[1:])]
        return torch.stack(areas).mean().float() if areas else torch.tensor(torch.nan, device=preds.device)


def area(scores: Tensor, positive: Tensor) -> Tensor:
    """The area under the ROC curve (), float64: the share of pairs that the positive one wins; ties count a half."""
    won, lost = scores[positive].contiguous(), scores[~positive].sort().values
    below = torch.searchsorted(lost, won).double() + torch.searchsorted(lost, won, right=True).double()
    return below.mean() / (2 * len(lost))


class ResidualError(Metric):
    """The mean squared error of values (B,) and targets (B,), its root, or the mean absolute error.

    Args:
        kind: which.
        k: K of values (B, K), of which it is the mean of each one's; 0 for (B,).
        each: give that of each value (K,) instead.
    """

    full_state_update = False
    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self, kind: Literal["mse", "rmse", "mae"], k: int = 0, each: bool = False) -> None:
        super().__init__()
        self.kind, self.each = kind, each
        self.add_state("total", torch.zeros((k,) if k else (), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        error = preds.double() - target.double()
        self.total += (error.abs() if self.kind == "mae" else error.square()).sum(dim=0)
        self.count += len(target)

    def compute(self) -> Tensor:
        """The mean or its root, as float32 (); of each value (K,)."""
        mean = self.total / self.count
        found = (mean.sqrt() if self.kind == "rmse" else mean).float()
        return found if self.each else found.mean()


class Determination(Metric):
    """R²: 1 - Σ(y - ŷ)² / Σ(y - mean of y)², of values (B,) and targets (B,); NaN where the targets are all the same.

    They count as the same where what varies is no more than what rounding their mean leaves. Squares are summed around
    the mean, joined over batches and processes as in Chan, Golub & LeVeque 1979: sums of the targets' own squares would
    lose all digits of a variance that is small beside them.

    Args:
        k: K of values (B, K), of which it is the mean of each one's; 0 for (B,).
        each: give that of each value (K,) instead.
    """

    full_state_update = False
    higher_is_better = True
    error: Tensor
    moments: Tensor

    def __init__(self, k: int = 0, each: bool = False) -> None:
        super().__init__()
        self.each, shape = each, (k,) if k else ()
        self.add_state("error", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("moments", torch.zeros(3, *shape, dtype=torch.float64), dist_reduce_fx=joined)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        y = target.double()
        self.error += (preds.double() - y).square().sum(dim=0)
        if len(y):
            mean = y.mean(dim=0)
            own = torch.stack([torch.full_like(mean, len(y)), mean, (y - mean).square().sum(dim=0)])
            self.moments = joined(torch.stack([self.moments, own]))

    def compute(self) -> Tensor:
        """R², as float32 (); of each value (K,)."""
        count, mean, squares = self.moments
        varies = squares > count * (SAME * mean).square()
        found = torch.where(varies, 1 - self.error / squares, torch.nan).float()
        return found if self.each else found.mean()


def joined(parts: Tensor) -> Tensor:
    """Number, mean and sum of squares around it (3, …) of all parts' samples, from those of each part (P, 3, …)."""
    count, mean, squares = parts.unbind(dim=1)
    whole = count.sum(dim=0).clamp_min(1)
    centre = (count * mean).sum(dim=0) / whole
    spread = (squares + count * (mean - centre).square()).sum(dim=0)
    return torch.stack([count.sum(dim=0), centre, spread])
