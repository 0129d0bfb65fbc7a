"""Claims about the threads that read inputs: each outcome reaches the loop, once, whatever else is read."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from lightning_base.runtime.answering import Item
from lightning_base.runtime.errors import InputError
from lightning_base.serving.readers import Readers
from tests.serving.conftest import run, serving, until
from tests.support.answering import Fake, Pictures, Writer


def test_thousands_of_outcomes_arrive_once_each_in_the_loop() -> None:
    async def claim() -> None:
        readers, found, threads = Readers(4), list[object](), set[int]()

        def take(outcome: Sequence[Item] | Exception) -> None:
            threads.add(threading.get_ident())
            found.append(str(outcome) if isinstance(outcome, Exception) else outcome[0]["i"])

        def read(i: int) -> list[Item]:
            if i % 10 == 0:
                raise InputError("", f"fault {i}")
            return [{"i": i}]

        for i in range(5000):
            readers.read(lambda i=i: read(i), take)  # type: ignore[misc]
            if i % 500 == 0:
                await asyncio.sleep(0)
        await until(lambda: len(found) == 5000)
        assert {one for one in found if isinstance(one, int)} == {i for i in range(5000) if i % 10}
        assert sum(isinstance(one, str) and "fault" in one for one in found) == 500
        assert threads == {threading.get_ident()}
        readers.close()

    run(claim)


def test_one_that_takes_long_holds_up_no_other() -> None:
    async def claim() -> None:
        readers, hold, found = Readers(2), threading.Event(), list[object]()

        def slow() -> list[Item]:
            hold.wait(10)
            return [{"i": -1}]

        readers.read(slow, found.append)
        for i in range(20):
            readers.read(lambda i=i: [{"i": i}], found.append)  # type: ignore[misc]
        await until(lambda: len(found) == 20)
        hold.set()
        await until(lambda: len(found) == 21)
        readers.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("read_")]

    run(claim)


@pytest.mark.parametrize("wait", [True, False])
def test_what_is_read_when_the_loop_has_ended_disturbs_nobody(wait: bool) -> None:
    hold, kept = threading.Event(), list[Readers]()

    async def claim() -> None:
        kept.append(Readers(1))
        kept[0].read(lambda: hold.wait(10) and [], lambda _: pytest.fail("nobody is left to be told"))

    asyncio.run(claim())
    hold.set()
    kept[0].close(wait)


class Panic(BaseException):
    """What a library in Rust raises where it panics (pyo3's PanicException): no Exception."""


@pytest.mark.parametrize("kind", [Panic, StopIteration])
@pytest.mark.parametrize("place", ["read", "read_file", "run", "stream"])
def test_whatever_is_raised_is_answered_and_the_next_request_too(
    kind: type[BaseException], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread or a queue that had ended with it would leave all that follow without an answer."""
    model: Fake = Writer() if place == "stream" else Pictures() if place == "read_file" else Fake()
    path = "/predict/stream" if place == "stream" else "/predict"
    whole = getattr(model, place)
    broken = True

    def breaks(given: Any) -> Any:
        if broken:
            raise kind("/secret/place")
        return whole(given)

    monkeypatch.setattr(model, place, breaks)
    sent: dict[str, Any] = {"json": {"text": "one"} if place == "stream" else {"age": 30, "job": "clerk"}}
    if place == "read_file":
        sent = {"content": b"pixels", "headers": {"Content-Type": "image/png"}}

    async def claim() -> None:
        nonlocal broken
        async with serving(model, concurrency=1, timeout=2) as asked:
            for _ in range(10):  # more than there are threads
                answer = await asked.client.post(path, **sent)
                assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
                assert "secret" not in answer.text
            broken = False
            assert (await asked.client.post(path, **sent)).status_code == 200
            assert asked.application.catalogue is not None
            await until(lambda: asked.application.catalogue.models[0].batcher.held == 0)  # type: ignore[union-attr]

    run(claim)
