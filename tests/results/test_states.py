"""Claims about folds that fail or are interrupted: the others go on, and their state can be looked at."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from lightning_base.cli.entry import main
from lightning_base.results.fold_result import FoldResult
from lightning_base.results.states import read, running
from tests.helpers import CONFIGS, Run, crossval, read_json, refused, run_without

OPTIONS = (
    *("crossval", "--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 1, "--model.network.widths", "[4]"),
    *("--data.split.n_splits", 3, "--trainer.callbacks+", "tests.support.faults.FailFold"),
)
DIRECTORY = crossval("digits_cnn")


def test_one_folds_failure_leaves_the_others_running_and_only_it_is_run_again(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("fail").touch()
    assert main(list(map(str, OPTIONS))) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "1 of 3 folds failed: fold 1 (ZeroDivisionError: by nothing at all)" in captured.err
    assert "fold 1 (2 of 3)  failed: ZeroDivisionError" in captured.out
    assert [(DIRECTORY / f"fold_{k}" / "result.json").exists() for k in range(3)] == [True, False, True]
    assert read_json(DIRECTORY / "fold_1" / "state.json")["state"] == "failed"
    assert "ZeroDivisionError" in (DIRECTORY / "fold_1" / "error.txt").read_text()
    assert not (DIRECTORY / "summary.json").exists()
    assert main(["crossval", "--status", str(DIRECTORY)]) == 1
    shown = capsys.readouterr().out
    assert "failed" in shown
    assert "2 of 3 folds are done" in shown

    Path("fail").unlink()
    done = {k: (DIRECTORY / f"fold_{k}" / "result.json").stat().st_mtime_ns for k in (0, 2)}
    run(*OPTIONS)
    assert {k: (DIRECTORY / f"fold_{k}" / "result.json").stat().st_mtime_ns for k in (0, 2)} == done
    assert not (DIRECTORY / "fold_1" / "error.txt").exists()
    assert len(pd.read_parquet(DIRECTORY / "oof.parquet")) == 1437
    capsys.readouterr()
    assert main(["crossval", f"--status={DIRECTORY}"]) == 0
    assert "3 of 3 folds are done" in capsys.readouterr().out


def test_the_state_of_a_fold_is_pending_running_interrupted_or_done(work: Path) -> None:
    assert read(work)["state"] == "pending"
    (work / "state.json").write_text(json.dumps(running()))
    assert read(work)["state"] == "running"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (work / "state.json").write_text(json.dumps({**running(), "pid": gone.pid}))
    assert read(work)["state"] == "interrupted"
    (work / "state.json").write_text(json.dumps({**running(), "pid": gone.pid, "host": "elsewhere"}))
    assert read(work)["state"] == "running"
    scores = {"metrics": {"accuracy": 0.9}, "details": {}}
    counts = {"fold": 1, "seed": 7, "n_train": 80, "n_val": 20, "epochs": 3, "threads": 1, "scored_epochs": 3}
    words = {"selection": "last epoch", "checkpoint": "last.ckpt", "split_hash": "0" * 64}
    result = FoldResult(**counts, **words, **scores, seconds=1.5, resumed=False)
    result.write(work)
    assert read(work) == {**asdict(result), "state": "done"}


def test_the_status_needs_no_torch(work: Path) -> None:
    done = run_without(("torch", "lightning"), "crossval", "--status", "nowhere")
    assert done.returncode == 2
    assert "nowhere is no crossval directory" in done.stderr


@pytest.mark.parametrize("arguments", ["--status", "--status a b", "--config a.yaml --status b"])
def test_the_status_takes_a_directory_and_nothing_else(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, ["crossval", *arguments.split()], "takes one crossval directory and nothing else")
