"""The measurement as a whole: of an export everything, of a server that is there already the load alone."""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lightning_base.errors import ConfigError
from lightning_base.serving.bench.inputs import Inputs, examples
from lightning_base.serving.bench.jobs import BareJob, BareTimes, Job
from lightning_base.serving.bench.latency import latency
from lightning_base.serving.bench.notes import count, notes
from lightning_base.serving.bench.processes import Server, held, run_bare, run_load, serving
from lightning_base.serving.bench.results import (
    BATCHED,
    EMPTY,
    SINGLE,
    BareStep,
    Machine,
    Measured,
    Process,
    Ratios,
    Step,
    Sweep,
)
from lightning_base.serving.bench.target import Target, alone, described, reach, target
from lightning_base.serving.bench.usage import cores
from lightning_base.serving.bench.wire import Address

SERVES = ("onnxruntime", "numpy", "fastapi", "uvicorn", "httptools", "uvloop")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is asked of a measurement.

    Attributes:
        seconds: that count, of each load.
        warmup: seconds before them.
        concurrency: clients at once, one load each.
        rates: requests a second, one load each, in place of those.
        timeout: seconds after which a client gives up.
        starts: how often start-up is measured.
        largest: inputs of the bare model's largest batch.
        threads: of one computation of the bare model, as the server was told; None for as many as there are cores.
        options: of `serve`.
        headers: of each request.
    """

    seconds: float
    warmup: float
    concurrency: tuple[int, ...]
    rates: tuple[float, ...]
    timeout: float
    starts: int
    largest: int
    threads: int | None = None
    options: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def points(self) -> list[tuple[int, float | None]]:
        """Clients and rate of each load."""
        if self.rates:
            return [(max(self.concurrency), rate) for rate in self.rates]
        return [(clients, None) for clients in self.concurrency]

    @property
    def batches(self) -> tuple[int, ...]:
        """1, 2, 4, … and the largest."""
        return tuple(sorted({*(2**i for i in range(self.largest.bit_length())), self.largest}))


@dataclass(frozen=True)
class Asked:
    """One thing to ask under load: its name, where, and with what."""

    name: str
    address: Address
    path: str
    inputs: Inputs
    pid: int | None = None


def measure_export(folder: Path, plan: Plan, say: Say) -> Measured:
    """The bare model, start-up and memory, then the served one under each load.

    Raises:
        UserError: where the export holds no examples, or `serve` does not answer.
    """
    machine, given = here(SERVES), examples(folder)
    first = json.dumps(given.inputs[0])
    say(f"start-up, {plan.starts} times")
    bare_starts, starts = [], []
    for _ in range(plan.starts):
        with serving(folder, plan.options, first) as server:
            starts.append(server.started)
        bare_starts.append(run_bare(BareJob(str(folder), (), 0, 0, plan.threads))[1])
    say(f"the bare model in a loop, batches of {', '.join(map(str, plan.batches))}")
    seen, _ = run_bare(BareJob(str(folder), plan.batches, plan.warmup, plan.seconds, plan.threads))
    bare = tuple(bare_step(step) for step in seen.steps)
    with ExitStack() as stack:
        batched = stack.enter_context(serving(folder, plan.options, first))
        loaded = held(batched)[0]
        single = stack.enter_context(serving(folder, (*plan.options, "--max-batch", "1"), first))
        asked = [of(BATCHED, batched, given), of(SINGLE, single, given), of(EMPTY, batched, None)]
        said = described(target(f"http://{batched.address.authority}"), {}) or {}
        sweeps = under_load(asked, plan, say)
        most = held(batched)[1]
    processes = (
        Process("bare model", tuple(bare_starts), seen.loaded, seen.most),
        Process("served", tuple(starts), loaded, most),
    )
    ratios = None if plan.rates else compare(bare, sweeps)
    return result(str(folder), said, len(given.inputs), plan, machine, bare, processes, sweeps, ratios)


def measure_url(url: str, given: Inputs | None, plan: Plan, say: Say) -> Measured:
    """A server under each load.

    Raises:
        ConfigError: where it cannot be reached, or does not answer the inputs.
    """
    machine, where = here(), target(url)
    said = described(where, plan.headers)
    if given is None:
        if said is None or said.get("example") is None:
            raise ConfigError(f"{url}: the server shows no example to ask; give inputs with --inputs FILE.jsonl")
        given = Inputs((said["example"],), (None,))
    given = alone(where, given, plan.headers)
    asked = [Asked(BATCHED, where.address, where.path, given)]
    if has_health(where, plan.headers):
        asked.append(Asked(EMPTY, where.address, f"{where.before}/health", Inputs((), ())))
    sweeps = under_load(asked, plan, say)
    return result(url, said or {}, len(given.inputs), plan, machine, (), (), sweeps, None)


def has_health(where: Target, headers: Mapping[str, str]) -> bool:
    """Whether the server answers /health."""
    return reach(where, f"{where.before}/health", None, headers)[0] == 200


def of(name: str, server: Server, given: Inputs | None) -> Asked:
    """The model of a server, or its empty handler where nothing is given."""
    path = "/health" if given is None else "/predict"
    return Asked(name, server.address, path, given or Inputs((), ()), server.pid)


def under_load(asked: Sequence[Asked], plan: Plan, say: Say) -> tuple[Sweep, ...]:
    """Each thing under each load; what is compared runs one behind the other."""
    found: dict[str, list[Step]] = {one.name: [] for one in asked}
    for clients, rate in plan.points:
        say(f"load: {count(clients, 'client')}" if rate is None else f"load: {rate:g} requests a second")
        for one in asked:
            found[one.name].append(step(one, clients, rate, plan))
    return tuple(Sweep(one.name, one.path, tuple(found[one.name])) for one in asked)


def step(asked: Asked, clients: int, rate: float | None, plan: Plan) -> Step:
    """One load."""
    bodies = tuple(json.dumps(one) for one in asked.inputs.inputs)
    address = asked.address
    job = Job(
        *(address.host, address.port, address.tls, asked.path, bodies, asked.inputs.answers, dict(plan.headers)),
        *(clients, plan.warmup, plan.seconds, rate, plan.timeout, asked.inputs.tolerance, asked.pid),
    )
    seen = run_load(job)
    return Step(
        clients=clients,
        rate=rate,
        latency=latency(seen.times),
        per_second=seen.finished / seen.seconds,
        errors=seen.errors,
        compared=seen.compared,
        wrong=seen.wrong,
        first_wrong=seen.first_wrong,
        late=latency(seen.late).p99,
        client=seen.processor,
        server=seen.server,
    )


def bare_step(times: BareTimes) -> BareStep:
    """What is said of the bare model's times."""
    both = [read + answered for read, answered in zip(times.reading, times.answering, strict=True)]
    inputs = times.batch * len(both)
    rates = inputs / sum(times.answering), inputs / sum(both)
    return BareStep(times.batch, latency(times.answering), latency(both), *rates, times.wrong)


