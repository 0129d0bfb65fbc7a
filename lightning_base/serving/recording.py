"""Recording: a share of the answers, and where asked for the inputs, kept in SQLite or Parquet by its own thread."""

import base64
import hashlib
import json
import math
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from lightning_base.errors import ConfigError
from lightning_base.runtime.answering import Answer, Answering, Item
from lightning_base.serving.logs import Log
from lightning_base.serving.metrics import PREFIX
from lightning_base.serving.stores import ParquetStore, Record, SqliteStore, Store

SQLITE = (".sqlite", ".sqlite3", ".db")
MOST_ROWS, MOST_BYTES = 20_000, 64 * 2**20  # that wait to be written; more are counted and left out
TOGETHER, SECONDS = 500, 1.0  # rows that are written at a time, and how long the first of them waits


def store_of(path: Path) -> Store:
    """Where a path's records go: a SQLite file by its ending, else Parquet files in a folder.

    Raises:
        ConfigError: for a path that cannot be written, or holds something else.
    """
    if path.suffix.lower() in SQLITE:
        return SqliteStore(path)
    if path.suffix or path.is_file():
        raise ConfigError(
            f"--log-predictions: {path} is neither a SQLite file ({', '.join(SQLITE)}) nor a folder; give one of them"
        )
    return ParquetStore(path)


class Recording(Collector):
    """Keeps answers; an observer of a server, and a collector of Prometheus.

    Args:
        store: where they go.
        share: of requests that are kept, from 0 to 1, chosen by a hash of their ids: the same ones each time.
        inputs: keep what was asked too.
        log: is told of what could not be kept.
    """

    def __init__(self, store: Store, share: float = 1.0, inputs: bool = False, log: Log | None = None) -> None:
        self.share, self.inputs, self._store, self._log = share, inputs, store, log
        self.kept = self.dropped = self.failed = 0
        self._lock = threading.Lock()
        self._bytes = 0
        self._rows: queue.Queue[Record | None] = queue.Queue(MOST_ROWS)
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._thread.start()

    def begin(self, registry: CollectorRegistry) -> "Recording":
        """Itself, whose metrics a registry has then."""
        registry.register(self)
        return self

    def seen(
        self, model: Answering, items: Sequence[Item], answers: Sequence[Answer], request: str = "", start: int = 0
    ) -> None:
        """Adds a request's answers, where the request is among those that are kept; never waits."""
        if not is_chosen(request, self.share):
            return
        now = time()
        for place, (item, answer) in enumerate(zip(items, answers, strict=True), start):
            try:
                given = json.dumps(asked(model, item), ensure_ascii=False, allow_nan=False) if self.inputs else None
                said = json.dumps(answer, ensure_ascii=False)
            except Exception:
                with self._lock:
                    self.failed += 1
                raise  # is logged
            row = Record(now, model.name, model.version, request, place, said, given)
            with self._lock:
                if self._bytes + row.size > MOST_BYTES:
                    self.dropped += 1
                    continue
                try:
                    self._rows.put_nowait(row)
                    self._bytes += row.size
                except queue.Full:
                    self.dropped += 1

    def close(self) -> None:
        """Writes what there is, and ends."""
        if self._thread.is_alive():
            self._rows.put(None)
            self._thread.join()
        if self._log is not None:
            self._log.say("info", "recorded", kept=self.kept, dropped=self.dropped, failed=self.failed)

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """How many answers were kept, left out for want of time, and failed to be written."""
        found = CounterMetricFamily(f"{PREFIX}recorded", "Answers that were to be kept", labels=("outcome",))
        for outcome in ("kept", "dropped", "failed"):
            found.add_metric((outcome,), getattr(self, outcome))
        yield found

    def _write(self) -> None:
        """Writes rows as they come, some at a time, until there is an end."""
        is_last = False
        while not is_last:
            rows, is_last = self._some()
            with self._lock:
                self._bytes -= sum(row.size for row in rows)
            self._tried(partial(self._store.add, rows))
            self._tried(self._store.close if is_last else self._store.roll)

    def _some(self) -> tuple[list[Record], bool]:
        """The rows that have come, once there are some or a second is over; and whether these are the last."""
        rows, until = list[Record](), None
        while len(rows) < TOGETHER:
            left = (SECONDS if self._store.waits else None) if until is None else until - monotonic()
            try:
                row = self._rows.get(timeout=None if left is None else max(left, 0))
            except queue.Empty:
                break
            if row is None:
                return rows, True
            rows.append(row)
            until = until or monotonic() + SECONDS
        return rows, False

    def _tried(self, write: Callable[[], int]) -> None:
        try:
            self.kept += write()
        except Exception as error:  # a full disk, a folder that is gone: answers go on
            lost = self._store.forget()
            with self._lock:
                self.failed += lost
            if self._log is not None:
                self._log.fault("recording", error)


def is_chosen(request: str, share: float) -> bool:
    """Whether a request is among those that are kept: by a hash of its id, so that all servers choose alike."""
    digest = hashlib.blake2b(request.encode("utf-8", errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def asked(model: Answering, item: Item) -> Any:
    """An input as it was asked, in JSON: of a table the row; of others the inputs by name, and how to write."""
    given = {name: plain(item[name]) for name in item}
    if list(model.kinds.values()) == ["table"] and list(given) == list(model.kinds):
        return given[next(iter(given))]
    return given | plain(getattr(item, "options", {}))


def plain(value: Any) -> Any:
    """A value as JSON holds it: arrays as dtype, shape and bytes in base64; numbers that are not finite as null."""
    if hasattr(value, "pixels"):
        value = value.pixels
    if isinstance(value, np.ndarray):
        content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {"dtype": str(value.dtype), "shape": list(value.shape), "base64": content}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
