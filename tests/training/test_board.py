"""Claims about what is seen of trainings while they run: each one's own time, and lines now and then."""

from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from lightning_base.folds.progress import FoldProgress
from lightning_base.results.states import STATE, note_success, running
from lightning_base.tools.console import Level, speaking
from lightning_base.tools.files import write_json
from lightning_base.training.board import Board, Seen
from tests.helpers import CONFIGS, Run

SMALL = ("--config", CONFIGS / "digits_cnn.yaml", "--model.network.widths", "[4]")


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def terminal(width: int) -> Console:
    return Console(file=Terminal(), force_terminal=True, width=width, highlight=False, _environ={})


def seen(epochs: float, total: int = 12, score: str = "") -> Seen:
    return Seen(epochs, total, epochs / total, loss="train_loss 0.5000", score=score)


def bars(board: Board, width: int) -> list[str]:
    """The bars as they stand in a terminal now, without colours."""
    out = Console(file=StringIO(), width=width, _environ={})
    out.print(board.progress.get_renderable())
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined]


def board(clock: Clock, out: Console, folds: int = 5, home: Path = Path("nowhere")) -> FoldProgress:
    return FoldProgress(out, folds, folds, lambda fold: home / f"fold_{fold}", clock)


def test_each_fold_has_a_bar_with_its_own_time(tmp_path: Path) -> None:
    clock, out = Clock(), terminal(80)
    shown = board(clock, out, home=tmp_path)
    shown.show([0], "fold 0", seen(0))
    clock.now = 30.0
    shown.show([0], "fold 0", seen(12))
    shown.finish(0, ["accuracy 0.9000", "12 epochs", "30.0 s"])
    clock.now = 40.0
    shown.show([1], "fold 1", seen(0))
    clock.now = 46.0
    shown.show([1], "fold 1", seen(3))
    clock.now = 48.0  # the time left is counted down between two moves
    folds, fold = bars(shown, 80)
    assert fold.split()[:2] == ["fold", "1"]
    assert fold.split()[-3:] == ["3/12", "0:00:08", "0:00:16"]
    # 1.25 of 5 folds in 46 s: 3.75 more take 138 s, two of which have passed
    assert folds.split()[-3:] == ["1/5", "0:00:48", "0:02:16"]


def test_a_resumed_fold_is_timed_by_what_this_session_has_done(tmp_path: Path) -> None:
    clock = Clock()
    shown = board(clock, terminal(80), folds=1, home=tmp_path)
    shown.show([0], "fold 0", seen(8))
    clock.now = 10.0
    shown.show([0], "fold 0", seen(10))
    assert [line.split()[-2:] for line in bars(shown, 80)] == [["0:00:10", "0:00:10"]] * 2


def test_a_search_is_a_part_of_its_fold(tmp_path: Path) -> None:
    clock = Clock()
    shown = board(clock, terminal(80), folds=1, home=tmp_path)
    for number in (1, 2):  # of four trainings, three of them the search's
        for epochs in range(13):
            shown.show([0], "fold 0", replace(seen(epochs, score="val_accuracy 0.9001"), part=(number, 4)))
            clock.now += 1.0
    _, fold = bars(shown, 80)
    assert fold.startswith("fold 0, search 2 of 3  val_accuracy 0.9001 ")
    assert fold.split()[-3] == "12/12"
    assert fold.split()[-1] == "0:00:24"  # half of it took 25 s, of which one has passed since


@pytest.mark.parametrize("width", [40, 80, 160])
def test_bars_of_a_terminal_stay_on_their_line(width: int, tmp_path: Path) -> None:
    shown = board(Clock(), terminal(width), folds=20, home=tmp_path)
    for fold in range(12):
        shown.show([fold], f"fold {fold}", seen(3, score="val_accuracy 0.9001"))
    lines = bars(shown, width)
    assert len(lines) == 9  # all folds, and eight that run
    assert all(len(line) <= width for line in lines)


