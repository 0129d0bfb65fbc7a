"""The endpoints that answer: one input, several, and a text written piece by piece."""

import asyncio
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from lightning_base.runtime.answering import Item
from lightning_base.runtime.errors import InputError
from lightning_base.serving.body import read_body
from lightning_base.serving.budget import Memory, Share
from lightning_base.serving.call import Call, call_of
from lightning_base.serving.catalogue import Catalogue, Served
from lightning_base.serving.computing import Answered
from lightning_base.serving.logs import Log
from lightning_base.serving.reading import Body, check_type, is_quick, read_batch, read_one
from lightning_base.serving.refused import Gone, Refused, cannot_answer
from lightning_base.serving.rows import as_csv
from lightning_base.serving.settings import Settings
from lightning_base.serving.sizes import size_of

WATCH_AFTER = 0.1  # seconds from which on it is watched whether a client still waits


class Predicting:
    """Answers requests for predictions.

    Args:
        catalogue: the models.
        settings: the limits.
        memory: what all requests hold together.
        log: is told what broke.
    """

    def __init__(self, catalogue: Catalogue, settings: Settings, memory: Memory, log: Log) -> None:
        self.catalogue, self.settings, self.memory, self.log = catalogue, settings, memory, log

    async def one(self, request: Request) -> Response:
        """The answer to one input."""
        served, call = self.find(request)
        with served.used():
            body, share = await self.body(request, served, is_batch=False)
            quick = is_quick(served.model, body)
            answers = await self.answers(request, served, call, share, lambda: read_one(served.model, body), quick)
            return Response(answers[0].json, headers=_headers(served), media_type="application/json")

    async def batch(self, request: Request) -> Response:
        """The answers to several inputs, as JSON or CSV."""
        served, call = self.find(request)
        with served.used():
            body, share = await self.body(request, served, is_batch=True)
            most = self.settings.max_inputs
            answers = await self.answers(request, served, call, share, lambda: read_batch(served.model, body, most))
            if "text/csv" in request.headers.get("accept", "").lower():
                table = await asyncio.to_thread(as_csv, [one.answer for one in answers])
                return Response(table, headers=_headers(served), media_type="text/csv; charset=utf-8")
            content = b'{"answers":[' + b",".join(one.json for one in answers) + b"]}"
            return Response(content, headers=_headers(served), media_type="application/json")

    def find(self, request: Request) -> tuple[Served, Call]:
        """The model that a request asks.

        Raises:
            Refused: 404, where there is none.
        """
        served = self.catalogue.find(request.path_params.get("name"), request.path_params.get("version"))
        call = call_of(request.scope)
        call.model, call.name = served.label, served.model.name
        return served, call

    async def body(self, request: Request, served: Served, is_batch: bool) -> tuple[Body, Share]:
        """What a request sends, once its media type and size are known to be right, and the memory that it holds.

        Raises:
            Refused: where they are not, or the body does not come.
        """
        header = request.headers.get("content-type", "")
        type = header.partition(";")[0].strip().lower()
        if not type:
            raise Refused(415, "no Content-Type; send application/json, for example")
        check_type(served.model, type, is_batch)
        share = Share(self.memory)
        try:
            return Body(type, header, await read_body(request, self.settings, share)), share
        except BaseException:
            share.release()
            raise

    async def answers(
        self,
        request: Request,
        served: Served,
        call: Call,
        share: Share,
        read: Callable[[], list[Item]],
        is_quick: bool = False,
    ) -> list[Answered]:
        """The answers to what a request sends.

        A request that is answered late, or whose client has gone, keeps its place with the model, and its memory, until
        nothing is computed for it any more.

        Raises:
            Refused: where there is no answer.
            Gone: where the client has gone away.
        """

        def counted() -> Sequence[Item]:
            items = read()
            share.add(size_of(items))
            call.inputs = len(items)
            return items

        try:
            place = served.batcher.enter(call.id)
        except Refused:
            share.release()
            raise
        work = served.batcher.answer(place, counted, is_quick)
        work.add_done_callback(_ignore)
        work.add_done_callback(lambda _: share.release())
        try:
            if not await self._ended(work, request):
                served.batcher.abandon(place)
                raise self.late(call)
            call.batch = place.batch
            return work.result()
        except Refused:
            raise
        except (Gone, asyncio.CancelledError):
            served.batcher.abandon(place)
            raise
        except Exception as error:
            raise self.refusal(error, call) from error

    async def _ended(self, work: "asyncio.Future[list[Answered]]", request: Request) -> bool:
        """Whether work has ended within the timeout.

        A client that goes away is noticed after a moment: most have their answer by then, and a task for each that
        watches would take as long as half of the answer.

        Raises:
            Gone: where the client has gone away.
        """
        moment = min(WATCH_AFTER, self.settings.timeout)
        await asyncio.wait((work,), timeout=moment)
        if work.done() or self.settings.timeout <= moment:
            return work.done()
        gone = asyncio.ensure_future(is_gone(request))
        try:
            left = self.settings.timeout - moment
            await asyncio.wait((work, gone), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and gone.done():
                raise Gone
            return work.done()
        finally:
            gone.cancel()

    def late(self, call: Call) -> Refused:
        """The answer where there is none in time."""
        call.reason = "timeout"
        return Refused(504, f"no answer within {self.settings.timeout:g} s")

    def refusal(self, error: Exception, call: Call) -> Refused:
        """What is said of what a model has raised."""
        if isinstance(error, InputError):
            where = f"{error.field[:80]}: " if error.field else ""
            return Refused(422, where + error.message[:400], error.field[:200])
        self.log.fault("model", error, request=call.id, model=call.model)
        return cannot_answer(call.id)


async def is_gone(request: Request) -> None:
    """Ends when the client has gone away; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _ignore(work: "asyncio.Future[list[Answered]]") -> None:
    """Takes what came of work that nobody waits for."""
    if not work.cancelled():
        work.exception()


def _headers(served: Served) -> dict[str, str]:
    return {"X-Model": served.label}
