"""MultiLabel: trains any network that gives one logit per label, of which a sample may have several or none."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch, Inputs, Lengths
from lightning_base.samples.nested import Nested
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.columns import named_columns
from lightning_base.tasks.given_losses import demand_loss, demand_taken, mean_loss
from lightning_base.tasks.label_scores import LabelCounts, LabelEntropy, LabelRanking
from lightning_base.tasks.network import outputs_key
from lightning_base.tasks.predictor import Output


class MultiLabel(BaseModule):
    """Binary cross-entropy of each label; predictions are probabilities (B, C), each label's by itself.

    A label is predicted where its probability is above `threshold`. Metrics: loss (mean over labels), accuracy (of
    single labels), exact (samples all of whose labels are right), f1 (mean over labels that some sample has), micro_f1
    (over all labels together), auroc and average_precision (means over labels that some samples have and others have
    not); each label's own in the details.

    Args:
        network: gives logits (B, C) for inputs (B, ...).
        threshold: the probability above which a label is predicted, between 0 and 1.
        loss: what training minimises instead, called with logits (B, C) and labels (B, C) of the logits' type; gives
            the mean over samples (), or theirs (B,). Evaluation reports the cross-entropy all the same.
        **kwargs: optimizer, scheduler, penalties and the other arguments of BaseModule.

    Raises:
        UserError: where the data has no labels, or the logits do not fit them.
    """

    takes = ("labels",)

    def __init__(
        self, network: nn.Module, threshold: float = 0.5, loss: nn.Module | None = None, **kwargs: Any
    ) -> None:
        super().__init__(network, **kwargs)
        demand_loss(loss)
        self.loss = loss
        if not 0 < threshold < 1:
            raise ConfigError(f"model.threshold: {threshold} is not between 0 and 1; give a probability, e.g. 0.5")
        self.threshold = threshold
        self.labels: tuple[str, ...] = ()

    @classmethod
    def num_outputs(cls, key: str, data: BaseDataModule, options: Mapping[str, Any]) -> int | None:
        """One per label."""
        targets = data.samples("pool").targets
        return None if targets is None else len(targets.names)

    def use(self, data: BaseDataModule) -> None:
        """Takes the labels' names."""
        targets = data.samples("pool").targets
        assert targets is not None
        self.labels = targets.names

    @property
    def target_names(self) -> tuple[str, ...]:
        """The labels' names."""
        return self.labels

    def logits(self, x: Inputs, lengths: Lengths = None) -> Tensor:
        """What the network gives (B, C).

        Raises:
            ConfigError: where it is of another shape.
        """
        found: Tensor = self.outputs(x, lengths)
        if found.ndim != 2 or found.shape[1] != len(self.labels):
            named = ", ".join(map(repr, self.labels[:10])) + (", …" if len(self.labels) > 10 else "")
            raise ConfigError(
                f"model.network: {type(self.network).__name__} gives {tuple(found.shape)}, and the data's "
                f"{len(self.labels)} labels ({named}) need one logit each; set {outputs_key(self.network)} to "
                f"{len(self.labels)}"
            )
        return found

    def forward(self, x: Inputs, lengths: Lengths = None) -> Tensor:
        """Probabilities (B, C) float64."""
        return self.logits(x, lengths).double().sigmoid()

    def predictions(self, batch: Batch) -> Tensor:
        """Probabilities (B, C) float64."""
        return self.forward(batch.x, batch.lengths)

    def step(self, batch: Batch) -> Output:
        """The mean cross-entropy (); probabilities (B, C); labels (B, C)."""
        assert isinstance(batch.y, Tensor)
        logits, y = self.compared(batch)
        if self.training and self.loss is not None:
            loss = mean_loss(self.loss, logits, y)
        else:
            loss = F.binary_cross_entropy_with_logits(logits, y)
        return Output(loss, logits.detach().double().sigmoid(), batch.y.long())

    def check(self, batch: Batch) -> None:
        """One forward pass, as BaseModule does it; also that a loss of the user's takes it."""
        super().check(batch)
        if self.loss is not None:
            demand_taken(self, self.loss, batch)

    def compared(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What a loss of the user's takes: logits (B, C), and labels (B, C) of their type."""
        assert isinstance(batch.y, Tensor)
        logits = self.logits(batch.x, batch.lengths)
        return logits, batch.y.to(logits.dtype)

    def trivial(self, train: Nested, n: int) -> tuple[Nested, str] | None:
        """Each label's share."""
        return train.double().mean(dim=0).expand(n, -1), "the training part's share of each label"

    def metrics(self) -> MetricCollection:
        """loss, accuracy, exact, f1, micro_f1, auroc and average_precision, over probabilities and labels (N, C)."""
        c, at = len(self.labels), self.threshold
        return MetricCollection(
            {
                "loss": LabelEntropy(),
                "accuracy": LabelCounts(c, "accuracy", at),
                "exact": LabelCounts(c, "exact", at),
                "f1": LabelCounts(c, "f1", at),
                "micro_f1": LabelCounts(c, "micro_f1", at),
                "auroc": LabelRanking("auroc"),
                "average_precision": LabelRanking("average_precision"),
            }
        )

    def details(self) -> MetricCollection:
        """Each label's precision, recall, f1, auroc and average precision (C,); NaN where it has none."""
        c, at = len(self.labels), self.threshold
        each: dict[str, Metric | MetricCollection] = {
            "precision": LabelCounts(c, "precision", at, each=True),
            "recall": LabelCounts(c, "recall", at, each=True),
            "f1": LabelCounts(c, "f1", at, each=True),
            "auroc": LabelRanking("auroc", each=True),
            "average_precision": LabelRanking("average_precision", each=True),
        }
        return MetricCollection(each)

    def columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`pred_<label>` 0 or 1, and `prob_<label>`."""
        chosen = (preds > self.threshold).to(torch.int64)
        return named_columns("pred", chosen, self.labels) | named_columns("prob", preds, self.labels)

    def target_columns(self, target: Nested) -> dict[str, npt.NDArray[Any]]:
        """`target_<label>` 0 or 1."""
        return named_columns("target", target, self.labels)
