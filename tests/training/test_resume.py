"""Claims about resuming: killed at any moment and resumed, a run ends bit-identical to one that never was."""

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_base.cli.entry import main
from lightning_base.errors import UserError
from lightning_base.training.checkpoint import damage, write
from tests.helpers import CONFIGS, Run, assert_same_weights, checkpoint, refused
from tests.support.forks import Forks
from tests.support.resumed import (
    BASE,
    FOLD,
    KILL,
    LAST,
    TIMED,
    WATCHED,
    WHOLE,
    assert_identical,
    draw_kills,
    kill_and_resume,
    undisturbed,
)

FIT = ("fit", "--config", CONFIGS / "digits_cnn.yaml", "--model.network.widths", "[8]")


@pytest.fixture(scope="module")
def whole(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that nothing disturbed."""
    return undisturbed(forks, tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_five_kills_at_random_moments_change_nothing(forks: Forks, whole: Path, work: Path, seed: int) -> None:
    kill_and_resume(forks, work, draw_kills(np.random.default_rng(seed)))
    assert_identical(work, whole)


CALLBACKS = "lightning.pytorch.callbacks"
VARIANTS = {
    "the learning rate led by a plateau": (
        ("--model.scheduler", "lightning.pytorch.cli.ReduceLROnPlateau", "--model.scheduler.monitor", "val_loss"),
        ("--model.scheduler.threshold", 0.9, "--model.scheduler.patience", 0, "--trainer.val_check_interval", 0.5),
        (*TIMED, "--trainer.callbacks.every_n_steps", 4, ["18:renamed", "20:validation", "36:renamed"]),
    ),
    "accumulated gradients": (
        ("--trainer.callbacks+", f"{CALLBACKS}.GradientAccumulationScheduler"),
        ("--trainer.callbacks.scheduling", "{0: 6, 1: 4}", *TIMED, "--trainer.callbacks.every_n_minutes", 1e-6),
        (["2:batch", "7:stepped", "9:half"],),
    ),
    "averaged weights": (
        ("--trainer.callbacks+", f"{CALLBACKS}.EMAWeightAveraging", "--trainer.callbacks.decay", 0.9),
        (*TIMED, "--trainer.callbacks.every_n_steps", 4, ["9:backward", "54:predict"]),
    ),
    "a number of steps": (
        ("--trainer.max_steps", 45, "--trainer.max_epochs", -1, *WATCHED),
        (["18:renamed", "40:batch", "45:predict"],),
    ),
    "a metric of training samples, ModelCheckpoint for steps": (
        ("--model", "tests.support.kills.TrainAccuracy", "--trainer.callbacks+", f"{CALLBACKS}.ModelCheckpoint"),
        ("--trainer.callbacks.every_n_train_steps", 7, ["11:batch", "50:backward"]),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_a_kill_changes_nothing_with(forks: Forks, tmp_path: Path, name: str) -> None:
    *options, kills = (value for part in VARIANTS[name] for value in part)
    options = (*BASE, *options, *KILL)
    for part in ("whole", "killed"):
        (tmp_path / part).mkdir()
    assert forks(tmp_path / "whole", *options) == [0], (tmp_path / "whole" / "log").read_text()
    for kill in kills:
        assert forks(tmp_path / "killed", *options, KILL=f"0:{kill}") == [-9], kill
    assert forks(tmp_path / "killed", *options) == [0], (tmp_path / "killed" / "log").read_text()
    assert_identical(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow
def test_two_ddp_processes_killed_in_turn_end_the_same(forks: Forks, tmp_path: Path) -> None:
    options = (*WHOLE, "--trainer.devices", 2, "--trainer.strategy", "ddp")
    for part in ("whole", "killed"):
        (tmp_path / part).mkdir()
    assert forks(tmp_path / "whole", *options, ranks=2) == [0, 0], (tmp_path / "whole" / "log").read_text()
    for kill in ("1:9:backward", "0:30:half"):
        assert -9 in forks(tmp_path / "killed", *options, ranks=2, KILL=kill)
    assert forks(tmp_path / "killed", *options, ranks=2) == [0, 0], (tmp_path / "killed" / "log").read_text()
    assert_identical(tmp_path / "killed", tmp_path / "whole")
    kept = checkpoint(tmp_path / "killed" / FOLD)["exact_resume"]["ranks"]
    assert len(kept) == 2
    assert not torch.equal(kept[0]["rng"]["torch"], kept[1]["rng"]["torch"])


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5000)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "names", "onward"),
    [
        (cut, ["step.ckpt"], "goes on from step.previous.ckpt"),
        (flip, ["step.ckpt", "step.previous.ckpt", "last.ckpt"], "goes on from last.previous.ckpt"),
        (cut, ["step.ckpt", "step.previous.ckpt", "last.ckpt", "last.previous.ckpt"], "begins anew"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    forks: Forks, whole: Path, work: Path, harm: Callable[[Path], None], names: list[str], onward: str
) -> None:
    assert forks(work, *WHOLE, KILL="0:47:batch") == [-9]
    for name in names:
        harm(work / FOLD / "checkpoints" / name)
    assert forks(work, *WHOLE) == [0], (work / "log").read_text()
    shown = (work / "log").read_text()
    assert f"{names[0]} is damaged" in shown
    assert onward in shown
    assert_identical(work, whole)


def test_a_full_disk_is_said_and_the_earlier_checkpoint_stands(forks: Forks, whole: Path, work: Path) -> None:
    assert forks(work, *WHOLE, KILL="0:30:full") == [1]
    assert "step.ckpt: no space left on the disk" in (work / "log").read_text()
    left = sorted(p.name for p in (work / FOLD / "checkpoints").iterdir() if p.name != "epoch=0-step=18.ckpt")
    assert left == ["last.ckpt", "step.ckpt", "step.previous.ckpt"]
    assert forks(work, *WHOLE) == [0], (work / "log").read_text()
    assert_identical(work, whole)


def test_a_disk_that_fills_up_while_a_checkpoint_is_written_keeps_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    path = disk / "last.ckpt"
    try:
        write({"weights": torch.ones(1000)}, path)
        if not mounted:  # a disk that says so instead
            monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(UserError, match=r"last\.ckpt: no space left on the disk"):
            write({"weights": torch.ones(1_000_000)}, path)
        assert [p.name for p in disk.iterdir()] == ["last.ckpt"]
        assert damage(path) is None
        assert torch.equal(torch.load(path, weights_only=True)["weights"], torch.ones(1000))
    finally:
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_what_lightning_writes_for_slurm_inside_a_step_is_neither_resumed_nor_scored(
    forks: Forks, whole: Path, work: Path
) -> None:
    slurm = {f"SLURM_{name}": value for name, value in (("NTASKS", "1"), ("JOB_NAME", "fold"), ("JOB_ID", "7"))}
    slurm |= {f"SLURM_{name}": "0" for name in ("PROCID", "LOCALID", "NODEID")} | {"SLURM_NODELIST": "localhost"}
    for step in (3, 13):  # before the run's own first checkpoint, and after it
        assert forks(work, *WHOLE, KILL=f"0:{step}:requeue", **slurm) == [-9]
        assert (work / FOLD / "hpc_ckpt_1.ckpt").exists()
    assert forks(work, *WHOLE, KILL="0:20:signal", **slurm) == [0], (work / "log").read_text()
    assert not (work / FOLD / "hpc_ckpt_1.ckpt").exists()
    assert_identical(work, whole)


def test_a_damaged_checkpoint_is_refused_where_it_is_named(
    whole: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = work / "broken.ckpt"
    path.write_bytes((whole / LAST).read_bytes())
    flip(path)
    config = whole / FOLD.parent / "config.yaml"
    refused(capsys, ["validate", "--config", config, "--ckpt_path", path], "broken.ckpt")


@pytest.mark.slow
def test_a_fit_that_was_broken_off_goes_on_in_its_folder_and_a_finished_one_is_left_alone(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (*FIT, "--trainer.max_epochs", 3, "--trainer.callbacks+", "tests.support.faults.FailOnce")
    home = work / "runs" / "digits_cnn" / "fit"
    run(*options)  # version_0, undisturbed
    Path("fail").touch()
    assert main([*map(str, options)]) == 1
    Path("fail").unlink()
    capsys.readouterr()
    run(*options)
    assert "version_1: goes on from last.ckpt; delete the folder to begin anew" in capsys.readouterr().out
    assert sorted(path.name for path in home.iterdir()) == ["version_0", "version_1"]
    assert_same_weights(home / "version_1", home / "version_0")
    Path("fail").touch()
    assert main([*map(str, options)]) == 1
    Path("fail").unlink()
    run(*options, "--model.optimizer.lr", 0.01)  # another experiment
    assert len(list(home.iterdir())) == 4


@pytest.mark.parametrize("options", [(), ("--trainer.callbacks.every_n_steps", "0")])
def test_a_timed_checkpoint_without_a_time_is_refused(
    work: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    refused(capsys, [*BASE, *TIMED, *options], "every_n_minutes or every_n_steps")
    assert list(work.iterdir()) == []
