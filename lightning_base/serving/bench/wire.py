"""A client of HTTP/1.1 that asks and waits, with so little beside it that the server is what is measured."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    tls: bool = False

    @property
    def authority(self) -> str:
        """What stands in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class Reply(NamedTuple):
    """A status and a body."""

    status: int
    body: bytes


class Whole(NamedTuple):
    """A reply that has arrived, how many bytes it took, and whether the server closes the connection behind it."""

    reply: Reply
    used: int
    closes: bool


def request(address: Address, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a GET, or of a POST where there is a body (JSON, where no header says another Content-Type)."""
    lines = {"Host": address.authority, **(headers or {})}
    if body is not None:
        lines = {"Content-Type": "application/json", **lines, "Content-Length": str(len(body))}
    first = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1"
    head = "\r\n".join([first, *(f"{name}: {value}" for name, value in lines.items())])
    return head.encode("latin-1") + b"\r\n\r\n" + (body or b"")


def arrived(buffer: bytearray, ended: bool = False) -> Whole | None:
    """The reply that the buffer begins with, once it is whole.

    Args:
        buffer: what has been received.
        ended: whether nothing will follow, which is the end of a reply that says no length.

    Raises:
        ValueError: for what is no reply of HTTP/1.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(buffer[:end])
    if not head.startswith(b"HTTP/1."):
        raise ValueError("no reply of HTTP/1")
    status, begin = int(head[9:12]), end + 4
    if 100 <= status < 200:  # "go on": the reply follows
        later = arrived(buffer[begin:], ended)
        return later._replace(used=later.used + begin) if later else None
    closes = CLOSES.search(head) is not None or head.startswith(b"HTTP/1.0")
    if CHUNKED.search(head):
        found = _chunks(buffer, begin)
        return Whole(Reply(status, found[0]), found[1], closes) if found else None
    if length := LENGTH.search(head):
        used = begin + int(length[1])
        return Whole(Reply(status, bytes(buffer[begin:used])), used, closes) if len(buffer) >= used else None
    if status in (204, 304):
        return Whole(Reply(status, b""), begin, closes)
    return Whole(Reply(status, bytes(buffer[begin:])), len(buffer), True) if ended else None


def _chunks(buffer: bytearray, at: int) -> tuple[bytes, int] | None:
    """A body in chunks and where it ends; trailers are passed over."""
    body = b""
    while (line := buffer.find(b"\r\n", at)) >= 0:
        size = int(bytes(buffer[at:line]).partition(b";")[0], 16)
        if size == 0:
            end = line if buffer[line : line + 4] == b"\r\n\r\n" else buffer.find(b"\r\n\r\n", line)
            return (body, end + 4) if end >= 0 else None
        body += buffer[line + 2 : line + 2 + size]
        at = line + 2 + size + 2
    return None


class Wire(asyncio.Protocol):
    """One connection, which answers one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.waiting: asyncio.Future[Reply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hands a reply on when it is whole."""
        self.buffer += data
        self._hand_on(ended=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends a reply that says no length; else whoever waits is told."""
        self.transport = None
        self._hand_on(ended=True)
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(exc or ConnectionResetError("closed before the answer had ended"))

    def _hand_on(self, ended: bool) -> None:
        if self.waiting is None or self.waiting.done():
            return
        try:
            whole = arrived(self.buffer, ended)
        except ValueError as error:
            self.waiting.set_exception(error)
            return
        if whole is None:
            return
        del self.buffer[: whole.used]
        if whole.closes:
            self.close()
        self.waiting.set_result(whole.reply)

    @property
    def open(self) -> bool:
        """Whether a request can be sent."""
        return self.transport is not None and not self.transport.is_closing()

    def close(self) -> None:
        """Closes the connection."""
        if self.transport is not None:
            self.transport.close()


class Client:
    """Asks one request after another over one connection, which is opened anew where the server closed it."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.address, self.timeout = address, timeout
        self.wire: Wire | None = None

    async def ask(self, request: bytes) -> Reply:
        """The reply to a request; a connection that fails, or takes too long, is given up.

        Raises:
            OSError: where the server cannot be reached, or closed before its answer had ended.
            TimeoutError: where it took longer than the timeout.
            ValueError: where what came is no HTTP/1.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.timeout):
                if self.wire is None or not self.wire.open:
                    context = ssl.create_default_context() if self.address.tls else None
                    _, self.wire = await loop.create_connection(Wire, self.address.host, self.address.port, ssl=context)
                assert self.wire.transport is not None
                self.wire.waiting = loop.create_future()
                self.wire.transport.write(request)
                return await self.wire.waiting
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection."""
        if self.wire is not None:
            self.wire.close()
            self.wire = None
