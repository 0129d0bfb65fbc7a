"""What a person sees of trainings while they run: a bar for each in a terminal, elsewhere a line every ten seconds."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from lightning_base.tools.console import Level, is_live, level

EVERY = 10.0  # seconds between two lines on a training, and before its first
ROWS = 8  # bars at once at most

Clock = Callable[[], float]


@dataclass(frozen=True)
class Seen:
    """How far a training is.

    Attributes:
        epochs: that are done, the running one in part.
        total: how many there will be at most; None where something else ends it.
        done: the share of it that is done, from 0 to 1; None where that cannot be known.
        part: which training of how many of a fold this is, where a search makes several.
        loss, score: the last epoch's, as `name value`; "" where there is none.
        at_most: whether it may end earlier.
    """

    epochs: float = 0.0
    total: int | None = None
    done: float | None = None
    part: tuple[int, int] = (1, 1)
    loss: str = ""
    score: str = ""
    at_most: bool = False

    @property
    def share(self) -> float | None:
        """The share that is done of all trainings of the fold."""
        number, of = self.part
        return None if self.done is None else (number - 1 + self.done) / of

    @property
    def epoch(self) -> str:
        """The epoch in words: the last one that is done or, with how much of it is, the one that runs."""
        whole, rest = divmod(self.epochs, 1)
        number = int(whole) + (rest > 0)
        of = "" if self.total is None else f" of {self.total}"
        return f"epoch {number}{of}" + (f" ({int(100 * rest)} %)" if rest else "")


@dataclass
class Pace:
    """The time that is left, by the speed since it was begun; what was done before was done by another session.

    Attributes:
        began: when, by the clock.
        given: the share that was done then.
    """

    began: float
    given: float = 0.0

    def left(self, done: float | None, now: float, total: float = 1.0) -> float | None:
        """Seconds; None where nothing is known yet."""
        worked = 0.0 if done is None else done - self.given
        return None if done is None or worked <= 0 else (now - self.began) * (total - done) / worked


@dataclass
class Row:
    """A fold, or several at once, in training."""

    name: str
    folds: set[int]
    due: float
    seen: Seen
    pace: Pace
    bar: TaskID


class Elapsed(ProgressColumn):
    """The time since a row began."""

    def render(self, task: Task) -> Text:
        """Hours, minutes and seconds."""
        return Text(duration(task.get_time() - task.fields["began"]), style="progress.elapsed")


class Left(ProgressColumn):
    """The time that a row still takes, counted down since it was estimated."""

    def render(self, task: Task) -> Text:
        """Hours, minutes and seconds, with ≤ where it may end earlier."""
        left, at = task.fields["left"], task.fields["at"]
        if left is None:
            return Text("-:--:--", style="progress.remaining")
        mark = "≤" if task.fields["at_most"] else ""
        return Text(mark + duration(max(left - (task.get_time() - at), 0)), style="progress.remaining")


class Board:
    """Rows of trainings that run; in a terminal each is a bar, elsewhere it leaves a line now and then.

    Args:
        out: where.
        clock: tells seconds.
        bars: False for lines in a terminal too.
    """

    def __init__(self, out: Console, clock: Clock = time.monotonic, bars: bool = True) -> None:
        self.out, self.clock = out, clock
        self.live = bars and is_live(out)
        self.rows: dict[int, Row] = {}
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=max(10, min(40, out.width - 60))),
            MofNCompleteColumn(),
            Elapsed(),
            Left(),
            console=out,
            disable=not self.live,
            transient=True,
            get_time=clock,
        )

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Takes the bars away; may be called twice."""
        for row in list(self.rows.values()):
            self._drop(row)
        self.progress.stop()

    def show(self, folds: Sequence[int], name: str, seen: Seen, ended: bool = False) -> None:
        """Shows how far the training of a fold is, or of several that are trained at once.

        Args:
            folds: which.
            name: what it is called.
            seen: how far it is.
            ended: whether an epoch has just ended.
        """
        now = self.clock()
        row = self.rows.get(folds[0])
        if row is None:
            row = self._add(folds, name, seen, now)
        elif row.seen.part != seen.part:
            self.progress.remove_task(row.bar)
            row.bar = self._bar(name, seen, row.pace.began)
        row.seen = seen
        left = row.pace.left(seen.share, now)
        part = f", search {seen.part[0]} of {seen.part[1] - 1}" if seen.part[0] < seen.part[1] else ""
        self.progress.update(
            row.bar,
            total=seen.total,
            completed=seen.epochs,
            description="  ".join(filter(None, [name + part, seen.score or seen.loss])),
            visible=list(self.rows).index(folds[0]) < ROWS,
            left=left,
            at=now,
            at_most=seen.at_most,
        )
        self.moved(now)
        if (now >= row.due and not self.live) or (ended and level() == Level.VERBOSE):
            row.due = now + EVERY
            at_most = "at most " if seen.at_most else ""
            rest = "" if left is None or seen.share == 1 else f"{at_most}{duration(left)} left{self.beside(now)}"
            self.say("  ".join(filter(None, [name + part, seen.epoch, seen.loss, seen.score, rest])))

    def moved(self, now: float) -> None:
        """What a board of several folds does when one of them moves."""

    def beside(self, now: float) -> str:
        """What a line tells beside a training's own time."""
        return ""

    def say(self, line: str) -> None:
        """Leaves a line: in a terminal broken between words, elsewhere whole."""
        self.out.print(line, soft_wrap=not self.out.is_terminal)

    def _add(self, folds: Sequence[int], name: str, seen: Seen, now: float) -> Row:
        pace = Pace(now, seen.share or 0.0)
        row = Row(name, set(folds), now + EVERY, seen, pace, self._bar(name, seen, now))
        self.rows[folds[0]] = row
        return row

    def _bar(self, name: str, seen: Seen, began: float) -> TaskID:
        return self.progress.add_task(name, total=seen.total, began=began, left=None, at=began, at_most=False)

    def _drop(self, row: Row) -> None:
        self.progress.remove_task(row.bar)
        self.rows = {fold: other for fold, other in self.rows.items() if other is not row}


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: 0:01:30."""
    return str(timedelta(seconds=round(seconds)))
