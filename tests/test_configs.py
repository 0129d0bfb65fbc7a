"""Every shipped configuration runs, through the command line's entry point, and leaves what it promises."""

import gzip
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from tests.helpers import CONFIGS, Run, checkpoint, crossval, read_json, shared

ALL = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def fsdd(work: Path) -> list[object]:
    """Every tenth take of each speaker."""
    with tarfile.open(shared("fsdd.tar.gz")) as archive:
        members = [m for m in archive.getmembers() if m.name.endswith("5.wav")]
        archive.extractall(work / "data", members, filter="data")
    return ["--data.root", work / "data" / "fsdd" / "recordings"]


def bccd(work: Path) -> list[object]:
    """Every eighth photograph."""
    with tarfile.open(shared("bccd.tar.gz")) as archive:
        files = [m for m in archive.getmembers() if m.name.endswith((".xml", ".jpg")) and int(m.name[-9:-4]) % 8 == 0]
        archive.extractall(work / "data", files, filter="data")
    return ["--data.root", work / "data" / "bccd"]


def polarity(work: Path) -> list[object]:
    folder = shared("rt-polarity")
    files = {c: str(folder / f"rt-polarity.{c}") for c in ("neg", "pos")}
    return ["--data.files", json.dumps(files)]


def some_polarity(work: Path) -> list[object]:
    """Every eighth sentence."""
    files = {}
    for c in ("neg", "pos"):
        files[c] = str(work / c)
        lines = (shared("rt-polarity") / f"rt-polarity.{c}").read_bytes().splitlines(keepends=True)
        (work / c).write_bytes(b"".join(lines[::8]))
    return ["--data.files", json.dumps(files)]


def captions(work: Path) -> list[object]:
    """The validation part's first 300 pairs to train on, and 60 to test."""
    options: list[object] = ["--trainer.check_val_every_n_epoch", 1]
    for side, language in (("source", "en"), ("target", "de")):
        with gzip.open(shared(f"multi30k/val.{language}.gz"), "rt", encoding="utf-8") as file:
            lines = file.read().splitlines(keepends=True)
        for name, some in (("", lines[:300]), ("test_", lines[300:360])):
            path = work / f"{name}{language}"
            path.write_text("".join(some), encoding="utf-8")
            options += [f"--data.{name}{side}_file", path]
    return options


def verses(work: Path) -> list[object]:
    """The first 20,000 characters."""
    (work / "verses.txt").write_text(shared("tinyshakespeare/input.txt").read_text()[:20_000])
    return ["--data.path", work / "verses.txt"]


def dialogues(work: Path) -> list[object]:
    """All of them: the number of labels is that of the whole pool."""
    folder = shared("woz2")
    pool = json.dumps([str(folder / f"woz_{part}_en.json.gz") for part in ("train", "validate")])
    return ["--data.path", pool, "--data.test_path", folder / "woz_test_en.json.gz"]


# configurations of data that the project does not ship: the options that name it
SHARED_DATA: dict[str, Callable[[Path], list[object]]] = {
    "german_credit_binary": lambda work: ["--data.path", shared("german-credit/german.data")],
    "german_credit_mlp": lambda work: ["--data.path", shared("german-credit/german.data")],
    "ml100k_mf": lambda work: ["--data.path", shared("ml-100k/u.data")],
    "rt_polarity_bag": polarity,
    **{f"rt_polarity_{name}": some_polarity for name in ("transformer", "rnn", "gru", "lstm")},
    "fsdd_cnn": fsdd,
    "bccd_centre": bccd,
    "multi30k_gru": captions,
    "tinyshakespeare": verses,
    "woz2_slots": dialogues,
}
LONG = ("woz2_slots", "rt_polarity_transformer", "rt_polarity_rnn", "rt_polarity_gru", "rt_polarity_lstm")  # 5 folds
PARTLY = ("ml100k_mf", "multi30k_gru", "tinyshakespeare")  # some samples are held out by no fold
WITHOUT_TEST = ("linear_regression_gd", "fsdd_cnn", "ml100k_mf")


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_config_runs(name: str, run: Run, work: Path, images: Path) -> None:
    options: list[object] = [
        "--config",
        CONFIGS / f"{name}.yaml",
        "--trainer.max_epochs",
        1,
        "--trainer.accelerator",
        "cpu",
    ]
    if name.startswith("cifar10"):
        options += ["--data.root", images, "--data.split.n_splits", 3]
        if name == "cifar10_mobilenet":
            weights = shared("../weights/mobilenet_v2-imagenet-trunk.safetensors")
            options += ["--model.init_from", weights, "--data.per_class", 8, "--data.image_size", "[32, 32]"]
    elif name in SHARED_DATA:
        options += SHARED_DATA[name](work)
        if name in LONG:
            options += ["--data.split.n_splits", 3]
    run("crossval", *options)
    directory = crossval(name, work)
    summary = read_json(directory / "summary.json")
    if name not in PARTLY:
        assert summary["every_sample_once_per_repeat"]
        assert len(pd.read_parquet(directory / "oof.parquet")) == summary["n"] * summary["repeats"]
    assert all(np.isfinite(m["mean"]) for m in summary["metrics"].values())
    assert all(len(m["folds"]) == summary["k"] for m in summary["metrics"].values())
    if name == "digits_gan":  # what several make has no mean
        run("test", "--ckpt_path", directory / "fold_0" / "checkpoints" / "last.ckpt")
    elif name not in WITHOUT_TEST:
        run("test", "--ckpt_path", directory)
        assert read_json(directory / "test.json")["members"] == summary["k"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["german_credit_mlp", "fsdd_cnn", "ml100k_mf"])
