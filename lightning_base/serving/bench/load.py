"""Load on a server, by a process of its own: `python -m lightning_base.serving.bench.load` reads a job.

Closed loop: each of so many clients asks, waits for its answer, and asks again. Open loop: requests are due at random
times (Poisson) whatever the server does, and a time counts from when its request was due, also while that waited for
one of the clients to be free: what a closed loop leaves out (coordinated omission).
"""

import asyncio
import gc
import json
import random
import selectors
import sys
import time
from dataclasses import asdict
from itertools import count

from lightning_base.serving.bench.answers import same, slack_of
from lightning_base.serving.bench.jobs import Job, Seen
from lightning_base.serving.bench.usage import processor
from lightning_base.serving.bench.wire import Address, Client, Reply, request

PAUSE = 0.05  # seconds a client waits where the server cannot be reached
SEEN = 256  # right answers of one input that are known by their bytes


class Load:
    """Clients that ask for a while."""

    def __init__(self, job: Job) -> None:
        self.job, self.seen = job, Seen(seconds=job.seconds)
        address = Address(job.host, job.port, job.tls)
        self.requests = [request(address, job.path, body.encode(), job.headers) for body in job.bodies]
        self.requests = self.requests or [request(address, job.path, None, job.headers)]
        self.expected = list(job.expected) or [None] * len(self.requests)
        self.slack = slack_of(self.expected, job.tolerance)
        self.right: list[set[bytes]] = [set() for _ in self.requests]
        self.clients = [Client(address, job.timeout) for _ in range(job.concurrency)]
        self.turn = count()
        self.begin = time.perf_counter() + job.warmup
        self.end = self.begin + job.seconds

    async def run(self) -> Seen:
        """What the clients saw, when the last answer has come."""
        clock = asyncio.create_task(self._processor())
        if self.job.rate is None:
            await asyncio.gather(*(self._closed(client) for client in self.clients))
        else:
            await self._open(self.job.rate)
        await clock
        for client in self.clients:
            client.close()
        return self.seen

    async def _processor(self) -> None:
        """Notes what clients and server take in the seconds that count."""
        await asyncio.sleep(self.begin - time.perf_counter())
        began, own, its = time.perf_counter(), time.process_time(), self._servers()
        await asyncio.sleep(self.end - time.perf_counter())
        span = time.perf_counter() - began
        self.seen.processor = (time.process_time() - own) / span
        if its is not None:
            self.seen.server = ((self._servers() or its) - its) / span

    def _servers(self) -> float | None:
        """Seconds of processors that the server has taken; None where it is not watched, or has ended."""
        try:
            return None if self.job.pid is None else processor(self.job.pid)
        except OSError:
            return None

    async def _closed(self, client: Client) -> None:
        while (now := time.perf_counter()) < self.end:
            if not await self._ask(client, now):
                await asyncio.sleep(PAUSE)

    async def _open(self, rate: float) -> None:
        free: asyncio.Queue[Client] = asyncio.Queue()
        for client in self.clients:
            free.put_nowait(client)
        draw, due, running = random.Random(0), time.perf_counter(), set()
        while due < self.end:
            await asyncio.sleep(due - time.perf_counter())
            if due >= self.begin:
                self.seen.late.append(time.perf_counter() - due)
            task = asyncio.create_task(self._when_free(free, due))
            running.add(task)
            task.add_done_callback(running.discard)
            due += draw.expovariate(rate)
        await asyncio.gather(*running)

    async def _when_free(self, free: "asyncio.Queue[Client]", due: float) -> None:
        try:
            async with asyncio.timeout(self.job.timeout):
                client = await free.get()
        except TimeoutError:
            if self.begin <= due < self.end:
                self._fault("timeout")
            return
        await self._ask(client, due)
        free.put_nowait(client)

    async def _ask(self, client: Client, since: float) -> bool:
        """Asks once and notes what came; whether the server could be reached."""
        i = next(self.turn) % len(self.requests)
        fault, reply = None, Reply(0, b"")
        try:
            reply = await client.ask(self.requests[i])
        except TimeoutError:
            fault = "timeout"
        except OSError:
            fault = "connection"
        except ValueError:
            fault = "no HTTP"
        now = time.perf_counter()
        if fault is None and not 200 <= reply.status < 300:
            fault = str(reply.status)
        if fault is None and self.begin <= now < self.end:
            self.seen.finished += 1
        if self.begin <= since < self.end:
            if fault is None:
                self.seen.times.append(now - since)
            else:
                self._fault(fault)
        if fault is None and self.expected[i] is not None:
            self._compare(i, reply.body)
        return fault not in ("connection", "no HTTP")

    def _fault(self, kind: str) -> None:
        self.seen.errors[kind] = self.seen.errors.get(kind, 0) + 1

    def _compare(self, i: int, body: bytes) -> None:
        """Counts an answer, and a wrong one; bytes that were right once are right again."""
        self.seen.compared += 1
        if body in self.right[i]:
            return
        try:
            answer = json.loads(body)
        except ValueError:
            answer = body[:200].decode(errors="replace")
        if same(answer, self.expected[i], self.slack):
            if len(self.right[i]) < SEEN:
                self.right[i].add(body)
            return
        self.seen.wrong += 1
        if self.seen.first_wrong is None:
            self.seen.first_wrong = {"input": i, "answer": answer, "expected": self.expected[i]}


def load(job: Job) -> Seen:
    """What the clients of a job saw, in this process."""
    gc.disable()  # nothing here goes in circles, and a collection would count as the server's time
    try:
        selector = selectors.SelectSelector()  # waits by microseconds, where epoll rounds up to milliseconds
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
            return runner.run(_load(job))
    finally:
        gc.enable()


async def _load(job: Job) -> Seen:
    return await Load(job).run()


def main() -> None:
    """Reads a job as JSON from standard input, and writes what was seen as JSON to standard output."""
    json.dump(asdict(load(Job(**json.load(sys.stdin)))), sys.stdout)


if __name__ == "__main__":
    main()
