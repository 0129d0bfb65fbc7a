"""Layers that are fitted on the fold's training inputs, images that grow, and the mean over mirror images."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from PIL import Image

import lightning_base as lb
from models.fast_resnet import FastResNet
from tests.helpers import CONFIGS, Run, assert_same_training, crossval, read_json, refused, weights
from tests.support.forks import Forks
from tests.support.resumed import KILL, TIMED

CONFIG = CONFIGS / "cifar10_fast.yaml"
SMALL: dict[str, Any] = {
    "data.batch_size": 16,
    "data.split.init_args.n_splits": 3,
    "model.network.init_args.widths": [4, 8],
    "trainer.max_epochs": 2,
    "trainer.check_val_every_n_epoch": 1,
}


def options(images: Path, **changes: Any) -> list[object]:
    given = {key.replace("init_args.", ""): value for key, value in {**SMALL, "data.root": images, **changes}.items()}
    return ["--config", CONFIG, *(word for key, value in given.items() for word in (f"--{key}", value))]


def pixels(images: Path, ids: "pd.Series[str]") -> npt.NDArray[np.float64]:
    """(N, 3, 32, 32) training images by their ids."""
    files = [images / "train" / name for name in ids]
    return np.stack([np.asarray(Image.open(file), dtype=np.float64).transpose(2, 0, 1) for file in files])


def patches(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n, 12) the 2×2 patches of images."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(2, 3))  # (N, 3, 31, 31, 2, 2)
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 12)


def test_each_fold_whitens_the_patches_of_its_own_training_images(run: Run, work: Path, images: Path) -> None:
    run("crossval", *options(images, **{"trainer.max_epochs": 1}), "--audit", "off")
    split = pd.read_parquet(crossval("cifar10_fast", work) / "split.parquet")
    filters = []
    for fold in range(3):
        ids = split[(split["fold"] == fold) & (split["role"] == "train")]["id"]
        x = pixels(images, ids)
        x = (x - x.mean((0, 2, 3), keepdims=True)) / x.std((0, 2, 3), keepdims=True)
        state = weights(crossval("cifar10_fast", work) / f"fold_{fold}")
        assert state["network.whitening.fitted"]
        filters.append(state["network.whitening.weight"].reshape(12, 12).numpy().astype(np.float64))
        values = np.linalg.eigvalsh(np.cov(patches(x).T))[::-1]
        covariance = np.cov((patches(x) @ filters[-1].T).T)
        np.testing.assert_allclose(covariance, np.diag(values / (values + 5e-4)), atol=1e-3)
    assert not np.allclose(np.abs(filters[0]), np.abs(filters[1]), atol=1e-4), "each fold has its own"


def test_predictions_are_the_mean_of_the_logits_of_each_image_and_its_mirror_image(
    run: Run, work: Path, images: Path
) -> None:
    run("crossval", *options(images), "--audit", "off", "--folds", "[0]")
    fold = crossval("cifar10_fast", work) / "fold_0"
    network = FastResNet(widths=(4, 8)).eval()
    state = weights(fold)
    network.load_state_dict({name.removeprefix("network."): value for name, value in state.items()})
    split = pd.read_parquet(fold.parent / "split.parquet")
    train = pixels(images, split[(split["fold"] == 0) & (split["role"] == "train")]["id"])
    table = pd.read_parquet(fold / "predictions.parquet")
    centre, spread = (f(train, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
    x = torch.from_numpy(((pixels(images, table["id"]) - centre) / spread).astype(np.float32))
    with torch.no_grad():
        logits = (network(x) + network(torch.from_numpy(x.numpy()[..., ::-1].copy()))) / 2
        alone = network(x)
    found = table[[f"prob_{c}" for c in range(10)]].to_numpy()
    np.testing.assert_allclose(found, torch.softmax(logits.double(), 1).numpy(), atol=1e-5)
    assert not np.allclose(found, torch.softmax(alone.double(), 1).numpy(), atol=1e-5)


@pytest.mark.parametrize("steps", [1, 4])
def test_steps_see_small_images_in_their_share_of_the_training(
    work: Path, images: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    seen: list[tuple[bool, int]] = []
    forward = FastResNet.forward

    def watched(self: FastResNet, x: torch.Tensor) -> torch.Tensor:
        seen.append((self.training, x.shape[-1]))
        return forward(self, x)

    monkeypatch.setattr(FastResNet, "forward", watched)
    lb.crossval(
        CONFIG,
        overrides={**SMALL, "data.root": str(images), "model.steps_per_execution": steps},
        folds=[0],
        audit="off",
    )
    assert [side for training, side in seen if training] == [22] * 6 + [32] * 4  # 80 images in batches of 16, twice
    first = [training for training, _ in seen].index(True)
    assert [side for training, side in seen[first:] if not training][-4:] == [32] * 4, "and whole ones where scored"


@pytest.mark.slow
def test_a_kill_changes_nothing(forks: Forks, tmp_path: Path, images: Path) -> None:
    every = ("--trainer.callbacks.every_n_steps", 2)
    alone = ("--audit", "off", "--folds", "[0]")
    words = ["crossval", *options(images, **{"trainer.max_epochs": 3}), *alone, *TIMED, *every, *KILL]
    for part in ("whole", "killed"):
        (tmp_path / part).mkdir()
    assert forks(tmp_path / "whole", *words) == [0], (tmp_path / "whole" / "log").read_text()
    for kill in ("7:backward", "10:batch"):  # 15 steps, the first 9 with small images
        assert forks(tmp_path / "killed", *words, KILL=f"0:{kill}") == [-9]
    assert forks(tmp_path / "killed", *words) == [0], (tmp_path / "killed" / "log").read_text()
    whole, killed = (crossval("cifar10_fast", tmp_path / part) / "fold_0" for part in ("whole", "killed"))
    assert read_json(killed / "result.json")["resumed"]
    assert_same_training(killed, whole)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["--model.network", "models.lenet.LeNet"], ("Shrink", "does not take what it makes", "LeNet")),
        (["--trainer.max_epochs", -1, "--trainer.max_time", "00:00:01:00"], ("Shrink", "no end is set")),
        (["--executor", "vectorized"], ("data.augment: Shrink follows the steps", "take --executor inline")),
    ],
)
def test_what_cannot_be_is_refused_before_training(
    work: Path, images: Path, capsys: pytest.CaptureFixture[str], changes: list[object], said: tuple[str, ...]
) -> None:
    verb = "crossval" if "--executor" in changes else "fit"
    refused(capsys, [verb, *options(images), *changes], *said)


def test_mirror_images_of_what_is_no_image_are_refused(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--model.test_flip", "true"]
    refused(capsys, words, "model.test_flip", "inputs are none")
