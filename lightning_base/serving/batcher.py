"""Batcher: inputs of many requests to one model, computed together; none waits for others while nobody computes.

A worker that is free takes what has come at once. While it computes, inputs gather; the next batch takes them. Under
load it waits up to `max_wait_ms` for as many as the batch before had, so that clients that ask again and again are
answered together; a lone client never waits.
"""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter

from lightning_base.runtime.answering import Answering, Item
from lightning_base.runtime.errors import InputError
from lightning_base.serving.computing import Answered, Slice, as_fault, compute
from lightning_base.serving.metrics import Metrics
from lightning_base.serving.observer import Observers
from lightning_base.serving.readers import Read, Readers
from lightning_base.serving.refused import Gone, Refused
from lightning_base.serving.settings import Settings


@dataclass(eq=False)
class Place:
    """A request's place with a model, from its acceptance until nothing is computed for it any more.

    Attributes:
        is_left: nobody waits for the answer any more; what has not begun is not computed.
        batch: inputs of the largest batch that it was computed in.
        group: its inputs, once they are read.
        request: the request's id.
    """

    is_left: bool = False
    batch: int = 0
    group: "Group | None" = None
    request: str = ""


@dataclass(eq=False)
class Group:
    """The inputs of one request.

    Attributes:
        taken: how many of them have been given to a worker.
        running: slices that are being computed.
        answers: by place; None where there is none yet.
    """

    place: Place
    items: Sequence[Item]
    done: asyncio.Future[list[Answered]]
    taken: int = 0
    running: int = 0
    answers: list[Answered | None] = field(default_factory=list)
    fault: Exception | None = None


def _placed(fault: Exception, of: Slice) -> Exception:
    """A fault, where it is of one input among several with that input's place in its request."""
    if not isinstance(fault, InputError) or len(of.group.items) == 1:
        return fault
    if inside := re.fullmatch(r"\[(\d+)\]", fault.field):
        return InputError(f"inputs[{of.start + int(inside[1])}]", fault.message)
    return InputError(f"inputs[{of.start}]", fault.message) if not fault.field and len(of.items) == 1 else fault


class Computers:
    """The threads of a server: some read inputs, some compute batches, some write streams.

    Args:
        concurrency: batches, and beside them streams, at once.
        readers: threads that decode inputs.
    """

    def __init__(self, concurrency: int, readers: int) -> None:
        self.free = asyncio.Semaphore(concurrency)
        self.streams = asyncio.Semaphore(concurrency)
        self.computing = ThreadPoolExecutor(concurrency, thread_name_prefix="compute")
        self.streaming = ThreadPoolExecutor(concurrency, thread_name_prefix="stream")
        self.reading = Readers(readers)

    def close(self, wait: bool = True) -> None:
        """Ends the threads, where asked once they have done what they were given."""
        for pool in (self.computing, self.streaming):
            pool.shutdown(wait=wait, cancel_futures=True)
        self.reading.close(wait)


