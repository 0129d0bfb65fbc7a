"""Claims about signals: a run that is told to stop keeps a checkpoint, and ends bit-identical when it goes on."""

from pathlib import Path

import pytest

from tests.helpers import CONFIGS, assert_same_training, checkpoint
from tests.support.disasters import happen
from tests.support.forks import Forks

DIGITS = ("--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", "2", "--model.network.widths", "[8]")


@pytest.fixture(scope="module")
def whole(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds that nothing disturbs."""
    work = tmp_path_factory.mktemp("whole")
    assert forks(work, "crossval", *DIGITS, "--folds", "[0, 1]") == [0]
    return work / "runs/digits_cnn/crossval"


@pytest.mark.slow
def test_a_signal_stops_a_run_at_its_next_step_and_the_same_command_goes_on_bit_identically(
    forks: Forks, whole: Path, tmp_path: Path
) -> None:
    twice = (*happen(0, 5, "kill -TERM $PID"), *happen(1, 7, "kill -USR1 $PID"))
    command = ("crossval", *DIGITS, "--folds", "[0, 1]", *twice)
    home = tmp_path / "runs/digits_cnn/crossval"
    assert forks(tmp_path, *command) == [75]
    assert checkpoint(home / "fold_0", "step.ckpt")["global_step"] == 6
    assert forks(tmp_path, *command) == [75]
    assert checkpoint(home / "fold_0", "step.ckpt")["global_step"] == 18 + 8
    assert forks(tmp_path, *command) == [0]
    for fold in ("fold_0", "fold_1"):
        assert_same_training(home / fold, whole / fold)
    log = (tmp_path / "log").read_text()
    assert "SIGTERM: " in log
    assert "SIGUSR1: " in log
    assert "Traceback" not in log


@pytest.mark.slow
def test_a_signal_inside_accumulated_gradients_or_before_a_validation_waits_for_a_place_to_resume_from(
    forks: Forks, tmp_path: Path
) -> None:
    options = ("crossval", *DIGITS, "--folds", "[0]", "--trainer.accumulate_grad_batches", "4")
    for name in ("whole", "told"):
        (tmp_path / name).mkdir()
    assert forks(tmp_path / "whole", *options) == [0]
    told = (*options, *happen(0, 4, "kill -USR1 $PID"), *happen(0, 17, "kill -USR1 $PID"))
    whole, home = (tmp_path / name / "runs/digits_cnn/crossval/fold_0" for name in ("whole", "told"))
    assert forks(tmp_path / "told", *told) == [75]
    assert checkpoint(home, "step.ckpt")["global_step"] == 2
    assert forks(tmp_path / "told", *told) == [75]
    assert checkpoint(home)["global_step"] == 5
    assert forks(tmp_path / "told", *told) == [0]
    assert_same_training(home, whole)


@pytest.mark.slow
def test_two_ranks_agree_on_the_step_where_one_of_them_was_told(forks: Forks, tmp_path: Path) -> None:
    options = ("crossval", *DIGITS, "--folds", "[0]", "--trainer.strategy", "ddp", "--trainer.devices", "2")
    for name in ("whole", "told"):
        (tmp_path / name).mkdir()
    assert forks(tmp_path / "whole", *options, ranks=2) == [0, 0]
    told = (*options, *happen(0, 6, "kill -TERM $PID", rank=1))
    whole, home = (tmp_path / name / "runs/digits_cnn/crossval/fold_0" for name in ("whole", "told"))
    assert forks(tmp_path / "told", *told, ranks=2)[0] == 75
    assert 7 <= checkpoint(home, "step.ckpt")["global_step"] <= 8
    assert forks(tmp_path / "told", *told, ranks=2) == [0, 0]
    assert_same_training(home, whole)


@pytest.mark.slow
def test_fit_goes_on_where_it_was_stopped(forks: Forks, tmp_path: Path) -> None:
    for name, told in (("whole", ()), ("told", happen(1, 3, "kill -TERM $PID"))):
        (tmp_path / name).mkdir()
        assert forks(tmp_path / name, "fit", *DIGITS, *told) == [75 if told else 0]
    assert forks(tmp_path / "told", "fit", *DIGITS, *told) == [0]
    whole, home = (tmp_path / name / "runs/digits_cnn/fit" for name in ("whole", "told"))
    assert [path.name for path in home.iterdir()] == ["version_0"]
    assert_same_training(home / "version_0", whole / "version_0")


@pytest.mark.slow
def test_folds_in_processes_of_their_own_are_told_too(forks: Forks, whole: Path, tmp_path: Path) -> None:
    told = happen(1, 2, "kill -TERM $LIGHTNING_BASE_PARENT")  # the command, not the fold's process
    command = ("crossval", *DIGITS, "--folds", "[0]", "--executor", "process", "--jobs", "1", "--threads", "1")
    assert forks(tmp_path, *command, *told) == [75]
    home = tmp_path / "runs/digits_cnn/crossval"
    assert (home / "fold_0/checkpoints/step.ckpt").is_file()
    assert forks(tmp_path, *command, *told) == [0]
    assert_same_training(home / "fold_0", whole / "fold_0")


def test_a_signal_while_a_fold_predicts_keeps_its_result_and_begins_no_other(forks: Forks, tmp_path: Path) -> None:
    told = ("--trainer.callbacks+", "tests.support.disasters.TermInPredict")
    assert forks(tmp_path, "crossval", *DIGITS, "--folds", "[0, 1]", *told) == [75]
    home = tmp_path / "runs/digits_cnn/crossval"
    assert (home / "fold_0/result.json").is_file()
    assert not (home / "fold_1").exists()
