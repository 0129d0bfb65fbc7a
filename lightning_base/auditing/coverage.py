"""What an audit of these samples looks for, and what it cannot look for in them, with the reason."""

from collections.abc import Iterator, Sequence

from lightning_base.auditing.overlap import classes_of
from lightning_base.auditing.report import Leak
from lightning_base.auditing.suspicions.columns import is_columns
from lightning_base.auditing.views import in_part, left_out, why_no_target
from lightning_base.clean.near_duplicates import comparable
from lightning_base.samples.payload import is_ragged
from lightning_base.samples.samples import Samples

Line = tuple[str, str | None]  # what is looked for, and why it is not; None where it is


def coverage(pool: Samples, test: Samples | None, leaks: Sequence[Leak], near: bool = True) -> list[Line]:
    """Each kind of leak, and None where it was looked for, else why it was not.

    Args:
        pool: the samples of the folds.
        test: those of the test source; None where there is none, or it cannot be read.
        leaks: what the audit said, of which some are checks that could not be made.
        near: whether near duplicates were asked for.
    """
    undone = {leak.detail.partition(":")[0] for leak in leaks if leak.kind == "unchecked"}
    none = "it cannot be read" if "test source" in undone else "there is none"
    lines = [*_within(pool, near), *([("test source", none)] if test is None else _against(pool, test, near))]
    return [(what, "it could not be made" if what in undone and reason is None else reason) for what, reason in lines]


def _within(pool: Samples, near: bool) -> Iterator[Line]:
    """Between the roles of folds."""
    yield "duplicates", None
    for name, part in pool.parts.items():
        yield in_part("near duplicates", name), None if near and comparable(part) else _no_near(near)
    yield "groups", None if "group" in pool.table else "the data has no `group`"
    yield "future", None if "time" in pool.table else "the data has no `time`"
    for name, part in pool.parts.items():
        yield in_part("target in a column", name), _no_columns(part)
    if more := left_out(pool):
        yield "each of many targets in a column", more
    yield "statistics", None
    for name, part in pool.parts.items():
        plain = not is_ragged(part.inputs) and len(part.inputs.shape) > 1 and part.inputs.dtype.kind == "f"
        few = None if plain and len(pool) >= 50 else "inputs are no real numbers, or fewer than 50"
        yield in_part("scaling before", name), few
    yield "missing classes", None if classes_of(pool) else "no classes"


def _against(pool: Samples, test: Samples, near: bool) -> Iterator[Line]:
    """Between the pool and the test source."""
    yield "duplicates in the test source", None
    for name, part in pool.parts.items():
        if near and comparable(part):
            there = name in test.parts and comparable(test.parts[name])
            yield in_part("near duplicates in the test source", name), None if there else _no_near(near)
    for key, name in (("group", "groups"), ("time", "future")):
        if key in pool.table:
            yield f"{name} of the test source", None if key in test.table else f"it has no `{key}`"


def _no_columns(part: Samples) -> str | None:
    """Why no column is tried for telling the target; None where each is."""
    return why_no_target(part) if is_columns(part) else "inputs are no columns of numbers"


def _no_near(near: bool) -> str:
    return "images of 8 bits and 16 pixels a side or more, and texts, have them" if near else "not asked for"


def told(lines: list[Line]) -> tuple[str, str]:
    """What was looked for, and what was not with its reasons, each in one line; the latter is "" where all was."""
    done = ", ".join(what for what, reason in lines if reason is None)
    left = ", ".join(f"{what} ({reason})" for what, reason in lines if reason is not None)
    return f"looked for: {done}", f"not looked for: {left}" if left else ""
