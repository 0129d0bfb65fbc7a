"""The start: how soon a mistake is told, when the demo takes its first step and ends, beside plain Lightning.

python benchmarks/start.py [ROUNDS]    (by default 3; needs no other data than scikit-learn's)

Each command is a process of its own; the rounds are interleaved, and medians are shown, in seconds of the clock and of
the processors. Beside `lightning-base crossval --config configs/digits_cnn.yaml` stand a plain LightningCLI script, run
once per fold, and a script with a loop over plain `Trainer.fit`: the same network, folds, epochs and optimizer,
Lightning's own checkpoints and TensorBoard, accuracy after each epoch, and nothing else: no audit, no out-of-fold
predictions, no intervals, nothing to resume.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CONFIG = str(ROOT / "configs" / "digits_cnn.yaml")
MARK = "FIRST_STEP"  # the file that a run's first step writes the time into

FIRST_STEP = f'''
import os, time
from pathlib import Path
from lightning.pytorch import Callback

class FirstStep(Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        path = Path(os.environ["{MARK}"])
        if not path.exists():
            path.write_text(repr(time.time()))
'''

PLAIN = """
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy
from models.cnn import CNN

class Digits(LightningDataModule):
    def __init__(self, fold: int = 0):
        super().__init__()
        x, y = load_digits(return_X_y=True)
        x, _, y, _ = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
        train, val = list(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y))[fold]
        mean, std = x[train].mean(), x[train].std()
        images = torch.tensor((x - mean) / std, dtype=torch.float32).reshape(-1, 1, 8, 8)
        targets = torch.tensor(y)
        self.train = TensorDataset(images[train], targets[train])
        self.val = TensorDataset(images[val], targets[val])

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=64, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, batch_size=256)

class Plain(LightningModule):
    def __init__(self):
        super().__init__()
        self.network = CNN(1, 10, (32, 64), 0.2).to(memory_format=torch.channels_last)
        self.accuracy = MulticlassAccuracy(10, average="micro")

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self.network(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.accuracy(self.network(batch[0]), batch[1])
        self.log("val_accuracy", self.accuracy)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.002)
"""

CLI = """
from lightning.pytorch.cli import LightningCLI
from plain import Digits, Plain

LightningCLI(Plain, Digits)
"""

LOOP = """
from lightning.pytorch import Trainer, seed_everything
from first_step import FirstStep
from plain import Digits, Plain

for fold in range(5):
    seed_everything(fold)
    trainer = Trainer(accelerator="cpu", max_epochs=12, callbacks=FirstStep(), enable_progress_bar=False)
    trainer.fit(Plain(), datamodule=Digits(fold))
"""

MINE = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width: int = 8):
        super().__init__()
"""


class Taken(NamedTuple):
    """Seconds of the clock, of the processors, and of the clock to the first step of training."""

    clock: float
    processors: float
    first: float


def run(words: Sequence[str], folder: Path, status: int = 0) -> Taken:
    """Runs a command in a folder.

    Args:
        words: the command.
        folder: where.
        status: the exit status that it must have.
    """
    mark = folder / "first"
    mark.unlink(missing_ok=True)
    places = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": places, MARK: str(mark)}
    quiet = subprocess.DEVNULL
    since, begin = time.time(), time.perf_counter()
    process = subprocess.Popen(words, cwd=folder, env=environment, stdout=quiet, stderr=quiet)
    _, ended, used = os.wait4(process.pid, 0)
    clock = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(ended)
    assert process.returncode == status, (words, process.returncode)
    first = float(mark.read_text()) - since if mark.exists() else 0.0
    return Taken(clock, used.ru_utime + used.ru_stime, first)


def total(runs: Sequence[Taken]) -> Taken:
    """Several runs, one after another."""
    return Taken(sum(r.clock for r in runs), sum(r.processors for r in runs), runs[0].first)


def once(folder: Path) -> dict[str, Taken]:
    """The demo in each of three ways."""
    ours = [sys.executable, "-m", "lightning_base", "crossval", "--config", CONFIG, "--overwrite", "true"]
    fit = ["fit", "--trainer.accelerator=cpu", "--trainer.max_epochs=12", "--trainer.enable_progress_bar=false"]
    cli = [sys.executable, "cli.py", *fit, "--trainer.callbacks=first_step.FirstStep"]
    return {
        "lightning-base crossval": run([*ours, "--trainer.callbacks=first_step.FirstStep"], folder),
        "LightningCLI, five times": total([run([*cli, f"--data.fold={fold}"], folder) for fold in range(5)]),
        "a loop over Trainer.fit": run([sys.executable, "loop.py"], folder),
    }


def answers(folder: Path) -> dict[str, Taken]:
    """What is answered without training."""
    of_digits = ["crossval", "--config", CONFIG]
    asked: Mapping[str, tuple[list[str], int]] = {
        "a wrong verb": (["crosval"], 2),
        "a missing file": (["crossval", "--config", "nope.yaml"], 2),
        "a typo in a top-level key": ([*of_digits, "--trainr.max_epochs=3"], 2),
        "a typo in trainer": ([*of_digits, "--trainer.max_epoch=3"], 2),
        "a typo in a shipped class": ([*of_digits, "--model.network.widht=3"], 2),
        "a typo in a class of one's own": (
            [*of_digits, "--model.network=models.mine.Net", "--model.network.wdth=3"],
            2,
        ),
        "a value that is none": ([*of_digits, "--trainer.max_epochs=many"], 2),
        "list": (["list"], 0),
        "crossval --help": (["crossval", "--help"], 0),
    }
    return {
        name: run([sys.executable, "-m", "lightning_base", *words], folder, status)
        for name, (words, status) in asked.items()
    }


def write(folder: Path) -> None:
    """The scripts, and a network of one's own."""
    (folder / "models").mkdir()
    files = {"first_step": FIRST_STEP, "plain": PLAIN, "cli": CLI, "loop": LOOP, "models/mine": MINE}
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def medians(rounds: Sequence[dict[str, Taken]]) -> dict[str, Taken]:
    """The median of each number over the rounds."""
    columns = {name: list(zip(*(one[name] for one in rounds), strict=True)) for name in rounds[0]}
    return {name: Taken(*(median(values) for values in numbers)) for name, numbers in columns.items()}


def main(rounds: int) -> None:
    """Prints the medians over the rounds, and the demo's ratios to plain Lightning."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        found = [(answers(folder), once(folder)) for _ in range(rounds)]
    print(f"{'':<32} {'seconds':>8} {'of processors':>14} {'to the first step':>18}")
    for what, taken in medians([answer for answer, _ in found]).items():
        print(f"{what:<32} {taken.clock:>8.2f} {taken.processors:>14.2f}")
    demo = medians([training for _, training in found])
    for what, taken in demo.items():
        print(f"{what:<32} {taken.clock:>8.2f} {taken.processors:>14.2f} {taken.first:>18.2f}")
    ours, *others = demo.items()
    for what, taken in others:
        shown = [f"{a / b:.2f}" for a, b in zip(ours[1], taken, strict=True)]
        print(f"{ours[0]} / {what}: {shown[0]} (of processors {shown[1]}, to the first step {shown[2]})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
