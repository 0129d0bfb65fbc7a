"""Claims about folds that fail or are interrupted: the others go on, and their state can be looked at."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from lightning_base.cli.entry import main
from lightning_base.results.fold_result import FoldResult
from lightning_base.results.states import read, running
from tests.helpers import CONFIGS, Run, crossval, read_json, refused, run_in, run_without

OPTIONS = (
    *("crossval", "--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 1, "--model.network.widths", "[4]"),
    *("--data.split.n_splits", 3, "--trainer.callbacks+", "tests.support.faults.FailFold"),
)
DIRECTORY = crossval("digits_cnn")


@pytest.mark.slow
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


def test_a_state_of_a_process_whose_number_another_one_has_now_is_interrupted(work: Path) -> None:
    (work / "state.json").write_text(json.dumps({**running(), "pid": 1}))  # as after a restart of the machine
    assert read(work)["state"] == "interrupted"


@pytest.mark.slow
def test_processes_train_what_a_state_of_another_machine_or_an_earlier_start_names(
    run: Run, preloaded: None, work: Path
) -> None:
    for fold, left in enumerate(({"pid": 1}, {"host": "elsewhere"})):
        (DIRECTORY / f"fold_{fold}").mkdir(parents=True)
        (DIRECTORY / f"fold_{fold}" / "state.json").write_text(json.dumps({**running(), **left}))
    run(*OPTIONS[:-2], "--executor", "process", "--jobs", 1, "--threads", 1)
    assert [read(DIRECTORY / f"fold_{fold}")["state"] for fold in range(3)] == ["done"] * 3


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished cross-validation."""
    work = tmp_path_factory.mktemp("finished")
    run_in(work, *OPTIONS[:-2])
    return work / DIRECTORY


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("summary.json", [], "summary.json: is no JSON object; delete it, and run crossval again"),
        ("summary.json", {"metrics": {"accuracy": 1}}, "metrics.accuracy is '1', no MetricSummary"),
        ("summary.json", {"metrics": None}, "metrics is 'None', no dict"),
        ("summary.json", {"k": "3"}, "k is '3', no int"),
        (
            "summary.json",
            {"metrics": {"accuracy": {"mean": 1, "std": 0, "ci95": 3, "folds": [1, 1, 1]}}},
            "ci95 is '3'",
        ),
        (
            "summary.json",
            {"metrics": {"accuracy": {"mean": 1, "std": 0, "ci95": [0, 1], "folds": [1]}}},
            "accuracy has 1 folds of 3",
        ),
        ("fold_0/result.json", None, "result.json: is no JSON object"),
        ("fold_0/result.json", {"metrics": None}, "metrics is 'None', no dict"),
        ("fold_0/result.json", {"metrics": {"accuracy": "x"}}, "metrics.accuracy is 'x', no float"),
        ("fold_0/result.json", {"n_train": "many"}, "n_train is 'many', no int"),
        ("fold_0/result.json", {"seconds": True}, "seconds is 'True', no float"),
        ("identity.json", {"split_hash": 3}, "'split_hash' is '3', no str"),
    ],
)
def test_a_file_of_a_run_that_says_another_type_is_one_line(
    finished: Path, work: Path, capsys: pytest.CaptureFixture[str], name: str, change: object, message: str
) -> None:
    shutil.copytree(finished, work / "changed")
    path = work / "changed" / name
    path.write_text(json.dumps({**read_json(path), **change} if isinstance(change, dict) else change))
    refused(capsys, ["compare", finished, work / "changed"], str(path), message)


@pytest.mark.parametrize("content", [{}, [], {"state": "running"}, {**running(), "pid": "x"}])
def test_a_state_that_is_none_is_one_line(
    finished: Path, work: Path, capsys: pytest.CaptureFixture[str], content: object
) -> None:
    shutil.copytree(finished, work / "changed")
    (work / "changed" / "fold_0" / "result.json").unlink()
    (work / "changed" / "fold_0" / "state.json").write_text(json.dumps(content))
    refused(capsys, ["crossval", "--status", work / "changed"], "state.json: ", "delete it, and run crossval again")
