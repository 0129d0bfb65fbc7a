"""Claims about the vectorised executor: folds trained in one batch are the folds that train one by one."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from filelock import FileLock
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from torch import Tensor, nn

from lightning_base.cli.entry import main
from lightning_base.folds.executors.vectorized import executor as vectorized
from lightning_base.folds.executors.vectorized import feed
from lightning_base.tasks.classification import Classification
from lightning_base.training.seeds import derive_seed
from models.mlp import MLP
from tests.helpers import CONFIGS, Run, checkpoint, crossval, read_json, refused, run_in

CANCER = ("--config", CONFIGS / "breast_cancer_mlp.yaml", "--audit", "off", "--trainer.logger", "false")
CANCER += ("--model.network.num_inputs", 30)  # a plain loop makes the whole network at once
DIGITS = ("--config", CONFIGS / "digits_cnn.yaml", "--audit", "off", "--trainer.logger", "false")
SHORT = ("--trainer.max_epochs", 3)
# Sums are taken in another order, which costs the last digits of float32 (6e-8 of 1) in each of some hundred steps.
TOLERANCE = 1e-5


class SmallConv(nn.Module):
    """Convolutions without batch norm, dropout of feature maps' values, and a layer that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(4, 4, 3), nn.ReLU())
        self.unused, self.head = nn.Linear(2, 2), nn.Linear(64, 10)
        self.head.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x).flatten(1))


class Recurrent(nn.Module):
    """A recurrent layer over one step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.LSTM(30, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0])


class Draws(nn.Module):
    """Draws by a function, not a module."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(30, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.dropout(x, 0.5, self.training))


class Logs(Classification):
    """Acts at an epoch's end."""

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()


class FailsInFold1(nn.Linear):
    """Cannot be made with fold 1's seed."""

    def __init__(self) -> None:
        super().__init__(30, 2)
        if torch.initial_seed() == derive_seed(0, 1) and Path("fail").exists():
            raise ValueError("no such fold")


def both(run: Run, work: Path, *options: object) -> tuple[Path, Path]:
    """The directories of the same cross-validation, one by one and in one batch."""
    for name in ("inline", "vectorized"):
        run("crossval", *options, "--name", name, "--executor", name)
    return crossval("inline", work), crossval("vectorized", work)


