"""Wrong labels found: CIFAR-10 with a share of its labels wrong by a simulation, cross-validated and audited.

python benchmarks/labels.py ROOT [--config NAME] [--kind pairs|hard] [--rate R] [--n N] [--folds K] [--epochs E] [--seed S]

ROOT has train/<class>/*.jpg, e.g. data/cifar10; N images (0, the default, takes all) are copied from it. Labels are made
wrong in one of two ways, neither of which is people's own: `pairs` (the default) moves each, with a chance of R (0.2), to
a class that CONFUSED names; `hard` to the second most probable class of another network, cross-validated on the right
labels from another seed, the likelier the less sure it is. Through a labels file, configs/NAME.yaml (cifar10_lenet) is
cross-validated on these labels (3 folds, as many epochs as it says), and `audit --labels` ranks them. The wrong ones
among the first 100, 500 and 1,000 are counted, and among as many by other scores of the same held-out probabilities.
benchmarks/label_rules.py tries the same rules on weaker and stronger models.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.cli.entry import main as command
from lightning_base.stats.intervals import proportion_interval

CONFIGS = Path(__file__).parent.parent / "configs"
OTHER = CONFIGS / "cifar10_lenet.yaml"  # with another network, for `hard`
OTHER_EPOCHS = 8
FIRST = (100, 500, 1000)
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


def confused(truth: pd.DataFrame, rate: float, rng: np.random.Generator) -> pd.DataFrame:
    """The same ids with labels of which about this share is wrong."""
    moved = rng.random(len(truth)) < rate
    labels = [
        rng.choice(list(CONFUSED[name]), p=list(CONFUSED[name].values())) if wrong else name
        for name, wrong in zip(truth["target"], moved, strict=True)
    ]
    return truth.assign(target=labels)


def hard(truth: pd.DataFrame, predicted: pd.DataFrame, rate: float, rng: np.random.Generator) -> pd.DataFrame:
    """The same ids with labels of which about this share is the second most probable class of a network.

    Args:
        truth: ids and true classes.
        predicted: the network's held-out probabilities, as oof.parquet has them.
        rate: the share.
        rng: draws which.
    """
    names = np.array(sorted(CONFUSED), dtype=object)
    prob = predicted.set_index("id").reindex(truth["id"]).filter(like="prob_").to_numpy(dtype=float)
    true = np.searchsorted(names.astype(str), truth["target"].to_numpy(dtype=str))
    rows = np.arange(len(truth))
    doubt = 1 - prob[rows, true] + 1e-3
    prob[rows, true] = -1
    scale = min(np.geomspace(1e-3, 1e3, 2000), key=lambda s: abs(np.minimum(doubt * s, 0.9).mean() - rate))
    moved = rng.random(len(truth)) < np.minimum(doubt * scale, 0.9)
    return truth.assign(target=np.where(moved, names[prob.argmax(axis=1)], truth["target"]))


def run(*arguments: object) -> float:
    """The seconds of one command of the command line."""
    began = time.perf_counter()
    assert command([str(argument) for argument in arguments]) == 0
    return time.perf_counter() - began


def orders(table: pd.DataFrame, oof: pd.DataFrame) -> dict[str, npt.NDArray[np.int64]]:
    """Rows of the audit's table, the most suspicious first, by its own rank and by other scores.

    Args:
        table: label_issues.parquet.
        oof: oof.parquet, each sample once.
    """
    found = oof.set_index("id").reindex(table["id"])
    prob, rows = found.filter(like="prob_").to_numpy(dtype=float), np.arange(len(table))
    given = found["target"].to_numpy(dtype=int)
    own = prob[rows, given]
    prob[rows, given] = -1
    scores = {
        "margin: p - the largest other": own - prob.max(axis=1),
        "self-confidence: p": own,
        "chance that the suggested class is right": -table["chance"].to_numpy(),
    }
    best = {name: np.lexsort([own, score]) for name, score in scores.items()}
    return {"audit --labels": rows, **best}


def main(arguments: argparse.Namespace) -> None:
    """Prints the share of wrong labels among the first suspects, and among all."""
    rng, seed, rate = np.random.default_rng(arguments.seed), arguments.seed, arguments.rate
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        truth = copied(arguments.root, work / "images", arguments.n, rng)
        how = ("--data.root", work / "images", "--data.image_size", "[32, 32]", "--audit", "off")
        how = (*how, "--data.split.n_splits", arguments.folds)
        run("prepare", "--config", OTHER, *how[:4])  # packs the images, once for all
        if arguments.kind == "hard":
            network = ("--model.network", "models.cnn.CNN", "--model.network.in_channels", 3)
            there = ("--trainer.max_epochs", OTHER_EPOCHS, "--trainer.default_root_dir", work / "other")
            run("crossval", "--config", OTHER, *how, *network, *there, "--seed_everything", seed + 1000)
            predicted = pd.read_parquet(next((work / "other").rglob("oof.parquet")))
            noisy = hard(truth, predicted, rate, rng)
        else:
            noisy = confused(truth, rate, rng)
        noisy.to_csv(work / "noisy.csv", index=False)
        labels = ("--data.labels", work / "noisy.csv", "--trainer.default_root_dir", work / "run")
        epochs = () if arguments.epochs is None else ("--trainer.max_epochs", arguments.epochs)
        config = ("--config", CONFIGS / f"{arguments.config}.yaml", "--seed_everything", seed)
        trained = run("crossval", *config, *how, *labels, *epochs)
        directory = next((work / "run").rglob("oof.parquet")).parent
        audited = run("audit", "--labels", directory)
        table = pd.read_parquet(directory / "label_issues.parquet")
        corrected = pd.read_csv(directory / "labels.csv")
        by_score = orders(table, pd.read_parquet(directory / "oof.parquet"))
    true = truth.set_index("id")["target"]
    wrong = (table["given"] != true.reindex(table["id"]).to_numpy()).to_numpy()
    issues = table["issue"].to_numpy()
    accuracy = (table["suggested"] == true.reindex(table["id"]).to_numpy()).mean()
    print(f"{arguments.config}, {arguments.kind}: {len(table)} images, {arguments.folds} folds")
    print(f"crossval {trained:.0f} s, audit --labels {audited:.0f} s; held-out accuracy by true labels {accuracy:.1%}")
    print(f"wrong labels: {wrong.mean():.1%} of all, {wrong[issues].mean():.1%} of {issues.sum()} suspects")
    for name, order in by_score.items():
        for first in FIRST:
            found = wrong[order[:first]]
            low, high = proportion_interval(int(found.sum()), len(found))
            print(f"first {len(found)} by {name}: {found.mean():.1%} wrong (95 % interval {low:.1%} … {high:.1%})")
    every = (table["suggested"].where(table["issue"], table["given"]) == true.reindex(table["id"]).to_numpy()).mean()
    right = (corrected["target"] == true.reindex(corrected["id"]).to_numpy()).mean()  # it holds the given ones too
    print(f"right labels: {1 - wrong.mean():.1%} before, {right:.1%} with labels.csv taken unseen")
    print(f"(with the suggested class of every suspect {every:.1%})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--config", default="cifar10_lenet")
    parser.add_argument("--kind", choices=("pairs", "hard"), default="pairs")
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--n", type=int, default=0)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
