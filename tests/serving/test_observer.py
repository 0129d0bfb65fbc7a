"""Claims about who looks on: all that was answered, off the requests' path, and no fault of theirs is a client's."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter

from lightning_base.runtime.answering import Answer, Answering, Item
from tests.serving.conftest import run, serving
from tests.support.answering import risk
from tests.support.clients import ROW


class Kept:
    """Keeps what it is shown."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.count = Counter("kept", "inputs seen", registry=registry)
        self.pairs: list[tuple[str, Item, Answer]] = []
        self.is_closed = False

    def seen(
        self, model: Answering, items: Sequence[Item], answers: Sequence[Answer], request: str = "", start: int = 0
    ) -> None:
        self.count.inc(len(items))
        self.pairs += [(model.name, item, answer) for item, answer in zip(items, answers, strict=True)]
        if any(item["age"] == 13 for item in items):
            raise RuntimeError

    def close(self) -> None:
        self.is_closed = True


def test_an_observer_is_shown_each_input_with_its_answer() -> None:
    made: list[Kept] = []

    def make(registry: CollectorRegistry) -> Kept:
        made.append(Kept(registry))
        return made[-1]

    async def claim() -> None:
        async with serving(observers=[make]) as asked:
            rows = [{"age": age, "job": "none"} for age in (12, 13, 14)]
            for row in rows:
                assert (await asked.client.post("/predict", json=row)).json() == risk(row)
            await asked.client.post("/predict/batch", json={"inputs": [ROW, ROW]})
            assert (await asked.client.post("/predict", json={"age": -1})).status_code == 422
        (one,) = made
        assert one.is_closed
        assert one.pairs == [("credit", row, risk(row)) for row in (*rows, ROW, ROW)]
        assert b"kept_total 5.0" in asked.application.metrics.text()
        assert [line["observer"] for line in asked.lines() if line["event"] == "observer"] == ["Kept"]

    run(claim)
