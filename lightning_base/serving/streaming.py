"""Texts written piece by piece, as server-sent events; a client that goes away ends the writing."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from time import monotonic
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from lightning_base.runtime.answering import Answering, Item
from lightning_base.runtime.errors import InputError
from lightning_base.serving.batcher import Computers, Place
from lightning_base.serving.budget import Share
from lightning_base.serving.call import Call
from lightning_base.serving.catalogue import Served
from lightning_base.serving.computing import as_fault
from lightning_base.serving.predicting import Predicting, is_gone
from lightning_base.serving.reading import Body, read_one
from lightning_base.serving.refused import Gone, Refused, said
from lightning_base.serving.sizes import size_of


class Streaming:
    """Answers requests for streams.

    Args:
        predicting: finds models and reads bodies.
        computers: the threads that write, `concurrency` at once.
    """

    def __init__(self, predicting: Predicting, computers: Computers) -> None:
        self._predicting, self._computers = predicting, computers

    async def __call__(self, request: Request) -> Response:
        """The events: `data: {"text": …}` a piece, at the end `event: done` with the whole answer.

        Raises:
            Refused: before the first piece; after it `event: error` says why there is no more.
        """
        served, call = self._predicting.find(request)
        call.is_stream = True
        if not served.model.streams:
            raise Refused(404, f"{served.model.name} does not write piece by piece; ask …/predict")
        with served.used():
            body, share = await self._predicting.body(request, served, is_batch=False)
            place = self._enter(served, share, call)
            writing = Writing(served, place, share, self._computers, call, self._predicting.settings.timeout)
            writing.start(body)
            gone = asyncio.ensure_future(is_gone(request))
            try:
                first = asyncio.ensure_future(writing.next())
                await asyncio.wait((first, gone), return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    first.cancel()
                    raise Gone
                kind, value = first.result()
            except BaseException:
                writing.stop()
                raise
            finally:
                gone.cancel()
        if kind == "fault":
            raise self._refusal(value, call)
        headers = {"X-Model": served.label, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        events = self._events(writing, (kind, value), call)
        return Events(events, writing, headers)

    def _enter(self, served: Served, share: Share, call: Call) -> Place:
        try:
            return served.batcher.enter(call.id)
        except Refused:
            share.release()
            raise

    async def _events(self, writing: "Writing", first: tuple[str, Any], call: Call) -> AsyncIterator[bytes]:
        """What is sent, from the first piece on."""
        kind, value = first
        pieces: list[str] = []
        while kind == "piece":
            pieces.append(value)
            yield f"data: {json.dumps({'text': value})}\n\n".encode()
            kind, value = await writing.next()
        if kind == "fault":
            call.reason = "stream"
            yield b"event: error\ndata: " + said(self._refusal(value, call).message) + b"\n\n"
        else:
            yield f"event: done\ndata: {json.dumps({'pred': ''.join(pieces)})}\n\n".encode()

    def _refusal(self, error: Exception, call: Call) -> Refused:
        if isinstance(error, Refused):
            return error
        if isinstance(error, TimeoutError):
            return self._predicting.late(call)
        return self._predicting.refusal(error, call)


class Events(StreamingResponse):
    """The events of a text, which is written no further once they are sent, or have nobody to go to."""

    def __init__(self, events: AsyncIterator[bytes], writing: "Writing", headers: Mapping[str, str]) -> None:
        super().__init__(events, headers=headers, media_type="text/event-stream")
        self._writing = writing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends them; a generator that has not begun, as the client left before, would end nothing by itself."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._writing.stop()


class Writing:
    """A text that a thread writes, and the pieces of it that have not been sent.

    The place with the model is kept until the thread has ended, whoever still listens.

    Args:
        timeout: seconds for the whole text.
    """

    def __init__(
        self, served: Served, place: Place, share: Share, computers: Computers, call: Call, timeout: float
    ) -> None:
        self._served, self._place, self._share = served, place, share
        self._computers, self._call = computers, call
        self._until = monotonic() + timeout
        self._stopped = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def start(self, body: Body) -> None:
        """Begins to write."""
        self._task = asyncio.ensure_future(self._run(body))  # kept: a loop forgets tasks that nobody holds

    def stop(self) -> None:
        """No more is to be written."""
        self._stopped.set()

    async def next(self) -> tuple[str, Any]:
        """("piece", text), ("done", None) or ("fault", exception); a TimeoutError where it does not come in time."""
        try:
            async with asyncio.timeout(max(0.0, self._until - monotonic())):
                return await self._pieces.get()
        except TimeoutError as error:
            self.stop()
            return "fault", error

    async def _run(self, body: Body) -> None:
        """Reads the input and writes behind it."""
        model = self._served.model
        try:
            item = await self._reading(model, body)
            async with self._computers.streams:
                if not self._stopped.is_set():
                    await self._loop.run_in_executor(self._computers.streaming, self._write, model, item)
        except Exception as error:
            self._pieces.put_nowait(("fault", error))
        finally:
            self._share.release()
            self._served.batcher.leave(self._place)

    async def _reading(self, model: Answering, body: Body) -> Item:
        """The input, read in a thread."""
        read = self._loop.create_future()

        def take(found: Sequence[Item] | Exception) -> None:
            if not read.done():
                read.set_exception(found) if isinstance(found, Exception) else read.set_result(found[0])

        self._computers.reading.read(lambda: [self._read(model, body)], take)
        return cast(Item, await read)

    def _read(self, model: Answering, body: Body) -> Item:
        if self._stopped.is_set():
            raise InputError("", "nobody waits for this answer")
        items = read_one(model, body)
        self._share.add(size_of(items))
        self._call.inputs = 1
        return items[0]

    def _write(self, model: Answering, item: Item) -> None:
        """Hands on pieces until there are no more, nobody wants them, or one cannot be written."""
        try:
            text = self._written(model, item)
        except BaseException as error:
            self._hand_on("fault", as_fault(error))
            return
        if text is not None:
            self._hand_on("done", None)
            self._served.batcher.wrote(item, text, self._call.id)

    def _written(self, model: Answering, item: Item) -> str | None:
        """The whole text; None where nobody wants it any more."""
        pieces, written = iter(model.stream(item)), list[str]()
        try:
            for piece in pieces:
                if self._stopped.is_set():
                    return None
                written.append(piece)
                self._hand_on("piece", piece)
        finally:
            if (close := getattr(pieces, "close", None)) is not None:
                close()
        return "".join(written)

    def _hand_on(self, kind: str, value: Any) -> None:
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, (kind, value))
