"""What `audit --labels` proposes, under simulated noise of three kinds and models weak and strong, by the truth.

python benchmarks/label_rules.py [FOLDER]    (FOLDER has mnist5k/mnist_5k.csv.gz; by default ../shared/data)

The noise is simulated, not people's. Labels of scikit-learn's digits and of 5,000 MNIST digits are made wrong: to a
class that looks alike ("pairs"), to the second most probable class of an independently trained forest, the likelier the
less sure it is ("hard"), or to any class ("uniform"). scikit-learn's models, held out over three folds, give
probabilities; what is said of them is compared with the truth. The last columns are the share of wrong labels among the
first, half as many as there are wrong ones, by the audit's rank and by p less the largest other probability. A minute
on two cores.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lightning_base.auditing.noise import CHANCE, Labels, Probabilities, chances, estimated
from lightning_base.auditing.wrong_labels import confident_learning, ranked

ALIKE = np.array([6, 7, 7, 5, 9, 3, 0, 1, 3, 4])  # what a digit is taken for
RATES = (0.2, 0.1, 0.05)
KINDS = ("pairs", "hard", "uniform")


def settings(folder: Path) -> dict[str, tuple[Any, Labels, Any]]:
    """Inputs, true classes and the model of each setting: strong ones on images, weak ones on a few numbers."""
    x, y = load_digits(return_X_y=True)
    network = make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=25, random_state=0))
    line = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=60, tol=1e-2))
    few = PCA(6, random_state=0).fit_transform(x)
    found = {"digits, network": (x, y, network), "digits, 6 components, logistic": (few, y, line)}
    if (path := folder / "mnist5k" / "mnist_5k.csv.gz").is_file():
        pixels = pd.read_csv(path, header=None).to_numpy(dtype=np.int64)
        for count, model, name in ((50, network, "network"), (20, line, "logistic"), (6, line, "logistic")):
            part = PCA(count, random_state=0).fit_transform(pixels[:, :784] / 255)
            found[f"mnist5k, {count} components, {name}"] = (part, pixels[:, 784], model)
    return found


def held_out(model: Any, x: Any, y: Labels) -> Probabilities:
    """(N, C) probabilities over three folds."""
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    return np.asarray(cross_val_predict(model, x, y, cv=folds, method="predict_proba"))


def noisy(y: Labels, kind: str, rate: float, independent: Probabilities, rng: np.random.Generator) -> Labels:
    """The classes (N,), a share of them wrong."""
    if kind == "uniform":
        return np.where(rng.random(len(y)) < rate, (y + rng.integers(1, 10, len(y))) % 10, y)
    if kind == "pairs":
        return np.where(rng.random(len(y)) < rate, ALIKE[y], y)
    rows, others = np.arange(len(y)), independent.copy()
    others[rows, y] = -1
    doubt = 1 - independent[rows, y] + 1e-3
    scale = np.geomspace(1e-3, 1e3, 2000)
    best = scale[np.argmin([abs(np.minimum(doubt * s, 0.9).mean() - rate) for s in scale])]
    return np.where(rng.random(len(y)) < np.minimum(doubt * best, 0.9), others.argmax(axis=1), y)


def first(wrong: npt.NDArray[np.bool_], order: npt.NDArray[np.int64]) -> float:
    """The share of wrong labels (N,) among the first of an order, half as many as there are wrong ones."""
    return float(wrong[order[: max(wrong.sum() // 2, 1)]].mean())


def main(folder: Path) -> None:
    """Prints a line per setting, kind and rate."""
    warnings.simplefilter("ignore")  # models that stop early are meant to
    find, rng, lowered = confident_learning(), np.random.default_rng(0), 0
    firsts: list[tuple[str, float, float]] = []
    heads = ["model", "noise", "rate", "accuracy", "estimated", "at least", "suspects", "wrong of them", "warned"]
    heads += ["corrections", "right before", "after", "first", "by margin"]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for name, (x, y, model) in settings(folder).items():
        independent = held_out(ExtraTreesClassifier(100, min_samples_leaf=2, random_state=0), x, y)
        for kind, rate in [("none", 0.0), *((kind, rate) for kind in KINDS for rate in RATES)]:
            given = y if kind == "none" else noisy(y, kind, rate, independent, rng)
            prob = held_out(model, x, given)
            wrong, issue, noise = given != y, find(given, prob), estimated(given, prob)
            proposed = chances(given, prob, noise) >= CHANCE
            before, after = 1 - wrong.mean(), (np.where(proposed, prob.argmax(axis=1), given) == y).mean()
            lowered += after < before
            numbers = [
                *((prob.argmax(axis=1) == y).mean(), noise.accuracy, noise.share, issue.mean()),
                wrong[issue].mean() if issue.any() else 0.0,
            ]
            said = " | ".join(f"{number:.3f}" for number in numbers)
            last = f"{'yes' if noise.weak else 'no'} | {proposed.sum()} | {before:.4f} | {after:.4f}"
            rows, others = np.arange(len(y)), prob.copy()
            others[rows, given] = -1
            table = ranked(pd.Series(rows), given, prob, [*"0123456789"], issue, np.zeros(len(y)))
            orders = table["id"].to_numpy(), np.argsort(prob[rows, given] - others.max(axis=1), kind="stable")
            found = " | ".join(f"{first(wrong, order):.3f}" for order in orders)
            if rate:
                firsts.append((kind, first(wrong, orders[0]), first(wrong, orders[1])))
            print(f"| {name} | {kind} | {wrong.mean():.3f} | {said} | {last} | {found} |", flush=True)
    means = pd.DataFrame(firsts, columns=["noise", "first", "by margin"]).groupby("noise").mean()
    print(means.round(3).to_string())
    print(f"settings in which labels.csv taken unseen lowered the share of right labels: {lowered}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent.parent / "shared" / "data")
