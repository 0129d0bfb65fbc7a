"""A server of one model in a thread: answers as `serve` does, late, wrongly or not at all as it is told."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

MODEL = {"name": "doubles", "version": "1a", "task": "regression", "default": True, "example": {"x": 2.0}}


@dataclass
class Tiny:
    """What is asked of it, and how it answers.

    Attributes:
        answer: status and content of the n-th request (from 0) for a prediction, of its input.
        delay: seconds before each such answer.
        key: that a request must have.
        asked: requests by path.
        heads: of the requests for a prediction.
    """

    answer: Callable[[int, Any], tuple[int, Any]]
    delay: float = 0.0
    key: str | None = None
    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(v) for k, v in headers(head) if k == "content-length"), 0)
                status, content = await self.reply(head, await reader.readexactly(length))
                body = json.dumps(content).encode()
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    async def reply(self, head: str, body: bytes) -> tuple[int, Any]:
        """Status and content."""
        path = head.split()[1]
        n = self.asked[path]
        self.asked[path] += 1
        if self.key is not None and ("authorization", f"Bearer {self.key}") not in headers(head) and path != "/health":
            return 401, {"error": "no key"}
        if path == "/models":
            return 200, {"models": [MODEL]}
        if path == "/health":
            return 200, {}
        if not path.endswith("/predict"):
            return 404, {"error": "no such path"}
        self.heads.append(head)
        if self.delay:
            await asyncio.sleep(self.delay)
        return self.answer(n, json.loads(body))


def headers(head: str) -> list[tuple[str, str]]:
    """The headers of a request."""
    lines = [line.partition(":") for line in head.splitlines()[1:] if line]
    return [(name.lower(), value.strip()) for name, _, value in lines]


def double(n: int, given: Any) -> tuple[int, Any]:
    """The right answer."""
    return 200, {"pred": 2 * given["x"]}


@contextmanager
def tiny(
    answer: Callable[[int, Any], tuple[int, Any]] = double, delay: float = 0.0, key: str | None = None
) -> Iterator[Tiny]:
    """A server that answers, for a while."""
    server, loop, ready = Tiny(answer, delay, key), asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        listening.close()
        talks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)  # for connections to be closed

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
