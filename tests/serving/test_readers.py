"""Claims about the threads that read inputs: each outcome reaches the loop, once, whatever else is read."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from lightning_base.runtime.answering import Item
from lightning_base.runtime.errors import InputError
from lightning_base.serving.readers import Readers
from tests.serving.conftest import run, until


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