def test_predict_gives_held_out_samples_what_scoring_them_gave(name: str, run: Run, work: Path) -> None:
    options = SHARED_DATA[name](work)
    run(
        *("crossval", "--config", CONFIGS / f"{name}.yaml", "--trainer.max_epochs", 1, "--folds", "[0]"),
        *("--trainer.accelerator", "cpu", *options),
    )
    fold = crossval(name, work) / "fold_0"
    run("predict", "--ckpt_path", fold / "checkpoints" / "last.ckpt", "--data.predict", options[1])
    predicted = pd.read_parquet(fold / "predict.parquet").set_index("id")
    scored = pd.read_parquet(fold / "predictions.parquet").set_index("id")
    assert len(predicted) > len(scored) > 40
    columns = [c for c in scored if c.startswith("prob_")] or ["pred"]
    named = [c for c in predicted if c.startswith("prob_")] or ["pred"]
    np.testing.assert_allclose(predicted.loc[scored.index, named], scored[columns], atol=1e-5)
    if "pred_class" in scored:
        assert predicted.loc[scored.index, "pred"].astype(str).tolist() == scored["pred_class"].tolist()


@pytest.mark.slow
def test_the_demo_reaches_97_percent(run: Run, work: Path) -> None:
    run("crossval", "--config", CONFIGS / "digits_cnn.yaml")
    summary = read_json(crossval("digits_cnn", work) / "summary.json")
    assert summary["metrics"]["accuracy"]["mean"] >= 0.97
    assert summary["n"] == 1437


def test_repeats_predict_each_sample_once_a_repeat(run: Run, work: Path) -> None:
    run("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 1)
    oof = pd.read_parquet(crossval("breast_cancer_mlp", work) / "oof.parquet")
    assert not oof.duplicated(["id", "repeat"]).any()
    assert (oof.groupby("id").size() == 2).all()


def npz(path: str) -> None:
    """The breast cancer table with ten groups, a time, and names for classes."""
    data = load_breast_cancer()
    n = len(data.target)
    names = np.array(["malignant", "benign"])[data.target]
    np.savez(
        path, x=data.data, y=names, group=np.arange(n) % 10, time=np.arange(n)[::-1], id=[f"p{i}" for i in range(n)]
    )


OWN = ("--data.source", "own.npz", "--data.test_size", "null", "--trainer.max_epochs", 1)


def test_groups_stay_together(run: Run, work: Path) -> None:
    npz("own.npz")
    run(
        *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", *OWN),
        *("--data.split", "sklearn.model_selection.GroupKFold", "--data.split.n_splits", 5),
    )
    split = pd.read_parquet(crossval("breast_cancer_mlp", work) / "split.parquet")
    group = split["id"].str[1:].astype(int) % 10
    for _, part in split.assign(group=group).groupby("fold"):
        roles = part.groupby("group")["role"].nunique()
        assert (roles == 1).all()


def test_a_temporal_split_never_trains_on_the_future(run: Run, work: Path) -> None:
    npz("own.npz")
    run(
        *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", *OWN),
        *("--data.split", "sklearn.model_selection.TimeSeriesSplit", "--data.split.n_splits", 3),
    )
    directory = crossval("breast_cancer_mlp", work)
    split = pd.read_parquet(directory / "split.parquet")
    when = -split["id"].str[1:].astype(int)  # time runs backwards through the rows
    for _, part in split.assign(time=when).groupby("fold"):
        train, val = (part[part["role"] == role]["time"] for role in ("train", "val"))
        assert train.max() < val.min()
    summary = read_json(directory / "summary.json")
    assert not summary["every_sample_once_per_repeat"]
    assert summary["n_scored"] == split[split["role"] == "val"]["id"].nunique() < summary["n"] == 569


@pytest.mark.slow
def test_wandb_by_one_line_logs_each_fold_offline_and_says_in_one_where(
    run: Run, work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run(
        *("crossval", "--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 1, "--folds", "[0, 1]"),
        *("--trainer.logger", "lightning.pytorch.loggers.WandbLogger"),
    )
    for fold in range(2):
        directory = crossval("digits_cnn", work) / f"fold_{fold}"
        assert len(list(directory.glob("wandb/offline-run-*/*.wandb"))) == 1
        assert (directory / "metrics.csv").is_file()
    assert not (work / "wandb").exists()
    shown = capfd.readouterr()
    said = [line for line in (shown.out + shown.err).splitlines() if "wandb" in line and "WARNING" not in line]
    assert [line.partition("/wandb/")[0] for line in said] == [
        f"wandb: {crossval('digits_cnn') / f'fold_{fold}'}" for fold in range(2)
    ]
    run("test", "--ckpt_path", directory)
    assert len(list(work.rglob("*.wandb"))) == 2, "a run that only predicts logs nothing"


@pytest.mark.slow
def test_row_order_does_not_matter_to_the_split(run: Run, work: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    ids = np.array([f"s{i:02d}" for i in range(60)])
    hashes = []
    for order in (np.arange(60), rng.permutation(60)):
        np.savez("own.npz", x=x[order], y=y[order], id=ids[order])
        run(
            *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", *OWN, "--overwrite", "true"),
            *("--model.network.num_inputs", 3),
        )
        summary = read_json(crossval("breast_cancer_mlp", work) / "summary.json")
        hashes.append(summary["split_hash"])
    assert hashes[0] == hashes[1]


def test_checkpoints_load_without_unpickling(run: Run, work: Path) -> None:
    run("crossval", "--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 1, "--folds", "[0]")
    content = checkpoint(crossval("digits_cnn", work) / "fold_0")
    assert content["lightning_base"]["fold"] == 0
    assert len(content["lightning_base"]["split_hash"]) == 64
