"""Wrong labels found: CIFAR-10 with some of its labels wrong by a simulation, cross-validated and audited.

python benchmarks/labels.py ROOT [--kind pairs] [--noise 0.1] [--config configs/cifar10_fast.yaml] [--n 0] [--seed 0]

ROOT has train/<class>/*.jpg, e.g. data/cifar10; N images (0 takes all) are copied from it. Labels are made wrong in one
of two ways, neither of which is people's own: `pairs` moves each, with the chance that --noise says, to a class that
CONFUSED names; `hard` to the second most probable class of another network (models/cnn.py, cross-validated on the right
labels from another seed), the likelier the less sure it is. Through a labels file, the configuration is cross-validated
on these labels over three folds, `audit --labels` ranks them, and the wrong ones among the first 100, 500 and 1,000 are
counted, and among as many by other scores of the same held-out probabilities. Seconds are those of `crossval` and of
`audit --labels`, imports left out. benchmarks/label_rules.py tries the same rules on weaker and stronger models.
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
FIRST, FOLDS = (100, 500, 1000), 3
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


def confused(truth: pd.DataFrame, noise: float, rng: np.random.Generator) -> pd.DataFrame:
    """The same ids with labels of which about this share is wrong."""
    moved = rng.random(len(truth)) < noise
    labels = [
        rng.choice(list(CONFUSED[name]), p=list(CONFUSED[name].values())) if wrong else name
        for name, wrong in zip(truth["target"], moved, strict=True)
    ]
    return truth.assign(target=labels)


def hard(truth: pd.DataFrame, predicted: pd.DataFrame, noise: float, rng: np.random.Generator) -> pd.DataFrame:
    """The same ids with labels of which about this share is the second most probable class of a network.

    Args:
        truth: ids and true classes.
        predicted: the network's held-out probabilities, as oof.parquet has them.
        noise: the share.
        rng: draws which.
    """
    names = np.array(sorted(CONFUSED), dtype=object)
    prob = predicted.set_index("id").reindex(truth["id"]).filter(like="prob_").to_numpy(dtype=float, copy=True)
    true = np.searchsorted(names.astype(str), truth["target"].to_numpy(dtype=str))
    rows = np.arange(len(truth))
    doubt = 1 - prob[rows, true] + 1e-3
    prob[rows, true] = -1
    scale = min(np.geomspace(1e-3, 1e3, 2000), key=lambda s: abs(np.minimum(doubt * s, 0.9).mean() - noise))
    moved = rng.random(len(truth)) < np.minimum(doubt * scale, 0.9)
    return truth.assign(target=np.where(moved, names[prob.argmax(axis=1)], truth["target"]))


def run(*arguments: object) -> float:
    """One command of the command line; its seconds."""
    began = time.perf_counter()
    assert command([str(argument) for argument in arguments]) == 0
    return time.perf_counter() - began


def orders(table: pd.DataFrame, oof: pd.DataFrame) -> dict[str, npt.NDArray[np.int64]]:
    """Rows of the audit's table (N,), the most suspicious first, by its own rank and by other scores.

    Args:
        table: label_issues.parquet.
        oof: oof.parquet, each sample once.
    """
    found, rows = oof.set_index("id").reindex(table["id"]), np.arange(len(table))
    prob, given = found.filter(like="prob_").to_numpy(dtype=float, copy=True), found["target"].to_numpy(dtype=int)
    own = prob[rows, given]
    prob[rows, given] = -1
    scores = {"p": own, "p - the largest other": own - prob.max(axis=1), "chance": -table["chance"].to_numpy()}
    return {"audit --labels": rows} | {name: np.lexsort([own, score]) for name, score in scores.items()}


def main(root: Path, kind: str, noise: float, config: Path, n: int, seed: int) -> None:
    """Prints the share of wrong labels among the first suspects, and among all."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        truth = copied(root, work / "images", n, rng)
        where = ("--data.root", work / "images", "--data.image_size", "[32, 32]", "--audit", "off")
        folds = ("--data.split.n_splits", FOLDS)
        if kind == "hard":
            network = ("--model.network", "models.cnn.CNN", "--trainer.max_epochs", 4, "--seed_everything", seed + 1000)
            other = ("crossval", "--config", CONFIGS / "cifar10_lenet.yaml", *network)
            run(*other, *where, *folds, "--trainer.default_root_dir", work / "other")
            noisy = hard(truth, pd.read_parquet(work / "other" / "crossval" / "oof.parquet"), noise, rng)
        else:
            noisy = confused(truth, noise, rng)
        noisy.to_csv(work / "noisy.csv", index=False)
        labels = ("--data.labels", work / "noisy.csv", "--trainer.default_root_dir", work / "run")
        trained = run("crossval", "--config", config, *where, *folds, *labels)
        directory = work / "run" / "crossval"
        audited = run("audit", "--labels", directory)
        table = pd.read_parquet(directory / "label_issues.parquet")
        corrected = pd.read_csv(directory / "labels.csv")
        ranks = orders(table, pd.read_parquet(directory / "oof.parquet"))
    true = truth.set_index("id")["target"]
    wrong = (table["given"] != true.reindex(table["id"]).to_numpy()).to_numpy()
    issues = table["issue"].to_numpy()
    right = (corrected["target"] == true.reindex(corrected["id"]).to_numpy()).mean()
    print(f"{config.stem}, {kind}: {len(table)} images, crossval {trained:.0f} s, audit --labels {audited:.0f} s")
    print(f"wrong labels: {wrong.mean():.1%} of all, {wrong[issues].mean():.1%} of {issues.sum()} suspects")
    for name, order in ranks.items():
        for top in sorted({min(top, len(wrong)) for top in FIRST}):
            first = wrong[order[:top]]
            low, high = proportion_interval(int(first.sum()), len(first))
            print(f"by {name}: first {len(first)}: {first.mean():.1%} wrong (95 % interval {low:.1%} … {high:.1%})")
    print(f"right labels: {1 - wrong.mean():.1%} before, {right:.1%} with labels.csv taken unseen")
    every = (table["suggested"].where(table["issue"], table["given"]) == true.reindex(table["id"]).to_numpy()).mean()
    print(f"(with the suggested class of every suspect {every:.1%})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--kind", choices=("pairs", "hard"), default="pairs")
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--config", type=Path, default=CONFIGS / "cifar10_fast.yaml")
    parser.add_argument("--n", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
