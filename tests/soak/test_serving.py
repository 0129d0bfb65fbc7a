"""A server under load for a minute, ten thousand fuzzed requests, and ends under load: `make soak`."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clients import Load, Process
from tests.support.fuzzed import fuzz

pytestmark = pytest.mark.soak
Start = Callable[..., Process]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Start]:
    """Starts a server, which ends with the test."""
    started: list[Process] = []

    def start(**options: object) -> Process:
        started.append(Process(tmp_path, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_ten_thousand_fuzzed_requests_leave_the_memory_as_it_was(process: Start) -> None:
    server = process()
    fuzz(server.url, 2000)
    before = server.memory()
    statuses = fuzz(server.url, 10_000)
    after = server.memory()
    print(f"{statuses}; {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after")
    assert set(statuses) <= {200, 400, 404, 405, 413, 415, 422, 503}
    assert after - before < 10e6
    assert not [line for line in server.lines() if line["event"] == "unforeseen"]


def test_64_clients_for_a_minute_see_no_error(process: Start) -> None:
    server = process(seconds=0.005)
    load = Load(server.port)

    async def claim() -> None:
        clients = [asyncio.create_task(load.client(number)) for number in range(64)]
        await asyncio.sleep(10)
        before = server.memory()
        await asyncio.sleep(50)
        load.is_over = True
        await asyncio.gather(*clients)
        seconds = sorted(load.seconds)
        p50, p99 = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
        grown = server.memory() - before
        print(f"{len(seconds)} answers, p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, {grown / 1e6:.1f} MB more")
        assert grown < 10e6

    asyncio.run(claim())
    assert set(load.answered) == {200}
    assert not load.lost
    assert server.end() == 0


def test_twenty_ends_under_load_lose_nothing(process: Start) -> None:
    async def claim(server: Process, load: Load) -> None:
        clients = [asyncio.create_task(load.client(number)) for number in range(64)]
        await asyncio.sleep(1)
        server.process.terminate()
        await asyncio.gather(*clients)

    answered = 0
    for _ in range(20):
        server = process(seconds=0.01, settings={"drain": 0.3})
        load = Load(server.port)
        asyncio.run(claim(server, load))
        assert server.process.wait(30) == 0
        assert not load.lost
        assert set(load.answered) == {200}
        answered += len(load.answered)
    print(f"{answered} answers")
