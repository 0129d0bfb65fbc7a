"""Columns that look odd: gaps that tell the class, values standardised before, groups and dates not declared."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.auditing.report import Leak, named
from lightning_base.auditing.suspicions.evidence import agreement, areas, sampled, telling_value
from lightning_base.samples.payload import Rows, blocks, fitting, gather, is_ragged
from lightning_base.samples.samples import Samples

Matrix = npt.NDArray[np.float64]
MOST = 20_000_000  # values that are looked at
AREA = 0.985  # of the number of a row's gaps
ONE_TARGET, FEWEST = 0.95, 10  # agreement within groups, and the fewest groups that are told
SCATTERED, MORE = 0.98, 20  # … of groups whose rows do not stand together
DAY, MONTH = r"(0?[1-9]|[12]\d|3[01])", r"(0?[1-9]|1[0-2])"
DATE = re.compile(rf"\s*(\d{{4}}[-/.]{MONTH}[-/.]{DAY}|{DAY}[-/.]{DAY}[-/.](\d{{4}}|\d\d))([T ].*)?")
CLOCK = re.compile(r"time|date|stamp|epoch", re.IGNORECASE)


def is_columns(samples: Samples) -> bool:
    """Whether the inputs are columns of numbers (N, F)."""
    return not is_ragged(samples.inputs) and len(samples.inputs.shape) == 2 and samples.inputs.dtype.kind in "biuf"


def name_of(samples: Samples, column: int) -> str:
    """What a column is called; its number where it has no name."""
    return samples.features[column].name if column < len(samples.features) else str(column)


def odd_columns(pool: Samples, sealed: Samples | None, train: Rows, leaks: Sequence[Leak]) -> list[Leak]:
    """The suspicions about single columns of a table or an array (N, F).

    Args:
        pool: the samples.
        sealed: what was sealed of the same source, if anything.
        train: (N,) int64 rows of a training role.
        leaks: what is sure already, and not told again.
    """
    if not is_columns(pool):
        return []
    told = " ".join(leak.detail for leak in leaks if leak.kind == "target")
    scaled = [] if any(leak.kind == "statistics" for leak in leaks) else scaled_columns(pool, sealed, train)
    return [*telling_gaps(pool, train, told), *scaled, *undeclared(pool)]


def suspicion(kind: str, detail: str) -> Leak:
    """A suspicion that is in no fold."""
    return Leak(kind, None, detail, level="suspicious")


def telling_gaps(pool: Samples, train: Rows, told: str = "") -> list[Leak]:
    """One suspicion where missing, or present, values of a column, or a row's number of gaps, tell the class.

    Columns whose names are told already are left out.
    """
    if pool.inputs.dtype.kind != "f" or pool.target is None or not pool.classes:
        return []
    rows = sampled(pool, train, max(MOST // pool.inputs.shape[1], 1))
    gaps, y = np.isnan(gather(pool.inputs, rows)[0]), pool.target[rows]
    found = []
    new = np.array([repr(name_of(pool, i)) not in told for i in range(gaps.shape[1])])
    for i in np.flatnonzero(gaps.any(axis=0) & ~gaps.all(axis=0) & new):
        if (telling := telling_value(gaps[:, i].astype(np.int64), y)) is not None:
            state = "missing" if telling.value else "there"
            right = telling.size - telling.others
            found.append(
                f"where column {name_of(pool, int(i))!r} is {state} the class is {pool.classes[telling.label]!r} "
                f"({right} of {telling.size} training samples)"
            )
    count = gaps.sum(axis=1)
    if not found and count.any() and new.all() and (area := float(areas(count, y).min())) >= AREA:
        found.append(f"the number of a row's missing values tells the class (AUC {area:.4f})")
    if not found:
        return []
    more = f" and {len(found) - 1} more columns likewise" if len(found) > 1 else ""
    mend = "leave it out, unless values are missing before the target is known (data.known_after where they are not)"
    return [suspicion("missing", f"{found[0]}{more}; {mend}")]


def scaled_columns(pool: Samples, sealed: Samples | None, train: Rows) -> list[Leak]:
    """One suspicion where some columns have mean 0 and deviation 1 over the whole source, yet not over training."""
    if pool.inputs.dtype.kind != "f" or len(pool) < 50:
        return []
    some = np.arange(0, len(pool), max(len(pool) // 2048, 1))
    mean, std = moments([gather(pool.inputs, some)[0].astype(np.float64)])
    near = np.flatnonzero((abs(mean) < 0.3) & (abs(std - 1) < 0.3))
    near = np.array([i for i in near if not pool.features or pool.features[i].categories is None], dtype=np.int64)
    if len(near) == 0:
        return []
    whole, trained = list(columns_of(pool, near)), list(columns_of(pool, near, train))
    wholes = [whole] if sealed is None else [whole, [*whole, *columns_of(sealed, near)]]
    for parts in wholes:
        scaled = near[unit(parts) & ~unit(trained)]
        if len(scaled) > 0:
            names = named([name_of(pool, int(i)) for i in scaled])
            detail = (
                f"{'column' if len(scaled) == 1 else 'columns'} {names} of {pool.origin} with mean 0 and deviation 1 "
                f"over all {sum(map(len, parts))} samples, held-out ones included, and not over the {len(train)} of "
                "training; give values as they were before, and leave scaling to data.normalize"
            )
            return [suspicion("statistics", detail)]
    return []


def columns_of(samples: Samples, columns: Rows, rows: Rows | None = None) -> list[Matrix]:
    """Blocks (B, F') float64 of some columns."""
    size = fitting(samples.inputs)
    return [np.asarray(block.values)[:, columns].astype(np.float64) for block in blocks(samples.inputs, rows, size)]


def moments(parts: Sequence[Matrix]) -> tuple[Matrix, Matrix]:
    """(F,) mean and (F,) population deviation of what is known in blocks (B, F)."""
    known = np.maximum(sum(np.isfinite(part).sum(axis=0) for part in parts), 1)
    mean = sum(np.where(np.isfinite(part), part, 0).sum(axis=0) for part in parts) / known
    square = sum((np.where(np.isfinite(part), part - mean, 0) ** 2).sum(axis=0) for part in parts)
    return np.asarray(mean), np.sqrt(square / known)


def unit(parts: Sequence[Matrix]) -> npt.NDArray[np.bool_]:
    """(F,) whether columns have mean 0 and a population or sample deviation of 1, but for rounding."""
    mean, std = moments(parts)
    n = sum(map(len, parts))
    return np.asarray((abs(mean) < 5e-5) & (np.minimum(abs(std - 1), abs(std * np.sqrt(n / (n - 1)) - 1)) < 5e-4))


def undeclared(pool: Samples) -> list[Leak]:
    """Columns that look like groups, or like times, and are inputs."""
    n, width = pool.inputs.shape
    rows = np.arange(min(n, max(MOST // width, 1)))  # the first ones: which rows stand together matters
    x = gather(pool.inputs, rows)[0]
    found = []
    if pool.target is not None:  # else `look.coverage` says that groups are not looked for
        target = np.unique(pool.target[rows], return_inverse=True)[1].astype(np.int64)
        groups = [
            int(i) for i in maybe_groups(x, target) if is_group(x[:, i], target, categories_of(pool, i) is not None)
        ]
        if groups:
            name, values = name_of(pool, groups[0]), len(np.unique(x[:, groups[0]]))
            more = f" (so do {named([name_of(pool, i) for i in groups[1:]])})" if groups[1:] else ""
            found.append(
                suspicion(
                    "undeclared_group",
                    f"column {name!r} has {values} values, the rows of each with one target{more}; if it names what "
                    f"was measured several times, declare data.group: {name}",
                )
            )
    if "time" not in pool.table:
        dates = [i < len(pool.features) and pool.features[i].is_date for i in range(width)]
        times = [i for i in range(width) if dates[i] or is_time(x[:, i], categories_of(pool, i), name_of(pool, i))]
        if times:
            names = named([name_of(pool, i) for i in times])
            found.append(
                suspicion(
                    "undeclared_time",
                    f"{'column' if len(times) == 1 else 'columns'} {names} of dates are inputs; declare data.time: "
                    f"{name_of(pool, times[0])}, so that training ends where the held-out samples begin",
                )
            )
    return found


def categories_of(pool: Samples, column: int) -> tuple[str, ...] | None:
    """The strings that a column's codes stand for; None for numbers."""
    return pool.features[column].categories if column < len(pool.features) else None


def maybe_groups(x: npt.NDArray[Any], target: npt.NDArray[np.int64]) -> Rows:
    """The columns of (N, F) of which, in the first thousand rows, equal values mostly have equal targets."""
    if x.shape[1] <= 50:
        return np.arange(x.shape[1])
    x, target = x[:1000], target[:1000]
    order = np.argsort(x, axis=0)
    ordered, targets = np.take_along_axis(x, order, axis=0), target[order]
    equal = ordered[1:] == ordered[:-1]
    unlike = (equal & (targets[1:] != targets[:-1])).sum(axis=0)
    return np.flatnonzero(unlike <= 0.1 * np.maximum(equal.sum(axis=0), 1))


def is_group(x: npt.NDArray[Any], target: npt.NDArray[np.int64], category: bool) -> bool:
    """Whether the values (N,) of a column stand for groups of rows with one target each, and are no measure.

    Those that stand together in the file, or, of numbers, whose order has nothing to do with the target.
    """
    known = np.isfinite(x) if x.dtype.kind == "f" else np.ones(len(x), dtype=bool)
    if known.mean() < 0.9 or (not category and (x[known] != np.floor(x[known])).any()):
        return False
    values, codes, sizes = np.unique(x[known], return_inverse=True, return_counts=True)
    n, codes, target = len(codes), codes.astype(np.int64), target[known]
    if not FEWEST <= len(values) <= n / 2 or sizes[sizes > 1].sum() < 0.9 * n:
        return False
    alike = agreement(codes, target)
    runs = 1 + np.count_nonzero(np.diff(codes))
    if alike >= ONE_TARGET and runs <= 1.05 * len(values) + 1:
        return True
    if alike < SCATTERED or len(values) < MORE or n < 3 * len(values):
        return False
    first = target[np.unique(codes, return_index=True)[1]]
    chance = 1 - float(((np.bincount(first) / len(first)) ** 2).sum())
    smooth = 1 - np.count_nonzero(np.diff(first)) / (len(first) - 1) / (chance or 1)
    return category or bool(smooth < 0.5)


def is_time(x: npt.NDArray[Any], categories: tuple[str, ...] | None, name: str) -> bool:
    """Whether 95 % of a column's values are dates: as text, as numbers 20241231, or seconds since 1970 by its name."""
    if categories is not None:
        some = categories[:: max(len(categories) // 500, 1)]
        return len(categories) >= FEWEST and sum(DATE.fullmatch(c) is not None for c in some) >= 0.95 * len(some)
    known = x[np.isfinite(x)].astype(np.float64) if x.dtype.kind == "f" else x.astype(np.float64)
    if len(known) == 0 or known.min() < 0:
        return False
    month, day = known // 100 % 100, known % 100
    dates = (known >= 19000101) & (known <= 21001231) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    if CLOCK.search(name):  # from 1990 to 2060
        dates |= ((known > 6.3e8) & (known < 2.9e9)) | ((known > 6.3e11) & (known < 2.9e12))
    return bool(dates.mean() >= 0.95 and len(pd.unique(known)) >= FEWEST)
