"""Claims about how much is said: by default, with -q and -v, in a pipe, and by functions called from Python."""

import re
from pathlib import Path

import pytest

import lightning_base as lb
from tests.helpers import CONFIGS, Run, crossval

SMALL = ("--config", CONFIGS / "digits_cnn.yaml", "--model.network.widths", "[4]", "--trainer.max_epochs", 2)
FOLDS = ("--data.split.n_splits", 2)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def is_table(line: str) -> bool:
    return line.startswith(("┏", "┃", "┡", "│", "└"))


def test_a_pipe_gets_what_begins_a_line_per_fold_and_the_results(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("crossval", *SMALL, *FOLDS)
    lines = said(capsys)
    assert re.fullmatch(r"digits_cnn: 1,437 samples, 2 folds, 2 epochs; CNN with [\d,]+ parameters", lines[0])
    score = r"accuracy 0\.\d{4}  auroc 0\.\d{4}  f1 0\.\d{4}  loss \d\.\d{4}  2 epochs  \d+\.\d s"
    assert all(re.fullmatch(rf"fold {k} \({k + 1} of 2\)  {score}", lines[1 + k]) for k in range(2))
    assert lines[3].startswith("digits_cnn: 2 folds, held-out samples, ")
    assert lines[-1] == f"results: {crossval('digits_cnn')}"
    assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize("words", [("-q", "crossval"), ("crossval", "--quiet")])
def test_q_leaves_the_results_alone(
    words: tuple[str, ...], run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*words, *SMALL, *FOLDS)
    title, *lines, results = said(capsys)
    table, beside = lines[:8], lines[8:]  # the score and three more metrics, in a frame with a heading
    assert title.startswith("digits_cnn: 2 folds, held-out samples, ")
    assert all(is_table(line) for line in table)
    assert not any(is_table(line) for line in beside)
    assert "4 more metrics (ece, ece2, precision, recall): summary.json; -v shows them" in beside
    assert results == f"results: {crossval('digits_cnn')}"


@pytest.mark.filterwarnings("default")
def test_v_adds_a_line_per_epoch_and_what_lightning_says(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    run("crossval", *SMALL, *FOLDS, "--verbose")
    lines = capsys.readouterr().out.splitlines()
    told = [line.split("  ")[:2] for line in lines if "train_loss" in line]
    assert told == [[f"fold {fold}", f"epoch {epoch} of 2"] for fold in range(2) for epoch in (1, 2)]
    assert any("smaller than the logging interval" in str(warning.message) for warning in recwarn)


def test_a_function_called_from_python_says_nothing(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {"model.network.widths": [4], "trainer.max_epochs": 2, "data.split.n_splits": 2}
    assert lb.crossval(CONFIGS / "digits_cnn.yaml", overrides=small).directory.is_dir()
    assert said(capsys) == []


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "NO_COLOR"])
def test_a_pipe_that_is_promised_colours_gets_no_moving_bar(
    variable: str, run: Run, work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    run("fit", *SMALL)
    shown = capsys.readouterr().out
    assert ("\x1b[1m" in shown) == (variable == "FORCE_COLOR")  # headings are bold
    assert "\x1b[?25l" not in shown  # the cursor is hidden while a bar moves
    assert "\r" not in shown
