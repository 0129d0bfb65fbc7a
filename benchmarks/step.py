"""What a training step takes: a plain PyTorch loop, a plain LightningModule, and ours, one after another in one run.

Three networks: an MLP 64-128-128-10, LeNet on 32 × 32 images, a small Transformer on 32 tokens; batch 64, one thread,
Adam. The plain loop sums the loss and nothing else; the LightningModule logs loss and accuracy; ours logs what it
logs. Of each the difference between long and short trainings is taken, so that what comes once does not count.

python benchmarks/step.py [ROUNDS]    (by default 3; prints medians and ratios to the plain loop, of milliseconds and,
for machines that others use too, of those that the process computed)
"""

import contextlib
import logging
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

import lightning_base as lb
from lightning_base.tasks import Classification
from lightning_base.training.no_gpus import no_gpus_looked_for
from models.lenet import LeNet

BATCH, N = 64, 64 * 100
QUIET: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}


class Encoder(nn.Module):
    """A Transformer encoder of two layers; gives 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
        self.layers, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Any:
        """Logits (B, 10) of (B, 32, 64)."""
        return self.head(self.layers(x).mean(dim=1))


def mlp() -> nn.Module:
    """64-128-128-10."""
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


class Plain(LightningModule):
    """As people write it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.accuracy = network, MulticlassAccuracy(10, average="micro")

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """Loss, logged beside the accuracy."""
        logits = self.network(batch[0])
        loss = nn.functional.cross_entropy(logits, batch[1])
        self.accuracy(logits, batch[1])
        self.log("loss", loss)
        self.log("accuracy", self.accuracy, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def loop(make: Callable[[], nn.Module], x: Tensor, y: Tensor, epochs: int) -> None:
    """A loop by hand."""
    network = make()
    optimizer, total = torch.optim.Adam(network.parameters(), lr=1e-3), torch.zeros(())
    with no_gpus_looked_for():  # as in a process that has not imported Lightning
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(network(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.detach()


def lightning(make: Callable[[], nn.Module], x: Tensor, y: Tensor, epochs: int) -> None:
    """A LightningModule by Trainer.fit, its batches gathered at once as the loop's are."""
    data = DataLoader(Rows(x, y), BATCH // BATCH, shuffle=False, collate_fn=lambda items: items[0])
    trainer = Trainer(max_epochs=epochs, **QUIET, enable_checkpointing=False, enable_model_summary=False)
    trainer.fit(Plain(make()), data)


class Rows(TensorDataset):
    """Whole batches as items."""

    def __len__(self) -> int:
        return len(self.tensors[0]) // BATCH

    def __getitem__(self, i: int) -> Any:
        rows = torch.randint(len(self.tensors[0]), (BATCH,))
        return tuple(tensor[rows] for tensor in self.tensors)


def ours(make: Callable[[], nn.Module], x: Tensor, y: Tensor, epochs: int, steps: int | None = None) -> None:
    """`lb.fit` on arrays; the held-out part is one sample in a hundred."""
    name = f"e{epochs}_{steps}"
    shutil.rmtree(f"runs/{name}", ignore_errors=True)
    lb.fit(
        task=lambda: Classification(make(), steps_per_execution=steps),
        x=x.numpy(),
        y=y.numpy(),
        data={"batch_size": BATCH, "normalize": "none", "split": Hundredth()},
        trainer={"max_epochs": epochs, "accelerator": "cpu", "logger": False},
        name=name,
        audit="off",
    )


class Hundredth:
    """Holds out one sample in a hundred."""

    def split(self, x: Any, y: Any = None, groups: Any = None) -> Any:
        """Rows that train, and that are held out."""
        rows = torch.arange(len(x)).numpy()
        yield rows[rows % 100 > 0], rows[rows % 100 == 0]

    def get_n_splits(self, *_: Any) -> int:
        """One."""
        return 1


def milliseconds(run: Callable[[int], None], more: int) -> tuple[float, float]:
    """Of a step, between trainings of one epoch and of some more; and what the process computed of it."""
    taken = []
    for epochs in (1, 1 + more):
        began = time.perf_counter(), time.process_time()
        run(epochs)
        taken.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    first, second = (1000 * (long - short) / (more * N / BATCH) for short, long in zip(*taken, strict=True))
    return first, second


def main(rounds: int) -> None:
    """Prints a table."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    cases: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
        "MLP 64-128-128-10": (mlp, (64,), 16),
        "LeNet": (lambda: LeNet(3, 10), (3, 32, 32), 3),
        "Transformer": (Encoder, (32, 64), 3),
    }
    ways: dict[str, Callable[..., None]] = {
        "plain loop": loop,
        "LightningModule": lightning,
        "ours, one at a time": lambda *given: ours(*given, steps=1),
        "ours": ours,
    }
    print(f"{'':39} {'ms':>7} {'ratio':>6} {'of CPU':>7} {'ratio':>6}")
    for name, (make, shape, more) in cases.items():
        x, y = torch.randn(N, *shape), torch.randint(10, (N,))
        taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for run in ways.values():
            run(make, x, y, 1)  # torch's first calls
        for _ in range(rounds):
            for way, run in ways.items():
                taken[way].append(milliseconds(partial(run, make, x, y), more))
        base = [median(part) for part in zip(*taken["plain loop"], strict=True)]
        for way, values in taken.items():
            found = [median(part) for part in zip(*values, strict=True)]
            said = (f"{value:7.2f} {value / one:6.2f}" for value, one in zip(found, base, strict=True))
            print(f"{name:18} {way:20} {' '.join(said)}", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
