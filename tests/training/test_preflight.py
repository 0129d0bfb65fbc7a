"""Claims about what is told before training, and about losses and predictions that are no numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

import lightning_base as lb
from lightning_base.cli.entry import main
from lightning_base.errors import Diverged, FoldsFailed
from lightning_base.samples.batch import Batch
from lightning_base.tasks import Classification
from lightning_base.tasks.losses import EpochLoss
from tests.helpers import CONFIGS, Run, crossval, read_json, refused

CANCER: Sequence[object] = ("--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 2)
TWO = ("--data.split", "sklearn.model_selection.StratifiedKFold", "--data.split.n_splits", 2)
CALLBACK = ("--trainer.callbacks+",)
STOPPING = (*CALLBACK, "lightning.pytorch.callbacks.EarlyStopping", "--trainer.callbacks.monitor")
PLATEAU = ("--model.scheduler", "lightning.pytorch.cli.ReduceLROnPlateau", "--model.scheduler.monitor")

REFUSED: dict[str, tuple[Sequence[object], str]] = {
    "no epoch": (("--trainer.max_epochs", 0), "trainer.max_epochs: 0 trains nothing"),
    "no step": (("--trainer.max_steps", 0), "trainer.max_steps: 0 trains nothing"),
    "no batch": (("--trainer.limit_train_batches", 0), "trainer.limit_train_batches: 0 trains nothing"),
    "predictions of one batch": (("--trainer.limit_predict_batches", 1), "trainer.limit_predict_batches leaves"),
    "a share of no batch": (("--trainer.limit_train_batches", 0.01), "trainer.limit_train_batches: 0.01 of 8 batches"),
    "no time": (("--trainer.max_time", "00:00:00:00"), "trainer.max_time: no time to train in"),
    "a negative rate": (("--model.optimizer.lr", -1), "Invalid learning rate: -1"),
    "no rate": (("--model.optimizer.lr", 0), "model.optimizer.lr: 0 trains nothing"),
    "a penalty below 0": (("--model.l1", -0.5), "model.l1: -0.5 is no weight"),
    "no class weighs": (("--model.class_weights", "[0, 0]"), "model.class_weights: all are 0"),
    "a negative class weight": (("--model.class_weights", "[1, -1]"), "model.class_weights: [1.0, -1.0] is"),
    "a misspelt monitor": ((*STOPPING, "val_los"), "no metric 'val_los' is logged; there are train_loss, "),
    "the worst for the best": (
        (*STOPPING, "val_accuracy"),
        "EarlyStopping follows val_accuracy with mode min, which takes the worst for the best; give mode: max",
    ),
    "nothing is validated": ((*STOPPING, "val_loss", "--trainer.limit_val_batches", 0), "nothing is validated"),
    "a plateau of nothing": ((*PLATEAU, "val_los"), "model.scheduler.monitor: no metric 'val_los' is logged"),
    "torch's own plateau": (
        ("--model.scheduler", "torch.optim.lr_scheduler.ReduceLROnPlateau"),
        "torch's ReduceLROnPlateau does not say what it follows; take lightning.pytorch.cli.ReduceLROnPlateau",
    ),
    "a batch size that fits": (
        (*CALLBACK, "lightning.pytorch.callbacks.BatchSizeFinder"),
        "BatchSizeFinder takes the size that fits the memory free at that moment",
    ),
    "a shared folder": (
        (*CALLBACK, "lightning.pytorch.callbacks.ModelCheckpoint", "--trainer.callbacks.dirpath", "here"),
        "would be shared by folds; leave it out",
    ),
    "a last batch of one": (
        ("--model.network.batch_norm", "true", "--data.batch_size", 227),
        "data.batch_size: the last batch of fold 1 has one sample (228 in batches of 227), and MLP cannot train on one",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_can_come_to_no_result_is_told_before_anything_is_written(
    what: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, message = REFUSED[what]
    refused(capsys, ["crossval", *CANCER, *TWO, *options], message)
    assert not list(work.iterdir())


def test_a_plateau_is_looked_for_when_there_is_a_validation(run: Run, work: Path) -> None:
    """Validated every second epoch, with no patience and a threshold that nothing meets: halved at the second one."""
    options = (*PLATEAU, "val_loss", "--model.scheduler.patience", 0, "--model.scheduler.factor", 0.5)
    options = (*options, "--model.scheduler.threshold", 10, "--model.scheduler.threshold_mode", "abs")
    options = (*options, "--trainer.check_val_every_n_epoch", 2, "--folds", "[0]")
    run("crossval", *CANCER, *TWO, *options, "--trainer.max_epochs", 5)
    logged = pd.read_csv(crossval("breast_cancer_mlp") / "fold_0" / "metrics.csv")
    assert logged["lr"].dropna().tolist() == pytest.approx([0.001] * 4 + [0.0005])


DIVERGES = ("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", 1e30)


@pytest.mark.parametrize("executor", ["inline", "vectorized"])
def test_a_loss_that_is_no_number_fails_the_fold_and_names_its_batch(
    executor: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("crossval", *CANCER, *TWO, *DIVERGES, "--executor", executor)
    assert main([*map(str, words)]) == 1
    assert "the training loss is not finite (NaN or infinity) in epoch 0, batch 1 (from 0)" in capsys.readouterr().err
    assert not list(work.rglob("result.json"))
    assert not list(work.rglob("last.ckpt"))


def test_the_first_loss_that_is_no_number_is_found_among_many() -> None:
    losses = EpochLoss()
    for batch in range(7, 1000):  # an epoch that was resumed at its eighth batch
        losses.add(torch.tensor(np.inf if batch == 800 else 1.0), 2, batch)
    assert not losses.is_finite()
    assert losses.first_bad() == 800
    half = EpochLoss()
    for batch in range(300):
        half.add(torch.tensor(100.0, dtype=torch.float16), 64, batch)
    assert half.is_finite()  # the sum is beyond what a half holds
    assert float(half.total) / half.count == 100


class Nothing(nn.Module):
    """Logits, which for one sample of the held-out ones are NaN once it is evaluated."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(30, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x)
        return logits if self.training else torch.where(x[:, :1] == x[:, :1].max(), torch.nan, logits)


