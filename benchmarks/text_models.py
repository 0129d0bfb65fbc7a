"""Text classifiers on the same folds: bag, Transformer, RNN, GRU and LSTM beside TF-IDF with logistic regression.

python benchmarks/text_models.py FOLDER [FOLDS] [EPOCHS] [MODELS]   (FOLDER has rt-polarity.neg and rt-polarity.pos)

Each of configs/rt_polarity_<model>.yaml is cross-validated by FOLDS stratified folds (default 10) of EPOCHS epochs (by
default those of its configuration), without sealing a share. scikit-learn's pipeline is fitted on each fold's training
texts (words and pairs of words, sublinear counts, C 3) and predicts the texts that the networks' folds held out.
Settings are the configurations' and the line above. The learning rate of the recurrent networks was raised after their
first folds had been seen: what they score is, to that extent, optimistic.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from lightning_base.cli.entry import main as command
from lightning_base.results.summary import read_summary
from lightning_base.stats.estimates import estimate
from lightning_base.stats.facts import Design
from lightning_base.stats.linear import Lines

CONFIGS = Path(__file__).parent.parent / "configs"
MODELS = "bag,transformer,rnn,gru,lstm"
CLASSES = ("neg", "pos")


def texts_of(folder: Path) -> pd.Series:
    """Each line by the id that the data module gives it."""
    found = {}
    for name in CLASSES:
        lines = (folder / f"rt-polarity.{name}").read_text(encoding="latin-1").split("\n")[:-1]
        width = len(str(len(lines)))
        found |= {f"{name}/{number:0{width}d}": line for number, line in enumerate(lines, start=1)}
    return pd.Series(found)


def network(name: str, folder: Path, folds: int, epochs: int | None, out: Path) -> tuple[Path, float]:
    """Cross-validates a configuration; its directory, and seconds."""
    content = yaml.safe_load((CONFIGS / f"rt_polarity_{name}.yaml").read_text())
    data = content["data"]["init_args"]
    data["files"] = {c: str((folder / f"rt-polarity.{c}").absolute()) for c in CLASSES}
    data["test_size"] = None
    data["split"]["init_args"]["n_splits"] = folds
    content["name"] = f"text_{name}"
    content["trainer"]["default_root_dir"] = str(out / name)
    content["trainer"]["max_epochs"] = epochs or content["trainer"]["max_epochs"]
    file = out / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content))
    began = time.perf_counter()
    assert command(["crossval", "--config", str(file), "--quiet"]) == 0
    [summary] = (out / name).glob("crossval/**/summary.json")
    return summary.parent, time.perf_counter() - began


def linear(oof: pd.DataFrame, texts: pd.Series) -> pd.DataFrame:
    """What TF-IDF with logistic regression predicts for each fold's held-out texts, fitted on the others."""
    parts = []
    for fold in sorted(oof["fold"].unique()):
        train, held_out = oof[oof["fold"] != fold], oof[oof["fold"] == fold]
        pipeline = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+(?:'\w+)*|[^\w\s]"),
            LogisticRegression(C=3, max_iter=1000),
        )
        pipeline.fit(texts[train["id"]], train["target"])
        prob = pipeline.predict_proba(texts[held_out["id"]])
        parts.append(held_out.assign(pred=prob.argmax(axis=1), prob_0=prob[:, 0], prob_1=prob[:, 1]))
    return pd.concat(parts, ignore_index=True)


def scored(oof: pd.DataFrame) -> tuple[float, tuple[float, float], float]:
    """Accuracy over all held-out texts, its 95 % interval as in summaries, and the folds' deviation."""
    right = (oof["pred"] == oof["target"]).groupby(oof["fold"])
    n = right.size().tolist()
    design = Design([len(oof) - k for k in n], n, [0] * len(n), None)
    one = estimate({"accuracy": right.mean().tolist()}, design, Lines.of(oof))["accuracy"]
    return one.score, one.ci95, float(right.mean().std())


def main(folder: Path, folds: int = 10, epochs: int | None = None, models: str = MODELS) -> None:
    """Prints a line per model."""
    texts, rows, first = texts_of(folder), [], None
    with tempfile.TemporaryDirectory() as made:
        for name in models.split(","):
            directory, seconds = network(name, folder, folds, epochs, Path(made))
            oof = pd.read_parquet(directory / "oof.parquet")
            first = oof if first is None else first
            assert first[["id", "fold"]].equals(oof[["id", "fold"]])
            reported = read_summary(directory).metrics["accuracy"]
            score, interval, deviation = scored(oof)
            assert np.isclose(score, reported.score, atol=1e-6)
            rows.append({"model": name, "accuracy": score, "ci95": interval, "folds_sd": deviation, "seconds": seconds})
            print(json.dumps(rows[-1]), flush=True)
        began = time.perf_counter()
        score, interval, deviation = scored(linear(first, texts))
        rows.append(
            {"model": "tf-idf + logistic regression", "accuracy": score, "ci95": interval, "folds_sd": deviation}
        )
        rows[-1]["seconds"] = time.perf_counter() - began
    print(f"n = {len(first)}, {folds} folds, epochs: {epochs or 'as configured'}")
    for row in rows:
        low, high = row["ci95"]
        said = f"{row['accuracy']:.2%} ({low:.2%} … {high:.2%}), folds ± {row['folds_sd']:.2%}, {row['seconds']:.0f} s"
        print(f"{row['model']:30} {said}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]), *sys.argv[4:5])
