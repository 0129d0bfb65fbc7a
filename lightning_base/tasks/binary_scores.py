"""Metrics of two classes at a threshold, over `prob` (B, 2) and `threshold` (B,), and class numbers (B,)."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassCalibrationError
from torchmetrics.utilities import dim_zero_cat

from lightning_base.samples.nested import Nested
from lightning_base.tasks.label_scores import average_precision
from lightning_base.tasks.scores import CrossEntropy, MacroAUROC

Preds: TypeAlias = dict[str, Tensor]


def chosen(preds: Preds, positive: int) -> Tensor:
    """(B,) int64 class numbers: the positive one where its probability is above the threshold."""
    above = preds["prob"][:, positive] > preds["threshold"]
    return torch.where(above, positive, 1 - positive)


def best_f1(prob: Tensor, positive: Tensor) -> Tensor:
    """The threshold () float64 that gives the best F1: midway between two probabilities that follow each other.

    Args:
        prob: (n,) of the positive class.
        positive: (n,) bool, which samples are.

    Returns:
        0.5 where none is positive; of several best ones the highest.
    """
    if not positive.any():
        return torch.tensor(0.5, dtype=torch.float64)
    order = prob.argsort(descending=True)
    ranked, hits = prob[order].double(), positive[order].double().cumsum(dim=0)
    last = torch.cat([ranked[1:] != ranked[:-1], torch.ones(1, dtype=torch.bool, device=prob.device)])
    at = last.nonzero().flatten()
    f1 = 2 * hits[at] / (at + 1 + positive.sum())
    best = int(f1.argmax())
    here = ranked[at[best]]
    below = ranked[at[best] + 1] if best + 1 < len(at) else torch.zeros_like(here)
    return ((here + below) / 2).clamp(1e-12, 1 - 1e-12)


class Entropy(CrossEntropy):
    """Mean of -log p(target)."""

    def update(self, preds: Preds, target: Tensor) -> None:  # type: ignore[override]
        """Adds a batch."""
        super().update(preds["prob"], target)


class AUROC(MacroAUROC):
    """The area under the ROC curve, the same whichever class is positive."""

    def update(self, preds: Preds, target: Tensor) -> None:  # type: ignore[override]
        """Keeps a batch."""
        super().update(preds["prob"], target)


class Calibration(MulticlassCalibrationError):
    """The expected calibration error (Guo et al. 2017) of the probability of the class that the threshold chooses.

    Args:
        positive: the number of the positive class.
    """

    confidences: list[Tensor]
    accuracies: list[Tensor]

    def __init__(self, positive: int) -> None:
        super().__init__(2, n_bins=15, norm="l1")
        self.positive = positive

    def update(self, preds: Preds, target: Tensor) -> None:  # type: ignore[override]
        """Keeps a batch."""
        own = chosen(preds, self.positive)
        self.confidences.append(preds["prob"].gather(1, own[:, None])[:, 0].float())
        self.accuracies.append((own == target).float())


class Ranking(Metric):
    """Average precision of the positive class."""

    full_state_update = False
    higher_is_better = True
    prob: list[Tensor]
    target: list[Tensor]

    def __init__(self, positive: int) -> None:
        super().__init__()
        self.positive = positive
        self.add_state("prob", [], dist_reduce_fx="cat")
        self.add_state("target", [], dist_reduce_fx="cat")

    def update(self, preds: Preds, target: Tensor) -> None:
        """Keeps a batch."""
        self.prob.append(preds["prob"][:, self.positive])
        self.target.append(target)

    def kept(self) -> tuple[Tensor, Tensor]:
        """The positive class's probabilities (n,) and the class numbers (n,) of all processes' samples."""
        with self.sync_context():
            return dim_zero_cat(self.prob).clone(), dim_zero_cat(self.target).clone()

    def compute(self) -> Tensor:
        """The average precision () float32; NaN where there is no positive sample."""
        prob, positive = dim_zero_cat(self.prob), dim_zero_cat(self.target) == self.positive
        found = average_precision(prob, positive) if positive.any() else torch.tensor(torch.nan, device=prob.device)
        return found.float()


class Confusion(Metric):
    """How many samples of each class (rows) were taken for each (columns)."""

    full_state_update = False
    matrix: Tensor

    def __init__(self, positive: int) -> None:
        super().__init__()
        self.positive = positive
        self.add_state("matrix", torch.zeros(2, 2, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Preds, target: Tensor) -> None:
        """Adds a batch."""
        cells = 2 * target + chosen(preds, self.positive)
        self.matrix += torch.bincount(cells, minlength=4).reshape(2, 2)

    def compute(self) -> Tensor:
        """(2, 2) int64."""
        return self.matrix


class Counts(Confusion):
    """Accuracy; or precision, recall or F1 of the positive class, 0 where nothing is found or there."""

    higher_is_better = True

    def __init__(self, kind: Literal["accuracy", "precision", "recall", "f1"], positive: int) -> None:
        super().__init__(positive)
        self.kind = kind

    def compute(self) -> Tensor:
        """The value () float32."""
        m, p = self.matrix.double(), self.positive
        hits, true, found = m[p, p], m[p].sum(), m[:, p].sum()
        if self.kind == "accuracy":
            return (m.diagonal().sum() / m.sum()).float()
        base = {"precision": found, "recall": true, "f1": (true + found) / 2}[self.kind]
        return (hits / base.clamp_min(0.5)).float()


def positive(preds: Nested, target: Nested, at: int) -> tuple[Tensor, Tensor]:
    """The positive class's probability (N,) float64, and whether it is the true one (N,) int64."""
    return preds["prob"][:, at], (target == at).long()