def assert_same(alone: Path, together: Path, atol: float = TOLERANCE) -> None:
    """Weights, predictions, scores and logs of all folds agree, and the folds are not all the same."""
    folds = sorted(alone.glob("fold_*"))
    assert [f.name for f in folds] == [f.name for f in sorted(together.glob("fold_*"))]
    for one in folds:
        other = together / one.name
        expected, found = checkpoint(one), checkpoint(other)
        assert expected["state_dict"].keys() == found["state_dict"].keys()
        for name, value in expected["state_dict"].items():
            torch.testing.assert_close(found["state_dict"][name], value, atol=atol, rtol=1e-4, msg=f"{one}: {name}")
        for key in ("epoch", "global_step", "lightning_base"):
            assert found[key] == expected[key]
        pd.testing.assert_frame_equal(
            pd.read_parquet(other / "predictions.parquet"),
            pd.read_parquet(one / "predictions.parquet"),
            atol=10 * atol,
            rtol=1e-3,
        )
        log, wanted = (pd.read_csv(d / "metrics.csv").dropna(subset="train_loss") for d in (other, one))
        columns = ["epoch", "step", "train_loss", "lr"]
        pd.testing.assert_frame_equal(
            log[columns].reset_index(drop=True), wanted[columns].reset_index(drop=True), rtol=1e-3
        )
        mine, theirs = (read_json(d / "result.json") for d in (other, one))
        assert mine.keys() == theirs.keys()
        for key in mine.keys() - {"seconds", "threads", "metrics", "details", "predictions_sum", "checkpoint_sum"}:
            assert mine[key] == theirs[key], key
        assert mine["metrics"] == pytest.approx(theirs["metrics"], abs=1e-3, rel=1e-3)
        assert not (other / "state.json").exists()
    first = [next(iter(checkpoint(together / f"fold_{fold}")["state_dict"].values())) for fold in (0, 1)]
    assert not torch.equal(*first)


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two repeats of five stratified folds: dropout, balanced weights, RMSprop, an L2 penalty, a schedule."""
    work = tmp_path_factory.mktemp("cancer")
    schedule = ("--model.scheduler", "torch.optim.lr_scheduler.ExponentialLR", "--model.scheduler.gamma", 0.9)
    return both(partial(run_in, work), work, *CANCER, "--trainer.max_epochs", 5, *schedule)


@pytest.mark.slow
def test_folds_in_one_batch_are_the_folds_one_by_one(cancer: tuple[Path, Path]) -> None:
    assert_same(*cancer)
    alone, together = (read_json(d / "summary.json") for d in cancer)
    assert alone["k"] == together["k"] == 10
    for name in ("loss", "auroc"):
        np.testing.assert_allclose(alone["metrics"][name]["folds"], together["metrics"][name]["folds"], atol=TOLERANCE)


def test_a_fold_is_what_a_plain_pytorch_loop_trains(cancer: tuple[Path, Path]) -> None:
    fold, folder = 7, cancer[1]
    data = load_breast_cancer()
    split = pd.read_parquet(folder / "split.parquet")
    part = split[split["fold"] == fold]
    train, val = (np.sort(part.loc[part["role"] == role, "id"].astype(int).to_numpy()) for role in ("train", "val"))
    x, y = torch.tensor(data.data, dtype=torch.float32), torch.tensor(data.target)
    x = (x - x[train].double().mean(0).float()) / x[train].double().std(0, correction=0).float()
    weight = (len(train) / (2 * np.bincount(data.target[train]))).astype(np.float32)
    seed = derive_seed(0, fold)
    torch.manual_seed(seed)
    network = MLP(30, 2, hidden=[32], dropout=0.2)
    optimizer = torch.optim.RMSprop(network.parameters(), lr=0.001)
    # rows are shuffled, and rows of the pool are in the order of their ids
    pool = np.sort(split.loc[split["role"] != "test", "id"].unique().astype(int))
    for epoch in range(5):
        torch.manual_seed(derive_seed(seed, epoch, 0))
        order = pool[np.random.default_rng([seed, epoch]).permutation(np.searchsorted(pool, train))]
        for start in range(0, len(order), 32):
            batch = order[start : start + 32]
            loss = F.cross_entropy(network(x[batch]), y[batch], torch.from_numpy(weight))
            loss = loss + 0.001 / 2 * sum(w.square().sum() for w in network.parameters() if w.ndim > 1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        optimizer.param_groups[0]["lr"] *= 0.9
    for name, value in network.state_dict().items():
        found = checkpoint(folder / f"fold_{fold}")["state_dict"][f"network.{name}"]
        torch.testing.assert_close(found, value, atol=TOLERANCE, rtol=1e-4)
    with torch.no_grad():
        probability = torch.softmax(network.eval()(x[val]), dim=1)[:, 1].double().numpy()
    predictions = pd.read_parquet(folder / f"fold_{fold}" / "predictions.parquet").astype({"id": int}).set_index("id")
    np.testing.assert_allclose(predictions.loc[val, "prob_1"], probability, atol=1e-4)
    result = read_json(folder / f"fold_{fold}" / "result.json")
    assert result["metrics"]["loss"] == pytest.approx(log_loss(data.target[val], probability), abs=1e-4)


@pytest.mark.slow
def test_the_directory_serves_test_predict_and_validate(
    cancer: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone, together = cancer
    monkeypatch.chdir(together.parent.parent.parent)
    assert main(["test", "--ckpt_path", str(together)]) == 0
    table, data, members = pd.read_parquet(together / "test.parquet"), load_breast_cancer(), []
    x = torch.tensor(data.data[table["id"].astype(int)], dtype=torch.float32)
    for fold in range(10):  # of those that trained one by one
        network, content = MLP(30, 2, hidden=[32]), checkpoint(alone / f"fold_{fold}")
        names = {"network.layers.4": "layers.3", "network.layers.1": "layers.1"}  # there is no dropout here
        state = {f"{names[n.rpartition('.')[0]]}.{n.rpartition('.')[2]}": v for n, v in content["state_dict"].items()}
        network.load_state_dict(state)
        fitted = content["Arrays"]["preprocess"]
        with torch.no_grad():
            members.append(torch.softmax(network((x - fitted["mean"]) / fitted["std"]), dim=1)[:, 1].numpy())
    np.testing.assert_allclose(table["prob_1"], np.mean(members, axis=0), atol=1e-4)
    np.savez("new.npz", x=data.data[:7])
    assert main(["predict", "--ckpt_path", str(together), "--data.predict", "new.npz"]) == 0
    assert len(pd.read_parquet(together / "ensemble.parquet")) == 7
    assert main(["validate", "--ckpt_path", str(together / "fold_2" / "checkpoints" / "last.ckpt")]) == 0
    shown = read_json(together / "fold_2" / "result.json")["metrics"]["accuracy"]
    assert f"{shown:.4f}" in capsys.readouterr().out


def test_full_batches_of_folds_of_unequal_size(run: Run, work: Path) -> None:
    options = ("--config", CONFIGS / "linear_regression_gd.yaml", "--audit", "off", "--trainer.logger", "false")
    alone, together = both(run, work, *options, "--data.split.n_splits", 3, "--trainer.max_epochs", 20)
    sizes = [read_json(together / f"fold_{f}" / "result.json")["n_train"] for f in range(3)]
    assert len(set(sizes)) == 2
    assert_same(alone, together, atol=1e-3)  # weights reach hundreds


@pytest.mark.parametrize("by", ["norm", "value"])
def test_gradients_are_clipped_fold_by_fold(by: str, run: Run, work: Path, cancer: tuple[Path, Path]) -> None:
    clip = ("--trainer.gradient_clip_val", 0.02, "--trainer.gradient_clip_algorithm", by)
    sgd = (
        "--model.optimizer",
        "torch.optim.SGD",
        "--model.optimizer.lr",
        0.5,
        "--data.split.n_splits",
        2,
        "--data.split.n_repeats",
        1,
    )
    alone, together = both(run, work, *CANCER, *SHORT, *clip, *sgd)
    assert_same(alone, together)
    run("crossval", *CANCER, *SHORT, *sgd, "--name", "free", "--executor", "vectorized")
    free, bound = (
        checkpoint(d / "fold_0")["state_dict"]["network.layers.1.weight"] for d in (crossval("free", work), together)
    )
    assert (free - bound).abs().max() > 100 * TOLERANCE


def test_folds_with_more_and_fewer_steps_an_epoch(run: Run, work: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez("own.npz", x=rng.normal(size=(60, 3)), y=np.arange(60) % 2, time=np.arange(60))
    own = ("--data.source", "own.npz", "--data.test_size", "null", "--model.network.num_inputs", 3)
    split = ("--data.split", "lightning_base.splitters.Expanding", "--data.split.n_splits", 3)
    alone, together = both(run, work, *CANCER, *SHORT, *own, *split, "--data.batch_size", 8)
    assert len({checkpoint(together / f"fold_{fold}")["global_step"] for fold in range(3)}) == 3
    assert_same(alone, together)


@pytest.mark.parametrize("budget", [0, feed.BUDGET])
def test_convolutions_with_frozen_and_unused_weights(
    budget: int, run: Run, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BUDGET", budget)  # too little to hold all samples at once, or enough
    few = ("--data.split.n_splits", 2, "--trainer.max_epochs", 1, "--model.channels_last", "false")
    decay = (
        "--model.optimizer",
        "torch.optim.AdamW",
        "--model.optimizer.weight_decay",
        0.1,
        "--data.drop_last",
        "true",
    )
    net = ("--model.network", f"{__name__}.SmallConv")
    alone, together = both(run, work, *DIGITS, *few, *net, *decay)
    assert_same(alone, together)


def test_augmented_samples_are_mixed_as_in_each_fold(run: Run, work: Path) -> None:
    few = ("--data.split.n_splits", 2, "--trainer.max_epochs", 2)
    net = ("--model.network", "models.mlp.MLP", "--model.network.num_inputs", 64, "--model.network.num_outputs", 10)
    mix = ("--data.augment", '[{"class_path": "lightning_base.augment.MixUp"}]')
    alone, together = both(run, work, *DIGITS, *few, *net, *mix, "--data.inner_val", 0.2)
    assert_same(alone, together)


def test_finished_folds_are_kept_and_others_trained(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectorized, "MOST", 2)
    options = ("crossval", *CANCER, *SHORT, "--data.split.n_repeats", 1, "--name", "v", "--executor", "vectorized")
    run(*options, "--folds", "[0, 2, 4]")
    folder = crossval("v", work)
    assert [d.name for d in sorted(folder.glob("fold_*"))] == ["fold_0", "fold_2", "fold_4"]
    results = [folder / f"fold_{fold}" / "result.json" for fold in (0, 2, 4)]
    first, earlier = read_json(results[1]), results[0].stat().st_mtime_ns
    results[1].unlink()  # as where it was killed before the last file
    (folder / "fold_3").mkdir()
    with FileLock(folder / "fold_3" / ".lock"):
        refused(capsys, options, "fold 3 is trained by another process; run the same command again")
    assert not (folder / "fold_3" / "result.json").exists()
    assert results[0].stat().st_mtime_ns == earlier
    again = read_json(results[1])
    assert again["metrics"] == pytest.approx(first["metrics"], abs=1e-6)
    assert not again["resumed"]
    run("crossval", *CANCER, *SHORT, "--data.split.n_repeats", 1, "--name", "v")  # one by one
    assert read_json(folder / "summary.json")["k"] == 5


def test_a_fold_that_fails_leaves_the_others(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("crossval", *CANCER, *SHORT, "--data.split.n_repeats", 1, "--executor", "vectorized")
    options = (*options, "--model.network", f"{__name__}.FailsInFold1")
    Path("fail").touch()
    assert main([*map(str, options)]) == 1
    assert "1 of 5 folds failed: fold 1 (ConfigError: the experiment cannot be built" in capsys.readouterr().err
    folder = crossval("breast_cancer_mlp", work)
    assert read_json(folder / "fold_1" / "state.json")["state"] == "failed"
    assert "no such fold" in (folder / "fold_1" / "error.txt").read_text()
    assert sorted(path.parent.name for path in folder.glob("fold_*/result.json")) == [
        "fold_0",
        "fold_2",
        "fold_3",
        "fold_4",
    ]
    Path("fail").unlink()
    run(*options)
    assert not list(folder.glob("fold_*/error.txt"))


REFUSED: dict[str, tuple[Sequence[object], str]] = {
    "batch norm": (("--model.network.batch_norm", "true"), "MLP changes network.layers.2.running_mean in its steps"),
    "recurrent": (("--model.network", f"{__name__}.Recurrent"), "Recurrent cannot be stacked: "),
    "functional dropout": (
        ("--model.network", f"{__name__}.Draws"),
        "Draws cannot be stacked: vmap: called random operation while in randomness error mode",
    ),
    "precision": (("--trainer.precision", "bf16-mixed"), "trainer.precision: bf16-mixed is not served"),
    "accumulation": (("--trainer.accumulate_grad_batches", 2), "trainer.accumulate_grad_batches must be 1"),
    "steps": (("--trainer.max_steps", 5), "trainer.max_steps ends folds inside an epoch"),
    "time": (("--trainer.max_time", "00:00:01:00"), "trainer.max_time ends folds at their own moments"),
    "batches": (("--trainer.limit_train_batches", 2), "trainer.limit_train_batches and overfit_batches"),
    "one batch": (("--trainer.limit_train_batches", 1), "trainer.limit_train_batches and overfit_batches"),
    "early stopping": (
        (
            *("--trainer.callbacks+", "lightning.pytorch.callbacks.EarlyStopping"),
            *("--trainer.callbacks.monitor", "val_loss"),
        ),
        "trainer.callbacks: EarlyStopping acts on one fold's Trainer",
    ),
    "plateau": (
        ("--model.scheduler", "lightning.pytorch.cli.ReduceLROnPlateau", "--model.scheduler.monitor", "val_loss"),
        "model.scheduler: ReduceLROnPlateau follows one fold's scores",
    ),
    "optimizer": (("--model.optimizer", "torch.optim.LBFGS"), "model.optimizer: LBFGS is none of SGD, Adam, AdamW"),
    "hook": (("--model", f"{__name__}.Logs"), "Logs.on_train_epoch_end is Lightning's hook"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_stacked_is_refused_with_the_reason(
    what: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, message = REFUSED[what]
    status = main(["crossval", *map(str, [*CANCER, *SHORT, *options, "--executor", "vectorized"])])
    error = capsys.readouterr().err
    assert status == 2, error
    assert f"--executor vectorized: {message}" in error.replace("model.network: ", "")
    assert error.count("\n") == 1
    assert error.endswith("; take --executor inline or process\n")
    assert not list(work.glob("runs/*/crossval/fold_*"))
