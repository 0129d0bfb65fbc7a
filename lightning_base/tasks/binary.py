"""Binary: two classes of which one is the positive one, found where its probability is above a threshold."""

from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError, suggest
from lightning_base.samples.batch import Batch, Inputs, Lengths
from lightning_base.samples.nested import Nested
from lightning_base.stats.trivial import CLASSES
from lightning_base.tasks import binary_scores as scores
from lightning_base.tasks.classification import Classification
from lightning_base.tasks.given import Change
from lightning_base.tasks.predictor import Output


class Binary(Classification):
    """Classification of two classes, seen from the positive one's side; predictions are probabilities and a threshold.

    Trained as `Classification` is. A sample is predicted positive where the positive class's probability is above the
    threshold: a number, or "f1", which takes, after each epoch, the one that gives the best F1 on the slice of the
    training part that `data.inner_val` sets aside. It is kept with the weights; held-out samples choose nothing. An
    ensemble's threshold is the mean of its members', as its probabilities are.

    Metrics: loss, accuracy, auroc, ece; of the positive class average_precision (scikit-learn's), positive_precision,
    positive_recall and positive_f1 at the threshold. The confusion matrix in the details. Metrics of others that are
    given take the positive class's probability (N,), and 0 or 1; where they take a threshold, it is their own.

    Args:
        network: gives two logits per sample.
        positive: the name of the positive class.
        threshold: between 0 and 1, or "f1".
        **kwargs: label_smoothing, class_weights, optimizer and the other arguments of Classification.

    Raises:
        UserError: where the data has other than two classes, none of them has that name, or nothing chooses "f1".
    """

    def __init__(
        self, network: nn.Module, positive: str, threshold: float | Literal["f1"] = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(network, **kwargs)
        if threshold != "f1" and not (isinstance(threshold, int | float) and 0 < threshold < 1):
            raise ConfigError(f"model.threshold: {threshold!r} is neither between 0 and 1 nor 'f1'")
        self.positive, self.threshold = str(positive), threshold
        self.limit: Tensor
        self.register_buffer("limit", torch.tensor(0.5 if threshold == "f1" else threshold, dtype=torch.float64))

    def use(self, data: BaseDataModule) -> None:
        """Takes the class names, of which one is the positive one."""
        super().use(data)
        if len(self.classes) != 2:
            raise ConfigError(
                f"model: Binary needs two classes, and {type(data).__name__} has {len(self.classes)}; take "
                "lightning_base.tasks.Classification"
            )
        if self.positive not in self.classes:
            raise ConfigError(
                f"model.positive: no class {self.positive!r}{suggest(self.positive, list(self.classes))}; the data's "
                f"are {self.classes[0]!r} and {self.classes[1]!r}"
            )
        if self.threshold == "f1" and data.inner_val is None and self._may_fit():
            raise ConfigError(
                "model.threshold: 'f1' is chosen on a slice of the training part, and none is set aside; give "
                "data.inner_val: 0.1, or for a refit, which has none, a number"
            )

    def _may_fit(self) -> bool:
        """Whether it trains, or is looked at before that; whoever scores a checkpoint chooses nothing."""
        return self._trainer is None or self._trainer.state.fn in (None, "fit")

    @property
    def place(self) -> int:
        """The number of the positive class."""
        return self.classes.index(self.positive)

    def forward(self, x: Inputs, lengths: Lengths = None) -> Any:
        """`prob`: probabilities (B, 2) float64; `threshold`: (B,) float64, the same for all."""
        return self._answer(super().forward(x, lengths))

    def _answer(self, prob: Tensor) -> dict[str, Tensor]:
        return {"prob": prob, "threshold": self.limit.to(prob.device).expand(len(prob))}

    def step(self, batch: Batch) -> Output:
        """Cross-entropy (); probabilities (B, 2) and threshold (B,), none in training; class numbers (B,)."""
        out = super().step(batch)
        return out if self.training else out._replace(preds=self._answer(out.preds))

    def _shape(self, batch: Batch) -> tuple[int, ...]:
        return tuple(self.predictions(batch)["prob"].shape)

    def on_validation_epoch_end(self) -> None:
        """Lightning's hook: chooses the threshold by the inner slice, where that is asked for, then logs."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if self.threshold == "f1" and self._fitting() and data.inner_val is not None:
            kept: Any = self.scores["val"]
            prob, target = kept["average_precision"].kept()
            self.limit.copy_(scores.best_f1(prob, target == self.place))
        super().on_validation_epoch_end()

    @property
    def for_given(self) -> Change:
        """Metrics of others take the positive class's probability (N,), and 0 or 1."""
        return partial(scores.positive, at=self.place)

    def metrics(self) -> MetricCollection:
        """loss, accuracy, auroc, ece, average_precision, positive_precision, positive_recall and positive_f1."""
        at = self.place
        return MetricCollection(
            {
                "loss": scores.Entropy(),
                "accuracy": scores.Counts("accuracy", at),
                "auroc": scores.AUROC(),
                "average_precision": scores.Ranking(at),
                "positive_precision": scores.Counts("precision", at),
                "positive_recall": scores.Counts("recall", at),
                "positive_f1": scores.Counts("f1", at),
                "ece": scores.Calibration(at),
            },
            compute_groups=False,
        )

    def trivial(self, train: Nested, n: int) -> tuple[Nested, str]:
        """The training part's class shares and, at a threshold of a half, its majority class."""
        return {"prob": self._shares(train, n), "threshold": torch.full((n,), 0.5, dtype=torch.float64)}, CLASSES

    def details(self) -> MetricCollection:
        """The confusion matrix (2, 2) at the threshold; its rows are true classes."""
        return MetricCollection({"confusion_matrix": scores.Confusion(self.place)})

    def columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`pred` and `pred_class` at the threshold, `prob_0`, `prob_1`, and `threshold`."""
        found = super().columns(preds["prob"])
        found["pred"] = scores.chosen(preds, self.place).numpy()
        found["pred_class"] = np.array(self.classes, dtype=object)[found["pred"]]
        return found | {"threshold": preds["threshold"].numpy()}

    def answer_columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`pred` by name at the threshold, `prob_<name>` of both classes, and `threshold`."""
        found = super().answer_columns(preds["prob"])
        found["pred"] = np.array(self.classes, dtype=object)[scores.chosen(preds, self.place).numpy()]
        return found | {"threshold": preds["threshold"].numpy()}
