"""Claims about TPUs, on PJRT's CPU device: the samples, scores and weights of a CPU, from programs that stay."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.fabric.accelerators.xla import XLAAccelerator

from lightning_base.cli.entry import main
from lightning_base.distributed.tpu import set_random_state
from tests.helpers import CONFIGS, assert_same_weights, checkpoint, crossval, environment, read_json, weights
from tests.tpu.counting import compilations

pytestmark = [
    pytest.mark.tpu,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning.*"),  # torch-xla's new names for its functions
    pytest.mark.filterwarnings("ignore:Use torch_xla:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:TPU available but not used"),
]
DIGITS = crossval("digits_cnn")
CANCER = crossval("breast_cancer_mlp")


def accuracy(folder: Path) -> float:
    summary = read_json(folder / DIGITS / "summary.json")
    assert summary["n"] == 1437
    return float(summary["metrics"]["accuracy"]["mean"])


@pytest.fixture(scope="module")
def digits(command: Callable[..., Path]) -> tuple[Path, int]:
    """Digits cross-validated on the device, and how many programs were compiled by the end."""
    callbacks = ("--trainer.callbacks+", "tests.tpu.counting.Compilations")
    folder = command("crossval", "digits_cnn", "tpu", *callbacks)
    return folder, compilations()


def test_crossval_reaches_the_cpus_accuracy(digits: tuple[Path, int], command: Callable[..., Path]) -> None:
    assert abs(accuracy(digits[0]) - accuracy(command("crossval", "digits_cnn", None))) <= 0.01


def test_at_most_3_programs_are_compiled_after_the_first_epoch(digits: tuple[Path, int]) -> None:
    folder, last = digits
    starts = [int(line) for line in (folder / "compilations.txt").read_text().split()]
    assert len(starts) == 5 * 12
    assert last - starts[1] <= 3  # in all that follows: eleven epochs, four more folds, their scores
    assert starts[1] - starts[0] >= 3  # the count does count


def test_each_sample_is_predicted_once_and_a_cpu_gives_its_checkpoint_the_same_scores(
    digits: tuple[Path, int], command: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = digits
    ids = pd.read_parquet(folder / DIGITS / "oof.parquet")["id"]
    assert ids.is_unique
    assert len(ids) == 1437
    last = folder / DIGITS / "fold_0" / "checkpoints" / "last.ckpt"
    for overlay in ("tpu", None):
        command("validate", "digits_cnn", overlay, "-v", "--ckpt_path", last, folder=folder)
    rows = [line.split("│")[1:3] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    scores = [(name.strip(), float(value)) for name, value in rows]
    stored = read_json(folder / DIGITS / "fold_0" / "result.json")["metrics"]
    again = {name: [value for other, value in scores if other == name] for name, _ in scores}
    assert set(again) == {*stored, "ece2"}  # of all predictions together, so that no fold's file has it
    for name, (tpu, cpu) in again.items():
        assert tpu == pytest.approx(cpu, abs=1e-4)
        assert tpu == pytest.approx(stored.get(name, tpu), abs=1e-4)


def test_fit_trains_the_same_network_as_a_cpu(command: Callable[..., Path]) -> None:
    # 364 samples in batches of 32 and a last one of 12; dropout alone would be drawn otherwise
    options = (
        *("--trainer.max_epochs", 4, "--model.network.dropout", 0, "--model.l1", 1e-4),
        *("--trainer.gradient_clip_val", 1, "--data.augment+", "lightning_base.augment.SwapNoise"),
        *("--data.augment+", "lightning_base.augment.MixUp"),
    )
    tables = []
    for overlay in ("tpu", None):
        version = command("fit", "breast_cancer_mlp", overlay, *options) / "runs/breast_cancer_mlp/fit/version_0"
        tables.append(
            (pd.read_parquet(version / "predictions.parquet"), pd.read_csv(version / "metrics.csv", index_col="epoch"))
        )
    (tpu, logged), (cpu, expected) = tables
    assert list(tpu["id"]) == list(cpu["id"])
    assert np.ptp(cpu["prob_1"]) > 0.5
    np.testing.assert_allclose(tpu["prob_1"], cpu["prob_1"], atol=1e-4)
    for column in ("train_loss", "val_loss", "val_accuracy", "lr"):
        np.testing.assert_allclose(logged[column].dropna(), expected[column].dropna(), rtol=1e-4)


def test_a_run_broken_off_on_the_device_ends_bit_identical_with_dropout(
    tmp_path: Path, command: Callable[..., Path]
) -> None:
    steps = "{class_path: lightning_base.training.resume.TimedCheckpoint, init_args: {every_n_steps: 1}}"
    options = [
        *("--folds", "[0]", "--trainer.max_epochs", 3, "--trainer.callbacks+", "tests.tpu.counting.Break"),
        *("--trainer.callbacks+", steps),
    ]
    (tmp_path / "go").touch()
    whole = command("crossval", "breast_cancer_mlp", "tpu", *options, folder=tmp_path)
    broken = command("crossval", "breast_cancer_mlp", "tpu", *options, status=1)
    (broken / "go").touch()
    set_random_state(7)  # as another process would have some other one
    command("crossval", "breast_cancer_mlp", "tpu", *options, folder=broken)
    folds = [folder / CANCER / "fold_0" for folder in (whole, broken)]
    assert checkpoint(folds[0])["global_step"] == checkpoint(folds[1])["global_step"] > 0
    assert_same_weights(*folds)
    assert read_json(broken / CANCER / "fold_0" / "result.json")["resumed"]


def test_bfloat16_trains_as_well(tmp_path: Path, digits: tuple[Path, int]) -> None:
    # in a process of its own: torch-xla reads once whether it computes in bfloat16
    overlay = ("--config", CONFIGS / "strategy" / "tpu_bf16.yaml")
    arguments = ("crossval", "--config", CONFIGS / "digits_cnn.yaml", *overlay, "--folds", "[0]")
    command = [sys.executable, "-m", "tests.tpu.cpu_device", *map(str, arguments)]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = read_json(tmp_path / DIGITS / "fold_0" / "result.json")
    other = read_json(digits[0] / DIGITS / "fold_0" / "result.json")
    assert result["n_val"] == other["n_val"] == 288
    assert result["metrics"]["accuracy"] >= other["metrics"]["accuracy"] - 0.02
    for weight in weights(tmp_path / DIGITS / "fold_0").values():
        assert not weight.is_floating_point() or torch.equal(weight, weight.bfloat16().float())


def test_several_cores_are_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(XLAAccelerator, "auto_device_count", staticmethod(lambda: 4))
    options = ("--config", str(CONFIGS / "digits_cnn.yaml"), "--trainer.accelerator", "tpu", "--trainer.devices", "4")
    assert main(["fit", *options]) == 2
    assert "trainer.devices: 4" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
