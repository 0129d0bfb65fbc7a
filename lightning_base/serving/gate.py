"""The gate that every request passes: its id, key and rate, headers of safety, a line in the log, and never a 500."""

import asyncio
import contextlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha256
from itertools import count
from time import perf_counter
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lightning_base.serving.budget import Rate
from lightning_base.serving.call import KEY, Call
from lightning_base.serving.logs import Log
from lightning_base.serving.metrics import Metrics
from lightning_base.serving.refused import Gone, Refused, cannot_answer
from lightning_base.serving.settings import Settings
from lightning_base.serving.state import State

Direct: TypeAlias = Callable[[Scope], Callable[[Request], Awaitable[Response]] | None]
OPEN = ("/", "/health", "/ready", "/docs")  # no key: they tell nothing of the models
OPEN_FOLDERS = ("/page/", "/docs/")
UNCOUNTED = ("/health", "/ready", "/metrics")  # no rate: those who watch ask often
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SAFE = [  # of answers that do not say otherwise
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
]
LINGER_SECONDS, LINGER_BYTES = 2.0, 64 * 2**20  # how much is still read of a request that was refused


class Gate:
    """ASGI middleware around all routes.

    Args:
        app: what answers.
        direct: the endpoint of a request that most are, without the layers of `app`; None for others.
        settings: keys and rate.
        state: whether the server is shutting down.
        metrics, log: are told of each request.
    """

    def __init__(
        self, app: ASGIApp, direct: Direct, settings: Settings, state: State, metrics: Metrics, log: Log
    ) -> None:
        self.app, self.direct, self.state, self.metrics, self.log = app, direct, state, metrics, log
        self._keys = [sha256(key.encode()).digest() for key in settings.keys]
        self._rate = Rate(settings.rate)
        self._start, self._numbers = f"{secrets.token_hex(4)}-", count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        call = scope[KEY] = Call(given if REQUEST_ID.fullmatch(given) else f"{self._start}{next(self._numbers):x}")
        wire = Wire(scope, receive, send, call, self.state)
        self.metrics.in_flight.inc()
        try:
            await self._answer(scope, headers, wire, call)
        finally:
            self.metrics.in_flight.dec()
            self._note(scope, call, wire)

    async def _answer(self, scope: Scope, headers: Headers, wire: "Wire", call: Call) -> None:
        try:
            try:
                self._admit(scope, headers)
                if (endpoint := self.direct(scope)) is None:
                    await self.app(scope, wire.receive, wire.send)
                else:
                    response = await endpoint(Request(scope, wire.receive))
                    await response(scope, wire.receive, wire.send)
            except Refused as refused:
                await refused.response()(scope, wire.receive, wire.send)
            except Gone:
                call.reason = "client gone"
                return
        except asyncio.CancelledError:  # the time for shutting down is over
            call.reason = "cut off"
            self.state.cut += 1
            if not wire.status:
                ending = Refused(503, "the server is shutting down", retry=1)
                await ending.response()(scope, wire.receive, wire.send)
        except Exception as error:
            self.log.fault("unforeseen", error, request=call.id, route=call.route)
            if not wire.status:
                with contextlib.suppress(Exception):
                    await cannot_answer(call.id).response()(scope, wire.receive, wire.send)
        finally:
            await wire.finish()

    def _admit(self, scope: Scope, headers: Headers) -> None:
        """Refuses a request without its key, or beyond its rate."""
        path, client = scope["path"], (scope.get("client") or ("", 0))[0]
        if self._keys and path not in OPEN and not path.startswith(OPEN_FOLDERS):
            kind, _, token = headers.get("authorization", "").partition(" ")
            given = headers.get("x-api-key") or (token.strip() if kind.lower() == "bearer" else "")
            digest = sha256(given.encode("utf-8", "surrogateescape")).digest()
            if not sum(hmac.compare_digest(digest, key) for key in self._keys):  # all of them, in constant time
                wrong = "a wrong API key" if given else "no API key"
                text = f"{wrong}; send the header Authorization: Bearer KEY, or X-API-Key: KEY"
                raise Refused(401, text, headers={"WWW-Authenticate": "Bearer"})
            client = digest.hex()
        if path not in UNCOUNTED and not path.startswith(OPEN_FOLDERS):  # a page is many files
            self._rate.take(client)

    def _note(self, scope: Scope, call: Call, wire: "Wire") -> None:
        """Counts an answered request, and writes its line."""
        status = wire.status or 499
        seconds = perf_counter() - call.started
        counter, histogram = self.metrics.of_route(call.route, call.name, status)
        counter.inc()
        if not call.is_stream:
            histogram.observe(seconds)
        if status in (429, 503, 504):
            reason = {429: "rate", 504: "timeout"}.get(status, "stopping" if self.state.is_stopping else "load")
            self.metrics.rejected.labels(reason).inc()
        if call.route in UNCOUNTED and status == 200:
            return
        more = {"model": call.model, "inputs": call.inputs, "batch": call.batch, "reason": call.reason}
        level = "info" if status < 500 else "warning"
        self.log.say(
            level,
            "request",
            request=call.id,
            method=scope["method"][:16],
            route=call.route,
            status=status,
            ms=round(seconds * 1000, 2),
            **{name: value for name, value in more.items() if value},
        )


class Wire:
    """A request's ends, with what is added to each answer.

    Attributes:
        status: of the answer; 0 before it.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, call: Call, state: State) -> None:
        self._receive, self._send = receive, send
        self._call, self._state = call, state
        headers = Headers(scope=scope)
        self._has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self.status = 0
        self._ending: Message | None = None

    async def receive(self) -> Message:
        """The next part of the request."""
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            self._has_body = False
        return message

    async def send(self, message: Message) -> None:
        """Sends a part of the answer; the end of it is kept back while the request is still coming."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            there = {name for name, _ in headers}
            headers += [one for one in SAFE if one[0] not in there]
            headers.append((b"x-request-id", self._call.id.encode()))
            if self._state.is_stopping or self._has_body:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body" and not message.get("more_body") and self._has_body:
            self._ending = {"type": "http.response.body", "body": b"", "more_body": False}
            message = {**message, "more_body": True}
        await self._send(message)

    async def finish(self) -> None:
        """Ends an answer that was given before all of the request had come.

        A connection that is closed while its client still sends is reset, and the answer may be lost with it: a little
        more is read, and forgotten.
        """
        if self._ending is None:
            return
        read = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self._has_body and read < LINGER_BYTES:
                    read += len((await self.receive()).get("body", b""))
        await self._send(self._ending)
