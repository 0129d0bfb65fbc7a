"""What tests of the server share: an application without a socket, and servers as processes of their own."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from lightning_base.serving.app import Application
from lightning_base.serving.logs import Log
from lightning_base.serving.settings import Settings
from tests.support.answering import Fake
from tests.support.clients import Process


@dataclass
class Asked:
    """An application, a client of it, and what it has logged."""

    application: Application
    client: httpx.AsyncClient
    written: io.StringIO

    def lines(self) -> list[dict[str, Any]]:
        """The log's lines, which end with the application."""
        return [json.loads(line) for line in self.written.getvalue().splitlines()]


Serving: TypeAlias = Callable[..., AbstractAsyncContextManager[Asked]]


@asynccontextmanager
async def serving(
    *models: Fake, load: Any = None, observers: Sequence[Any] = (), **options: Any
) -> AsyncIterator[Asked]:
    """An application of these models; of the table's alone where none is named."""
    written = io.StringIO()
    log = Log("json", written)
    folders = [(one.folder, one) for one in models or (Fake(),)]
    application = Application(folders, Settings(**options), log, load, observers)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(application.asgi)
    async with (
        application.routes.router.lifespan_context(application.routes),
        httpx.AsyncClient(transport=transport, base_url="http://server") as client,
    ):
        yield Asked(application, client, written)
    log.close()


def run(claim: Callable[[], Any]) -> None:
    """Runs a test's coroutine, for a minute at most."""

    async def limited() -> None:
        async with asyncio.timeout(60):
            await claim()

    asyncio.run(limited())


@pytest.fixture
def process(work: Path) -> Iterator[Callable[..., Process]]:
    """Starts servers, which end with the test."""
    started: list[Process] = []

    def start(**options: Any) -> Process:
        started.append(Process(work, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


async def until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to be so"
        await asyncio.sleep(0.005)
