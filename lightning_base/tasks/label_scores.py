"""Metrics of samples that have several labels or none, over true counts."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lightning_base.tasks.scores import CrossEntropy, area

Count: TypeAlias = Literal["accuracy", "exact", "precision", "recall", "f1", "micro_f1"]


class LabelEntropy(CrossEntropy):
    """Mean over labels of the binary cross-entropy, in nats, over probabilities (B, C) and labels (B, C)."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        p, y = preds.double(), target.double()
        tiny = torch.finfo(torch.float64).tiny
        self.total += -(y * p.clamp_min(tiny).log() + (1 - y) * (1 - p).clamp_min(tiny).log()).sum()
        self.count += target.numel()


class LabelCounts(Metric):
    """What counts of predicted and true labels give, over probabilities (B, C) and labels (B, C).

    Precision, recall and F1 are means over the labels that some sample has, as `ClassRatio` has them of classes; a
    label that is there and never predicted has precision 0.

    Args:
        num_labels: C.
        kind: "accuracy" of single labels; "exact", the share of samples all of whose labels are right; "precision",
            "recall" and "f1"; "micro_f1", that of all labels' counts together.
        threshold: above which a label is predicted.
        each: give that of each label (C,), NaN for one that no sample has.
    """

    full_state_update = False
    higher_is_better = True
    right: Tensor
    true: Tensor
    predicted: Tensor
    agreed: Tensor
    exact: Tensor
    count: Tensor

    def __init__(self, num_labels: int, kind: Count, threshold: float = 0.5, each: bool = False) -> None:
        super().__init__()
        self.kind, self.threshold, self.each = kind, threshold, each
        for name in ("right", "true", "predicted", "agreed"):
            self.add_state(name, torch.zeros(num_labels, dtype=torch.int64), dist_reduce_fx="sum")
        for name in ("exact", "count"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        chosen, true = preds > self.threshold, target > 0.5
        self.right += (chosen & true).sum(dim=0)
        self.true += true.sum(dim=0)
        self.predicted += chosen.sum(dim=0)
        self.agreed += (chosen == true).sum(dim=0)
        self.exact += (chosen == true).all(dim=1).sum()
        self.count += len(target)

    def compute(self) -> Tensor:
        """The value () float32, or that of each label (C,)."""
        if self.kind == "exact":
            return (self.exact.double() / self.count).float()
        if self.kind == "accuracy":
            found = self.agreed.double() / self.count
            return (found if self.each else found.mean()).float()
        if self.kind == "micro_f1":
            return (2 * self.right.sum().double() / (self.true.sum() + self.predicted.sum()).clamp_min(1)).float()
        base = {"precision": self.predicted, "recall": self.true, "f1": (self.true + self.predicted) / 2}[self.kind]
        found = torch.where(self.true > 0, self.right.double() / base.clamp_min(0.5), torch.nan)
        return (found if self.each else found.nanmean()).float()


class LabelRanking(Metric):
    """How well probabilities (B, C) rank the samples that have a label (B, C) before those that have not.

    Args:
        kind: "auroc", the area under the ROC curve, or "average_precision", the sum of precisions at the ranks of true
            ones, weighted by the gain in recall, without interpolation (scikit-learn's); means over the labels that
            some samples have and others have not.
        each: give that of each label (C,), NaN where it has none.
    """

    full_state_update = False
    higher_is_better = True
    preds: list[Tensor]
    target: list[Tensor]

    def __init__(self, kind: Literal["auroc", "average_precision"], each: bool = False) -> None:
        super().__init__()
        self.kind, self.each = kind, each
        self.add_state("preds", [], dist_reduce_fx="cat")
        self.add_state("target", [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Keeps a batch."""
        self.preds.append(preds)
        self.target.append(target > 0.5)

    def compute(self) -> Tensor:
        """The mean () float32, or that of each label (C,)."""
        preds, target = dim_zero_cat(self.preds), dim_zero_cat(self.target)
        score = area if self.kind == "auroc" else average_precision
        columns = zip(preds.unbind(dim=1), target.unbind(dim=1), strict=True)
        none = torch.tensor(torch.nan, dtype=torch.float64, device=preds.device)
        found = torch.stack([score(p, y) if 0 < int(y.sum()) < len(y) else none for p, y in columns])
        return (found if self.each else found.nanmean()).float()


def average_precision(scores: Tensor, positive: Tensor) -> Tensor:
    """Σ (R_k - R_{k-1}) · P_k (), float64, over the distinct scores from the highest; ties are one step."""
    order = scores.argsort(descending=True)
    ranked, hits = scores[order], positive[order].double().cumsum(dim=0)
    last = torch.cat([ranked[1:] != ranked[:-1], torch.ones(1, dtype=torch.bool, device=scores.device)])
    hits, ranks = hits[last], last.nonzero().flatten().double() + 1
    gained = torch.diff(hits, prepend=hits.new_zeros(1))
    return (gained * hits / ranks).sum() / hits[-1]
