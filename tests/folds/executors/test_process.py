"""Claims about executors: the same results wherever folds are trained, and processes that are killed lose nothing."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightning_base.cli.entry import main
from lightning_base.results.states import read
from tests.helpers import CONFIGS, ROOT, Run, assert_same_crossval, crossval, environment, read_json, refused

OPTIONS = (
    *("--config", CONFIGS / "digits_cnn.yaml", "--model.network.widths", "[4]", "--trainer.max_epochs", 3),
    *("--threads", 1),
)


@pytest.mark.slow
def test_folds_in_processes_of_their_own_give_what_one_process_gives_bit_for_bit(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("crossval", *OPTIONS, "--name", "inline")
    run("crossval", *OPTIONS, "--name", "process", "--executor", "process", "--jobs", 2)
    assert_same_crossval(crossval("process"), crossval("inline"))
    shown = capsys.readouterr().out
    assert all(f"fold {k} ({k + 1} of 5)  accuracy" in shown for k in range(5))
    assert read_json(crossval("process") / "summary.json")["threads"] == [1]
    assert len({p.name for p in (crossval("process") / "workers").iterdir()}) == 2


@pytest.mark.slow
def test_twenty_kills_of_fold_processes_lose_nothing(run: Run, preloaded: None, work: Path) -> None:
    """One command; whenever folds run, one of their processes is killed: mostly somewhere in its second epoch."""
    options = (*OPTIONS, "--trainer.max_epochs", 8)
    run("crossval", *options, "--name", "whole")
    slow = (*options, "--trainer.callbacks+", "tests.support.faults.SlowEpoch")
    command = [sys.executable, "-m", "lightning_base", "crossval", *map(str, slow), "--name", "killed"]
    command += ["--executor", "process", "--jobs", "2"]
    process = subprocess.Popen(command, cwd=work, env=environment(OMP_NUM_THREADS="1"))
    rng, kills = random.Random(0), 0
    # per process and fold: the checkpoint it found, and whether it is killed at once, of a fold's processes at most one
    seen: dict[tuple[int, Path], tuple[float, bool]] = {}
    try:
        while kills < 20 and process.poll() is None:
            time.sleep(0.02)
            for folder in (crossval("killed") / f"fold_{k}" for k in range(5)):
                state, checkpoint = read(folder), folder / "checkpoints" / "last.ckpt"
                if state["state"] != "running" or kills == 20:
                    continue
                written = checkpoint.stat().st_mtime if checkpoint.is_file() else 0.0
                process_of, before = (state["pid"], folder), [a for (_, of), (_, a) in seen.items() if of == folder]
                found, at_once = seen.setdefault(process_of, (written, rng.random() < 0.2 and not any(before)))
                if at_once or written != found:
                    time.sleep(0.3 * rng.random())
                    if read(folder).get("pid") != state["pid"]:  # it trains the next one
                        continue
                    with suppress(ProcessLookupError):  # it may have ended by itself
                        os.kill(state["pid"], signal.SIGKILL)
                        kills += read(folder)["state"] != "done"
                    seen[process_of] = (written, at_once)
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()
    assert kills == 20
    assert_same_crossval(crossval("killed"), crossval("whole"))


@pytest.mark.slow
def test_a_fold_whose_process_is_killed_again_and_again_fails_and_the_others_go_on(
    preloaded: None, work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the callback that kills
    Path("kill").touch()
    options = ["crossval", *map(str, OPTIONS), "--data.split.n_splits", "3", "--trainer.max_epochs", "1"]
    options += ["--trainer.callbacks+", "tests.support.faults.KillFold", "--executor", "process", "--jobs", "2"]
    assert main(options) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "1 of 3 folds failed: fold 1 (" in error
    assert "its process was killed by SIGKILL 3 times without a new checkpoint" in error
    assert [read(crossval("digits_cnn") / f"fold_{k}")["state"] for k in range(3)] == ["done", "failed", "done"]
    Path("kill").unlink()
    assert main(options) == 0
    assert (crossval("digits_cnn") / "summary.json").is_file()


@pytest.mark.slow
def test_two_commands_in_one_directory_train_no_fold_twice(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slow = ("--trainer.callbacks+", "tests.support.faults.SlowEpoch")
    command = [sys.executable, "-m", "lightning_base", "crossval", *map(str, (*OPTIONS, *slow))]
    other = subprocess.Popen(command, cwd=work, env=environment(OMP_NUM_THREADS="1"))
    try:
        while read(crossval("digits_cnn") / "fold_0")["state"] != "running":
            assert other.poll() is None
            time.sleep(0.05)
        refused(capsys, ["crossval", *OPTIONS, *slow, "--folds", "[0]"], f"fold 0 is trained by process {other.pid} on")
        assert not (crossval("digits_cnn") / "fold_0" / "result.json").exists()  # the other has it
        assert other.wait() == 0
    finally:
        other.kill()
        other.wait()
    rows = pd.read_csv(crossval("digits_cnn") / "fold_0" / "metrics.csv")
    assert rows["train_loss"].notna().sum() == 3
    assert np.isfinite(rows["train_loss"].dropna()).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--jobs", "2"], "--jobs is for --executor process, not inline; leave it out"),
        (["--executor", "process", "--jobs", "0"], "jobs: 0 is below 1; give a positive number, or leave it out"),
        (["--slurm.partition", "main"], "--slurm is for --executor slurm, not inline; leave it out"),
        (["--executor", "process", "--trainer.num_nodes", "2"], "--executor process: trainer.num_nodes is more than"),
        (["--executor", "threads"], "executor"),
    ],
)
def test_an_executor_that_cannot_serve_is_one_line_and_nothing_is_written(
    work: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    refused(capsys, ["crossval", *OPTIONS, *options], message)
    assert not Path("runs").exists()
