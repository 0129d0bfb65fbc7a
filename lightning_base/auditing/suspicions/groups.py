"""Groups that are one by their names: written with other blanks, capitals or leading zeros, and on both sides."""

import re

import numpy as np
import pandas as pd

from lightning_base.auditing.overlap import Joined, Sides, shared
from lightning_base.auditing.report import Hit, counted

ZEROS = re.compile(r"(?<![\d.,])0+(?=\d)")


def plain(name: str) -> str:
    """The name without blanks, capitals, and zeros before whole numbers."""
    return ZEROS.sub("", "".join(name.split()).casefold())


def alike_groups(joined: Joined) -> list[Hit]:
    """Groups of one plain name that are on both sides under different names; those of equal names are leaks."""
    if "group" not in joined.pool.table:
        return []
    codes, labels = pd.factorize(joined.column("group"))
    names = [str(name) for name in labels.tolist()]
    merged, distinct = pd.factorize(np.array([plain(name) for name in names], dtype=object))
    if len(distinct) == len(names):
        return []
    both = np.where(codes < 0, -1, merged[codes]).astype(np.int64)

    def find(sides: Sides) -> Hit | None:
        rows = shared(both, sides)
        rows = np.setdiff1d(rows, shared(codes.astype(np.int64), sides), assume_unique=True)
        if len(rows) == 0:
            return None
        other = sides.train[both[sides.train] == both[rows[0]]][0]
        n = len(np.unique(both[rows]))
        what = (
            f"{counted(n, 'group', 'groups')} in {sides.known} and in {sides.name} that differ in blanks, capitals or "
            f"leading zeros alone ({names[codes[rows[0]]]!r} is {names[codes[other]]!r})"
        )
        return Hit(sides.fold, what, joined.examples(rows))

    return joined.over(find)
