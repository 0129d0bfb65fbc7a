"""The one exception whose message is meant for the user, and how a message is kept to one line."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave: one line that names the key, file or row, and the mend.

    The command line prints it without a traceback and exits with its status, 2.
    """

    status = 2


class FoldsFailed(UserError):
    """Folds that failed while others went on; the command line exits with status 1."""

    status = 1


class AuditError(UserError):
    """Leaks that `audit: fail` refuses; the command line exits with status 1."""

    status = 1


def one_line(message: object) -> str:
    """The message with every run of white space, line breaks included, made one space."""
    return " ".join(str(message).split())


def suggest(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the known word nearest to this one, or nothing when none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
