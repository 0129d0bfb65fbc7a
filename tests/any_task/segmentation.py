"""A user's file: where the ink of a handwritten digit is; a task with a mask per image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAccuracy, BinaryJaccardIndex

from lightning_base.data import BaseDataModule, Batch, Samples, Source, Targets
from lightning_base.errors import NoSourceError
from lightning_base.tasks import BaseModule, Output


@dataclass(kw_only=True, eq=False)
class Ink(BaseDataModule):
    def dataset(self, source: Source) -> Samples:
        if source == "test":
            raise NoSourceError("no test samples: seal a share by data.test_size")
        images = load_digits().images[:400, None].astype(np.uint8)  # (N, 1, 8, 8), 0 to 16
        table = pd.DataFrame({"id": [f"{i:04d}" for i in range(len(images))]})
        return Samples(images, table, targets=Targets((images[:, 0] > 8).astype(np.uint8), "array"))


class Segmentation(BaseModule):
    takes = ("array",)
    order = ("iou", "accuracy")

    def __init__(self, network: nn.Module, loss: nn.Module | None = None, **kwargs: Any) -> None:
        super().__init__(network, **kwargs)
        self.loss = loss

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(x)[:, 0].sigmoid()  # (B, H, W)

    def step(self, batch: Batch) -> Output:
        logits = self.outputs(batch.x)[:, 0]
        own = F.binary_cross_entropy_with_logits(logits, batch.y.float())
        loss = own if self.loss is None else self.loss(logits, batch.y).mean()
        return Output(loss, logits.detach().sigmoid(), batch.y)

    def metrics(self) -> MetricCollection:
        return MetricCollection({"iou": BinaryJaccardIndex(), "accuracy": BinaryAccuracy()})
