"""What a person sees while folds are trained: those that run, all of them together, a line per ended fold."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from lightning.pytorch import Callback
from rich.console import Console

from lightning_base.errors import one_line
from lightning_base.results import states
from lightning_base.stats.digits import together
from lightning_base.stats.metrics import headline
from lightning_base.stats.tables import SHOWN
from lightning_base.training.board import Board, Clock, Pace, Seen, duration
from lightning_base.training.watch import Watch

LOOKS, NOTES = 1.0, 2.0  # seconds between two looks at what other processes leave, and between two notes for them


class FoldProgress(Board):
    """A bar of all folds over those of the folds that run; where there is no terminal, lines.

    Args:
        out: where.
        folds: how many will be trained.
        total: how many there are.
        home: where a fold's directory is; how far it is stands there, for other processes.
        clock: tells seconds.
        bars: False for lines in a terminal too.
    """

    def __init__(
        self,
        out: Console,
        folds: int,
        total: int,
        home: Callable[[int], Path],
        clock: Clock = time.monotonic,
        bars: bool = True,
    ) -> None:
        super().__init__(out, clock, bars)
        self.home = home
        self._notes: dict[int, float] = {}  # when how far a fold is may be written next
        self._looks = 0.0
        self.waiting, self.total, self.finished = folds, total, 0
        self.pace = Pace(clock())
        self._known: set[int] = set()
        self._all = self.progress.add_task(
            "folds", total=folds, began=self.pace.began, left=None, at=self.pace.began, at_most=False
        )

    def watch(self, fold: int, part: tuple[int, int] = (1, 1)) -> Callback:
        """The callback that shows a training of a fold."""
        return Watch(self, fold, f"fold {fold}", part)

    def show(self, folds: Sequence[int], name: str, seen: Seen, ended: bool = False) -> None:
        """As a board does; and leaves it for other processes, every few seconds."""
        super().show(folds, name, seen, ended)
        if self.clock() >= self._notes.setdefault(folds[0], self.clock() + NOTES):
            self._notes[folds[0]] = self.clock() + NOTES
            for fold in folds:
                states.note_progress(self.home(fold), asdict(seen))

    def look(self, folds: Iterable[int]) -> None:
        """Shows those of the folds that other processes train, as these have left it; once a second at most."""
        if (now := self.clock()) < self._looks:
            return
        self._looks = now + LOOKS
        for fold in folds:
            if (left := states.read_progress(self.home(fold))) is not None:
                seen = Seen(**{**left, "part": tuple(left["part"])})
                ended = fold in self.rows and int(seen.epochs) > int(self.rows[fold].seen.epochs)
                super().show([fold], f"fold {fold}", seen, ended)

    def moved(self, now: float) -> None:
        """Moves the bar of all folds, those that run in part."""
        for row in self.rows.values():
            if new := row.folds - self._known:
                self._known |= new
                self.pace.given += row.pace.given * len(new)
        self.progress.update(
            self._all,
            completed=self.done(),
            left=self._left(now),
            at=now,
            at_most=any(row.seen.at_most for row in self.rows.values()),
        )

    def done(self) -> float:
        """How many folds are done, those that run in part."""
        return self.finished + sum((row.seen.share or 0.0) * len(row.folds) for row in self.rows.values())

    def beside(self, now: float) -> str:
        """The time of all folds, where there are several."""
        left = self._left(now)
        return f", all folds {duration(left)}" if left is not None and self.waiting > 1 else ""

    def _left(self, now: float) -> float | None:
        return self.pace.left(self.done(), now, self.waiting)

    def finish(self, fold: int, parts: list[str]) -> None:
        """Takes a fold's bar away, and leaves a line of these parts, the least important of which come last.

        A line that is too long for the terminal loses scores and then what stands at its end, which are in files.
        """
        for row in [row for row in self.rows.values() if fold in row.folds]:
            row.folds.discard(fold)
            if not row.folds:
                self._drop(row)
        self.finished += 1
        self.moved(self.clock())
        self.say(fitted([f"fold {fold} ({fold + 1} of {self.total})", *parts], self.out.width))


def fitted(parts: list[str], width: int) -> str:
    """The parts on a line: as many as it has room for, and at least two."""
    shown = list(parts)
    while len(shown) > 2 and len("  ".join(shown)) > width:
        shown.pop(-3 if len(shown) > 4 else -1)
    return "  ".join(shown)


def outcome(directory: Path) -> list[str]:
    """What is told of a fold that has ended, from its directory: its first scores, its epochs and its seconds."""
    state = states.read(directory)
    if state["state"] == "done":
        first = list(state["metrics"]) if state["score"] else headline(state["metrics"])
        scores = [f"{name} {together([state['metrics'][name]])[0]}" for name in first[:SHOWN]]
        return [*scores, f"{state['epochs']} epochs", f"{state['seconds']:.1f} s"]
    return [f"{state['state']}: {one_line(state.get('error', ''))[:200]}"]
