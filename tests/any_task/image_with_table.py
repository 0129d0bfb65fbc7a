"""A user's file: a digit by an image of its left half and a table of its right one; a task with two inputs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lightning_base import preprocess
from lightning_base.data import BaseDataModule, Feature, Part, Samples, Several, Source
from lightning_base.errors import NoSourceError


@dataclass(kw_only=True, eq=False)
class Halves(BaseDataModule):
    def dataset(self, source: Source) -> Samples:
        if source == "test":
            raise NoSourceError("no test samples: seal a share by data.test_size")
        x, digit = load_digits().images[:400], load_digits().target[:400]
        columns = np.column_stack([x[:, :, 4:].mean(axis=1), x[:, 7, 4] > 8])  # (N, 5): four numbers, one category
        table = Part(columns, (*map(Feature, "abcd"), Feature("foot", ("no", "yes"))))
        inputs = Several({"image": x[:, None, :, :4].astype(np.uint8), "table": table})
        rows = pd.DataFrame({"id": [f"{i:04d}" for i in range(400)], "target": digit})
        return Samples(inputs, rows, tuple("0123456789"))

    def make_preprocess(self) -> preprocess.Preprocess:
        return preprocess.Several({"image": preprocess.Standardize(), "table": preprocess.TablePreprocess()})


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.last = nn.Conv2d(1, 8, 3), nn.Linear(8 * 6 * 2 + 6, 10)

    def forward(self, image: Tensor, table: Tensor) -> Tensor:
        return self.last(torch.cat([self.convolution(image).relu().flatten(1), table], dim=1))
