"""The bare model in a loop, in a process of its own: `python -m lightning_base.serving.bench.bare` reads a job."""

import json
import os
import sys
import time
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from typing import cast

from lightning_base.runtime.answering import Answering
from lightning_base.runtime.model import load
from lightning_base.serving.bench.answers import same, slack_of
from lightning_base.serving.bench.inputs import Inputs, examples
from lightning_base.serving.bench.jobs import BareJob, BareSeen, BareTimes
from lightning_base.serving.bench.usage import resident


def measure(job: BareJob) -> BareSeen:
    """Loads the model, answers once, then in a loop."""
    given = examples(Path(job.folder))
    model = cast(Answering, load(Path(job.folder), threads=job.threads))
    model.run([model.read(given.inputs[0])])
    seen = BareSeen(time.monotonic(), resident(os.getpid())[0])
    seen.steps = [loop(model, given, batch, job) for batch in job.batches]
    seen.most = resident(os.getpid())[1]
    return seen


def loop(model: Answering, given: Inputs, batch: int, job: BareJob) -> BareTimes:
    """The times of one size of batches; the examples come in turn."""
    found, turn = BareTimes(batch), cycle(zip(given.inputs, given.answers, strict=True))
    slack, spent = slack_of(given.answers, given.tolerance), -job.warmup
    while spent < job.seconds:
        now = list(islice(turn, batch))
        begin = time.perf_counter()
        items = [model.read(one) for one, _ in now]
        middle = time.perf_counter()
        came = model.run(items)
        end = time.perf_counter()
        if spent >= 0:
            found.reading.append(middle - begin)
            found.answering.append(end - middle)
        found.wrong += sum(not same(one, expected, slack) for one, (_, expected) in zip(came, now, strict=True))
        spent += end - begin
    return found


def main() -> None:
    """Reads a job as JSON from standard input, and writes what was seen as JSON to standard output."""
    json.dump(asdict(measure(BareJob(**json.load(sys.stdin)))), sys.stdout)


if __name__ == "__main__":
    main()
