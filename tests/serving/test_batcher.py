"""Claims about batches: inputs are computed together, in order; a lone client does not wait; a fault stays alone."""

import asyncio
import threading
import time

import pytest

from tests.serving.conftest import Asked, run, serving, until
from tests.support.answering import Fake, Pictures, Writer, risk
from tests.support.clients import ROW


def rows(count: int) -> list[dict[str, object]]:
    return [{"age": age % 90, "job": "farmer"} for age in range(count)]


async def ask_behind(asked: Asked, hold: threading.Event, given: list[dict[str, object]]) -> list[tuple[int, object]]:
    """Statuses and answers of requests that have come while another was computed."""
    catalogue = asked.application.catalogue
    assert catalogue is not None
    first = asyncio.create_task(asked.client.post("/predict", json=ROW))
    model = catalogue.default.model
    await until(lambda: model.batches == [1])  # type: ignore[attr-defined]
    others = [asyncio.create_task(asked.client.post("/predict", json=row)) for row in given]
    await until(lambda: catalogue.default.batcher.waiting == len(given))
    hold.set()
    await first
    return [(one.status_code, one.json()) for one in await asyncio.gather(*others)]


def test_what_comes_while_a_batch_is_computed_is_computed_together() -> None:
    async def claim() -> None:
        hold = threading.Event()
        fake = Fake(hold=hold)
        async with serving(fake, max_batch=16) as asked:
            found = await ask_behind(asked, hold, rows(40))
        assert found == [(200, risk(row)) for row in rows(40)]
        assert fake.batches == [1, 16, 16, 8]

    run(claim)


def test_a_lone_client_does_not_wait_for_others() -> None:
    async def claim() -> None:
        fake = Fake()
        async with serving(fake, max_wait_ms=2000) as asked:
            began = time.perf_counter()
            for _ in range(20):
                assert (await asked.client.post("/predict", json=ROW)).status_code == 200
            assert time.perf_counter() - began < 2
        assert fake.batches == [1] * 20

    run(claim)


@pytest.mark.parametrize(("age", "status"), [(99, 503), (98, 422), (97, 422)])
def test_an_input_that_breaks_its_batch_fails_alone(age: int, status: int) -> None:
    async def claim() -> None:
        hold = threading.Event()
        given = rows(9)
        given[4] = {"age": age, "job": "none"}
        async with serving(Fake(hold=hold)) as asked:
            found = await ask_behind(asked, hold, given)
        assert [one for one, _ in found] == [200] * 4 + [status] + [200] * 4
        assert [answer for place, (_, answer) in enumerate(found) if place != 4] == [
            risk(row) for place, row in enumerate(given) if place != 4
        ]

    run(claim)


def test_a_long_list_lets_others_in_between() -> None:
    async def claim() -> None:
        hold = threading.Event()
        fake = Fake(hold=hold, seconds=0.02)
        async with serving(fake, max_batch=4) as asked:
            catalogue = asked.application.catalogue
            assert catalogue is not None
            many = asyncio.create_task(asked.client.post("/predict/batch", json={"inputs": rows(80)}))
            await until(lambda: catalogue.default.batcher.waiting == 76)
            hold.set()
            assert (await asked.client.post("/predict", json=ROW)).json() == risk(ROW)
            assert catalogue.default.batcher.waiting > 40
            assert (await many).json() == {"answers": [risk(row) for row in rows(80)]}

    run(claim)


def test_a_request_that_timed_out_keeps_its_place_until_it_is_computed() -> None:
    async def claim() -> None:
        hold = threading.Event()
        fake = Fake(hold=hold)
        async with serving(fake, timeout=0.1, queue=2, max_batch=1) as asked:
            for _ in range(2):  # the second has not begun: nothing is computed for it any more
                late = await asked.client.post("/predict", json=ROW)
                assert (late.status_code, late.json()["field"]) == (504, None)
                assert "0.1 s" in late.json()["error"]
            catalogue = asked.application.catalogue
            assert catalogue is not None
            await until(lambda: catalogue.default.batcher.held == 1)
            assert fake.batches == [1]
            waiting = asyncio.create_task(asked.client.post("/predict", json=ROW))
            await until(lambda: catalogue.default.batcher.held == 2)
            assert (await asked.client.post("/predict", json=ROW)).status_code == 503
            assert (await waiting).status_code == 504
            hold.set()
            await until(lambda: catalogue.default.batcher.held == 0)
            assert (await asked.client.post("/predict", json=ROW)).status_code == 200
        assert fake.batches == [1, 1]
        assert fake.most == 1
        assert sum(line.get("reason") == "timeout" for line in asked.lines()) == 3

    run(claim)