def test_without_a_terminal_there_is_a_line_every_ten_seconds_and_none_for_a_short_fold(tmp_path: Path) -> None:
    clock, out = Clock(), Console(file=StringIO(), width=140, _environ={})
    shown = board(clock, out, folds=2, home=tmp_path)
    for fold, seconds in ((0, 9), (1, 40)):
        began = clock.now
        for second in range(seconds + 1):
            clock.now = began + second
            shown.show([fold], f"fold {fold}", seen(12 * second / seconds, score="val_accuracy 0.9001"))
        shown.finish(fold, ["accuracy 0.9001", "12 epochs"])
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "fold 0 (1 of 2)  accuracy 0.9001  12 epochs"
    assert lines[1] == "fold 1  epoch 3 of 12  train_loss 0.5000  val_accuracy 0.9001  0:00:30 left, all folds 0:00:11"
    assert lines[2].startswith("fold 1  epoch 6 of 12  ")
    assert "0:00:20 left" in lines[2]
    assert lines[4] == "fold 1  epoch 12 of 12  train_loss 0.5000  val_accuracy 0.9001"
    assert len(lines) == 6


def test_a_training_that_may_end_earlier_says_at_most() -> None:
    clock, out = Clock(), Console(file=StringIO(), width=140, _environ={})
    shown = Board(out, clock)
    shown.show([0], "training", replace(seen(0), at_most=True))
    clock.now = 12.0
    shown.show([0], "training", replace(seen(3.5), at_most=True))
    line = out.file.getvalue()  # type: ignore[attr-defined]
    assert line == "training  epoch 4 of 12 (50 %)  train_loss 0.5000  at most 0:00:29 left\n"


def test_where_much_is_said_each_epoch_has_its_line() -> None:
    clock, out = Clock(), Console(file=StringIO(), width=140, _environ={})
    with speaking(Level.VERBOSE):
        shown = Board(out, clock)
        for epochs in range(4):
            clock.now += 1
            shown.show([0], "training", seen(epochs), ended=epochs > 0)
    assert [line.split("  ")[1] for line in out.file.getvalue().splitlines()] == [  # type: ignore[attr-defined]
        f"epoch {epoch} of 12" for epoch in (1, 2, 3)
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 160])
@pytest.mark.parametrize("fold", [0, 49])
def test_a_folds_line_is_broken_in_no_number(width: int, fold: int, tmp_path: Path) -> None:
    out = terminal(width)
    parts = ["accuracy 0.9123", "auroc 0.9456", "f1 0.9789", "100 epochs", "1234.5 s"]
    board(Clock(), out, folds=50, home=tmp_path).finish(fold, parts)
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 1
    assert lines[0].startswith(f"fold {fold} ({fold + 1} of 50)  accuracy 0.9123")
    assert set(lines[0].split("  ")[1:]) <= set(parts)
    assert set(lines[0].split("  ")[1:]) == set(parts) or width < 100


@pytest.mark.filterwarnings("default")  # much is said: Lightning's warnings too
@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        (("--trainer.max_epochs", 3), ["1 of 3", "2 of 3", "3 of 3"]),
        # 18 batches an epoch
        (("--trainer.max_epochs", -1, "--trainer.max_steps", 30), ["1 of 2", "2 of 2"]),
        (("--trainer.max_epochs", 4, "--trainer.max_time", "00:01:00:00"), [f"{k} of 4" for k in (1, 2, 3, 4)]),
    ],
)
def test_a_fit_counts_to_whatever_ends_it(
    options: tuple[object, ...], epochs: list[str], run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("fit", "-v", *SMALL, *options)
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines() if line.startswith("training  ")]
    assert [line[1] for line in lines] == [f"epoch {epoch}" for epoch in epochs]
    assert all(line[2].startswith("train_loss ") and line[3].startswith("val_accuracy ") for line in lines)
    assert all(line[4].endswith(" left") for line in lines[:-1])
    assert len(lines[-1]) == 4


def test_folds_of_other_processes_are_seen_as_these_leave_it(tmp_path: Path) -> None:
    clock, here = Clock(), Console(file=StringIO(), width=140, _environ={})
    there, shown = board(clock, Console(quiet=True), folds=2, home=tmp_path), board(clock, here, folds=2, home=tmp_path)
    write_json(tmp_path / "fold_1" / STATE, running())
    for second in range(31):
        clock.now = float(second)
        there.show([1], "fold 1", seen(second / 4, score="val_accuracy 0.9001"))
        shown.look([0, 1])
    lines = here.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split("  ")[1] for line in lines] == ["epoch 3 of 12", "epoch 6 of 12 (50 %)"]
    assert all("val_accuracy 0.9001" in line for line in lines)
    assert lines[-1].endswith("0:00:26 left, all folds 0:01:21")
    note_success(tmp_path / "fold_1")
    assert not list((tmp_path / "fold_1").glob("*.json"))
