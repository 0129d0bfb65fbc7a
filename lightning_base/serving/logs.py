"""The log: a line a request on standard error, as JSON or for people, without a word of what was given.

Lines are written by a thread of their own: standard error may be a pipe that nobody reads on from.
"""

import json
import logging
import sys
import threading
import traceback
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from time import time
from typing import Any, Literal, TextIO, TypeAlias

Format: TypeAlias = Literal["json", "text"]
SECONDS = 0.1  # between two writes
MOST = 10_000  # lines that wait to be written; more are counted and left out


class Log:
    """Writes lines in the order in which they come.

    Args:
        format: "json", or "text" for people.
        file: by default standard error.
    """

    def __init__(self, format: Format = "json", file: TextIO | None = None) -> None:
        self.format, self._file = format, file or sys.stderr
        self._lines: deque[dict[str, Any]] = deque()
        self._lost = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def say(self, level: str, event: str, **more: Any) -> None:
        """Adds a line; never waits."""
        if len(self._lines) < MOST:
            self._lines.append({"time": time(), "level": level, "event": event, **more})
        else:
            self._lost += 1

    def fault(self, event: str, error: BaseException, **more: Any) -> None:
        """Adds a line on an exception: its kind and where it arose; its message may hold what was given."""
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
        self.say("error", event, kind=type(error).__name__, where=where[-8:], **more)

    def warned(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Adds a line on a warning, as `warnings.showwarning` is told it; its text may hold what was given, too."""
        self.say("warning", "warning", kind=category.__name__, where=[f"{filename}:{lineno}"])

    def close(self) -> None:
        """Writes what there is, for two seconds at most."""
        self._closed.set()
        self._thread.join(2)

    def _write(self) -> None:
        """Writes what has come since the last time, again and again: a thread that each line woke would slow them."""
        while True:
            is_last = self._closed.wait(SECONDS)
            if lines := [self._lines.popleft() for _ in range(len(self._lines))]:
                if self._lost:
                    lines[-1]["lost"], self._lost = self._lost, 0
                with suppress(OSError, ValueError):  # closed, or a full disk: answers go on
                    self._file.write("".join(self._line(line) + "\n" for line in lines))
                    self._file.flush()
            if is_last:
                return

    def _line(self, line: dict[str, Any]) -> str:
        line["time"] = datetime.fromtimestamp(line["time"], UTC).isoformat(timespec="milliseconds")
        return json.dumps(line) if self.format == "json" else text(line)


def text(line: dict[str, Any]) -> str:
    """A line for people."""
    more = " ".join(f"{key}={value}" for key, value in line.items() if key not in ("time", "level", "event"))
    return f"{line['time']} {line['level']:<7} {line['event']} {more}".rstrip()


class Handler(logging.Handler):
    """Hands on what the HTTP server itself has to say: that a request was no HTTP, for example."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Adds the record."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._log.fault("http", error)
        else:
            self._log.say(record.levelname.lower(), "http", message=record.getMessage())
