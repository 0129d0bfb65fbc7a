"""Claims about texts written piece by piece."""

import asyncio
import json
from collections.abc import Callable

from tests.serving.conftest import run, serving, until
from tests.support.answering import Writer
from tests.support.clients import Process

PATH = "/predict/stream"


def events(text: str) -> list[tuple[str, dict[str, object]]]:
    """Server-sent events: names and data."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields.get("event", "message"), json.loads(fields["data"])))
    return found


def test_pieces_come_as_events_and_the_whole_answer_at_the_end() -> None:
    async def claim() -> None:
        async with serving(Writer()) as asked:
            answer = await asked.client.post(PATH, json={"text": "over the hills"})
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert events(answer.text) == [
                ("message", {"text": " hills"}), ("message", {"text": " the"}), ("message", {"text": " over"}),
                ("done", {"pred": " hills the over"}),
            ]  # fmt: skip
            whole = await asked.client.post("/predict", json={"text": "over the hills"})
            assert events(answer.text)[-1][1] == whole.json()

    run(claim)


def test_a_text_that_breaks_off_says_so_and_one_that_cannot_begin_is_refused() -> None:
    async def claim() -> None:
        async with serving(Writer()) as asked:
            answer = await asked.client.post(PATH, json={"text": "one break two"})
            assert [name for name, _ in events(answer.text)] == ["message", "error"]
            assert "secret" not in answer.text
            assert (await asked.client.post(PATH, json={"text": "break"})).status_code == 503
            refused = await asked.client.post(PATH, json={"txt": "one"})
            assert (refused.status_code, refused.json()["field"]) == (422, "text")

    run(claim)


def test_no_more_streams_are_written_at_once_than_allowed_and_a_late_one_ends() -> None:
    async def claim() -> None:
        model = Writer(seconds=0.05)
        async with serving(model, concurrency=2, queue=4) as asked:
            answers = await asyncio.gather(*(asked.client.post(PATH, json={"text": "a b c"}) for _ in range(6)))
            assert sorted(one.status_code for one in answers) == [200] * 4 + [503] * 2
        assert model.most == 2
        async with serving(model, timeout=0.12) as asked:
            answer = await asked.client.post(PATH, json={"text": "a b c d e f g h"})
            assert events(answer.text)[-1] == ("error", {"error": "no answer within 0.12 s", "field": None})

    run(claim)


def test_a_client_that_goes_away_ends_the_writing(process: Callable[..., Process]) -> None:
    server = process()
    body = json.dumps({"text": " ".join(["word"] * 150)}).encode()

    async def claim() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = b"POST /models/writer/predict/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert b"200 OK" in await reader.readuntil(b'{"text": " word"}')
        writer.close()
        await writer.wait_closed()
        await until(lambda: 'held_requests{model="writer"} 0.0' in metrics())

    def metrics() -> str:
        import httpx

        return httpx.get(f"{server.url}/metrics").text

    run(claim)  # all of it would take eight seconds
    assert server.end() == 0
    assert max(line.get("ms", 0) for line in server.lines()) < 5000


def test_a_client_that_goes_away_before_the_first_piece_is_sent_ends_the_writing() -> None:
    async def claim() -> None:
        model = Writer(seconds=0.02)
        async with serving(model) as asked:
            body = b'{"text": "%s"}' % b" ".join([b"a"] * 400)
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
            scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers}
            scope |= {"asgi": {"spec_version": "2.3"}}
            told = [{"type": "http.request", "body": body, "more_body": False}]

            async def receive() -> dict[str, object]:
                if told:
                    return told.pop()
                await until(lambda: model.written > 0)  # gone in the moment in which there is something to send
                return {"type": "http.disconnect"}

            async def send(_: object) -> None:
                await asyncio.sleep(0.01)  # as where what was sent before has not been taken

            await asked.application.asgi(scope, receive, send)  # type: ignore[arg-type]
            await until(lambda: model.ended == 1, seconds=2)
            assert model.written < 100

    run(claim)
