"""What train and val, or pool and test, have in common: copies, near copies, groups, moments; and missing classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.auditing.report import EXAMPLES, Hit, counted, named
from lightning_base.clean.near_duplicates import near_duplicates
from lightning_base.errors import DataError
from lightning_base.samples.payload import Rows, gather
from lightning_base.samples.reading import texts
from lightning_base.samples.samples import Samples
from lightning_base.samples.several import Several
from lightning_base.splitters.split import Fold

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sides:
    """Two sets of samples between which nothing may pass: rows of `Joined`.

    Attributes:
        fold: the fold whose train and val they are; None for pool and test.
        train: (N,) int64.
        held: (M,) int64.
    """

    fold: int | None
    train: Rows
    held: Rows

    @property
    def name(self) -> str:
        """What the held-out side is called."""
        return "val" if self.fold is not None else "test"

    @property
    def known(self) -> str:
        """What the other side is called."""
        return "train" if self.fold is not None else "the pool"


class Joined:
    """The pool's samples, and the test source's behind them.

    Raises:
        DataError: where the test source has other inputs than the pool.
    """

    def __init__(self, pool: Samples, test: Samples | None, folds: Sequence[Fold]) -> None:
        self.pool, self.test, self.folds = pool, test, folds
        if test is not None and test.parts.keys() != pool.parts.keys():
            ours, theirs = (", ".join(filter(None, s.parts)) or "one input" for s in (test, pool))
            raise DataError(
                f"{test.origin}: the test source has {ours}, where {pool.origin} has {theirs}; give the same"
            )
        self.sources = (pool,) if test is None else (pool, test)
        self.ids = np.concatenate([s.table["id"].to_numpy(dtype=object) for s in self.sources])
        self.sides = [Sides(k, fold.train, fold.val) for k, fold in enumerate(folds)]
        if test is not None:
            rows = np.arange(len(self.ids), dtype=np.int64)
            self.sides.append(Sides(None, rows[: len(pool)], rows[len(pool) :]))

    @cached_property
    def parts(self) -> dict[str, "Joined"]:
        """By name the same samples with one of several inputs alone; where they have one, these by the name ""."""
        if not isinstance(self.pool.inputs, Several):
            return {"": self}
        tests = {} if self.test is None else self.test.parts
        return {name: Joined(part, tests.get(name), self.folds) for name, part in self.pool.parts.items()}

    def column(self, name: str) -> pd.Series:
        """The column of all sources; missing where a source lacks it."""
        parts = [s.table.get(name, pd.Series([None] * len(s), dtype=object)) for s in self.sources]
        return pd.concat(parts, ignore_index=True)

    def examples(self, rows: Rows) -> tuple[str, ...]:
        """The first few ids."""
        return tuple(map(str, self.ids[rows[:EXAMPLES]]))

    def over(self, find: Callable[[Sides], Hit | None]) -> list[Hit]:
        """What `find` finds in each fold and between pool and test."""
        return [hit for sides in self.sides if (hit := find(sides)) is not None]


def shared(codes: Codes, sides: Sides) -> Rows:
    """The held-out rows whose code, unless it is -1, some training row has too."""
    seen = np.zeros(int(codes.max(initial=-1)) + 2, dtype=bool)  # the last place is that of -1
    seen[codes[sides.train]] = True
    seen[-1] = False
    return sides.held[seen[codes[sides.held]]]


def duplicates(joined: Joined) -> list[Hit]:
    """Held-out samples whose content some training sample has too."""
    codes, distinct = pd.factorize(np.concatenate([s.content for s in joined.sources]))
    if len(distinct) == len(codes):
        return []
    targets = pd.factorize(
        joined.column("target")
        if joined.pool.targets is None
        else np.concatenate([_target_hashes(source) for source in joined.sources])
    )[0]

    def find(sides: Sides) -> Hit | None:
        rows = shared(codes, sides)
        if len(rows) == 0:
            return None
        copy = sides.train[codes[sides.train] == codes[rows[0]]][0]
        what = f"{counted(len(rows), f'{sides.name} sample is', f'{sides.name} samples are')} in {sides.known} too"
        if n := contradicted(codes, targets, sides, rows):
            mend = "" if sides.fold is None else " (data.clean.conflict: drop leaves both out)"
            what += f", {n} of them with another target{mend}"
        return Hit(sides.fold, f"{what} ({joined.ids[rows[0]]!r} is {joined.ids[copy]!r})", joined.examples(rows))

    return joined.over(find)


def _target_hashes(samples: Samples) -> npt.NDArray[np.uint64]:
    """(N,) hashes of targets that are more than one value; 0 where there are none."""
    return np.zeros(len(samples), dtype=np.uint64) if samples.targets is None else samples.targets.content


def contradicted(codes: Codes, targets: Codes, sides: Sides, rows: Rows) -> int:
    """How many of the held-out rows have a target that no training row of the same code has."""
    known = sides.train[np.isin(codes[sides.train], codes[rows])]
    most = int(targets.max(initial=0)) + 2
    mine, theirs = (codes[some] * most + targets[some] + 1 for some in (rows, known))
    return int((~np.isin(mine, theirs)).sum())


def pairs_across(joined: Joined, sides: Sides, one: Rows, other: Rows) -> tuple[Rows, Rows, Rows]:
    """Of pairs of samples (P,) those with one on each side: their numbers, the held-out ones and the training ones."""
    side = np.zeros(len(joined.ids), dtype=np.int8)
    side[sides.train], side[sides.held] = 1, 2
    across = np.flatnonzero(side[one] * side[other] == 2)
    is_held = side[one[across]] == 2
    return across, np.where(is_held, one[across], other[across]), np.where(is_held, other[across], one[across])


def near(joined: Joined) -> list[Hit]:
    """Pairs of near duplicates with one on each side."""
    one, other = near_pairs(joined)
    if len(one) == 0:
        return []

    def find(sides: Sides) -> Hit | None:
        across, held, train = pairs_across(joined, sides, one, other)
        if len(across) == 0:
            return None
        what = f"{counted(len(across), 'pair', 'pairs')} of near duplicates between {sides.known} and {sides.name}"
        example = f"({joined.ids[held[0]]!r} is like {joined.ids[train[0]]!r})"
        return Hit(sides.fold, f"{what} {example}", joined.examples(pd.unique(held)))

    return joined.over(find)


def near_pairs(joined: Joined) -> tuple[Rows, Rows]:
    """The rows (P,) and (P,) of pairs of near duplicates, within the pool and between it and the test source."""
    pool = pd.Index(joined.pool.table["id"])
    pairs = near_duplicates(joined.pool)
    one, other = (pool.get_indexer(pd.Index(pairs[key])) for key in ("id", "other"))
    if joined.test is not None:
        pairs = near_duplicates(joined.pool, joined.test)
        test = pd.Index(joined.test.table["id"])
        one = np.concatenate([one, pool.get_indexer(pd.Index(pairs["id"]))])
        other = np.concatenate([other, test.get_indexer(pd.Index(pairs["other"])) + len(pool)])
    return one, other


def groups(joined: Joined) -> list[Hit]:
    """Groups on both sides."""
    if "group" not in joined.pool.table:
        return []
    codes, labels = pd.factorize(texts(joined.column("group")))
    names = np.asarray(labels, dtype=object)

    def find(sides: Sides) -> Hit | None:
        rows = shared(codes, sides)
        if len(rows) == 0:
            return None
        both = [str(names[code]) for code in pd.unique(codes[rows])]
        what = f"{counted(len(both), 'group', 'groups')} in {sides.known} and in {sides.name} ({named(both, 3)})"
        return Hit(sides.fold, what, joined.examples(rows))

    return joined.over(find)


def future(joined: Joined, after: bool = False) -> list[Hit]:
    """Training samples at or after the first held-out moment; those count whose `time_end` is, where there is one.

    Args:
        joined: the samples.
        after: whether folds train on later samples by design: then those that overlap some held-out sample in time.

    Raises:
        UserError: where the times cannot be put in order.
    """
    if "time" not in joined.pool.table:
        return []
    times = [s.table["time"] for s in joined.sources if "time" in s.table]
    try:
        if len({pd.api.types.is_numeric_dtype(time) for time in times}) > 1:
            raise TypeError("numbers and others")
        time = joined.column("time")
        if "time_end" in joined.pool.table:
            end = joined.column("time_end")
            time = pd.concat([time, end.where(end.notna(), time)], ignore_index=True)
        both, moments = pd.factorize(time, sort=True)
    except TypeError as error:
        origins = " and ".join(dict.fromkeys(s.origin for s in joined.sources))
        raise DataError(
            f"{origins}: the values of `time` in pool and test are of different kinds; give all in one format"
        ) from error
    codes, ends = both[: len(joined.ids)], both[-len(joined.ids) :]

    def find(sides: Sides) -> Hit | None:
        held = codes[sides.held]
        first = int(held.min(initial=len(moments), where=held >= 0))
        if after and sides.fold is not None:
            late = sides.train[overlaps(codes, ends, sides)]
            what = f"{counted(len(late), 'sample', 'samples')} of train under way together with samples of val"
            return Hit(sides.fold, what, joined.examples(late)) if len(late) else None
        late = sides.train[ends[sides.train] >= first]
        if len(late) == 0:
            return None
        when = f"{'that end ' if 'time_end' in joined.pool.table else ''}at or after the first of {sides.name}"
        what = f"{counted(len(late), 'sample', 'samples')} of {sides.known} {when}"
        return Hit(sides.fold, f"{what} ({moments[first]})", joined.examples(late))

    return joined.over(find)


def overlaps(start: Codes, end: Codes, sides: Sides) -> npt.NDArray[np.bool_]:
    """(N,) whether each training sample is under way while some held-out sample is; ends belong to both."""
    held = sides.held[np.argsort(start[sides.held], kind="stable")]
    latest = np.maximum.accumulate(end[held])  # of those that began so far
    begun = np.searchsorted(start[held], end[sides.train], side="right")
    return (begun > 0) & (latest[begun - 1] >= start[sides.train])


def classes_of(samples: Samples) -> tuple[str, ...]:
    """The names of classes, or of labels; none where targets are arrays, whose classes are not looked at."""
    if samples.targets is None or samples.boxes is not None:
        return samples.classes
    return samples.targets.names if samples.targets.kind == "labels" else ()


def missing_classes(joined: Joined) -> list[Hit]:
    """Classes without a sample, labels that no sample has, or for detection classes without a box, on a side.

    Of the pool against test, in test alone.
    """
    names = classes_of(joined.pool)
    parts, start = [], 0
    for samples in joined.sources:
        if samples.boxes is not None:
            counts = np.diff(samples.boxes.offsets)
            rows, labels = np.repeat(np.arange(len(samples)), counts), samples.boxes.values[:, 4].astype(np.int64)
        elif samples.targets is not None and samples.targets.kind == "labels":
            rows, labels = np.nonzero(gather(samples.targets.payload, np.arange(len(samples)))[0])
        elif samples.target is not None:
            rows, labels = np.arange(len(samples)), samples.target
        else:
            rows, labels = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        known = (labels >= 0) & (labels < len(names))
        parts.append((rows[known] + start, labels[known].astype(np.int64)))
        start += len(samples)
    if not names or len(parts[0][0]) == 0:
        return []
    rows, labels = (np.concatenate(part) for part in zip(*parts, strict=True))

    def find(sides: Sides) -> Hit | None:
        said = []
        for name, members in ((sides.known, sides.train), (sides.name, sides.held)):
            inside = np.zeros(len(joined.ids), dtype=bool)
            inside[members] = True
            gone = np.flatnonzero(np.bincount(labels[inside[rows]], minlength=len(names)) == 0)
            if len(gone) and name != "the pool":
                said.append(f"no {named([names[c] for c in gone], 3)} in {name}")
        return Hit(sides.fold, ", ".join(said)) if said else None

    with_targets = joined.sides if len(parts) == 1 or len(parts[1][0]) else joined.sides[:-1]
    return [hit for sides in with_targets if (hit := find(sides)) is not None]
