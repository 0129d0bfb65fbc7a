"""Pairs of samples: those that meet in some key, some at a time, and pairs that are kept once."""

from collections.abc import Iterator

import numpy as np

from lightning_base.errors import DataError
from lightning_base.samples.payload import Rows

CHUNK = 1 << 21  # candidate pairs looked at at a time
MOST = 10_000_000  # pairs that are told


def meetings(order: Rows, start: Rows, count: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Pairs, some at a time: i with each of order[start[i]], …, order[start[i] + count[i] - 1]."""
    ends, begin = np.cumsum(count), 0
    while begin < len(count):
        stop = max(int(np.searchsorted(ends, ends[begin] - count[begin] + CHUNK, side="right")), begin + 1)
        n = count[begin:stop]
        i = np.repeat(np.arange(begin, stop), n)
        yield i, order[start[i] + np.arange(len(i)) - np.repeat(np.cumsum(n) - n, n)]
        begin = stop


class Pairs:
    """Pairs i < j, each kept once."""

    def __init__(self, origin: str) -> None:
        self.origin, self.keys, self.count = origin, [np.empty(0, dtype=np.int64)], 0

    def add(self, i: Rows, j: Rows) -> None:
        """Takes pairs (n,), some of which it may have already."""
        self.keys.append(np.unique(i << 32 | j))
        self.count += len(self.keys[-1])
        if self.count > MOST:
            self.keys = [np.unique(np.concatenate(self.keys))]
            self.count = len(self.keys[0])
        if self.count > MOST:
            raise DataError(
                f"{self.origin}: more than {MOST:,} pairs are nearly duplicates, too many to tell; "
                "set data.clean.near_duplicate: skip and audit: off"
            )

    def all(self) -> tuple[Rows, Rows]:
        """(n,) i and (n,) j of all pairs, sorted."""
        keys = np.unique(np.concatenate(self.keys))
        return keys >> 32, keys & 0xFFFFFFFF
