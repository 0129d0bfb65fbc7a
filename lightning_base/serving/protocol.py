"""HTTP/1.1 as uvicorn speaks it, for clients that may be slow or hostile, and with an answer sent in one piece."""

import asyncio
from typing import Any

from lightning_base.serving.refused import said

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Base
except ImportError:  # without httptools: the same in pure Python, at half the speed
    from uvicorn.protocols.http.h11_impl import H11Protocol as Base  # type: ignore[assignment]

HEAD = 65_536  # bytes of a request's line and headers
STRAY = 0.5  # seconds that a connection without a request is still given when the server ends


class Protocol(Base):
    """uvicorn's, where a head must have come in time and be small, and what is sent be taken in time.

    uvicorn times connections between requests alone.

    Attributes:
        read_timeout: seconds for a head.
        write_timeout: seconds for what is sent.
    """

    read_timeout = 20.0
    write_timeout = 30.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._late: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._head = 0  # bytes of one that is not whole
        self._known: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(Corked(transport, self.loop))  # type: ignore[arg-type]
        self._late = self.loop.call_later(self.read_timeout, self._refuse_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        for timer in (self._late, self._stuck):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come; those of a head that is not whole must be few, and be followed by the others in time."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not self._known:  # a head is whole
            self._known, self._head = cycle, 0
            if self._late is not None:
                self._late.cancel()
                self._late = None
        elif cycle is None or cycle.response_complete:
            self._head += len(data)
            if self._head > HEAD:
                self._tell(b"431 Request Header Fields Too Large", f"a head of over {HEAD} bytes")
            elif self._late is None:
                self._late = self.loop.call_later(self.read_timeout, self._refuse_late)
        elif not cycle.more_body:  # a request that is sent before the answer to another
            self._head += len(data)
            if self._head > 4 * HEAD:
                self.transport.abort()

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        super().pause_writing()
        self._stuck = self.loop.call_later(self.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def timeout_keep_alive_handler(self) -> None:
        """A connection on which nothing is asked any more is closed; at last whether or not its client listens."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(self.write_timeout, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Tells a client that what it sent is no HTTP, in the form that all errors have."""
        self._tell(b"400 Bad Request", "this is no HTTP request that can be read")

    def shutdown(self) -> None:
        """The server ends: a connection on which nothing has been asked yet is given a moment."""
        if self.cycle is None and not self.transport.is_closing():
            self.loop.call_later(STRAY, super().shutdown)
        else:
            super().shutdown()

    def _refuse_late(self) -> None:
        self._late = None
        self._tell(b"408 Request Timeout", f"no request came within {self.read_timeout:g} s")

    def _tell(self, status: bytes, message: str) -> None:
        if self.transport.is_closing():
            return
        body = said(message)
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(body)) + body)
        self.transport.close()
        self.loop.call_later(self.write_timeout, self.transport.abort)


class Corked:
    """A transport that sends what is written in one turn of the loop at once: a head, and the body behind it."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Sends bytes before the loop's next turn."""
        if not data:
            return
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Sends what is left, and ends."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            if not self._transport.is_closing():
                self._transport.write(data)
