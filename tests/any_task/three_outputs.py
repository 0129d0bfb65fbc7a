"""A user's file: three body measures from three exercises, at once; a task with several values per sample."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch.nn.functional as F
from sklearn.datasets import load_linnerud
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MetricCollection

from lightning_base.data import BaseDataModule, Batch, Samples, Source, Targets
from lightning_base.errors import NoSourceError
from lightning_base.tasks import BaseModule, Output


@dataclass(kw_only=True, eq=False)
class Bodies(BaseDataModule):
    def dataset(self, source: Source) -> Samples:
        if source == "test":
            raise NoSourceError("no test samples: seal a share by data.test_size")
        data = load_linnerud()
        table = pd.DataFrame({"id": [f"person {i}" for i in range(len(data.data))]})
        targets = None if source == "predict" else Targets(data.target, "values", tuple(data.target_names))
        return Samples(data.data.astype(np.float32), table, targets=targets)


class Measures(BaseModule):
    takes = ("values",)

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(x)

    def step(self, batch: Batch) -> Output:
        found = self(batch.x)
        return Output(F.huber_loss(found, batch.y, delta=10.0), found.detach(), batch.y)

    def metrics(self) -> MetricCollection:
        return MetricCollection({"mae": MeanAbsoluteError()})
