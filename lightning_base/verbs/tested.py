"""test.json: the scores of test samples, and each moment at which they were read, none of which is ever dropped."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_base.errors import ArtefactError
from lightning_base.results.arrays import write_predictions
from lightning_base.results.sealed_reads import moments
from lightning_base.stats import words
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import Level, console
from lightning_base.tools.files import read_json, write_json
from lightning_base.training import evaluate
from lightning_base.verbs.results import Scored
from lightning_base.verbs.told import as_json

Reads = Sequence[tuple[Any, Any]]  # a moment, and the fingerprint of the samples as they were then


def told_of(record: Path) -> dict[str, Any]:
    """What a test.json tells of the times at which the test samples were read.

    Raises:
        ArtefactError: where it cannot be read.
    """
    return read_json(record, needs={"reads": list}) if record.is_file() else {"reads": []}


def demand_file(*paths: Path) -> None:
    """Refuses to write where a folder stands, before samples are read.

    Raises:
        ArtefactError: naming it.
    """
    for path in paths:
        if path.is_dir():
            raise ArtefactError(f"{path}: a folder stands where a file is written; move it away")


def reads_with(told: dict[str, Any], fingerprint: str) -> tuple[Reads, str]:
    """All reads with this one, which is the last, and what is said of the earlier ones; "" where there are none.

    Args:
        told: what test.json told so far.
        fingerprint: of the samples that are read now.
    """
    earlier = moments(told)
    reads = [*earlier, (time.strftime("%Y-%m-%dT%H:%M:%S%z"), fingerprint)]
    if not earlier:
        return reads, ""
    others = sum(of not in (None, fingerprint) for _, of in earlier)
    differently = f" ({others} of them as other samples, or with other content)" if others else ""
    return reads, (
        f"the test samples were read {len(reads)} times for this run{differently}, first {reads[0][0]}: what was "
        "chosen in between is fitted to them"
    )


def write_test(
    record: Path, found: Scored, task: BaseModule, predictions: evaluate.Predictions, reads: Reads, members: int
) -> None:
    """Writes test.json, and test.parquet beside it.

    Args:
        record: the path of test.json.
        found: the scores.
        task: whose metrics they are.
        predictions: what is scored.
        reads: all moments at which the samples were read.
        members: how many checkpoints predicted.
    """
    write_predictions(record.with_name("test.parquet"), found.predictions)
    write_json(
        record,
        {
            "score": found.score.name,
            "metrics": as_json(found, task, predictions),
            "details": evaluate.details(task, predictions),
            "n": found.n,
            "members": members,
            "interval": words.intervals(found.estimates),
            "data_fingerprint": predictions.samples.fingerprint,
            "reads": [moment for moment, _ in reads],
            "data_fingerprints": [of for _, of in reads],
        },
    )
    console(Level.QUIET).print(f"results: {record}", soft_wrap=True)
