"""Claims about what a checkpoint has seen: it knows its training samples, and these are not scored as unseen ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.datasets import load_wine

import lightning_base as lb
from datamodules.arrays import Arrays
from lightning_base.errors import CheckpointError
from lightning_base.verbs.results import CrossValidation


@pytest.fixture
def made(work: Path) -> CrossValidation:
    """Two folds and a refit over an .npz of the wines, a fifth of them sealed."""
    bunch = load_wine()
    np.savez("wine.npz", x=bunch.data.astype(np.float32), y=bunch.target)
    network = {"class_path": "models.mlp.MLP", "init_args": {"in_features": 13, "num_classes": 3, "hidden": [4]}}
    split = {"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 2}}
    config = {
        "trainer": {"max_epochs": 1, "accelerator": "cpu", "logger": False},
        "model": {"class_path": "lightning_base.tasks.Classification", "init_args": {"network": network}},
        "data": {
            "class_path": "datamodules.arrays.Arrays",
            "init_args": {"source": "wine.npz", "test_size": 0.2, "split": split},
        },
    }
    Path("seen.yaml").write_text(yaml.safe_dump(config))
    return lb.crossval("seen.yaml", refit=True)


def test_sealed_samples_that_were_trained_on_are_not_scored(made: CrossValidation) -> None:
    split = pd.read_parquet(made.directory / "split.parquet")
    trained = {k: set(split["id"][(split["fold"] == k) & (split["role"] == "train")]) for k in range(2)}
    larger = set(Arrays(source="wine.npz", test_size=0.5).samples("test").table["id"])
    pool = set(split["id"][split["fold"] >= 0])
    asked = {
        made.directory / "fold_0": len(trained[0] & larger),
        made.directory / "fold_1" / "checkpoints" / "last.ckpt": len(trained[1] & larger),
        made.directory / "refit": len(pool & larger),
    }
    for path, n in asked.items():
        assert 0 < n < len(larger)
        file = path if path.is_file() else path / "checkpoints" / "last.ckpt"
        data = Arrays(source="wine.npz", test_size=0.5)
        data.load_state_dict(torch.load(file, weights_only=True)["Arrays"])
        with pytest.raises(CheckpointError, match=rf"trained on {n} of the {len(larger)} test samples, first '\d+'"):
            data.loader("test")
    for path in (*asked, made.directory):
        with pytest.raises(CheckpointError, match="trained on"):
            lb.test(path, overrides={"data.test_size": 0.5})
    assert made.test().n == 36  # those that were sealed
    assert not list(made.directory.rglob("fold_*/test.json"))


def test_predictions_of_what_was_trained_on_are_told_by_content(made: CrossValidation) -> None:
    x = load_wine().data.astype(np.float32)
    split = pd.read_parquet(made.directory / "split.parquet")
    trained = set(split["id"][(split["fold"] == 0) & (split["role"] == "train")])
    known = {row.tobytes() for row in x[sorted(map(int, trained))]}
    n = sum(row.tobytes() in known for row in x[::-1])
    with pytest.warns(UserWarning, match=rf"{n} of 178 samples have the content of samples that the model was trained"):
        lb.predict(made.directory / "fold_0", x[::-1])  # other ids, other order
    made.predict(x + np.float32(0.25))  # new samples, under the ids of those trained on: nothing to say


def test_other_content_under_the_same_ids_is_not_scored(made: CrossValidation) -> None:
    assert lb.validate(made.directory / "fold_1").n == 71
    with np.load("wine.npz") as arrays:
        changed = dict(arrays)
    changed["x"][17, 3] += 1
    np.savez("wine.npz", **changed)
    with pytest.raises(CheckpointError, match=r"wine\.npz: the data has other content than when the checkpoint"):
        lb.validate(made.directory / "fold_1")


def test_a_checkpoint_keeps_sixteen_bytes_a_training_sample(made: CrossValidation) -> None:
    content = torch.load(made.directory / "fold_0" / "checkpoints" / "last.ckpt", weights_only=True)
    state = content["Arrays"]
    assert state["ids"].nbytes + state["content"].nbytes == 16 * made.folds["n_train"].iloc[0]
