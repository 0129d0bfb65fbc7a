"""Fifty folds of a small network: one after another in this process, against all in one batch.

python benchmarks/vectorized.py [FOLDS [ROUNDS]]    (by default 50 and 3; needs no other data than scikit-learn's)
"""

import os
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median

import torch

from lightning_base.cli.entry import main as command

CONFIG = Path(__file__).parent.parent / "configs" / "breast_cancer_mlp.yaml"


def seconds(executor: str, folds: int) -> float:
    """Seconds of a whole crossval, from parsing to the summary."""
    split = ("--data.split", "sklearn.model_selection.KFold", "--data.split.n_splits", str(folds))
    options = (*split, "--data.split.shuffle", "true", "--executor", executor, "--overwrite", "true")
    begin = time.perf_counter()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        status = command(["crossval", "--config", str(CONFIG), "--name", executor, *options])
    assert status == 0
    return time.perf_counter() - begin


def main(folds: int, rounds: int) -> None:
    """Prints the median seconds of both over interleaved rounds, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        executors = ("inline", "vectorized")
        for executor in executors:
            seconds(executor, 2)  # imports, and torch's first calls
        taken: dict[str, list[float]] = {executor: [] for executor in executors}
        for _ in range(rounds):
            for executor in executors:
                taken[executor].append(seconds(executor, folds))
        os.chdir("/")
    for executor, values in taken.items():
        each = 1000 * median(values) / folds
        shown = " ".join(f"{value:.2f}" for value in values)
        print(f"{executor}: {median(values):.2f} s, {each:.0f} ms a fold ({shown})")
    ratio = median(taken["inline"]) / median(taken["vectorized"])
    print(f"{folds} folds, {torch.get_num_threads()} threads: vectorized is {ratio:.1f} times as fast as inline")


if __name__ == "__main__":
    main(*(int(value) for value in [*sys.argv[1:], *("50", "3")[len(sys.argv) - 1 :]]))