@pytest.mark.parametrize("max_batch", [1, 64])
def test_the_timeout_is_the_same_with_and_without_batches(max_batch: int) -> None:
    async def claim() -> None:
        async with serving(Fake(seconds=0.3), timeout=0.1, max_batch=max_batch) as asked:
            for path, given in (("/predict", ROW), ("/predict/batch", {"inputs": [ROW] * 3})):
                began = time.perf_counter()
                assert (await asked.client.post(path, json=given)).status_code == 504
                assert time.perf_counter() - began < 0.28

    run(claim)


def test_no_more_are_computed_at_once_than_allowed_and_one_more_than_the_queue_is_refused() -> None:
    async def claim() -> None:
        hold = threading.Event()
        fake = Fake(hold=hold)
        async with serving(fake, concurrency=2, queue=5, max_batch=1) as asked:
            tasks = [asyncio.create_task(asked.client.post("/predict", json=ROW)) for _ in range(9)]
            await until(lambda: sum(task.done() for task in tasks) == 4)
            for task in tasks:
                if task.done():
                    assert task.result().status_code == 503
                    assert int(task.result().headers["retry-after"]) >= 1
            hold.set()
            statuses = [one.status_code for one in await asyncio.gather(*tasks)]
            assert sorted(statuses) == [200] * 5 + [503] * 4
            text = (await asked.client.get("/metrics")).text
        assert fake.most == 2
        assert 'lightning_base_rejected_total{reason="load"} 4.0' in text

    run(claim)


def test_what_waits_is_shared_by_all_that_are_free() -> None:
    async def claim() -> None:
        hold = threading.Event()
        fake = Fake(hold=hold)
        async with serving(fake, concurrency=4, max_batch=16, max_inputs=100) as asked:
            given = {"inputs": rows(40)}
            answer = asyncio.create_task(asked.client.post("/predict/batch", json=given))
            await until(lambda: len(fake.batches) == 4)
            assert fake.batches == [10, 10, 10, 10]
            hold.set()
            assert (await answer).json() == {"answers": [risk(row) for row in rows(40)]}

    run(claim)


def test_decoding_does_not_hold_up_other_requests() -> None:
    async def claim() -> None:
        async with serving(Pictures(seconds=0.5), Fake()) as asked:
            slow = asyncio.create_task(
                asked.client.post("/predict", content=b"1", headers={"Content-Type": "image/png"})
            )
            await asyncio.sleep(0.05)
            began = time.perf_counter()
            assert (await asked.client.post("/models/credit/predict", json=ROW)).status_code == 200
            assert time.perf_counter() - began < 0.3
            assert (await slow).json() == {"pred": 1}

    run(claim)


def test_what_all_requests_hold_in_memory_is_bounded() -> None:
    async def claim() -> None:
        hold = threading.Event()
        async with serving(Pictures(), Fake(hold=hold), max_memory=100_000) as asked:
            big = {"content": b"x" * 60_000, "headers": {"Content-Type": "image/png"}}
            assert (await asked.client.post("/predict", **big)).status_code == 503  # its bytes, and the input of them
            small = {"content": b"x" * 40_000, "headers": {"Content-Type": "image/png"}}
            for _ in range(5):
                assert (await asked.client.post("/predict", **small)).status_code == 200

    run(claim)


def test_an_answer_that_is_no_number_is_named_by_its_place_in_the_request() -> None:
    async def claim() -> None:
        given = rows(70)
        given[37] = {"age": 97, "job": "clerk"}
        async with serving(Fake(), max_batch=16, max_inputs=100) as asked:
            found = await asked.client.post("/predict/batch", json={"inputs": given})
        assert found.status_code == 422
        assert found.json()["field"] == "inputs[37]"
        assert "no finite number" in found.json()["error"]

    run(claim)


def test_texts_of_one_request_do_not_hold_those_of_another_behind_them_all() -> None:
    async def claim() -> None:
        writer = Writer()
        async with serving(writer, timeout=0.3) as asked:
            writer.seconds = 0.2
            many = {"inputs": [{"text": f"long {i}"} for i in range(40)]}
            late = await asked.client.post("/predict/batch", json=many)
            assert late.status_code == 504  # what has not begun is not written
            began = time.perf_counter()
            await until(lambda: asked.application.catalogue.default.batcher.held == 0)  # type: ignore[union-attr]
            assert time.perf_counter() - began < 0.5
        assert set(writer.batches) == {1}
        assert len(writer.batches) < 5

    run(claim)