def test_a_prediction_that_is_no_number_is_an_error_that_names_the_sample(work: Path) -> None:
    options: dict[str, Any] = {"trainer.max_epochs": 1, "model.network": {"class_path": f"{__name__}.Nothing"}}
    with pytest.raises(FoldsFailed, match=r"predicts NaN or infinity for \d+ of 91 samples, the first of which is '"):
        lb.crossval(CONFIGS / "breast_cancer_mlp.yaml", overrides=options, name="nothing", folds=[0])


def test_a_class_that_weighs_nothing_is_no_division_by_zero() -> None:
    task = Classification(nn.Identity(), num_classes=2, class_weights=[2.0, 0.0])
    task.weight = torch.tensor([2.0, 0.0])  # as it is taken when the task meets the data
    x = torch.tensor([[0.3, 0.1], [0.0, 1.0], [-1.0, 0.5]])
    for y, counted in (([0, 1, 0], [0, 2]), ([1, 1, 1], [])):
        loss = task.step(Batch(x, torch.tensor(y), torch.arange(3))).loss
        own = [float(torch.logsumexp(x[i], 0) - x[i, 0]) for i in counted]
        assert float(loss) == pytest.approx(np.mean(own) if own else 0.0)


def test_a_score_that_one_sample_does_not_have_is_left_out_where_each_is_a_fold(work: Path) -> None:
    x, y = load_diabetes(return_X_y=True)
    np.savez("twelve.npz", x=x[:12], y=y[:12])
    split = {"class_path": "sklearn.model_selection.LeaveOneOut"}
    options: dict[str, Any] = {"trainer.max_epochs": 1, "data.source": "twelve.npz", "data.split": split}
    options["seed_everything"] = 0
    found = lb.crossval(CONFIGS / "linear_regression_gd.yaml", overrides=options, executor="vectorized")
    squares = (found.oof["pred"].astype(float) - found.oof["target"]) ** 2
    metrics = read_json(found.directory / "summary.json")["metrics"]
    assert metrics["r2"]["folds"] == [None] * 12
    assert metrics["mse"]["mean"] == pytest.approx(squares.mean(), rel=1e-5)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a fit."""
    root = tmp_path_factory.mktemp("fitted")
    assert main([*map(str, ("fit", *CANCER, *TWO, "--trainer.default_root_dir", root))]) == 0
    return root / "fit" / "version_0" / "checkpoints" / "last.ckpt"


FOREIGN: dict[str, tuple[Sequence[object], str]] = {
    "network": (
        ("--model.network.hidden", "[16]"),
        "of another network, or of data of another shape: network.layers.",
    ),
    "features": (("--data.source", "small.npz", "--model.network.num_inputs", 5), "(32, 30) there and (32, 5) here"),
    "share": (("--data.test_size", 0.3), "another split"),
    "damage": ((), "its SHA-256 does not match"),
    "file": ((), "is no checkpoint of a run: it has no state_dict"),
    "text": ((), "it is no archive of torch.save"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_checkpoint_of_something_else_is_refused_in_one_line_and_makes_nothing(
    what: str, fitted: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, message = FOREIGN[what]
    path, content = work / "given.ckpt", fitted.read_bytes()
    if what == "file":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        path.write_bytes(b"text" if what == "text" else content)
    if what == "damage":
        path.write_bytes(content[:2000] + b"damage" + content[2006:])
    x = np.random.default_rng(0).normal(size=(60, 5))
    np.savez("small.npz", x=x, y=(x[:, 0] > 0).astype(int))
    for verb in ("fit", "test"):
        refused(capsys, [verb, *CANCER, *TWO, *options, "--ckpt_path", path], message)
    assert sorted(one.name for one in work.iterdir()) == ["given.ckpt", "small.npz"]


def test_another_optimizers_state_is_not_taken_for_ones_own(
    fitted: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", 0.1)
    refused(capsys, ["fit", *CANCER, *TWO, *options, "--ckpt_path", fitted], "another optimizer than SGD")
    assert not list(work.iterdir())


def test_nothing_of_a_diverged_fit_counts_as_finished(work: Path) -> None:
    options = {"model.optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 1e30}}}
    with pytest.raises(Diverged, match="epoch 0, batch 1"):
        lb.fit(CONFIGS / "breast_cancer_mlp.yaml", overrides={**options, "trainer.log_every_n_steps": 1})
    assert not list(work.rglob("result.json"))
