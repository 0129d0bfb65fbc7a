"""Stores: SQLite and Parquet files that records of predictions are kept in."""

import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time
from typing import NamedTuple, Protocol

from lightning_base.errors import ConfigError

TABLE = """CREATE TABLE IF NOT EXISTS predictions (
    time REAL NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, request TEXT NOT NULL, place INTEGER NOT NULL,
    answer TEXT NOT NULL, input TEXT
)"""
ROWS, BYTES, SECONDS = 100_000, 32 * 2**20, 60.0  # of a Parquet file at most, and after which time it is written


class Record(NamedTuple):
    """An answer.

    Attributes:
        time: when it was given, in seconds since 1970 (UTC).
        model, version: what gave it.
        request: the request's id.
        place: which of the request's inputs it answers, from 0.
        answer: as JSON.
        input: what was asked, as JSON; None where that is not kept.
    """

    time: float
    model: str
    version: str
    request: str
    place: int
    answer: str
    input: str | None

    @property
    def size(self) -> int:
        """Bytes that it holds in memory, about."""
        return 200 + len(self.answer) + len(self.input or "")


class Store(Protocol):
    """Where records go; one thread asks it."""

    @property
    def waits(self) -> bool:
        """Whether it holds records that are not written yet."""

    def add(self, rows: Sequence[Record]) -> int:
        """Takes records; how many were written by that."""

    def roll(self) -> int:
        """Writes what has waited long enough; how many were written by that."""

    def close(self) -> int:
        """Writes all there is; how many were written by that."""

    def forget(self) -> int:
        """Gives up what could not be written; how many records that is."""


class SqliteStore:
    """A SQLite file with a table `predictions`, written ahead, so that others may read it meanwhile.

    Args:
        path: of the file, which is made where it is not there, for its owner alone.

    Raises:
        ConfigError: for a file that is no such table, or cannot be written.
    """

    waits = False

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.execute(TABLE)
            known = [row[1] for row in self._base.execute("PRAGMA table_info(predictions)")]
        except OSError as error:
            raise ConfigError(f"--log-predictions: {path} cannot be written ({error.strerror})") from error
        except sqlite3.Error as error:
            raise ConfigError(f"--log-predictions: {path} is no SQLite file that can be written ({error})") from error
        if known != list(Record._fields):
            raise ConfigError(f"--log-predictions: {path} has another table `predictions`; name another file")
        self._last = 0

    def add(self, rows: Sequence[Record]) -> int:
        """Writes records, all of them or none."""
        if not rows:
            return 0
        self._last = len(rows)
        self._base.execute("BEGIN IMMEDIATE")
        try:
            self._base.executemany(f"INSERT INTO predictions VALUES ({', '.join('?' * len(Record._fields))})", rows)
            self._base.execute("COMMIT")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise
        self._last = 0
        return len(rows)

    def roll(self) -> int:
        """Nothing waits."""
        return 0

    def close(self) -> int:
        """Closes the file."""
        self._base.close()
        return 0

    def forget(self) -> int:
        """The records of the last write, where it failed."""
        lost, self._last = self._last, 0
        return lost


class ParquetStore:
    """A folder of Parquet files, each written whole once it is large or old enough; until then its rows are in memory.

    Args:
        folder: which is made where it is not there.

    Raises:
        ConfigError: where it cannot be written, or pyarrow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import pyarrow.parquet  # noqa: F401
        except ModuleNotFoundError as error:
            raise ConfigError("--log-predictions: Parquet needs pyarrow; install it, or name a .sqlite file") from error
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(f"--log-predictions: {folder} cannot be made ({error.strerror})") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(f"--log-predictions: {folder} cannot be written; name another folder")
        self._folder, self._files = folder, 0
        self._rows: list[Record] = []
        self._bytes, self._began = 0, 0.0

    @property
    def waits(self) -> bool:
        """Whether records are not written yet."""
        return bool(self._rows)

    def add(self, rows: Sequence[Record]) -> int:
        """Takes records; nothing is written by that."""
        if rows and not self._rows:
            self._began = monotonic()
        self._rows += rows
        self._bytes += sum(row.size for row in rows)
        return 0

    def roll(self) -> int:
        """Writes a file, where there are records enough or they have waited long enough."""
        old = bool(self._rows) and monotonic() - self._began >= SECONDS
        return self.close() if old or len(self._rows) >= ROWS or self._bytes >= BYTES else 0

    def close(self) -> int:
        """Writes a file of all records there are."""
        if not self._rows:
            return 0
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = dict(zip(Record._fields, zip(*self._rows, strict=True), strict=True))
        text, n = pa.string(), len(self._rows)
        types = {"time": pa.float64(), "place": pa.int64()}
        table = pa.table({name: pa.array(values, types.get(name, text)) for name, values in columns.items()})
        moment = datetime.fromtimestamp(time(), UTC)
        name = f"predictions-{moment:%Y%m%dT%H%M%S}-{os.getpid()}-{self._files:04d}.parquet"
        part = self._folder / f".{name}.part"
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                pq.write_table(table, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self._folder / name)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self._files += 1
        self.forget()
        return n

    def forget(self) -> int:
        """Empties the memory; how many records it held."""
        lost = len(self._rows)
        self._rows, self._bytes = [], 0
        return lost