class Batcher:
    """The queue of one model, and the tasks that empty it.

    Args:
        model: what answers.
        settings: max_batch, max_wait_ms, queue and concurrency.
        computers: the threads, which all models share.
        metrics: sizes of batches, and what waits.
        observers: are handed each batch once it is answered.
    """

    def __init__(
        self, model: Answering, settings: Settings, computers: Computers, metrics: Metrics, observers: Observers
    ) -> None:
        self.model, self._settings, self._computers = model, settings, computers
        self._metrics, self._observers = metrics, observers
        self._groups: deque[Group] = deque()
        self._waiting = 0
        self._held: set[Place] = set()
        self._filled = asyncio.Event()  # there is something to compute
        self._full = asyncio.Event()  # there is as much as is waited for
        self._enough, self._last = 1, 1
        # texts are written one by one: what others have left must not be written behind the first of them
        self._most = 1 if model.streams else settings.max_batch
        self._free = settings.concurrency  # workers that compute nothing
        self._workers = [asyncio.create_task(self._work()) for _ in range(settings.concurrency)]

    @property
    def waiting(self) -> int:
        """Inputs in the queue."""
        return self._waiting

    @property
    def held(self) -> int:
        """Requests that have a place."""
        return len(self._held)

    def enter(self, request: str = "") -> Place:
        """A place for a request of this id; `leave` gives it back.

        Raises:
            Refused: 503, where all are taken.
        """
        if len(self._held) >= self._settings.queue:
            raise Refused(503, "too many requests at once; try again", retry=1)
        place = Place(request=request)
        self._held.add(place)
        return place

    def leave(self, place: Place) -> None:
        """Gives a place back: nothing is computed for it any more."""
        self._held.discard(place)

    def abandon(self, place: Place) -> None:
        """Nobody waits for a place's answer: what has not begun is not computed, and what has keeps the place."""
        place.is_left = True
        group = place.group
        if group is not None and group.taken < len(group.items):
            self._groups.remove(group)
            self._waiting -= len(group.items) - group.taken
            group.taken = len(group.items)
            if not self._groups:
                self._filled.clear()
            self._end(group)

    def answer(self, place: Place, read: Read, is_quick: bool) -> "asyncio.Future[list[Answered]]":
        """The answers to what a request gives, in its order; the place is given back when nothing is computed any more.

        Args:
            place: from `enter`.
            read: reads the inputs.
            is_quick: so fast that a thread for it would take longer.

        Returns:
            what ends with the answers, or with Refused or InputError for inputs that cannot be answered, or with Gone
            where the place was left meanwhile.
        """
        group = place.group = Group(place, (), asyncio.get_running_loop().create_future())
        group.done.add_done_callback(lambda _: self.leave(place))

        def wanted() -> Sequence[Item]:
            if place.is_left:
                raise Gone
            return read()

        def queue(found: Sequence[Item] | Exception) -> None:
            if place.is_left:
                found = Gone()
            if isinstance(found, Exception):
                group.done.set_exception(found)
            elif not found:
                group.done.set_result([])
            else:
                self._queue(group, found)

        if is_quick:
            try:
                items = read()
            except BaseException as error:
                group.done.set_exception(as_fault(error))
            else:
                queue(items)
        else:
            self._computers.reading.read(wanted, queue)
        return group.done

    def _queue(self, group: "Group", items: Sequence[Item]) -> None:
        """Has inputs wait to be computed."""
        group.items, group.answers = items, [None] * len(items)
        self._groups.append(group)
        self._waiting += len(items)
        self._filled.set()
        if self._waiting >= self._enough:
            self._full.set()

    def wrote(self, item: Item, text: str, request: str) -> None:
        """Tells observers of a text that was streamed; threads may call it."""
        self._observers.seen(self.model, [item], [{"pred": text}], request)

    async def close(self) -> None:
        """Ends the tasks; what is queued is not computed."""
        for worker in self._workers:
            worker.cancel()
        for worker in self._workers:
            with contextlib.suppress(asyncio.CancelledError):
                await worker

    async def _work(self) -> None:
        """Computes batches, one after another."""
        while True:
            await self._filled.wait()
            await self._gathered()
            async with self._computers.free:
                if batch := self._take():
                    self._free -= 1
                    try:
                        await self._compute(batch)
                    finally:
                        self._free += 1

    async def _gathered(self) -> None:
        """Waits a moment for as many inputs as the last batch had, where others ask as well."""
        self._enough = min(self._last, self._most)
        if self._waiting >= self._enough or not self._settings.max_wait_ms:
            return
        self._full.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._full.wait(), self._settings.max_wait_ms / 1000)

    def _take(self) -> list[Slice]:
        """Slices of requests; a request that has more goes to the end of the queue.

        `max_batch` inputs at most, and no more than this worker's share, where others are free as well.
        """
        batch: list[Slice] = []
        room = min(self._most, -(-self._waiting // self._free))
        for _ in range(len(self._groups)):
            if not room:
                break
            group = self._groups.popleft()
            left = len(group.items) - group.taken
            if group.fault is not None:
                self._waiting -= left
                group.taken = len(group.items)
                self._end(group)
                continue
            count = min(left, room)
            batch.append(Slice(group, group.items[group.taken : group.taken + count], group.taken))
            group.taken += count
            group.running += 1
            self._waiting -= count
            room -= count
            if count < left:
                self._groups.append(group)
        if not self._groups:
            self._filled.clear()
        return batch

    async def _compute(self, batch: list[Slice]) -> None:
        """Computes a batch in a thread, and hands out its answers."""
        size = self._last = sum(len(one.items) for one in batch)
        began = perf_counter()
        loop = asyncio.get_running_loop()
        outcomes = await loop.run_in_executor(
            self._computers.computing, compute, self.model, [one.items for one in batch]
        )
        self._metrics.batch.labels(self.model.name).observe(size)
        self._metrics.compute.labels(self.model.name).observe(perf_counter() - began)
        for one, outcome in zip(batch, outcomes, strict=True):
            group = one.group
            group.running -= 1
            group.place.batch = max(group.place.batch, size)
            if isinstance(outcome, Exception):
                group.fault = group.fault or _placed(outcome, one)
            else:
                group.answers[one.start : one.start + len(outcome)] = outcome
                answers = [found.answer for found in outcome]
                self._observers.seen(self.model, one.items, answers, group.place.request, one.start)
            self._end(group)

    def _end(self, group: Group) -> None:
        """Ends a request where nothing is computed for it any more."""
        if group.running or (group.taken < len(group.items) and group.fault is None) or group.done.done():
            return
        if group.fault is not None:
            group.done.set_exception(group.fault)
        elif group.place.is_left:
            group.done.set_exception(Gone())
        else:
            group.done.set_result([answer for answer in group.answers if answer is not None])
