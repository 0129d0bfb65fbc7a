"""Claims about what a checkpoint has seen: it knows its training samples, and these are not scored as unseen ones."""

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.datasets import load_wine
from sklearn.model_selection import KFold

import lightning_base as lb
from datamodules.arrays import Arrays
from lightning_base.errors import CheckpointError, DataError
from lightning_base.tasks import Classification
from lightning_base.verbs.results import CrossValidation
from models.cnn import CNN


@pytest.fixture
def made(work: Path) -> CrossValidation:
    """Two folds and a refit over an .npz of the wines, a fifth of them sealed."""
    bunch = load_wine()
    np.savez("wine.npz", x=bunch.data.astype(np.float32), y=bunch.target)
    network = {"class_path": "models.mlp.MLP", "init_args": {"num_inputs": 13, "num_outputs": 3, "hidden": [4]}}
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


def test_the_second_of_two_runs_that_are_tested_on_one_seal_is_told_of_the_first(made: CrossValidation) -> None:
    with warnings.catch_warnings():  # nobody has read them before
        warnings.simplefilter("error")
        lb.test(made.directory / "fold_0")
    time.sleep(1)  # reads are told in their order by the second
    other = lb.crossval("seen.yaml", name="other", overrides={"audit": "off"})
    said = r"other runs have read the same test samples 1 time, first 20.*, by runs/seen/crossval/fold_0: "
    with pytest.warns(UserWarning, match=said):
        lb.test(other.directory / "fold_0")
    with pytest.warns(UserWarning, match=r"read by other runs 2 times, .*, by runs/seen/crossval/fold_0, runs/o"):
        lb.audit("seen.yaml", overrides={"name": "third"})
    with warnings.catch_warnings():  # another seal
        warnings.filterwarnings("error", "audit: test_read")
        lb.audit("seen.yaml", overrides={"name": "third", "data.test_seed": 7})


def test_a_spelling_that_training_has_not_seen_is_told_by_predict(work: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"flag": rng.random(60) < 0.5, "city": rng.choice(["Bern", "Ulm"], 60), "n": range(60)})
    frame.assign(y=np.where(frame["flag"], "yes", "no")).to_csv("train.csv", index=False)
    network = {"class_path": "models.mlp.MLP", "init_args": {"num_inputs": 5, "num_outputs": 2, "hidden": [4]}}
    table = {"path": "train.csv", "target": "y", "predict": "new.csv"}
    config = {
        "trainer": {"max_epochs": 1, "accelerator": "cpu", "logger": False},
        "audit": "off",
        "model": {"class_path": "lightning_base.tasks.Classification", "init_args": {"network": network}},
        "data": {"class_path": "datamodules.table.Table", "init_args": table},
    }
    Path("flags.yaml").write_text(yaml.safe_dump(config))
    run = lb.fit("flags.yaml")
    assert run is not None
    asked = frame[["city", "flag", "n"]].copy()
    asked["n"] += 0.5  # new samples
    expected = run.predict(asked)
    for flag in (asked["flag"].astype(int), asked["flag"].astype(str).str.upper()):
        pd.testing.assert_frame_equal(run.predict(asked.assign(flag=flag)), expected)
        asked.assign(flag=flag).to_csv("new.csv", index=False)
        pd.testing.assert_frame_equal(run.predict().drop(columns="id"), expected.drop(columns="id"))
    with pytest.warns(UserWarning, match=r"^column 'city': 2 of 60 samples have a category not seen in training"):
        run.predict(asked.assign(city=["Rome", "Rome", *asked["city"][2:]]))
    with pytest.warns(
        UserWarning, match=r"'n' has no value in any of the 60 samples: each is predicted with what fills"
    ):
        run.predict(asked.assign(n=np.nan))
    with pytest.warns(UserWarning, match=r"'city' has no value in any of the 60 samples"):
        run.predict(asked.assign(city=None))
    with pytest.raises(DataError, match=r"'flag': none of its values \('N', 'Y'\) was seen in training, where"):
        run.predict(asked.assign(flag=np.where(asked["flag"], "Y", "N")))
    with pytest.raises(
        DataError, match=r"of its 60 values 50 \('Rome'\) were not seen in training, where they were 'Bern"
    ):
        run.predict(asked.assign(city=[*asked["city"][:10], *["Rome"] * 50]))
    with pytest.raises(
        DataError, match=r"data\.clean\.type: fix to make the odd values missing ones, when training too"
    ):
        run.predict(asked.assign(n=["many", *asked["n"][1:].astype(str)]))


def test_a_spelling_that_training_has_not_seen_is_told_by_test_and_validate(work: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"city": rng.choice(["Bern", "Ulm"], 60), "n": range(60), "y": rng.choice(["no", "yes"], 60)})
    frame.loc[[3, 11], "city"] = ["Oslo", "Riga"]  # fold 0 holds them out
    frame.to_csv("train.csv", index=False)
    asked = frame.assign(n=frame["n"] + 0.5)
    asked.loc[:3, "city"] = "Rome"
    asked.to_csv("test.csv", index=False)
    network = {"class_path": "models.mlp.MLP", "init_args": {"num_outputs": 2, "hidden": [4]}}
    split = {"class_path": "sklearn.model_selection.KFold", "init_args": {"n_splits": 2}}
    table = {"path": "train.csv", "target": "y", "test_path": "test.csv", "split": split}
    config = {
        "trainer": {"max_epochs": 1, "accelerator": "cpu", "logger": False},
        "audit": "off",
        "model": {"class_path": "lightning_base.tasks.Classification", "init_args": {"network": network}},
        "data": {"class_path": "datamodules.table.Table", "init_args": table},
    }
    Path("told.yaml").write_text(yaml.safe_dump(config))
    run = lb.crossval("told.yaml")
    with pytest.warns(UserWarning, match=r"'city': 5 of 60 samples have a category not seen in training \(.*'Rome'"):
        run.test()
    with pytest.warns(UserWarning, match=r"'city': 2 of 30 samples have a category not seen in .* \('Oslo', 'Riga'\)"):
        lb.validate(run.directory / "fold_0")


def test_inputs_on_another_scale_than_levels_of_grey_are_refused(work: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 1, 6, 6), dtype=np.uint8), rng.integers(0, 2, 60)
    np.savez("x.npz", x=x, y=y, x_test=x / 255, y_test=y)
    given: dict[str, Any] = {
        "task": lambda: Classification(CNN(in_channels=1, num_outputs=2)),
        "trainer": {"max_epochs": 1, "accelerator": "cpu", "logger": False},
        "audit": "off",
    }
    run = lb.crossval(**given, x=x, y=y, data={"split": KFold(2)}, name="levels")
    new = np.roll(x, 7)  # no image of which has been trained on
    pd.testing.assert_frame_equal(run.predict(new.astype(float)), run.predict(new))
    for asked in (x[:5] / 255, x[:5].astype(np.float32) - 128):
        with pytest.raises(DataError, match="inputs are no whole numbers from 0 to 255, as those are that the model"):
            run.predict(asked)
    files = lb.crossval(**given, data=lambda: Arrays(source="x.npz", split=KFold(2)), name="files")
    with pytest.raises(DataError, match="inputs are no whole numbers from 0 to 255"):
        files.test()
