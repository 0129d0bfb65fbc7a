"""A user's file: two small networks that a GAN makes of digits, with an optimizer each."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import NoSourceError


@dataclass(kw_only=True, eq=False)
class Digits(BaseDataModule):
    def dataset(self, source: Source) -> Samples:
        if source == "test":
            raise NoSourceError("no test samples: seal a share by data.test_size")
        images = load_digits().images[:400, None].astype(np.uint8)  # (N, 1, 8, 8), 0 to 16; no target
        return Samples(images, pd.DataFrame({"id": [f"{i:04d}" for i in range(len(images))]}))


class Maker(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).reshape(-1, 1, 8, 8)


class Judge(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)[:, 0]
