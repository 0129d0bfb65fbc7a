"""The log: a line a request on standard error, as JSON or for people, without a word of what was given.

Lines are written by a thread of their own: standard error may be a pipe that nobody reads on from.
"""

import json
import logging
import queue
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, TypeAlias

Format: TypeAlias = Literal["json", "text"]
MOST = 10_000  # lines that wait to be written; more are counted and left out


class Log:
    """Writes lines in the order in which they come.

    Args:
        format: "json", or "text" for people.
        file: by default standard error.
    """

    def __init__(self, format: Format = "json", file: TextIO | None = None) -> None:
        self.format, self._file = format, file or sys.stderr
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue(MOST)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def say(self, level: str, event: str, **more: Any) -> None:
        """Adds a line; never waits."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "event": event, **more}
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def fault(self, event: str, error: BaseException, **more: Any) -> None:
        """Adds a line on an exception: its kind and where it arose; its message may hold what was given."""
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
        self.say("error", event, kind=type(error).__name__, where=where[-8:], **more)

    def close(self) -> None:
        """Writes what there is, for two seconds at most."""
        try:
            self._lines.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(2)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._lost:
                line["lost"], self._lost = self._lost, 0
            try:
                self._file.write((json.dumps(line) if self.format == "json" else text(line)) + "\n")
                self._file.flush()
            except (OSError, ValueError):  # closed, or a full disk: answers go on
                continue


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