def result(
    of: str,
    said: Mapping[str, Any],
    inputs: int,
    plan: Plan,
    machine: Machine,
    bare: tuple[BareStep, ...],
    processes: tuple[Process, ...],
    sweeps: tuple[Sweep, ...],
    ratios: Ratios | None,
) -> Measured:
    """All of it, with what a reader must know."""
    model = f"{said['name']}/{said['version']}" if {"name", "version"} <= said.keys() else ""
    asked = (of, model, str(said.get("task", "")), inputs, plan.seconds, plan.warmup, machine)
    found = Measured(*asked, bare, processes, sweeps, ratios, notes=())
    return replace(found, notes=notes(found))


def compare(bare: Sequence[BareStep], sweeps: Sequence[Sweep]) -> Ratios:
    """What serving costs and batching gives, under the highest load."""
    batched, single, empty = sweeps
    top = max(range(len(batched.steps)), key=lambda i: batched.steps[i].clients)
    limit = min(max(one.per_second for one in bare), empty.steps[top].per_second)
    rate, one_by_one = batched.steps[top].per_second, single.steps[top].per_second
    alone = [step.latency.p50 for step in batched.steps if step.clients == 1]
    return Ratios(
        clients=batched.steps[top].clients,
        batching=rate / one_by_one if one_by_one else float("nan"),
        limit=limit,
        of_limit=rate / limit if limit else float("nan"),
        bare_p50=bare[0].whole.p50,
        one_client_p50=alone[0] if alone else None,
    )


def here(packages: Sequence[str] = ()) -> Machine:
    """This machine, before anything is measured, with the versions of packages that take part."""
    versions = {"python": platform.python_version()}
    for name in ("lightning-base", *packages):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    system = f"{platform.system()} {platform.machine()}"
    return Machine(cores(), os.getloadavg()[0], os.environ.get("OMP_NUM_THREADS"), system, versions)
