"""Views of samples for checks that take one input and one target: each of several inputs, each of several targets."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from lightning_base.auditing.report import Leak
from lightning_base.samples.payload import gather
from lightning_base.samples.samples import Samples

MOST_TARGETS = 16  # of several values or labels the first so many are tried
KINDS = {
    "array": "its target is an array",
    "sequence": "its target is a sequence",
    "spans": "its target is a part of a text",
    "boxes": "its targets are boxes",
}


def in_part(what: str, part: str) -> str:
    """What is looked for, and in which of several inputs."""
    return f"{what} in {part}" if part else what


def of_part(leaks: Iterable[Leak], part: str) -> list[Leak]:
    """The leaks of one of several inputs, which they name."""
    return [replace(leak, detail=f"input {part!r}: {leak.detail}") if part else leak for leak in leaks]


def single_targets(samples: Samples) -> dict[str, Samples]:
    """The samples with one value or class as target: by the name of each of several values or labels, else by "".

    None where the target is of another kind, or there is none; of many values or labels the first MOST_TARGETS.
    """
    targets = samples.targets
    if targets is None:
        return {} if samples.target is None else {"": samples}
    if targets.kind not in ("values", "labels"):
        return {}
    y = gather(targets.payload, np.arange(len(samples)))[0]
    classes = ("no", "yes") if targets.kind == "labels" else ()
    found = {}
    for i, name in enumerate(targets.names[:MOST_TARGETS]):
        column = y[:, i].astype(np.int64 if classes else np.float64)
        found[name] = replace(samples, targets=None, classes=classes, table=samples.table.assign(target=column))
    return found


def why_no_target(samples: Samples) -> str | None:
    """Why there is no value or class that a check could take as target; None where there is."""
    if samples.kind is None:
        return "the data has no target"
    return KINDS.get(samples.kind)


def left_out(samples: Samples) -> str | None:
    """What is said of several values or labels that are too many; None where each is tried."""
    n = 0 if samples.targets is None else len(samples.targets.names)
    return f"the first {MOST_TARGETS} of {n} are tried" if n > MOST_TARGETS else None
