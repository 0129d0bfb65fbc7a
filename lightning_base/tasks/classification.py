"""Classification: trains any network that gives one logit per class, by cross-entropy."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError, MulticlassConfusionMatrix

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch, Inputs, Lengths
from lightning_base.samples.nested import Nested
from lightning_base.samples.sampling import rates_of
from lightning_base.stats.trivial import CLASSES, class_shares
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.given_losses import demand_loss, demand_taken, tried, values_of
from lightning_base.tasks.network import outputs_key
from lightning_base.tasks.predictor import Output
from lightning_base.tasks.scores import ClassRatio, CrossEntropy, MacroAUROC
from lightning_base.tasks.settings import demand_weight


class Classification(BaseModule):
    """Cross-entropy over the network's logits (B, C); predictions are probabilities (B, C).

    Class weights and label smoothing shape the training loss alone: evaluation reports the plain cross-entropy, so that
    runs which differ in them compare. Probabilities are of float64: in float32 those of samples whose logits lie 17
    apart would all be 1, and none would rank above another. Metrics: accuracy (of samples), precision, recall and F1
    (macro, over the classes that the samples have), AUROC (macro, one against the rest; of two classes neither is "the
    positive one", and the area is that of the second one's probabilities), expected calibration error (15 bins; Guo et
    al. 2017), loss; a class and the confusion matrix in the reports.

    Args:
        network: gives logits (B, C) for inputs (B, ...).
        num_classes: C; by default what the data has.
        label_smoothing: in [0, 1); Szegedy et al. 2016.
        class_weights: one weight per class, or "balanced": n / (C · n_c) over the fold's training role, or over what
            an epoch draws of it with `data.sampling`.
        loss: what training minimises instead, called with logits (B, C) and class numbers (B,); gives the mean over
            samples (), or theirs (B,), which class_weights then weigh. Evaluation reports the cross-entropy all the
            same.
        test_flip: in evaluation and prediction, take the mean of the logits of each image and of its mirror image.
        **kwargs: optimizer, scheduler, penalties and the other arguments of BaseModule.

    Raises:
        UserError: where the logits do not fit the classes, or the weights their number.
    """

    takes = ("class",)

    def __init__(
        self,
        network: nn.Module,
        num_classes: int | None = None,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | Literal["balanced"] | None = None,
        loss: nn.Module | None = None,
        test_flip: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, **kwargs)
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"model.label_smoothing: {label_smoothing} is not in [0, 1)")
        if not (
            class_weights in (None, "balanced") if isinstance(class_weights, str | None) else _numbers(class_weights)
        ):
            raise ConfigError(f"model.class_weights: {class_weights!r:.60} is neither a list of numbers nor 'balanced'")
        demand_loss(loss, label_smoothing=label_smoothing)
        self.loss, self.test_flip = loss, test_flip
        self.classes = tuple(map(str, range(num_classes or 0)))
        self.label_smoothing, self.class_weights = label_smoothing, class_weights
        self.register_buffer("weight", None, persistent=False)
        self.weight: Tensor | None

    @classmethod
    def num_outputs(cls, key: str, data: BaseDataModule, options: Mapping[str, Any]) -> int | None:
        """One per class."""
        return len(data.classes) or None

    def use(self, data: BaseDataModule) -> None:
        """Takes the class names and, where asked for, balanced weights."""
        if self.classes and len(self.classes) != len(data.classes):
            raise ConfigError(
                f"model.num_classes: {len(self.classes)}, but the data has {len(data.classes)} classes; "
                "leave it out or give their number"
            )
        self.classes = data.classes
        if self.loss is not None and (mix := next((op for op in data.augment if op.mixes), None)) is not None:
            raise ConfigError(
                f"model.loss: {type(mix).__name__} (data.augment) makes targets shares of classes, which only the "
                "task's own loss takes; leave one out"
            )
        if self.class_weights == "balanced" and data.preprocess.fitted and self._fitting():
            rates, _ = rates_of(data.sampling, data.samples("pool"), data.rows("train"))
            count = np.bincount(self._targets(data), rates, len(self.classes))
            self.weight = torch.from_numpy(count.sum() / (len(count) * np.where(count > 0, count, 1))).float()
        elif self.class_weights is not None and self.class_weights != "balanced":
            if len(self.class_weights) != len(self.classes):
                raise ConfigError(
                    f"model.class_weights: {len(self.class_weights)} weights for {len(self.classes)} classes; "
                    "give one per class"
                )
            for weight in self.class_weights:
                demand_weight("model.class_weights", weight)
            if not any(self.class_weights):
                raise ConfigError("model.class_weights: all are 0, so that no sample counts; give one above 0")
            self.weight = torch.tensor([float(w) for w in self.class_weights])

    def _fitting(self) -> bool:
        return self._trainer is not None and self._trainer.state.fn == "fit"

    def _some_weigh_nothing(self) -> bool:
        return isinstance(self.class_weights, Sequence) and self.class_weights != "balanced" and 0 in self.class_weights

    @staticmethod
    def _targets(data: BaseDataModule) -> npt.NDArray[Any]:
        target = data.samples("pool").target
        assert target is not None
        return target[data.rows("train")]

    def outputs(self, x: Inputs, lengths: Lengths = None) -> Any:
        """Logits (B, C); of evaluation, with `test_flip`, the mean of those of images and of their mirror images.

        Raises:
            ConfigError: for `test_flip` where inputs are no images.
        """
        if not self.test_flip or self.training:
            return super().outputs(x, lengths)
        if not isinstance(x, Tensor) or x.ndim != 4:
            raise ConfigError("model.test_flip: it mirrors images (B, C, H, W), and inputs are none; leave it out")
        return (super().outputs(x, lengths) + super().outputs(x.flip(-1), lengths)) / 2

    def forward(self, x: Inputs, lengths: Lengths = None) -> Any:
        """Probabilities (B, C) float64."""
        return torch.softmax(self.outputs(x, lengths).double(), dim=1)

    def predictions(self, batch: Batch) -> Any:
        """Probabilities (B, C) float64."""
        return self.forward(batch.x, batch.lengths)

    def step(self, batch: Batch) -> Output:
        """Cross-entropy (), weighted and smoothed in training; probabilities (B, C), but None in training; targets."""
        assert isinstance(batch.y, Tensor)
        logits: Tensor = self.outputs(batch.x, batch.lengths)  # (B, C)
        weight = None
        if self.training and self.loss is not None:
            loss = values_of(self.loss, logits, batch.y)
            if self.weight is not None:
                weight = self.weight[batch.y].sum()
                loss = (loss * self.weight[batch.y]).sum() / torch.where(weight > 0, weight, 1)
            loss = loss.mean()
        elif self.training:
            hard = self.weight is not None and not batch.y.is_floating_point()  # else torch's mean is plain
            how = "sum" if hard and self._some_weigh_nothing() else "mean"
            loss = F.cross_entropy(logits, batch.y, self.weight, reduction=how, label_smoothing=self.label_smoothing)
            if hard and (how == "sum" or self._trainer is None or self._trainer.world_size > 1):
                assert self.weight is not None
                weight = self.weight[batch.y].sum()  # one process alone need not know it
                if how == "sum":  # torch's mean is 0/0 for a batch of such samples alone
                    loss = loss / torch.where(weight > 0, weight, 1)
        else:
            loss = F.cross_entropy(logits, batch.y)
        # nothing scores a training batch, and of a small network's step this would take a fortieth
        prob = None if self.training else torch.softmax(logits.detach().double(), dim=1)
        return Output(loss, prob, batch.y, weight)

    def trivial(self, train: Nested, n: int) -> tuple[Nested, str] | None:
        """The training part's class shares, for metrics that are given; those of its own the framework knows."""
        return (self._shares(train, n), CLASSES) if self.given_metrics else None

    def _shares(self, train: Nested, n: int) -> Tensor:
        """(n, C) float64, the classes' shares in the training part."""
        return torch.from_numpy(class_shares(train.numpy(), len(self.classes))).expand(n, -1)

    def check(self, batch: Batch) -> None:
        """One forward pass, as BaseModule does it; also that the network gives one logit per class."""
        with torch.no_grad():
            super().check(batch._replace(y=torch.zeros_like(batch.y)) if isinstance(batch.y, Tensor) else batch)
            was_training = self.training
            shape = self.eval()._shape(batch)
            self.train(was_training)
        if shape != (want := (len(batch.rows), len(self.classes))):
            raise ConfigError(
                f"model.network: {type(self.network).__name__} gives logits of shape {shape}, the data's "
                f"{want[1]} classes need {want}; set {outputs_key(self.network)} to {want[1]}"
            )
        if self.loss is not None:
            demand_taken(self, self.loss, batch)
            if self.class_weights is not None and len(values_of(self.loss, *tried(self, batch)).shape) == 0:
                mend = "; give reduction: none" if hasattr(self.loss, "reduction") else ""
                raise ConfigError(
                    f"model.class_weights: {type(self.loss).__name__} gives one number, and weights are of samples, "
                    f"each with a loss of its own{mend}"
                )

    def compared(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What a loss of the user's takes: logits (B, C), and class numbers (B,)."""
        assert isinstance(batch.y, Tensor)
        return self.outputs(batch.x, batch.lengths), batch.y

    def _shape(self, batch: Batch) -> tuple[int, ...]:
        """The shape of a batch's probabilities."""
        return tuple(self.predictions(batch).shape)

    def metrics(self) -> MetricCollection:
        """loss, accuracy, precision, recall, f1, auroc and ece, over probabilities (N, C) and classes (N,)."""
        c = len(self.classes)
        return MetricCollection(
            {
                "loss": CrossEntropy(),
                "accuracy": MulticlassAccuracy(c, average="micro"),
                "precision": ClassRatio(c, "precision"),
                "recall": ClassRatio(c, "recall"),
                "f1": ClassRatio(c, "f1"),
                "auroc": MacroAUROC(),
                "ece": MulticlassCalibrationError(c, n_bins=15, norm="l1"),
            }
        )

    def details(self) -> MetricCollection:
        """Precision, recall and F1 of each class (C,), NaN for one that no sample has; the confusion matrix (C, C).

        Its rows are true classes.
        """
        c = len(self.classes)
        return MetricCollection(
            {
                "precision": ClassRatio(c, "precision", each=True),
                "recall": ClassRatio(c, "recall", each=True),
                "f1": ClassRatio(c, "f1", each=True),
                "confusion_matrix": MulticlassConfusionMatrix(c),
            }
        )

    def columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`pred` (the class number), `pred_class` (its name) and `prob_0` … `prob_<C-1>`."""
        columns: dict[str, npt.NDArray[Any]] = {"pred": preds.argmax(dim=1).numpy()}
        columns["pred_class"] = np.array(self.classes, dtype=object)[columns["pred"]]
        return columns | {f"prob_{c}": preds[:, c].numpy() for c in range(preds.shape[1])}

    def target_columns(self, target: Nested) -> dict[str, npt.NDArray[Any]]:
        """`target` (the class number) and `target_class` (its name)."""
        return {"target": target.numpy(), "target_class": np.array(self.classes, dtype=object)[target.numpy()]}

    def answer_columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`pred` (the class's name; whole numbers where all names are that) and `prob_<name>` of each class."""
        columns: dict[str, npt.NDArray[Any]] = {"pred": named(self.classes)[preds.argmax(dim=1).numpy()]}
        return columns | {f"prob_{name}": preds[:, c].numpy() for c, name in enumerate(self.classes)}


def named(classes: Sequence[str]) -> npt.NDArray[Any]:
    """(C,) the classes' names, as int64 where all are whole numbers as Python writes them."""
    whole = all(name.lstrip("-").isdecimal() and str(int(name)) == name and len(name) < 19 for name in classes)
    return np.array(classes, dtype=object) if not whole else np.array([int(name) for name in classes], dtype=np.int64)


def _numbers(values: Any) -> bool:
    """Whether these are numbers, one after another."""
    try:
        return all(float(value) >= 0 for value in values)
    except (TypeError, ValueError):
        return False
