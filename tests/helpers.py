"""What tests share: where things stand, commands and what they say, and what runs leave, compared bit for bit."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from torch import Tensor

from lightning_base.cli.entry import main
from lightning_base.splitters.split import Split

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
SHARED = Path(os.environ.get("LIGHTNING_BASE_SHARED", ROOT.parent / "shared" / "data")).resolve()
Run = Callable[..., None]  # the fixture `run`: a verb and its arguments


def shared(name: str) -> Path:
    """A file or folder of the shared real data; the test is skipped where it is not there."""
    if not (SHARED / name).exists():
        pytest.skip(f"no {SHARED / name}: set LIGHTNING_BASE_SHARED to a folder that has it")
    return SHARED / name


def environment(**more: str) -> dict[str, str]:
    """The environment of a program that imports this package, the models and the tests, wherever it is started."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def run_in(folder: Path, *arguments: object) -> None:
    """Runs a command in a folder and fails where it fails: the `run` of fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*map(str, arguments)]) == 0


def run_without(modules: Iterable[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a fresh interpreter; the test fails where it has imported one of these modules."""
    code = (
        f"import sys; from lightning_base.cli.entry import main; status = main({list(arguments)!r});"
        f"sys.exit(99 if {set(modules)!r} & set(sys.modules) else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode != 99, f"{arguments} imports one of {modules}"
    return done


def assert_one_line(status: int, capsys: pytest.CaptureFixture[str], *parts: str) -> None:
    """A command that has ended so was refused, in one line that holds these parts."""
    error = capsys.readouterr().err
    assert status == 2, error
    assert error.count("\n") == 1, error
    assert error.startswith("lightning-base: error: ")
    for part in parts:
        assert part in error, error


def refused(capsys: pytest.CaptureFixture[str], arguments: Iterable[object], *parts: str) -> None:
    """The command is refused, in one line that holds these parts."""
    capsys.readouterr()
    assert_one_line(main([*map(str, arguments)]), capsys, *parts)


def crossval(name: str, work: Path = Path()) -> Path:
    """The crossval directory of an experiment of this name."""
    return work / "runs" / name / "crossval"


def read_json(path: Path) -> Any:
    """What a JSON file holds, but for its check sum: written again, it is as a person's."""
    content = json.loads(path.read_text())
    if isinstance(content, dict):
        content.pop("sha256", None)
    return content


def checkpoint(fold: Path, name: str = "last.ckpt") -> dict[str, Any]:
    """A checkpoint of a training's directory, loaded without unpickling."""
    content: dict[str, Any] = torch.load(fold / "checkpoints" / name, weights_only=True)
    return content


def weights(fold: Path, name: str = "last.ckpt") -> dict[str, Tensor]:
    """The weights in a checkpoint of a training's directory."""
    found: dict[str, Tensor] = checkpoint(fold, name)["state_dict"]
    return found


def assert_same_weights(found: Path, expected: Path, atol: float = 0.0) -> None:
    """Two trainings ended with the same weights, bit for bit."""
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=atol, msg=name)


def assert_same_training(found: Path, expected: Path, atol: float = 0.0) -> None:
    """The same weights, bit for bit, the same rows of metrics, and no checkpoint that only a run under way needs."""
    assert_same_weights(found, expected, atol)
    rows = [pd.read_csv(home / "metrics.csv") for home in (found, expected)]
    pd.testing.assert_frame_equal(*rows, rtol=0, atol=atol, check_exact=not atol)
    assert [path.name for path in (found / "checkpoints").iterdir()] == ["last.ckpt"]


def assert_same_crossval(found: Path, expected: Path) -> None:
    """Weights, logs, predictions and scores of two cross-validations are the same, bit for bit."""
    folds = sorted(path.name for path in expected.glob("fold_*"))
    assert folds
    assert sorted(path.name for path in found.glob("fold_*")) == folds
    for fold in folds:
        assert_same_weights(found / fold, expected / fold)
        assert (found / fold / "metrics.csv").read_text() == (expected / fold / "metrics.csv").read_text()
    tables = [pd.read_parquet(directory / "oof.parquet") for directory in (found, expected)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    ours, theirs = (read_json(directory / "summary.json")["metrics"] for directory in (found, expected))
    assert ours == theirs


def folds_of(split: Split) -> list[tuple[list[int], list[int], int]]:
    """Of each fold the training rows, the held-out rows and the repeat."""
    return [(fold.train.tolist(), fold.val.tolist(), fold.repeat) for fold in split.folds]


def change_unseen(path: Path, old: bytes, new: bytes) -> None:
    """Changes a file's content but neither its size nor its time of change: who reads it again finds something else."""
    content, status = path.read_bytes(), path.stat()
    assert old in content
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def tone(hertz: float, seconds: float = 0.3, rate: int = 8000) -> npt.NDArray[np.int16]:
    """A pure tone."""
    return np.rint(12_000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.int16)
