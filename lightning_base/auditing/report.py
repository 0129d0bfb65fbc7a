"""What the audit says: leaks, the folds that have the same one merged, and their table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table

EXAMPLES = 5


@dataclass(frozen=True)
class Leak:
    """One way in which held-out samples are known in training.

    Attributes:
        kind: duplicate, near_duplicate, group, future, target, statistics or class; unchecked where a check could not
            be made; test_read, which is no leak but is told as suspicions are.
        fold: the only fold that has it; None where several have it, or where it is between pool and test or in no fold.
        detail: what was found and where, and behind a semicolon the mend; one line.
        ids: the first few samples' ids.
        level: "suspicious" for what looks like a leak and may be none: it is told, and by itself refuses nothing.
    """

    kind: str
    fold: int | None
    detail: str
    ids: tuple[str, ...] = ()
    level: Literal["leak", "suspicious"] = "leak"


@dataclass(frozen=True)
class Hit:
    """What one comparison found: in a fold, or (None) between pool and test."""

    fold: int | None
    what: str
    ids: tuple[str, ...] = ()


def merge(kind: str, hits: Sequence[Hit], folds: int, mend: str, mend_test: str) -> list[Leak]:
    """At most two leaks: one for the folds, told by the first that has it, and one for pool against test.

    Args:
        kind: of the leaks.
        hits: what was found.
        folds: how many folds were compared.
        mend: what helps between train and val.
        mend_test: what helps between pool and test.
    """
    leaks = []
    within = [hit for hit in hits if hit.fold is not None]
    if len(within) == 1:
        leaks.append(Leak(kind, within[0].fold, f"{within[0].what} in fold {within[0].fold}; {mend}", within[0].ids))
    elif within:
        where = f"in {len(within)} of {folds} folds, first fold {within[0].fold}"
        leaks.append(Leak(kind, None, f"{within[0].what} {where}; {mend}", within[0].ids))
    leaks.extend(Leak(kind, None, f"{hit.what}; {mend_test}", hit.ids) for hit in hits if hit.fold is None)
    return leaks


def named(names: Sequence[str], most: int = EXAMPLES) -> str:
    """The names in quotes, at most so many, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def counted(n: int, one: str, many: str) -> str:
    """`1 sample` or `3 samples`."""
    return f"{n} {one if n == 1 else many}"


def count_leaks(leaks: Sequence[Leak]) -> str:
    """How many leaks and suspicions there are, and how many checks could not be made; none of a kind is not said."""
    unchecked = sum(leak.kind == "unchecked" for leak in leaks)
    read = sum(leak.kind == "test_read" for leak in leaks)
    doubted = sum(leak.level == "suspicious" for leak in leaks) - read
    sure = len(leaks) - doubted - unchecked - read
    found = counted(sure, "leak", "leaks") if sure else ""
    doubts = counted(doubted, "suspicion", "suspicions") if doubted else ""
    undone = f"{counted(unchecked, 'check', 'checks')} could not be made" if unchecked else ""
    known = "the test samples were read before" if read else ""
    return ", ".join(part for part in (found, doubts, undone, known) if part)


def show_leaks(leaks: Sequence[Leak]) -> Table:
    """A line per leak: its kind, the fold, what was found with the mend, and the first samples."""
    table = Table(title=f"audit: {count_leaks(leaks)}", title_justify="left", show_lines=True)
    for heading in ("kind", "fold", "found; mend", "samples"):
        table.add_column(heading, overflow="fold")
    for leak in leaks:
        fold = "" if leak.fold is None else str(leak.fold)
        plain = leak.level == "leak" or leak.kind == "test_read"
        kind = leak.kind if plain else f"{leak.kind} (suspicious)"
        table.add_row(kind, fold, leak.detail, " ".join(leak.ids))
    return table
