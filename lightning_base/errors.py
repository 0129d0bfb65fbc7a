"""The exceptions whose messages are meant for the user, by kind, and how a message is kept to one line.

UserError
├── ConfigError      a key, an option, an argument or a class that does not fit
├── DataError        samples that cannot be read, divided or trusted
│   ├── NoSourceError  samples that the data does not have, such as a test source
│   └── AuditError   leaks that `audit: fail` refuses
├── Diverged         a loss, or predictions, that are NaN or infinite
├── CheckpointError  a checkpoint that cannot be read, or is another run's
├── ArtefactError    a directory or a file that a run should have left
├── FoldsFailed      folds that failed while others went on
├── ProcessFailed    a process that ran a verb and failed
└── Stopped          a run that a signal stopped at a place to go on from
"""

import difflib
import os
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave: one line that names the key, file or row, and the mend.

    The command line prints it without a traceback and exits with its status, 2.
    """

    status = 2


class ConfigError(UserError):
    """A key, an option, an argument or a class that does not fit."""


class DataError(UserError):
    """Samples that cannot be read, divided or trusted."""


class Diverged(UserError):
    """A training whose loss, or a network whose predictions, are NaN or infinite."""


class NoSourceError(DataError):
    """Samples that the data is not said to have: no test source, or nothing to predict.

    What raises it says that there are none. Samples that should be there and cannot be read are another DataError: the
    audit takes these for a check that could not be made.
    """


class CheckpointError(UserError):
    """A checkpoint that cannot be read, or is another run's."""


class ArtefactError(UserError):
    """A directory or a file that a run should have left, and that is not there or does not fit."""


class FoldsFailed(UserError):
    """Folds that failed while others went on; the command line exits with status 1."""

    status = 1


class ProcessFailed(UserError):
    """A process that ran a verb and failed; the command line exits with its status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Stopped(UserError):
    """A run that a signal stopped at a place to go on from; the same call goes on."""

    status = 75


class AuditError(DataError):
    """Leaks, or checks that could not be made, that `audit: fail` refuses; the command line exits with status 1."""

    status = 1


def one_line(message: object) -> str:
    """The message with every run of white space, line breaks included, made one space."""
    return " ".join(str(message).split())


def near_file(path: str) -> str:
    """`"; did you mean 'x'?"` for the file or folder nearest in name to one that is not there, in the same folder."""
    folder, name = os.path.split(path)
    try:
        there = os.listdir(folder or ".")
    except OSError:
        return ""
    stem = name.partition(".")[0]  # an ending alone makes no names alike
    found = suggest(name, [one for one in there if alike(stem, one.partition(".")[0])])
    return found.replace("'", f"'{folder}{os.sep}", 1) if found and folder else found


def alike(word: str, other: str) -> bool:
    """Whether two words are near enough for one to be meant by the other, case aside."""
    return bool(difflib.get_close_matches(word.casefold(), [other.casefold()], cutoff=0.6))


def suggest(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the known word nearest to this one, case aside, or nothing when none is near."""
    folded = {one.casefold(): one for one in reversed(list(known)) if one != word}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""
