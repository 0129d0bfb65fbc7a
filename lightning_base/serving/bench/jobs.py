"""What is handed to the processes that measure, and what they hand back, as JSON."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """What to ask, and how.

    Attributes:
        host: of the server.
        port: of the server.
        tls: whether by https.
        path: what to ask for.
        bodies: requests' bodies, in turn; GET where there are none.
        expected: the answer to each body, or None where any is taken that is 2xx.
        headers: of each request.
        concurrency: clients at once, each with a connection of its own.
        warmup: seconds before those that count.
        seconds: that count.
        rate: requests a second on average, in an open loop; None for a closed one.
        timeout: seconds after which a client gives up.
        tolerance: of numbers in answers.
        pid: of the server, where it is a process of this machine that is to be watched.
    """

    host: str
    port: int
    tls: bool
    path: str
    bodies: tuple[str, ...]
    expected: tuple[Any, ...]
    headers: dict[str, str]
    concurrency: int
    warmup: float
    seconds: float
    rate: float | None = None
    timeout: float = 30.0
    tolerance: float = 1e-4
    pid: int | None = None


@dataclass
class Seen:
    """What the clients saw.

    Attributes:
        times: seconds of each request that was begun (or due) in the seconds that count, and answered 2xx.
        finished: of the answers 2xx, those that arrived in the seconds that count.
        errors: how many requests, begun there, ended otherwise: by status, or "timeout", "connection", "no HTTP".
        compared: answers that were held against the expected one, those outside of the seconds that count too.
        wrong: how many of these were another.
        first_wrong: the first of them: which input, what came, what was expected.
        late: in an open loop, seconds by which the client itself was late to begin a request.
        seconds: that count.
        processor: cores that the clients took meanwhile.
        server: cores that the server took; None where it is not watched.
    """

    times: list[float] = field(default_factory=list)
    finished: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    compared: int = 0
    wrong: int = 0
    first_wrong: dict[str, Any] | None = None
    late: list[float] = field(default_factory=list)
    seconds: float = 0.0
    processor: float = 0.0
    server: float | None = None


@dataclass(frozen=True)
class BareJob:
    """What to measure.

    Attributes:
        folder: the exported folder.
        batches: how many inputs are answered together; none: the first answer alone is waited for.
        warmup: seconds before those that count, for each of them.
        seconds: of computing that count, for each of them.
        threads: of one computation; None for as many as there are cores.
    """

    folder: str
    batches: tuple[int, ...]
    warmup: float
    seconds: float
    threads: int | None = None


@dataclass
class BareTimes:
    """Seconds that each batch took.

    Attributes:
        batch: inputs of each.
        reading: from JSON values to the model's inputs.
        answering: from these to answers.
        wrong: answers that were not the example's.
    """

    batch: int
    reading: list[float] = field(default_factory=list)
    answering: list[float] = field(default_factory=list)
    wrong: int = 0


@dataclass
class BareSeen:
    """What the process saw.

    Attributes:
        answered: when the first answer was there, on the clock that all processes share.
        loaded: bytes that the process held then.
        most: the most that it held at any time.
        steps: by size of a batch.
    """

    answered: float
    loaded: int
    most: int = 0
    steps: list[BareTimes] = field(default_factory=list)
