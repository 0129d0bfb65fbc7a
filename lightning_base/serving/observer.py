"""Observers: who looks at inputs and answers after they were sent, off the requests' path."""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from prometheus_client import CollectorRegistry

from lightning_base.runtime.answering import Answer, Answering, Item
from lightning_base.serving.logs import Log
from lightning_base.serving.metrics import Metrics

MOST = 256  # batches that wait to be looked at; more are counted and left out


class Observer(Protocol):
    """Looks at what was answered; for drift, and for a log of predictions."""

    def seen(self, model: Answering, items: Sequence[Item], answers: Sequence[Answer]) -> None:
        """Takes a batch, in a thread that all observers share."""

    def close(self) -> None:
        """Writes what is left."""


MakeObserver: TypeAlias = Callable[[CollectorRegistry], Observer]


class Observers:
    """Hands batches to observers, in one thread; one that fails is logged, and changes no answer."""

    def __init__(self, makers: Sequence[MakeObserver], metrics: Metrics, log: Log) -> None:
        self._observers = [make(metrics.registry) for make in makers]
        self._metrics, self._log = metrics, log
        self._batches: queue.Queue[tuple[Answering, Sequence[Item], Sequence[Answer]] | None] = queue.Queue(MOST)
        self._thread = threading.Thread(target=self._look, name="observers", daemon=True)
        if self._observers:
            self._thread.start()

    def seen(self, model: Answering, items: Sequence[Item], answers: Sequence[Answer]) -> None:
        """Adds a batch; never waits."""
        if not self._observers:
            return
        try:
            self._batches.put_nowait((model, items, answers))
        except queue.Full:
            self._metrics.unobserved.inc()

    def close(self) -> None:
        """Lets observers look at what there is and end."""
        if self._observers:
            self._batches.put(None)
            self._thread.join(10)

    def _look(self) -> None:
        while (batch := self._batches.get()) is not None:
            for observer in self._observers:
                try:
                    observer.seen(*batch)
                except Exception as error:
                    self._log.fault("observer", error, observer=type(observer).__name__)
        for observer in self._observers:
            try:
                observer.close()
            except Exception as error:
                self._log.fault("observer", error, observer=type(observer).__name__)
