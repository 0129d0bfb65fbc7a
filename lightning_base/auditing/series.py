"""Series: columns that are the previous value of a target that hardly changes from one moment to the next."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.samples.payload import Rows, gather
from lightning_base.samples.samples import Samples

Column = npt.NDArray[np.float64]


def previous(
    pool: Samples,
    rows: Rows,
    columns: Mapping[int, Column],
    tells: Callable[[Column, npt.NDArray[Any]], float],
) -> set[int]:
    """Which columns tell the previous target of their series at least as well as their own: these tell no secret.

    Args:
        pool: the samples; without a time there are no series.
        rows: (N,) which samples.
        columns: (N,) values, by the column's number.
        tells: how well a column (N,) tells targets (N,), 1 at best.
    """
    if not columns or "time" not in pool.table or pool.target is None:
        return set()
    before = [last[rows] for last in _last_rows(pool)]
    found = set()
    for i, x in columns.items():
        for last in before:
            there = last >= 0
            if there.sum() < 0.5 * len(rows):
                continue
            now, then = pool.target[rows[there]], pool.target[last[there]]
            if 1 - tells(x[there], then) <= 1.05 * (1 - tells(x[there], now)) + 1e-9:
                found.add(i)
    return found


def _last_rows(pool: Samples) -> list[Rows]:
    """For each column that may name series, the row (N,) before each one in its series, or -1.

    A column names series where no moment comes twice in one of them; none at all is one series.
    """
    time = pd.factorize(pool.table["time"], sort=True)[0].astype(np.int64)
    table = pool.table.drop(columns=["id", "target", "time", "time_end", "role"], errors="ignore")
    keys = [np.zeros(len(pool), dtype=np.int64)]
    keys += [pd.factorize(table[name])[0].astype(np.int64) for name in table]
    for i, feature in enumerate(pool.features):
        if feature.categories is not None and len(feature.categories) < len(pool) / 10:
            values = gather(pool.inputs, np.arange(len(pool)))[0][:, i]
            keys.append(np.where(np.isfinite(values), values, -1).astype(np.int64))
    found = []
    for key in keys:
        order = np.lexsort([time, key])
        same = key[order][1:] == key[order][:-1]
        if (same & (time[order][1:] == time[order][:-1])).sum() > 0.01 * len(order):
            continue
        last = np.full(len(order), -1, dtype=np.int64)
        last[order[1:][same]] = order[:-1][same]
        found.append(last)
    return found
