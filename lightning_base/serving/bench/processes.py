"""Processes that a measurement starts: helpers that take a job and give what they saw, and the server itself."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning_base.errors import ProcessFailed
from lightning_base.serving.bench.ask import ask
from lightning_base.serving.bench.jobs import BareJob, BareSeen, BareTimes, Job, Seen
from lightning_base.serving.bench.usage import resident
from lightning_base.serving.bench.wire import Address
from lightning_base.tools.files import last_line

LOCAL = "127.0.0.1"
STARTS = 120.0  # seconds in which a server must have answered
ENDS = 60.0  # seconds in which a server must have ended
POLL = 0.005
KEY = "LIGHTNING_BASE_API_KEY"  # which `serve` would ask of us


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        pid: its process.
        address: where it listens.
        started: seconds from starting the process to its first answer.
    """

    pid: int
    address: Address
    started: float


def run_load(job: Job) -> Seen:
    """What the clients of a job saw, in a process of their own.

    Raises:
        ProcessFailed: where that process failed.
    """
    found, _ = _run("load", asdict(job))
    return Seen(**found)


def run_bare(job: BareJob) -> tuple[BareSeen, float]:
    """What the bare model took in a fresh process, and the seconds from its start to the first answer.

    Raises:
        ProcessFailed: where that process failed.
    """
    found, began = _run("bare", asdict(job))
    seen = BareSeen(**{**found, "steps": [BareTimes(**step) for step in found["steps"]]})
    return seen, seen.answered - began


def _run(module: str, job: dict[str, Any]) -> tuple[dict[str, Any], float]:
    command = [sys.executable, "-m", f"{__package__}.{module}"]
    began = time.monotonic()
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ProcessFailed(f"bench: the process that measures failed: {said[:300]}", max(done.returncode, 1))
    found: dict[str, Any] = json.loads(done.stdout)
    return found, began


@contextmanager
def serving(folder: Path, options: Sequence[str], body: str) -> Iterator[Server]:
    """`lightning-base serve` of an exported folder in a process of its own, from its first answer on.

    Args:
        folder: the export.
        options: of `serve`, beside host and port.
        body: what is asked first.

    Raises:
        ProcessFailed: where it ends, or does not answer, with the last line that it said.
    """
    address = Address(LOCAL, free_port())
    command = [sys.executable, "-m", "lightning_base", "serve", str(folder), "--host", LOCAL]
    keyless = {name: value for name, value in os.environ.items() if name != KEY}
    command += ["--port", str(address.port), "--drain", "0", *options]
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        with log.open("wb") as said:
            began = time.monotonic()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=keyless
            )
        try:
            _wait(process, address, body, log)
            yield Server(process.pid, address, time.monotonic() - began)
        finally:
            end(process)


def held(server: Server) -> tuple[int, int]:
    """Bytes that a server holds, and the most that it has held.

    Raises:
        ProcessFailed: where it has ended.
    """
    try:
        return resident(server.pid)
    except OSError as error:
        raise ProcessFailed("bench: serve ended under load; `lightning-base serve` alone shows its log", 1) from error


def _wait(process: "subprocess.Popen[bytes]", address: Address, body: str, log: Path) -> None:
    """Asks until there is an answer."""
    until, last = time.monotonic() + STARTS, "it did not listen"
    while time.monotonic() < until:
        if process.poll() is not None:
            said = last_line(log).removeprefix("lightning-base: error: ")
            raise ProcessFailed(f"bench: serve ended: {said or 'it said nothing'}", process.returncode or 1)
        try:
            status, came = ask(address, "/predict", body)
        except OSError:
            time.sleep(POLL)
            continue
        if status == 200:
            return
        last = f"it answered {status}: {came[:200].decode(errors='replace')}"
        if status not in (429, 503):
            break
        time.sleep(POLL)
    raise ProcessFailed(f"bench: serve gave no answer: {last}", 1)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a server as a supervisor does: SIGTERM, and a kill where it does not heed that."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(ENDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind((LOCAL, 0))
        port: int = one.getsockname()[1]
        return port
