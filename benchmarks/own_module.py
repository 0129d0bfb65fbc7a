"""Five folds of a LightningModule and a Dataset of one's own: by a loop over Trainer.fit, and by lb.crossval.

Imports are left out. The loop does what such loops do: a new module, loader and Trainer per fold, validation each
epoch; no resume, no held-out predictions, no intervals. Prints seconds, medians of three, and their ratio.
"""

import logging
import shutil
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

import lightning_base as lb

EPOCHS, BATCH, WORK = 12, 64, Path("runs/own_module")


class Digits(LightningModule):
    """A small CNN."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10)),
        )

    def forward(self, x: Tensor) -> Any:
        """Logits (B, 10)."""
        return self.net(x)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """The loss."""
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Logs the accuracy."""
        self.log("val_acc", (self(batch[0]).argmax(dim=1) == batch[1]).float().mean())

    def configure_optimizers(self) -> Any:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def loop(dataset: TensorDataset, split: StratifiedKFold) -> float:
    """The accuracy over folds of a loop by hand."""
    found = []
    for train, held in split.split(np.zeros(len(dataset)), dataset.tensors[1].numpy()):
        module = Digits()
        trainer = Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            default_root_dir=WORK / "loop",
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        loaders = [
            DataLoader(Subset(dataset, rows.tolist()), BATCH, shuffle=shuffle)
            for rows, shuffle in ((train, True), (held, False))
        ]
        trainer.fit(module, *loaders)
        found.append(float(trainer.callback_metrics["val_acc"]))
    return float(np.mean(found))


def ours(dataset: TensorDataset, split: StratifiedKFold) -> float:
    """The accuracy by lb.crossval."""
    trainer = {"max_epochs": EPOCHS, "accelerator": "cpu", "default_root_dir": str(WORK / "ours")}
    result = lb.crossval(
        module=Digits, dataset=dataset, splitter=split, data={"batch_size": BATCH}, trainer=trainer, name="own_module"
    )
    return float(result.metrics.loc["accuracy", "score"])


def main() -> None:
    """Runs both in turn, three times."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    images = load_digits()
    x = torch.tensor(images.images[:, None] / 16, dtype=torch.float32)
    dataset, split = TensorDataset(x, torch.tensor(images.target)), StratifiedKFold(5, shuffle=True, random_state=0)
    seconds: dict[str, list[float]] = {}
    for _ in range(3):
        for name, run in (("loop over Trainer.fit", loop), ("lb.crossval", ours)):
            shutil.rmtree(WORK, ignore_errors=True)
            began = time.perf_counter()
            accuracy = run(dataset, split)
            seconds.setdefault(name, []).append(time.perf_counter() - began)
            print(f"{name}: {seconds[name][-1]:.1f} s, accuracy {accuracy:.4f}", flush=True)
    shutil.rmtree(WORK, ignore_errors=True)
    by_hand, by_us = (statistics.median(values) for values in seconds.values())
    print(f"medians: loop {by_hand:.1f} s, lb.crossval {by_us:.1f} s: {by_us / by_hand:.2f}")


if __name__ == "__main__":
    main()
