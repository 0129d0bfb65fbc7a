"""What a measurement found: by part, as it is shown and written."""

from dataclasses import dataclass
from typing import Any

from lightning_base.serving.bench.latency import Latency

BATCHED, SINGLE, EMPTY = "served", "served one by one", "empty handler"


@dataclass(frozen=True)
class Machine:
    """Where it was measured.

    Attributes:
        cores: that the processes may use.
        busy: how many processes computed on average over the minute before.
        threads: OMP_NUM_THREADS, None where it is not set.
        versions: of Python and of the packages that take part.
    """

    cores: int
    busy: float
    threads: str | None
    system: str
    versions: dict[str, str]


@dataclass(frozen=True)
class BareStep:
    """The bare model, one size of batches.

    Attributes:
        batch: inputs answered together.
        answering: times of a batch, from the model's inputs to answers.
        whole: times of a batch, from JSON values to answers.
        per_second: answers a second of answering alone.
        with_reading: answers a second, with reading.
        wrong: answers that are not the example's.
    """

    batch: int
    answering: Latency
    whole: Latency
    per_second: float
    with_reading: float
    wrong: int


@dataclass(frozen=True)
class Step:
    """A server under one load.

    Attributes:
        clients: at once.
        rate: requests a second in an open loop; None where each client waits for its answer.
        latency: from when a request was begun (in an open loop: due) to its whole answer, of those answered 2xx.
        per_second: answers 2xx a second.
        errors: other ends, by status, "timeout", "connection" or "no HTTP".
        compared: answers that were held against the expected one, in the warm-up too.
        wrong: how many of these were another.
        first_wrong: the first of them.
        late: p99 of the milliseconds by which the clients themselves began a request late, in an open loop.
        client: cores that the clients took.
        server: cores that the server took, where it is a process of this machine that was started here.
    """

    clients: int
    rate: float | None
    latency: Latency
    per_second: float
    errors: dict[str, int]
    compared: int
    wrong: int
    first_wrong: dict[str, Any] | None
    late: float | None
    client: float
    server: float | None


@dataclass(frozen=True)
class Sweep:
    """One thing that was asked under each load.

    Attributes:
        name: "served", "served one by one" (batches of one), "empty handler" (/health).
        path: what was asked for.
        steps: by load.
    """

    name: str
    path: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Process:
    """A process that answers: the bare model's, or the server's.

    Attributes:
        starts: seconds from its start to its first answer, of several.
        loaded: bytes that it held then.
        most: the most that it held under load.
    """

    name: str
    starts: tuple[float, ...]
    loaded: int
    most: int


@dataclass(frozen=True)
class Ratios:
    """What serving costs and batching gives, under the highest load.

    Attributes:
        clients: at once there.
        batching: answers a second to those of a server that answers one by one.
        limit: the lesser of what the bare model answers a second in its best batches, and the empty handler.
        of_limit: answers a second to that.
        bare_p50: milliseconds of the bare model for one input, with reading.
        one_client_p50: of one client; None where one client alone was not measured.
    """

    clients: int
    batching: float
    limit: float
    of_limit: float
    bare_p50: float | None
    one_client_p50: float | None


@dataclass(frozen=True)
class Measured:
    """All of it.

    Attributes:
        target: the export or the URL.
        model: "name/version", as the server says it; "" where it says none.
        task: of the model.
        inputs: how many different ones were asked.
        seconds: that count, of each load.
        warmup: seconds before them.
        machine: where the clients ran, and of an export everything.
        bare: by size of batches; empty of a URL.
        processes: start and memory; empty of a URL.
        sweeps: by what was asked.
        ratios: None of a URL, or of an open loop.
        notes: what a reader must know beside the numbers.
    """

    target: str
    model: str
    task: str
    inputs: int
    seconds: float
    warmup: float
    machine: Machine
    bare: tuple[BareStep, ...]
    processes: tuple[Process, ...]
    sweeps: tuple[Sweep, ...]
    ratios: Ratios | None
    notes: tuple[str, ...]

    @property
    def wrong(self) -> int:
        """Answers that were not the expected ones."""
        return sum(step.wrong for step in self.bare) + sum(s.wrong for sweep in self.sweeps for s in sweep.steps)

    @property
    def answered(self) -> int:
        """Answers 2xx of the model, in the seconds that count."""
        return sum(step.latency.n for sweep in self.sweeps if sweep.name != EMPTY for step in sweep.steps)
