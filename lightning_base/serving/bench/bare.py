"""The bare model in a loop, in a process of its own: `python -m lightning_base.serving.bench.bare` reads a job."""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from lightning_base.runtime.answering import Answering
from lightning_base.runtime.model import load
from lightning_base.serving.bench.answers import same
from lightning_base.serving.bench.inputs import examples
from lightning_base.serving.bench.jobs import BareJob, BareSeen, BareTimes
from lightning_base.serving.bench.usage import resident


def measure(job: BareJob) -> BareSeen:
    """Loads the model, answers once, then in a loop."""
    given = examples(Path(job.folder))
    inputs, answers = given.inputs, given.answers
    model = load(Path(job.folder), threads=job.threads)
    model.run([model.read(inputs[0])])
    seen = BareSeen(time.monotonic(), resident(os.getpid())[0])
    seen.steps = [loop(model, inputs, answers, batch, job) for batch in job.batches]
    seen.most = resident(os.getpid())[1]
    return seen


def loop(model: Answering, inputs: Sequence[Any], answers: Sequence[Any], batch: int, job: BareJob) -> BareTimes:
    """The times of one size of batches; the examples come in turn."""
    found, turn = BareTimes(batch), cycle(zip(inputs, answers, strict=True))
    spent = -job.warmup
    while spent < job.seconds:
        given = list(islice(turn, batch))
        begin = time.perf_counter()
        items = [model.read(one) for one, _ in given]
        middle = time.perf_counter()
        came = model.run(items)
        end = time.perf_counter()
        if spent >= 0:
            found.reading.append(middle - begin)
            found.answering.append(end - middle)
        found.wrong += sum(not same(one, expected) for one, (_, expected) in zip(came, given, strict=True))
        spent += end - begin
    return found


def main() -> None:
    """Reads a job as JSON from standard input, and writes what was seen as JSON to standard output."""
    json.dump(asdict(measure(BareJob(**json.load(sys.stdin)))), sys.stdout)


if __name__ == "__main__":
    main()
