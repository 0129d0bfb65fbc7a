"""The application: routes, what they share, and what begins and ends with it."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from lightning_base.runtime.answering import Answering
from lightning_base.serving.batcher import Computers
from lightning_base.serving.budget import Memory
from lightning_base.serving.call import call_of
from lightning_base.serving.catalogue import Catalogue, check
from lightning_base.serving.described import all_described
from lightning_base.serving.gate import Gate
from lightning_base.serving.logs import Log
from lightning_base.serving.metrics import Metrics
from lightning_base.serving.observer import MakeObserver, Observers
from lightning_base.serving.openapi import document
from lightning_base.serving.predicting import Predicting
from lightning_base.serving.refused import Refused, said
from lightning_base.serving.reloading import Watch
from lightning_base.serving.settings import Settings
from lightning_base.serving.state import State
from lightning_base.serving.static import Folder
from lightning_base.serving.streaming import Streaming
from lightning_base.serving.watching import Watching, as_text

Load = Callable[[Path], Answering]
Endpoint = Callable[[Request], Awaitable[Response]]
ASKED = re.compile("(?:/models/([^/]+)(?:/versions/([^/]+))?)?/predict(/batch|/stream)?")


class Application:
    """All that answers, on top of models that are loaded.

    Args:
        models: with the folders they come from, in the order in which they were named.
        settings: how it answers.
        log: is told of each request.
        load: loads a folder's model anew, where new versions are looked for.
        observers: make what looks at inputs and answers after they were sent.
        watching: one of these, whose report `/models/NAME/drift` is; None where nothing is watched.

    Attributes:
        asgi: what a server runs.
        state: a server sets `is_stopping` there.

    Raises:
        ConfigError: for models that cannot be told apart, or a default that there is none of.
    """

    def __init__(
        self,
        models: Sequence[tuple[Path, Answering]],
        settings: Settings,
        log: Log,
        load: Load | None = None,
        observers: Sequence[MakeObserver] = (),
        watching: Watching | None = None,
    ) -> None:
        self._models, self.settings, self.log = list(models), settings, log
        check(self._models, settings.default)
        self._load, self._watching = load, watching
        self._makers = [*observers, *([] if watching is None else [watching.begin])]
        self.state, self.metrics = State(), Metrics()
        self._asked: dict[str, Endpoint] = {}
        self._page, self._docs = Folder("page"), Folder("docs")
        self.catalogue: Catalogue | None = None
        self.routes = FastAPI(
            title="lightning-base", openapi_url=None, docs_url=None, redoc_url=None, lifespan=self._living,
            redirect_slashes=False, exception_handlers={HTTPException: _plain, Refused: _refused},
        )  # fmt: skip
        self._routes()
        # around FastAPI and not within: requests for predictions do without its layers
        self.asgi: ASGIApp = Gate(self.routes, self._direct, settings, self.state, self.metrics, log)
        if settings.cors:  # the outermost: a browser's question before its request has no key
            self.asgi = CORSMiddleware(
                self.asgi,
                allow_origins=settings.cors,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
                expose_headers=["X-Model", "X-Request-ID", "Retry-After"],
            )

    @asynccontextmanager
    async def _living(self, _: FastAPI) -> AsyncIterator[None]:
        """Threads and queues, while the application runs."""
        computers = Computers(self.settings.concurrency, max(2, min(8, os.cpu_count() or 2)))
        observers = Observers(self._makers, self.metrics, self.log)
        self.catalogue = Catalogue(self._models, self.settings, computers, self.metrics, observers)
        self._models = []  # a model that another one replaces is to be forgotten
        predicting = Predicting(self.catalogue, self.settings, Memory(self.settings.max_memory), self.log)
        self._predicting, self._streaming = predicting, Streaming(predicting, computers)
        watching = None
        if self._load is not None and self.settings.reload_seconds:
            watch = Watch(self.catalogue, self._load, self.settings.reload_seconds, self.metrics, self.log)
            watching = asyncio.create_task(watch.run())
        try:
            yield
        finally:
            if watching is not None:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching
            until = monotonic() + self.settings.grace
            while (is_busy := self.catalogue.is_busy) and monotonic() < until and not self.state.cut:
                await asyncio.sleep(0.02)
            self.state.is_stuck = is_busy
            await self.catalogue.close()
            self._models = [(one.path, one.model) for one in self.catalogue.models]
            computers.close(wait=not is_busy)
            await asyncio.to_thread(observers.close)

    def _routes(self) -> None:
        def add(path: str, answer: Endpoint, method: str) -> Endpoint:
            async def endpoint(request: Request) -> Response:
                call_of(request.scope).route = path
                return await answer(request)

            self.routes.add_route(path, endpoint, [method], include_in_schema=False)
            return endpoint

        for path in ("", "/models/{name}", "/models/{name}/versions/{version}"):
            for ending, answer in (("", self._one), ("/batch", self._batch), ("/stream", self._stream)):
                self._asked[f"{path}/predict{ending}"] = add(f"{path}/predict{ending}", answer, "POST")
        pages: tuple[tuple[str, Endpoint], ...] = (
            ("/", self._index),
            ("/page/{path:path}", self._page_file),
            ("/docs", self._docs_index),
            ("/docs/{path:path}", self._docs_file),
            ("/openapi.json", self._openapi),
            ("/models", self._list),
            ("/models/{name}/drift", self._drift),
            ("/models/{name}/versions/{version}/drift", self._drift),
            ("/metrics", self._metrics),
            ("/health", self._health),
            ("/ready", self._ready),
        )
        for path, page in pages:
            add(path, page, "GET")

    def _direct(self, scope: Scope) -> Endpoint | None:
        """The endpoint of a request for a prediction: FastAPI's layers around it take longer than HTTP."""
        if scope["method"] != "POST" or (found := ASKED.fullmatch(scope["path"])) is None:
            return None
        name, version, ending = found.groups()
        scope["path_params"] = {"name": name, "version": version}
        path = "" if name is None else "/models/{name}" if version is None else "/models/{name}/versions/{version}"
        return self._asked[f"{path}/predict{ending or ''}"]

    async def _one(self, request: Request) -> Response:
        return await self._predicting.one(request)

    async def _batch(self, request: Request) -> Response:
        return await self._predicting.batch(request)

    async def _stream(self, request: Request) -> Response:
        return await self._streaming(request)

    async def _index(self, _: Request) -> Response:
        return self._page.answer("index.html")

    async def _page_file(self, request: Request) -> Response:
        return self._page.answer(request.path_params["path"])

    async def _docs_index(self, _: Request) -> Response:
        return self._docs.answer("index.html")

    async def _docs_file(self, request: Request) -> Response:
        return self._docs.answer(request.path_params["path"])

    async def _openapi(self, _: Request) -> Response:
        return _json(document(self._catalogue(), self.settings))

    async def _list(self, _: Request) -> Response:
        return _json({"models": await asyncio.to_thread(all_described, self._catalogue())})

    async def _drift(self, request: Request) -> Response:
        served = self._catalogue().find(request.path_params["name"], request.path_params.get("version"))
        call = call_of(request.scope)
        call.model, call.name = served.label, served.model.name
        if self._watching is None:
            raise Refused(404, "nothing is watched here")
        found = await asyncio.to_thread(self._watching.described, served.model)
        if "text/plain" in request.headers.get("accept", "").lower():
            return Response(as_text(found), media_type="text/plain; charset=utf-8")
        return _json(found)

    async def _metrics(self, _: Request) -> Response:
        self._catalogue().gauge()
        text = await asyncio.to_thread(self.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _health(self, _: Request) -> Response:
        return _json({"status": "alive"})

    async def _ready(self, _: Request) -> Response:
        if self.state.is_stopping or self.catalogue is None:
            raise Refused(503, "shutting down" if self.state.is_stopping else "models are being loaded", retry=1)
        return _json({"status": "ready"})

    def _catalogue(self) -> Catalogue:
        assert self.catalogue is not None  # a server asks once the application lives
        return self.catalogue


def _json(value: Any) -> Response:
    return Response(json.dumps(value, ensure_ascii=False).encode(), media_type="application/json")


async def _plain(_: Request, error: Exception) -> Response:
    """Paths and methods that there are none of, in the form that all errors have."""
    assert isinstance(error, HTTPException)
    text = {404: "there is nothing here", 405: "this method is not taken here; see the header Allow"}
    message = text.get(error.status_code, "the request cannot be answered")
    return Response(said(message), error.status_code, dict(error.headers or {}), "application/json")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response()
