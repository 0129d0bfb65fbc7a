"""Servers as processes of their own, and clients that ask them by bytes on a connection."""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.helpers import environment
from tests.support.answering import risk

ROW = {"age": 30, "job": "clerk"}
BODY = json.dumps(ROW).encode()
HEAD = b"POST /predict HTTP/1.1\r\nHost: server\r\nContent-Type: application/json\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


class Process:
    """A server as a process of its own, of the models in tests/support/served.py.

    Attributes:
        url, port: where it answers.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.log = folder / f"log_{len(list(folder.glob('log_*')))}"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.served", json.dumps(options)],
                stdout=subprocess.PIPE, stderr=log, text=True, env=environment(OMP_NUM_THREADS="1"),
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "http://" in line, self.log.read_text()
        self.url = line.split()[-1]
        self.port = int(self.url.rpartition(":")[2])

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def memory(self) -> int:
        """Bytes it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])

    def close(self) -> None:
        """Ends it at once, where it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def end(self) -> int:
        """Tells it to end; the exit status."""
        self.process.terminate()
        return self.process.wait(60)


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of an answer."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
    body = await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), headers, json.loads(body)


async def send(port: int, data: bytes) -> tuple[int, dict[str, str], Any]:
    """The answer to bytes on a connection of their own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await read_answer(reader)
    finally:
        writer.close()


@dataclass
class Load:
    """Clients that ask until they are told to end, or the server is no more.

    Attributes:
        answered: statuses.
        lost: requests that were sent and not answered.
        closed: connections that the server ended behind an answer.
        seconds: of each answer.
    """

    port: int
    answered: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    closed: int = 0
    seconds: list[float] = field(default_factory=list)
    is_over: bool = False

    async def client(self, number: int) -> None:
        """Asks with its own number again and again, and holds the answer against it."""
        row = {"age": number, "job": "none"}
        body = json.dumps(row).encode()
        request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return  # it takes no more connections
            try:
                headers: dict[str, str] = {}
                while headers.get("connection") != "close":
                    if self.is_over:
                        return
                    began = perf_counter()
                    writer.write(request)
                    status, headers, said = await read_answer(reader)
                    assert status != 200 or said == risk(row)
                    self.answered.append(status)
                    self.seconds.append(perf_counter() - began)
                self.closed += 1
            except (OSError, asyncio.IncompleteReadError) as error:
                self.lost.append(repr(error))
            finally:
                writer.close()
