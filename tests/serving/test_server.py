"""Claims about the server as a process: slow and hostile clients, an end that loses nothing, one that is bounded."""

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.serving.conftest import run
from tests.support.answering import risk
from tests.support.clients import HEAD, ROW, WHOLE, Load, Process, read_answer, send

Start = Callable[..., Process]


def test_an_answer_is_not_held_back_by_the_network(process: Start) -> None:
    """Two small parts on a socket that waits for the other side's word take 40 ms."""
    server = process()

    async def claim() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        seconds = []
        for _ in range(30):
            began = time.perf_counter()
            writer.write(WHOLE)
            assert (await read_answer(reader))[2] == risk(ROW)
            seconds.append(time.perf_counter() - began)
        assert sorted(seconds)[5] < 0.03
        writer.close()

    run(claim)


def test_what_is_too_large_is_refused_before_it_is_taken(process: Start) -> None:
    server = process(settings={"max_body": 1_000_000})

    async def claim() -> None:
        before = server.memory()
        huge = await send(server.port, HEAD + b"Content-Length: 10000000000\r\n\r\n{")
        assert huge[0] == 413
        assert "1000000" in huge[2]["error"]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):  # 4 MB, of which one is read
            writer.write(b"%x\r\n" % 100_000 + b"1" * 100_000 + b"\r\n")
        status, headers, said = await read_answer(reader)
        assert (status, headers["connection"]) == (413, "close")
        assert "1000000" in said["error"]
        writer.close()
        head = await send(server.port, b"GET / HTTP/1.1\r\n" + b"X-A: " + b"a" * 300_000)
        assert head[0] in (400, 431)
        assert (await send(server.port, WHOLE))[0] == 200
        assert server.memory() - before < 20_000_000

    run(claim)


@pytest.mark.parametrize(
    "garbage", [b"\0\1\2\3\r\n\r\n", b"GET\r\n\r\n", b"POST /predict HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_no_http_is_a_400_in_the_form_of_all_errors(garbage: bytes, process: Start) -> None:
    server = process()

    async def claim() -> None:
        status, _, said = await send(server.port, garbage)
        assert status == 400
        assert said.keys() == {"error", "field"}

    run(claim)


def test_slow_clients_are_timed_out_and_hold_nobody_up(process: Start) -> None:
    server = process(settings={"read_timeout": 1.0, "queue": 2})

    async def claim() -> None:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        heads = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        bodies = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        for _, writer in heads:
            writer.write(HEAD)
        for _, writer in bodies:
            writer.write(HEAD + b"Content-Length: 10\r\n\r\n{")
        began = time.perf_counter()
        for _ in range(5):
            assert (await send(server.port, WHOLE))[0] == 200
        assert time.perf_counter() - began < 0.8
        for reader, writer in (*silent, *heads, *bodies):
            status, _, said = await read_answer(reader)
            assert status == 408
            assert "1 s" in said["error"]
            writer.close()
        assert time.perf_counter() - began < 4

    run(claim)


def test_sigterm_under_load_loses_nothing(process: Start) -> None:
    server = process(seconds=0.02, settings={"drain": 0.5})
    load = Load(server.port)

    async def claim() -> None:
        clients = [asyncio.create_task(load.client(number)) for number in range(32)]
        await asyncio.sleep(1)
        server.process.terminate()
        await asyncio.sleep(0.2)
        status, headers, _ = await send(server.port, b"GET /ready HTTP/1.1\r\nHost: server\r\n\r\n")
        assert (status, headers["retry-after"]) == (503, "1")
        assert (await send(server.port, b"GET /health HTTP/1.1\r\nHost: server\r\n\r\n"))[0] == 200
        await asyncio.gather(*clients)

    run(claim)
    assert server.process.wait(20) == 0
    assert not load.lost
    assert len(load.answered) > 100
    assert set(load.answered) == {200}
    assert load.closed >= 32
    assert server.lines()[-1]["event"] == "stopped"
    assert sum(line.get("route") == "/predict" for line in server.lines()) == len(load.answered)


def test_a_long_answer_is_waited_for_and_one_that_does_not_end_is_cut_off(process: Start) -> None:
    waited = process(seconds=1.5, settings={"drain": 0.0, "grace": 10.0})
    cut = process(seconds=20, settings={"drain": 0.0, "grace": 1.0})

    async def claim() -> None:
        answers = [asyncio.create_task(send(one.port, WHOLE)) for one in (waited, cut)]
        await asyncio.sleep(0.5)
        began = time.perf_counter()
        for one in (waited, cut):
            one.process.terminate()
        assert (await answers[0])[2] == risk(ROW)
        status, _, said = await answers[1]
        assert (status, said["error"]) == (503, "the server is shutting down")
        assert (waited.process.wait(10), cut.process.wait(10)) == (0, 1)
        assert time.perf_counter() - began < 8

    run(claim)
    assert cut.lines()[-1] | {"time": ""} == {"time": "", "level": "error", "event": "stopped", "cut": 1}
