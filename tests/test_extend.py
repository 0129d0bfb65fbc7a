"""Claims about a finished cross-validation with more repeats or folds: only what is new is computed."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from lightning_base.cli.entry import main
from tests.conftest import CONFIGS

Command = Callable[..., None]
CANCER = ("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 2)
DIRECTORY = Path("runs/breast_cancer_mlp/crossval")


def options(repeats: int, *more: object) -> list[str]:
    return [*map(str, (*CANCER, "--data.split.n_splits", 2, "--data.split.n_repeats", repeats, *more))]


def times(folds: range) -> list[int]:
    return [(DIRECTORY / f"fold_{k}" / "predictions.parquet").stat().st_mtime_ns for k in folds]


def weights(directory: Path, fold: int) -> dict[str, torch.Tensor]:
    path = directory / f"fold_{fold}" / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


def test_more_repeats_compute_only_the_new_folds_and_give_what_all_at_once_give(
    run: Command, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*options(1))
    before = times(range(2))
    run(*options(3))
    assert "4 folds are new, the earlier ones are kept" in capsys.readouterr().out
    assert times(range(2)) == before
    run(*options(3, "--name", "whole"))
    extended, whole = (json.loads((d / "summary.json").read_text()) for d in (DIRECTORY, Path("runs/whole/crossval")))
    for key in ("metrics", "split_hash", "n", "k", "repeats"):
        assert extended[key] == whole[key], key
    for name in ("oof.parquet", "split.parquet"):
        pd.testing.assert_frame_equal(*(pd.read_parquet(d / name) for d in (DIRECTORY, Path("runs/whole/crossval"))))
    for fold in range(6):
        mine, theirs = weights(DIRECTORY, fold), weights(Path("runs/whole/crossval"), fold)
        assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    # the old folds' checkpoints serve in the new directory: as members, and to be validated
    run("test", "--ckpt_path", DIRECTORY)
    assert json.loads((DIRECTORY / "test.json").read_text())["members"] == 6
    run("validate", "--ckpt_path", DIRECTORY / "fold_0" / "checkpoints" / "last.ckpt")
    assert main(["compare", str(DIRECTORY), "runs/whole/crossval"]) == 0


@pytest.mark.parametrize("step", ["write_split", "write_json"])
def test_an_extension_that_is_killed_is_done_again(
    step: str, run: Command, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*options(1))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"lightning_base.folds.directory.{step}", killed)
        assert main(options(2)) == 130
    before = times(range(2))
    run(*options(2))
    assert times(range(2)) == before
    assert json.loads((DIRECTORY / "summary.json").read_text())["k"] == 4


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
    changes: list[str], message: str, run: Command, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*options(2, "--folds", "[0]"))
    before = {path: path.read_bytes() for path in DIRECTORY.rglob("*.json")}
    assert main(options(2, *changes)) == 2
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in DIRECTORY.rglob("*.json")} == before
