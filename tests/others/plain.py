"""A LightningModule, a Dataset and a LightningDataModule as people have them: nothing here is of this project."""

from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningDataModule, LightningModule
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split


def digits(n: int = 300) -> TensorDataset:
    found = load_digits()
    x = torch.tensor(found.images[:n] / 16, dtype=torch.float32)
    return TensorDataset(x, torch.tensor(found.target[:n]))


class Net(LightningModule):
    def __init__(self, width: int = 32, dropout: float = 0.0) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10)
        )

    def forward(self, x: Tensor) -> Any:
        return self.layers(x)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("val_acc", (self(x).argmax(dim=1) == y).float().mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Noisy(Dataset[Any]):
    """Digits that are drawn anew each time they are read."""

    def __init__(self, n: int = 200, scale: float = 0.1) -> None:
        self.held, self.scale = digits(n), scale

    def __len__(self) -> int:
        return len(self.held)

    def __getitem__(self, i: int) -> Any:
        x, y = self.held[i]
        return x + self.scale * torch.randn(8, 8), int(y)


class Split(LightningDataModule):
    """One that divides its data at random each time it is set up, as many do."""

    def setup(self, stage: str) -> None:
        self.train, self.held, self.sealed = random_split(digits(), [200, 50, 50])

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train, batch_size=16, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.held, batch_size=16)

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.sealed, batch_size=16)
