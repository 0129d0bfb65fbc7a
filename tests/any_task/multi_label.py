"""A user's file: which of three properties a handwritten digit has; a task with several labels per sample."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MultilabelAveragePrecision, MultilabelExactMatch

from lightning_base.data import BaseDataModule, Batch, Samples, Source, Targets
from lightning_base.tasks import BaseModule, Output


@dataclass(kw_only=True, eq=False)
class Properties(BaseDataModule):
    def dataset(self, source: Source) -> Samples:
        rows = slice(400, 430) if source == "predict" else slice(400)
        x, digit = (values[rows] for values in load_digits(return_X_y=True))
        labels = np.stack([digit % 2 == 0, np.isin(digit, [2, 3, 5, 7]), digit > 4], axis=1).astype(np.uint8)
        table = pd.DataFrame({"id": [f"{i:04d}" for i in range(rows.start or 0, rows.stop)]})
        targets = None if source == "predict" else Targets(labels, "labels", ("even", "prime", "large"))
        return Samples(x.astype(np.float32), table, targets=targets)


class Tagging(BaseModule):
    takes = ("labels",)

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(x).sigmoid()

    def step(self, batch: Batch) -> Output:
        logits = self.outputs(batch.x)
        return Output(F.binary_cross_entropy_with_logits(logits, batch.y), logits.detach().sigmoid(), batch.y.long())

    def metrics(self) -> MetricCollection:
        return MetricCollection({"match": MultilabelExactMatch(3), "ap": MultilabelAveragePrecision(3)})
