"""Fifty folds of configs/breast_cancer_mlp.yaml: by a plain loop, by scikit-learn, and by crossval, in one run.

The plain loop trains the same network with the same optimizer on the same folds, and predicts what each holds out; it
keeps, logs and checks nothing. scikit-learn's is MLPClassifier of that width under cross_validate.

python benchmarks/folds.py [FOLDS [ROUNDS]]    (by default 50 and 3; prints medians and ratios to the plain loop, of
seconds and, for machines that others use too, of the seconds that the process computed)
"""

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import KFold, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from lightning_base.cli.entry import main as command
from lightning_base.training.no_gpus import no_gpus_looked_for

CONFIG = Path(__file__).parent.parent / "configs" / "breast_cancer_mlp.yaml"
EPOCHS, BATCH, WIDTH, N = 20, 32, 32, 455


def plain(folds: int) -> None:
    """A loop by hand."""
    table = load_breast_cancer()
    x, y = torch.tensor(table.data[:N], dtype=torch.float32), torch.tensor(table.target[:N])
    for train, held in KFold(folds, shuffle=True, random_state=0).split(x):
        mean, std = x[train].mean(dim=0), x[train].std(dim=0)
        inputs, targets = (x[train] - mean) / std, y[train]
        weight = len(train) / (2 * torch.bincount(targets))
        network = nn.Sequential(nn.Linear(30, WIDTH), nn.ReLU(), nn.Dropout(0.2), nn.Linear(WIDTH, 2))
        optimizer = torch.optim.RMSprop(network.parameters(), lr=1e-3)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(train)).split(BATCH):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(network(inputs[rows]), targets[rows], weight)
                (loss + 0.0005 * sum(p.square().sum() for p in network.parameters() if p.ndim > 1)).backward()
                optimizer.step()
        with torch.no_grad():
            network.eval()((x[held] - mean) / std).softmax(dim=1)


def as_by_itself(folds: int) -> None:
    """The loop by hand, as in a process that has not imported Lightning."""
    with no_gpus_looked_for():
        plain(folds)


def sklearn(folds: int) -> None:
    """MLPClassifier under cross_validate."""
    table = load_breast_cancer()
    network = MLPClassifier([WIDTH], batch_size=BATCH, max_iter=EPOCHS, n_iter_no_change=EPOCHS)
    cross_validate(make_pipeline(StandardScaler(), network), table.data[:N], table.target[:N], cv=KFold(folds))


def ours(folds: int, *options: str) -> None:
    """A whole crossval, from parsing to the summary."""
    split = ("--data.split", "sklearn.model_selection.KFold", "--data.split.n_splits", str(folds))
    words = ("crossval", "--config", str(CONFIG), *split, "--data.split.shuffle", "true", "--overwrite", "true")
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        assert command([*words, *options]) == 0


def main(folds: int, rounds: int) -> None:
    """Runs each in turn, and prints a table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    ways: dict[str, Callable[[int], None]] = {
        "plain loop": as_by_itself,
        "scikit-learn": sklearn,
        "inline, one step at a time": lambda k: ours(k, "--model.steps_per_execution", "1"),
        "inline": ours,
        "vectorized": lambda k: ours(k, "--executor", "vectorized"),
    }
    for run in ways.values():
        run(2)  # imports, and torch's first calls
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            began = time.perf_counter(), time.process_time()
            run(folds)
            taken[way].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    print(f"{'':28} {'seconds':>8} {'ratio':>6} {'of CPU':>8} {'ratio':>6}")
    base = [median(part) for part in zip(*taken["plain loop"], strict=True)]
    for way, values in taken.items():
        found = [median(part) for part in zip(*values, strict=True)]
        said = (f"{value:8.2f} {value / one:6.2f}" for value, one in zip(found, base, strict=True))
        print(f"{way:28} {' '.join(said)}", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main(*(int(value) for value in [*sys.argv[1:], *("50", "3")[len(sys.argv) - 1 :]]))
