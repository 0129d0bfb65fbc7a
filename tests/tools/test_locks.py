"""Claims about locks: a folder is claimed by one process at a time, and a fold trained by one."""

import json
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from lightning_base.errors import ArtefactError
from lightning_base.folds.directory import Displaced, demand_unchanged, stamp_of
from lightning_base.folds.fold import attempt
from lightning_base.folds.plan import Plan
from lightning_base.tools import locks
from lightning_base.tools.locks import claiming, hold, is_held
from tests.helpers import CONFIGS, Run, crossval, read_json, refused

CANCER = ("--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 1)


def test_what_is_claimed_is_waited_for_and_given_up_on_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileLock(tmp_path / ".run.lock"), claiming_later(tmp_path / "run") as entered:
        assert not entered.wait(0.1)
    assert entered.wait(10)
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    with (
        FileLock(tmp_path / ".run.lock"),
        pytest.raises(ArtefactError, match="another process has been at work there"),
        claiming(tmp_path / "run"),
    ):
        pass
    assert not (tmp_path / "run").exists()


class claiming_later:
    """Claims in a thread, and tells when it has."""

    def __init__(self, path: Path) -> None:
        self.entered = threading.Event()
        self.thread = threading.Thread(target=self._claim, args=[path])

    def _claim(self, path: Path) -> None:
        with claiming(path):
            self.entered.set()

    def __enter__(self) -> threading.Event:
        self.thread.start()
        return self.entered

    def __exit__(self, *_: object) -> None:
        pass  # the other lock, entered before, ends after this


def test_a_lock_whose_file_was_left_holds_nobody(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    assert not is_held(tmp_path / ".lock")
    with hold(tmp_path / ".lock") as held:
        assert held
        assert is_held(tmp_path / ".lock")


def test_a_fold_that_another_process_trains_is_named_with_its_process(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("crossval", *CANCER, "--data.split", "sklearn.model_selection.KFold", "--data.split.n_splits", 2)
    run(*options, "--folds", "[1]")
    directory = crossval("breast_cancer_mlp")
    fold = directory / "fold_0"
    fold.mkdir()
    (fold / "state.json").write_text(json.dumps({"state": "running", "host": "node7", "pid": 1234}))
    with FileLock(fold / ".lock"):
        refused(capsys, options, "fold 0 is trained by process 1234 on node7; run the same command again")
    assert not (fold / "result.json").exists()
    run(*options)
    assert read_json(directory / "summary.json")["k"] == 2


def test_a_directory_that_was_made_anothers_meanwhile_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 1")
    plan = Plan(None, tmp_path, None, stamp_of(tmp_path))  # type: ignore[arg-type]  # neither is looked at
    demand_unchanged(plan)
    (tmp_path / "config.yaml").write_text("seed: 2")
    with pytest.raises(Displaced, match="was made another experiment's"):
        attempt(plan, 0)
    assert not (tmp_path / "fold_0" / "state.json").exists()


def test_two_fits_that_begin_together_have_a_folder_each(run: Run, work: Path) -> None:
    run("fit", *CANCER)
    home = work / "runs" / "breast_cancer_mlp" / "fit"
    (home / "version_0" / "result.json").unlink()  # as where it is being trained
    with FileLock(home / "version_0" / ".lock"):
        run("fit", *CANCER)
    assert (home / "version_1" / "result.json").is_file()
    assert not (home / "version_0" / "result.json").exists()
