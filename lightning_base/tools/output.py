"""Standard output that may be closed, full, or a pipe whose reader has gone: the work goes on all the same."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Tolerant(io.TextIOBase):
    """A text stream that keeps quiet for good once it cannot be written.

    Args:
        stream: what it writes to.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self.fault: OSError | None = None

    def write(self, text: str) -> int:
        """Writes, where that is still possible; returns the number of characters given."""
        self._try(lambda: self.stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flushes, where that is still possible."""
        self._try(self.stream.flush)

    def _try(self, action: Any) -> None:
        if self.fault is not None:
            return
        try:
            action()
        except OSError as error:
            self.fault = error

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """The descriptor."""
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute there
        """Of the text."""
        return self.stream.encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def tolerant() -> Iterator[list[str]]:
    """Standard output that takes what cannot be written for read; the list says afterwards why it could not.

    A pipe whose reader has gone, as of `| head`, wanted no more: that is no fault.
    """
    if sys.stderr is None:  # as `2>&-` makes it: else what is opened next would take its place, and its lines
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    before, faults = sys.stdout, list[str]()
    closed = before is None  # as `>&-` makes it
    stream = Tolerant(open(os.devnull, "w", encoding="utf-8") if closed else before)  # noqa: SIM115
    sys.stdout = stream
    try:
        yield faults
    finally:
        stream.flush()
        sys.stdout = before
        if stream.fault is not None and not isinstance(stream.fault, BrokenPipeError):
            faults.append(stream.fault.strerror or str(stream.fault))
        if closed:
            stream.stream.close()
        elif stream.fault is not None:
            discard(before)


def discard(stream: TextIO) -> None:
    """Sends what a stream still holds to nowhere: Python would complain of it at the process's end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
