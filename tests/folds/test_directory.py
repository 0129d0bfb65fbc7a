"""Claims about a finished cross-validation with more repeats or folds: only what is new is computed."""

import os
from pathlib import Path

import pandas as pd
import pytest

from lightning_base.cli.entry import main
from tests.helpers import CONFIGS, Run, assert_same_crossval, crossval, read_json, refused

CANCER = ("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 2)
DIRECTORY = Path("runs/breast_cancer_mlp/crossval")


def options(repeats: int, *more: object) -> list[str]:
    return [*map(str, (*CANCER, "--data.split.n_splits", 2, "--data.split.n_repeats", repeats, *more))]


def times(folds: range) -> list[int]:
    return [(DIRECTORY / f"fold_{k}" / "predictions.parquet").stat().st_mtime_ns for k in folds]


@pytest.mark.slow
def test_more_repeats_compute_only_the_new_folds_and_give_what_all_at_once_give(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*options(1))
    before = times(range(2))
    run(*options(3))
    assert "4 folds are new, the earlier ones are kept" in capsys.readouterr().out
    assert times(range(2)) == before
    run(*options(3, "--name", "whole"))
    whole = crossval("whole")
    extended, at_once = (read_json(d / "summary.json") for d in (DIRECTORY, whole))
    for key in ("metrics", "split_hash", "n", "k", "repeats"):
        assert extended[key] == at_once[key], key
    pd.testing.assert_frame_equal(*(pd.read_parquet(d / "split.parquet") for d in (DIRECTORY, whole)))
    assert_same_crossval(DIRECTORY, whole)
    # the old folds' checkpoints serve in the new directory: as members, and to be validated
    run("test", "--ckpt_path", DIRECTORY)
    assert read_json(DIRECTORY / "test.json")["members"] == 6
    run("validate", "--ckpt_path", DIRECTORY / "fold_0" / "checkpoints" / "last.ckpt")
    run("compare", DIRECTORY, whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["split.parquet", "result.json"])
def test_an_extension_that_is_killed_is_done_again(
    name: str, run: Run, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*options(1))
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        """Before a file of this name is in place."""
        if Path(target).name == name:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        assert main(options(2)) == 130
    before = times(range(2))
    run(*options(2))
    assert times(range(2)) == before
    assert read_json(DIRECTORY / "summary.json")["k"] == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--data.split.n_splits", "3"], "data.init_args.split.init_args.n_splits was 2, is now 3"),
        (["--data.split.n_repeats", "1"], "data.init_args.split.init_args.n_repeats was 2, is now 1"),
        (["--data.split.n_repeats", "3", "--model.l2", "0.1"], "model.init_args.l2 was 0.001, is now 0.1"),
        (["--data.split.n_repeats", "3", "--data.test_size", "0.3"], "data.init_args.test_size was 0.2, is now 0.3"),
    ],
)
def test_what_is_no_extension_is_refused(
    changes: list[str], message: str, run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*options(2, "--folds", "[0]"))
    before = {path: path.read_bytes() for path in DIRECTORY.rglob("*.json")}
    refused(capsys, options(2, *changes), message)
    assert {path: path.read_bytes() for path in DIRECTORY.rglob("*.json")} == before
