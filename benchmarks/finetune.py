"""`python benchmarks/finetune.py runs/cifar10_mobilenet/crossval [OTHER/crossval …]`: beside a nearest centroid.

The features are those of the network as the first run began: its weights without the last layer. A held-out sample gets
the class whose mean feature vector, over the fold's training samples, is the nearest. The others' accuracies are those
of their out-of-fold predictions, on the same samples.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lightning_base.training.initial import begin
from lightning_base.training.preflight import preflight
from lightning_base.training.run import build
from lightning_base.verbs.opening import open_files


def features(directory: Path) -> pd.DataFrame:
    """(N, F) by id, of all samples of the pool; the mean over places of what the network's `features` give."""
    run = build(open_files("crossval", [directory / "config.yaml"], {}), 0, directory / "none", training=False)
    preflight(run)
    begin(run, told=False)
    data, network = run.datamodule, run.model.network.eval()
    found, rows = [], []
    with torch.inference_mode():
        for role in ("train", "val"):
            loader = data.loader(role)
            for start in range(0, len(own := data.rows(role)), 50):
                batch = data.transform(loader.gather(own[start : start + 50]))
                found.append(network.features(run.model.inputs(batch.x)).mean((2, 3)))  # type: ignore[operator,arg-type]
                rows.append(own[start : start + 50])
    ids = data.samples("pool").table["id"].to_numpy()[np.concatenate(rows)]
    return pd.DataFrame(torch.cat(found).numpy(), index=ids)


def nearest_centroid(directory: Path) -> float:
    """The accuracy over the held-out samples of all folds."""
    vectors, split = features(directory), pd.read_parquet(directory / "split.parquet")
    target = pd.read_parquet(directory / "oof.parquet").set_index("id")["target"]
    right = []
    for _, fold in split[split["fold"] >= 0].groupby("fold"):
        train, val = (fold.loc[fold["role"] == role, "id"] for role in ("train", "val"))
        centroids = vectors.loc[train].groupby(target.loc[train].to_numpy()).mean()
        apart = ((vectors.loc[val].to_numpy()[:, None] - centroids.to_numpy()) ** 2).sum(-1)
        right.append(centroids.index.to_numpy()[apart.argmin(1)] == target.loc[val].to_numpy())
    return float(np.concatenate(right).mean())


def main() -> None:
    """Prints a line for each."""
    directories = [Path(path) for path in sys.argv[1:]]
    began = time.perf_counter()
    accuracy = nearest_centroid(directories[0])
    print(f"nearest centroid of the first weights' features: {accuracy:.4f}  ({time.perf_counter() - began:.0f} s)")
    for directory in directories:
        oof = pd.read_parquet(directory / "oof.parquet")
        print(f"{directory}: {(oof['pred'] == oof['target']).mean():.4f}  (n = {len(oof)})")


if __name__ == "__main__":
    main()
