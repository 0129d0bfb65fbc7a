"""Wrong labels found: CIFAR-10 with 20 % of its labels wrong by a simulation, cross-validated and audited.

python benchmarks/labels.py ROOT [KIND] [N] [FOLDS] [EPOCHS] [SEED]   (ROOT has train/<class>/*.jpg, e.g. data/cifar10)

N images (0, the default, takes all) are copied from ROOT. Labels are made wrong in one of two ways, neither of which is
people's own: `pairs` (the default) moves each, with a chance of 20 %, to a class that CONFUSED names; `hard` to the
second most probable class of another network, cross-validated on the right labels from another seed, the likelier the
less sure it is. Through a labels file, configs/cifar10_lenet.yaml is cross-validated on these labels (3 folds of 8
epochs), `audit --labels` ranks them, and the wrong ones among the first 1,000, or a fifth of all where that is less,
are counted. benchmarks/label_rules.py tries the same rules on weaker and stronger models.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_base.cli.entry import main as command
from lightning_base.stats.intervals import proportion_interval

CONFIG = Path(__file__).parent.parent / "configs" / "cifar10_lenet.yaml"
NOISE, TOP = 0.2, 1000
# a label that is wrong becomes one of these, with these chances: the pairs that people confuse, and a rest
CONFUSED = {
    "airplane": {"bird": 0.6, "ship": 0.4},
    "automobile": {"truck": 1.0},
    "bird": {"airplane": 0.6, "deer": 0.2, "frog": 0.2},
    "cat": {"dog": 0.8, "frog": 0.2},
    "deer": {"horse": 0.7, "bird": 0.3},
    "dog": {"cat": 0.8, "horse": 0.2},
    "frog": {"bird": 0.5, "cat": 0.5},
    "horse": {"deer": 0.7, "dog": 0.3},
    "ship": {"airplane": 0.6, "automobile": 0.4},
    "truck": {"automobile": 0.8, "ship": 0.2},
}


def copied(root: Path, out: Path, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Copies n images (0: all) of root/train to out/train; their ids and true classes."""
    files = sorted(path for path in (root / "train").glob("*/*") if not path.name.startswith("."))
    chosen = [files[i] for i in np.sort(rng.permutation(len(files))[: n or len(files)])]
    for path in chosen:
        target = out / "train" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    ids = [f"{path.parent.name}/{path.name}" for path in chosen]
    return pd.DataFrame({"id": ids, "target": [path.parent.name for path in chosen]})


def confused(truth: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The same ids with labels of which about a fifth are wrong."""
    moved = rng.random(len(truth)) < NOISE
    labels = [
        rng.choice(list(CONFUSED[name]), p=list(CONFUSED[name].values())) if wrong else name
        for name, wrong in zip(truth["target"], moved, strict=True)
    ]
    return truth.assign(target=labels)


def hard(truth: pd.DataFrame, predicted: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The same ids with labels of which about a fifth are the second most probable class of a network.

    Args:
        truth: ids and true classes.
        predicted: the network's held-out probabilities, as oof.parquet has them.
        rng: draws which.
    """
    names = np.array(sorted(CONFUSED), dtype=object)
    prob = predicted.set_index("id").reindex(truth["id"]).filter(like="prob_").to_numpy(dtype=float)
    true = np.searchsorted(names.astype(str), truth["target"].to_numpy(dtype=str))
    rows = np.arange(len(truth))
    doubt = 1 - prob[rows, true] + 1e-3
    prob[rows, true] = -1
    scale = min(np.geomspace(1e-3, 1e3, 2000), key=lambda s: abs(np.minimum(doubt * s, 0.9).mean() - NOISE))
    moved = rng.random(len(truth)) < np.minimum(doubt * scale, 0.9)
    return truth.assign(target=np.where(moved, names[prob.argmax(axis=1)], truth["target"]))


def run(*arguments: object) -> None:
    """One command of the command line."""
    assert command([str(argument) for argument in arguments]) == 0


def main(root: Path, kind: str = "pairs", n: int = 0, folds: int = 3, epochs: int = 8, seed: int = 0) -> None:
    """Prints the share of wrong labels among the first 1,000 suspects, and among all."""
    rng, began = np.random.default_rng(seed), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        truth = copied(root, work / "images", n, rng)
        how = [
            *("crossval", "--config", CONFIG, "--data.root", work / "images", "--data.image_size", "[32, 32]"),
            *("--data.split.n_splits", folds, "--trainer.max_epochs", epochs, "--audit", "off"),
        ]
        if kind == "hard":
            network = ("--model.network", "models.cnn.CNN", "--model.network.in_channels", 3)
            classes = ("--model.network.num_outputs", 10, "--seed_everything", seed + 1000)
            run(*how, *network, *classes, "--trainer.default_root_dir", work / "other")
            noisy = hard(truth, pd.read_parquet(work / "other" / "crossval" / "oof.parquet"), rng)
        else:
            noisy = confused(truth, rng)
        noisy.to_csv(work / "noisy.csv", index=False)
        run(*how, "--data.labels", work / "noisy.csv", "--trainer.default_root_dir", work / "run")
        directory = work / "run" / "crossval"
        run("audit", "--labels", directory)
        table = pd.read_parquet(directory / "label_issues.parquet")
        corrected = pd.read_csv(directory / "labels.csv")
    true = truth.set_index("id")["target"]
    wrong = (table["given"] != true.reindex(table["id"]).to_numpy()).to_numpy()
    first, issues = wrong[: min(TOP, len(wrong) // 5)], table["issue"].to_numpy()
    low, high = proportion_interval(int(first.sum()), len(first))
    right = (corrected["target"] == true.reindex(corrected["id"]).to_numpy()).mean()
    print(f"{kind}: {len(table)} images, {folds} folds, {epochs} epochs, {time.perf_counter() - began:.0f} s")
    print(f"wrong labels: {wrong.mean():.1%} of all, {wrong[issues].mean():.1%} of {issues.sum()} suspects")
    print(f"first {len(first)}: {first.mean():.1%} wrong (95 % interval {low:.1%} … {high:.1%})")
    print(f"ratio {first.mean() / wrong.mean():.2f} to the base rate; the most there can be is {1 / wrong.mean():.2f}")
    every = (table["suggested"].where(table["issue"], table["given"]) == true.reindex(table["id"]).to_numpy()).mean()
    print(f"right labels: {1 - wrong.mean():.1%} before, {right:.1%} with labels.csv taken unseen")
    print(f"(with the suggested class of every suspect {every:.1%})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3], *map(int, sys.argv[3:]))
