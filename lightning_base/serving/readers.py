"""Readers: threads that decode inputs; what they have read reaches the loop many at a time.

An executor wakes the loop for each result, and makes two futures for it: under load that takes longer than reading.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeAlias

from lightning_base.runtime.answering import Item
from lightning_base.serving.computing import as_fault

Read: TypeAlias = Callable[[], Sequence[Item]]
Then: TypeAlias = Callable[[Sequence[Item] | Exception], None]


class Readers:
    """Some threads.

    Args:
        count: how many; one input that takes long holds up the others in its thread alone.
    """

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked: SimpleQueue[tuple[Read, Then] | None] = SimpleQueue()
        self._found: deque[tuple[Then, Sequence[Item] | Exception]] = deque()
        self._is_told = False
        self._threads = [threading.Thread(target=self._work, name=f"read_{i}", daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def read(self, read: Read, then: Then) -> None:
        """Has inputs read in a thread; the loop calls `then` with them, or with what was raised."""
        self._asked.put((read, then))

    def close(self, wait: bool = True) -> None:
        """Ends the threads once they have read what they were given."""
        for _ in self._threads:
            self._asked.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            read, then = asked
            try:
                found: Sequence[Item] | Exception = read()
            except BaseException as error:  # a panic of a library in Rust is no Exception, and must not end the thread
                found = as_fault(error)
            self._found.append((then, found))
            if not self._is_told:
                self._is_told = True
                with suppress(RuntimeError):  # the loop has ended: nobody waits
                    self._loop.call_soon_threadsafe(self._hand_on)

    def _hand_on(self) -> None:
        self._is_told = False  # before what there is is taken: what comes later tells anew
        while self._found:
            then, found = self._found.popleft()
            then(found)
