"""What a reader of a measurement must know beside its numbers."""

import json

from lightning_base.serving.bench.results import EMPTY, Measured

BUSY = 0.25  # processes a core beside the measurement that make it another
FULL = 0.85  # of a core: clients that take more may be what limits
LATE = 1.0  # milliseconds


def notes(found: Measured) -> tuple[str, ...]:
    """Sentences, what is worst first."""
    steps = [(sweep, step) for sweep in found.sweeps for step in sweep.steps]
    return (
        *wrong(found),
        *busy(found),
        *(
            f"{sweep.name}, {count(step.clients, 'client')}: took {step.client:.2f} of a core and may be what limits"
            for sweep, step in steps
            if step.client > FULL
        ),
        *(
            f"{sweep.name}, {step.rate:g} a second: the clients were late by up to {step.late:.1f} ms (p99), which "
            "counts as latency"
            for sweep, step in steps
            if step.late is not None and step.late > LATE
        ),
        loop(found),
        "a percentile is given where one request at least lies above it: p99 of 100, p95 of 20",
    )


def wrong(found: Measured) -> list[str]:
    """How many answers were wrong, with the first of them."""
    said = []
    for step in found.bare:
        if step.wrong:
            said.append(
                f"WRONG: the bare model in batches of {step.batch} gave {step.wrong:,} answers that are not the "
                "example's"
            )
    for sweep in found.sweeps:
        for one in sweep.steps:
            if one.wrong:
                first = one.first_wrong or {}
                shown = ", ".join(f"{key} {json.dumps(value)[:80]}" for key, value in first.items())
                said.append(
                    f"WRONG: {sweep.name}, {count(one.clients, 'client')}: {one.wrong:,} of {one.compared:,} answers "
                    f"are not the expected ones; the first: {shown}"
                )
    return said


def busy(found: Measured) -> list[str]:
    """Whether others computed beside the measurement."""
    machine = found.machine
    if machine.busy <= BUSY * machine.cores:
        return []
    return [
        f"{machine.busy:.1f} processes on average computed in the minute before on {machine.cores} cores: times are "
        "longer than on an idle machine"
    ]


def loop(found: Measured) -> str:
    """How requests were begun."""
    if any(step.rate is not None for sweep in found.sweeps if sweep.name != EMPTY for step in sweep.steps):
        return (
            "open loop: requests are due at random times (Poisson), and a time counts from then, also while it waited "
            "for a client to be free"
        )
    return (
        "closed loop: a client asks again when it has its answer, so that a server that stalls is asked less; --rate R "
        "asks R times a second whatever it does"
    )


def count(n: int, what: str) -> str:
    """`1 client`, `2 clients`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
