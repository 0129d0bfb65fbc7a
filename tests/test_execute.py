"""Claims about executors: the same results wherever folds are trained, and processes that are killed lose nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_base.cli.entry import main
from lightning_base.results.states import read
from tests.conftest import CONFIGS, ROOT

Command = Callable[..., None]
OPTIONS = (
    *("--config", CONFIGS / "digits_cnn.yaml", "--model.network.widths", "[4]", "--trainer.max_epochs", 3),
    *("--threads", 1),
)


def directory(name: str) -> Path:
    return Path("runs") / name / "crossval"


def assert_same(one: Path, other: Path, folds: int) -> None:
    """Weights, predictions and scores of two cross-validations are the same, bit for bit."""
    for fold in range(folds):
        a, b = (
            torch.load(d / f"fold_{fold}" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
            for d in (one, other)
        )
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
        assert (one / f"fold_{fold}" / "metrics.csv").read_text() == (
            other / f"fold_{fold}" / "metrics.csv"
        ).read_text()
    pd.testing.assert_frame_equal(*(pd.read_parquet(d / "oof.parquet") for d in (one, other)), check_exact=True)
    scores = [json.loads((d / "summary.json").read_text())["metrics"] for d in (one, other)]
    assert scores[0] == scores[1]


def test_folds_in_processes_of_their_own_give_what_one_process_gives_bit_for_bit(
    run: Command, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("crossval", *OPTIONS, "--name", "inline")
    run("crossval", *OPTIONS, "--name", "process", "--executor", "process", "--jobs", 2)
    assert_same(directory("inline"), directory("process"), 5)
    shown = capsys.readouterr().out
    assert all(f"fold {k} ({k + 1} of 5)  accuracy" in shown for k in range(5))
    assert json.loads((directory("process") / "summary.json").read_text())["threads"] == [1]
    assert len({p.name for p in (directory("process") / "workers").iterdir()}) == 2


def test_twenty_kills_of_fold_processes_lose_nothing(run: Command, work: Path) -> None:
    """One command; whenever folds run, one of their processes is killed: mostly somewhere in its second epoch."""
    slow = ("--trainer.callbacks+", "tests.slow.SlowEpoch", "--trainer.max_epochs", 8)
    run("crossval", *OPTIONS, *slow, "--name", "whole")
    command = [sys.executable, "-m", "lightning_base", "crossval", *map(str, (*OPTIONS, *slow)), "--name", "killed"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "--executor", "process", "--jobs", "2"], cwd=work, env=environment)
    rng, kills = random.Random(0), 0
    seen: dict[int, tuple[float, bool]] = {}  # per process: the checkpoint it found, whether it is killed at once
    try:
        while kills < 20 and process.poll() is None:
            time.sleep(0.02)
            for folder in (directory("killed") / f"fold_{k}" for k in range(5)):
                state, checkpoint = read(folder), folder / "checkpoints" / "last.ckpt"
                if state["state"] != "running" or kills == 20:
                    continue
                written = checkpoint.stat().st_mtime if checkpoint.is_file() else 0.0
                found, at_once = seen.setdefault(state["pid"], (written, rng.random() < 0.1))
                if at_once or written != found:
                    time.sleep(0.3 * rng.random())
                    with suppress(ProcessLookupError):  # it may have ended by itself
                        os.kill(state["pid"], signal.SIGKILL)
                        kills += read(folder)["state"] != "done"
                    seen[state["pid"]] = (written, False)
        assert process.wait(timeout=300) == 0
    finally:
        process.kill()
        process.wait()
    assert kills == 20
    assert_same(directory("whole"), directory("killed"), 5)


def test_a_fold_whose_process_is_killed_again_and_again_fails_and_the_others_go_on(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the callback that kills
    Path("kill").touch()
    options = ["crossval", *map(str, OPTIONS), "--data.split.n_splits", "3", "--trainer.max_epochs", "1"]
    options += ["--trainer.callbacks+", "tests.slow.KillFold", "--executor", "process", "--jobs", "2"]
    assert main(options) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "1 of 3 folds failed: fold 1 (" in error
    assert "its process was killed by SIGKILL 3 times without a new checkpoint" in error
    assert [read(directory("digits_cnn") / f"fold_{k}")["state"] for k in range(3)] == ["done", "failed", "done"]
    Path("kill").unlink()
    assert main(options) == 0
    assert (directory("digits_cnn") / "summary.json").is_file()


def test_two_commands_in_one_directory_train_no_fold_twice(run: Command, work: Path) -> None:
    slow = ("--trainer.callbacks+", "tests.slow.SlowEpoch")
    command = [sys.executable, "-m", "lightning_base", "crossval", *map(str, (*OPTIONS, *slow))]
    other = subprocess.Popen(command, cwd=work, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    try:
        while read(directory("digits_cnn") / "fold_0")["state"] != "running":
            assert other.poll() is None
            time.sleep(0.05)
        run("crossval", *OPTIONS, *slow, "--folds", "[0]")
        assert not (directory("digits_cnn") / "fold_0" / "result.json").exists()  # the other has it
        assert other.wait(timeout=120) == 0
    finally:
        other.kill()
        other.wait()
    rows = pd.read_csv(directory("digits_cnn") / "fold_0" / "metrics.csv")
    assert rows["train_loss"].notna().sum() == 3
    assert np.isfinite(rows["train_loss"].dropna()).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--jobs", "2"], "--jobs is for --executor process, not inline; leave it out"),
        (["--executor", "process", "--jobs", "0"], "--jobs: 0 is below 1; give a positive number, or leave it out"),
        (["--slurm.partition", "main"], "--slurm is for --executor slurm, not inline; leave it out"),
        (["--executor", "process", "--trainer.num_nodes", "2"], "--executor process: trainer.num_nodes is more than"),
        (["--executor", "threads"], "executor"),
    ],
)
def test_an_executor_that_cannot_serve_is_one_line_and_nothing_is_written(
    work: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["crossval", *map(str, OPTIONS), *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not Path("runs").exists()
