"""Standard output: how much is said there, in which width, and without what a user can do nothing about."""

import inspect
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from enum import IntEnum
from functools import cache

from rich.console import Console

from lightning_base.tools.process import is_main

PACKAGE = __name__.partition(".")[0]
PIPED = 140  # columns where standard output is no terminal

# warnings that a user can do nothing about
QUIET = (
    r"The dirpath has changed from",  # a run's directory may be moved
    r"Checkpoint directory .* exists and is not empty",  # a resumed run goes on in its own directory
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning 2.6 on torch 2.15
    r"You're using the WeightAveraging callback",  # a checkpoint's weights are the average already
    r"You passed in a `val_dataloader` but have no `validation_step`",  # held-out samples are predicted all the same
    r"The `srun` command is available",  # --executor slurm is how folds go to a cluster
    r"The number of training batches .* is smaller than the logging interval",  # steps are counted over epochs here
)


class Level(IntEnum):
    """How much is said, and how much there must be said for a line to be shown."""

    SILENT = 0  # nothing: functions called from Python
    QUIET = 1  # final results, and where they are
    NORMAL = 2  # what begins, how far it is, and what a user should know
    VERBOSE = 3  # a line per epoch; Lightning's own notices and warnings


_speaking: ContextVar[tuple[Level, Console] | None] = ContextVar("speaking", default=None)


@contextmanager
def speaking(level: Level) -> Iterator[None]:
    """Says so much for a while; outside of any such block nothing is said. Threads begin silent."""
    token = _speaking.set((level, make()))
    try:
        yield
    finally:
        _speaking.reset(token)


def level() -> Level:
    """How much is said now."""
    said = _speaking.get()
    return Level.SILENT if said is None else said[0]


def console(importance: Level = Level.NORMAL) -> Console:
    """Standard output for lines of this importance; it swallows them where less is said, and in ranks but the first.

    All lines go through one Console, so that they come to stand above a progress bar that it shows.
    """
    said = _speaking.get()
    if said is None or said[0] < importance or not is_main():
        return Console(quiet=True)
    return said[1]


def warn(text: str, kind: type[Warning] = UserWarning) -> None:
    """Warns of what no reader of the numbers may miss, where nothing is printed: at the line that called us."""
    depth, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in (PACKAGE, "contextlib"):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, kind, stacklevel=depth)


class Note(UserWarning):
    """What a reader of the numbers should know, told as a warning where nothing is printed."""


def note(text: str, importance: Level = Level.NORMAL, width: int | None = None) -> None:
    """Prints a line, wrapped to a width; warns with it where nothing is said, as in functions called from Python."""
    if level() == Level.SILENT:
        if is_main():
            warn(text.removeprefix("! "), Note)
        return
    console(importance).print(text, soft_wrap=width is None, width=width, markup=False, highlight=False)


@cache
def note_once(text: str) -> None:
    """A `note` on what all folds of a process share."""
    note(text)


def make() -> Console:
    """A Console on standard output, which wraps at words; it heeds NO_COLOR, FORCE_COLOR and TERM.

    Names and paths are the user's: what looks like rich's markup in them is text.
    """
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else PIPED)


def is_live(out: Console) -> bool:
    """Whether a bar can move there: a terminal that can, rather than a file that was promised colours."""
    return not out.quiet and out.is_terminal and not out.is_dumb_terminal and out.file.isatty()


@contextmanager
def quiet() -> Iterator[None]:
    """Without notices and warnings that a user can do nothing about, and that every fold would repeat.

    Where much is said they are, too; where only results are, no warning is.
    """
    said = level()
    with ExitStack() as stack:
        for name in ("lightning.pytorch", "lightning.fabric"):
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel({Level.VERBOSE: logging.INFO, Level.QUIET: logging.ERROR}.get(said, logging.WARNING))
        stack.enter_context(warnings.catch_warnings())
        for message in QUIET if said < Level.VERBOSE else ():
            warnings.filterwarnings("ignore", message=message)
        if said == Level.QUIET:
            warnings.simplefilter("ignore")
        yield
