"""The server: uvicorn on a bound socket, slow clients timed out, and an end that loses no accepted request."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
import warnings
from types import FrameType
from typing import Any

import uvicorn

from lightning_base.errors import ConfigError
from lightning_base.serving.app import Application
from lightning_base.serving.logs import Handler
from lightning_base.serving.protocol import Protocol

BACKLOG = 2048
SWITCH = 0.001  # seconds until a thread that computes in Python lets another on: of five, answers wait for readers
KEEP_ALIVE = 60  # seconds in which a client may ask again on its connection


def bind(host: str, port: int) -> socket.socket:
    """A socket that connections may be made to once it listens.

    Raises:
        ConfigError: where the address is in use, not this machine's, or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"--host: {host!r} is no address of this machine; 127.0.0.1 is, and 0.0.0.0 for all"
        ) from error
    made = socket.socket(family, kind, protocol)  # asyncio sends small parts at once on sockets that say TCP alone
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"--port: {port} is in use at {host}; give another one, or 0 for any") from error
        if error.errno == errno.EACCES:
            raise ConfigError(f"--port: {port} is not allowed to this user; give one from 1024 on") from error
        raise ConfigError(f"--host: {host!r} cannot be listened at: {error.strerror}") from error
    made.setblocking(False)
    return made


class Server(uvicorn.Server):
    """uvicorn's server with an end in steps.

    On SIGTERM /ready is 503 and answers close their connections, while new requests are still answered for `drain`
    seconds; then nothing is accepted any more, and what was accepted is answered.
    """

    def __init__(self, application: Application, listening: socket.socket) -> None:
        settings = application.settings
        self.application, self._listening = application, listening
        timeouts = {"read_timeout": settings.read_timeout, "write_timeout": settings.write_timeout}
        config = uvicorn.Config(
            application.asgi,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="on",
            http=type("TimedProtocol", (Protocol,), timeouts),
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(settings.grace)),
        )
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to end; told a second time, it drains no longer."""
        if self.application.state.is_stopping or self._loop is None:
            self.should_exit = True
            if sig == signal.SIGINT:
                self.force_exit = True
            return
        self.application.state.is_stopping = True
        self.application.log.say("info", "stopping", signal=signal.Signals(sig).name)
        self._loop.call_soon_threadsafe(self._drain, self._loop)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections, and says where."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        catalogue = self.application.catalogue
        labels = [one.label for one in catalogue.models] if catalogue else []
        announce(self._listening.getsockname(), labels)
        self.application.log.say("info", "serving", models=labels)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts what the kernel has queued, then nothing more, and waits for what is being answered."""
        await self._accept_queued()
        await super().shutdown(sockets)

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(self.application.settings.drain, self._end)

    def _end(self) -> None:
        self.should_exit = True

    async def _accept_queued(self) -> None:
        """Takes the connections that were made and that closing the socket would reset."""
        protocol: Any = self.config.http_protocol_class
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.setblocking(False)
                made = protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
                await loop.connect_accepted_socket(lambda made=made: made, connection)  # type: ignore[misc]


def run(application: Application, listening: socket.socket) -> int:
    """Serves until it is told to end; returns the exit status: 1 where requests were cut off."""
    logger = logging.getLogger("uvicorn")
    handler = Handler(application.log)
    logger.addHandler(handler)
    logger.propagate = False
    logging.getLogger("python_multipart").setLevel(
        logging.CRITICAL
    )  # forms that cannot be read are refused, and logged
    server = Server(application, listening)
    sys.setswitchinterval(SWITCH)
    gc.collect()
    gc.freeze()  # what was loaded stays: it is not looked through again while requests are answered
    try:
        with warnings.catch_warnings():
            warnings.showwarning = application.log.warned
            server.run(sockets=[listening])
    finally:
        logger.removeHandler(handler)
    state = application.state
    application.log.say("error" if state.cut else "info", "stopped", **({"cut": state.cut} if state.cut else {}))
    application.log.close()
    if state.is_stuck:
        os._exit(int(state.cut > 0))  # the interpreter would wait for a computation that does not end
    return int(state.cut > 0)


def announce(address: Any, models: list[str]) -> None:
    """Says on standard output where models answer; a program that has asked for any port reads it there."""
    host, port = address[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"serving {', '.join(models)} at http://{shown}:{port}", flush=True)
