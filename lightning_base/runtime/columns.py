"""How one column is distributed in training: its cells, and counts of values in them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .cells import Comparison, Counts, gaps_chance, homogeneity, joined, needed, psi_of
from .chances import fisher, kolmogorov
from .known import MOST, Known, hashed

EDGES, CELLS = 200, 10  # quantiles that Kolmogorov's distance is looked at, and cells of the PSI
NAMES, HASHED = 50, 64  # most categories that have cells of their own, and the cells of more of them


@dataclass(frozen=True)
class Numbers:
    """Numbers of training.

    Args:
        edges: (k,) ascending, of training's values; cell i holds those above edge i - 1 and up to edge i.
        counts: (k + 4,) of the k + 1 cells; then missing, below the least edge, above the greatest, and the sum.
    """

    edges: Counts
    counts: Counts
    kind: str = field(default="number", init=False)

    @staticmethod
    def of(values: npt.NDArray[Any]) -> "Numbers":
        """The distribution of values (N,), NaN where missing."""
        values = np.asarray(values, dtype=np.float64)
        finite = np.sort(values[np.isfinite(values)])
        if len(finite):
            places = (np.arange(EDGES + 1) * len(finite) + EDGES - 1) // EDGES - 1
            edges = np.unique(finite[np.maximum(places, 0)])
        else:
            edges = np.zeros(1)
        empty = Numbers(edges, np.zeros(len(edges) + 4))
        return Numbers(edges, empty.counted(values))

    def counted(self, values: npt.NDArray[Any] | Sequence[Any]) -> Counts:
        """Counts (k + 4,) of values (B,), NaN or None where missing."""
        values = np.asarray(values, dtype=np.float64)
        there = values[~np.isnan(values)]
        k = len(self.edges)
        out = np.zeros(k + 4)
        out[: k + 1] = np.bincount(np.searchsorted(self.edges, there, side="left"), minlength=k + 1)
        out[k + 1] = len(values) - len(there)
        out[k + 2] = (there < self.edges[0]).sum()
        out[k + 3] = there[np.isfinite(there)].sum()
        return out

    def compared(self, live: Counts) -> Comparison:
        """New values, counted, beside those of training."""
        k = len(self.edges)
        own, new = self.counts[: k + 1], live[: k + 1]
        m, n = float(own.sum()), float(new.sum())
        gaps = float(self.counts[k + 1]), float(live[k + 1])
        chances = gaps_chance(gaps[0], m + gaps[0], gaps[1], n + gaps[1])
        cells, distance = (np.array([m]), np.array([n])), 0.0
        if m and n:
            shares = np.cumsum(own) / m
            cell = np.floor(CELLS * (shares - own / m / 2)).astype(np.int64)
            starts = np.flatnonzero(np.diff(cell, prepend=-1))
            cells = joined(np.add.reduceat(own, starts), np.add.reduceat(new, starts))
            distance = float(np.abs(shares - np.cumsum(new) / n).max())
            chances |= {"shape": homogeneity(*cells), "ks": kolmogorov(distance, int(n), int(m))}
        psi, expected, freedom = psi_of(*cells, gaps)
        return Comparison(
            n=int(n + gaps[1]),
            m=int(m + gaps[0]),
            psi=psi,
            psi_expected=expected,
            freedom=freedom,
            ks=distance,
            chances=chances,
            missing=(gaps[0] / max(m + gaps[0], 1), gaps[1] / max(n + gaps[1], 1)),
            unseen=None,
            surprise=0.0,
            beyond=float(live[k + 2] + live[k]) / max(float(n), 1),
            typical=(float(self.counts[k + 3] / m), float(live[k + 3] / n)) if m and n else None,
        )

    def written(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"kind": "number", "edges": self.edges.tolist(), "counts": self.counts.tolist()}


@dataclass(frozen=True)
class Categories:
    """Categories of training.

    Args:
        names: in the order of their cells; () where there are more than NAMES, whose cells are chosen by hashes of
            the names, since the most frequent ones of many would seem rarer in any new sample.
        counts: (k + 2,) of the k cells; then missing, and of training the names that came once, of new values those
            whose names training has not.
        twice: names that came twice in training.
        known: all names of training, where they have no cells of their own; None where they were too many to keep.
    """

    names: tuple[str, ...]
    counts: Counts
    twice: int = 0
    known: Known | None = None
    kind: str = field(default="category", init=False)

    @staticmethod
    def of(values: Sequence[str | None], names: Sequence[str] = ()) -> "Categories":
        """The distribution of values (N,), None where missing.

        Args:
            values: of training.
            names: that have cells though they may not come: classes that a model knows.
        """
        found = Counter(one for one in values if one is not None)
        all_names = sorted({*found, *names})
        once, twice = (0 if names else sum(count == i for count in found.values()) for i in (1, 2))
        many = len(all_names) > NAMES and not names
        known = Known(map(hashed, all_names)) if many and len(all_names) <= MOST else None
        cells = () if many else tuple(all_names)
        empty = Categories(cells, np.zeros((HASHED if many else len(cells)) + 2), twice, known)
        counts = empty.counted(values)
        counts[-1] = once
        return Categories(cells, counts, twice, known)

    def counted(self, values: Sequence[str | None]) -> Counts:
        """Counts (k + 2,) of values (B,), None where missing."""
        out = np.zeros_like(self.counts)
        place = {name: i for i, name in enumerate(self.names)}
        for name, count in Counter(values).items():
            if name is None:
                out[-2] += count
            elif not self.is_hashed:
                out[place.get(name, -1)] += count
            else:
                out[hashed(name) % HASHED] += count
                if self.known is not None and name not in self.known:
                    out[-1] += count
        return out

    @property
    def is_hashed(self) -> bool:
        """Whether cells are of hashes of names."""
        return not self.names and len(self.counts) > 2

    @property
    def tells_unseen(self) -> bool:
        """Whether unseen names can be told from those of training."""
        return not self.is_hashed or self.known is not None

    def compared(self, live: Counts) -> Comparison:
        """New values, counted, beside those of training."""
        (m, once), (n, unseen) = self._sums(self.counts), self._sums(live)
        own, new = self.counts[:-2], live[:-2]
        if not self.is_hashed:
            n += unseen
        gaps = float(self.counts[-2]), float(live[-2])
        chances = gaps_chance(gaps[0], m + gaps[0], gaps[1], n + gaps[1])
        whole = np.array([m]), np.array([n])
        if m and n:
            cells, rare = self._cells(own, new, unseen)
            whole = (np.append(cells[0], rare[0]), np.append(cells[1], rare[1])) if sum(rare) else cells
            if sum(rare) >= needed(*whole):
                cells = whole
            elif sum(rare):
                chances["rare"] = fisher(int(rare[1]), int(n), int(rare[0]), int(m))
            chances["shape"] = homogeneity(*cells)
            if unseen / n > once / m:
                chances["unseen"] = self._surprise(int(unseen), int(n), int(m))
        psi, expected, freedom = psi_of(*whole, gaps)
        surprise = 0.0
        if "unseen" in chances:
            index, chance, _ = psi_of(np.array([m - once, once]), np.array([n - unseen, unseen]), (0.0, 0.0))
            surprise = max(index - chance, 0.0)
        changed = int(np.argmax(np.abs(own / max(m, 1) - new / max(n, 1)))) if self.names and n and m else None
        return Comparison(
            n=int(n + gaps[1]),
            m=int(m + gaps[0]),
            psi=psi,
            psi_expected=expected,
            freedom=freedom,
            ks=None,
            chances=chances,
            missing=(gaps[0] / max(m + gaps[0], 1), gaps[1] / max(n + gaps[1], 1)),
            unseen=(once / max(m, 1), unseen / max(n, 1)) if self.tells_unseen else None,
            surprise=surprise,
            beyond=None,
            typical=None if changed is None else (float(own[changed] / m), float(new[changed] / n)),
            name="" if changed is None else self.names[changed],
        )

    def _surprise(self, unseen: int, n: int, m: int) -> float:
        """The chance of so many unseen values among n, where names that came once tell how many to expect (Good 1953).

        That estimate varies by (once + 2 twice) / m² (Esty 1983), more than a count of m draws does: it counts for
        fewer draws.
        """
        once = int(self.counts[-1])
        wider = (once + 1 + 2 * self.twice) / (once + 1)
        return fisher(unseen, n, -int(-once // wider), int(m / wider))

    @staticmethod
    def _sums(counts: Counts) -> tuple[float, float]:
        return float(counts[:-2].sum()), float(counts[-1])

    def _cells(self, own: Counts, new: Counts, unseen: float) -> tuple[tuple[Counts, Counts], tuple[float, float]]:
        """The cells that are large enough, and what the others hold together, in training and now.

        Small cells are joined with their neighbours where training has seen all names there are: else those that it has
        seen are rarer than they seem, and only together with unseen ones they are not.
        """
        if self.is_hashed:
            return joined(own, new), (0.0, 0.0)
        least = needed(own, np.append(new, unseen))
        large = own + new >= least
        small = own[~large], new[~large]
        rare = float(small[0].sum()), float(small[1].sum() + unseen)
        cells = own[large], new[large]
        if unseen or self.counts[-1] or sum(rare) < least:
            return cells, rare
        more = joined(*small)
        return (np.append(cells[0], more[0]), np.append(cells[1], more[1])), (0.0, 0.0)

    def shares(self, live: Counts) -> dict[str, tuple[float, float]]:
        """By name its share in training and now, of values that are not missing; of hashed names none."""
        m, n = float(self.counts[:-2].sum()), float(live[:-2].sum() + live[-1])
        return {
            name: (float(self.counts[i]) / max(m, 1), float(live[i]) / max(n, 1)) for i, name in enumerate(self.names)
        }

    def written(self) -> dict[str, Any]:
        """As JSON holds it."""
        known = {} if self.known is None else {"known": self.known.written()}
        own = {"names": list(self.names), "counts": self.counts.tolist(), "twice": self.twice}
        return {"kind": "category", **own, **known}


Column: TypeAlias = Numbers | Categories


def column_of(content: dict[str, Any]) -> Column:
    """What `written` gave."""
    counts = np.array(content["counts"], dtype=np.float64)
    if content["kind"] == "number":
        return Numbers(np.array(content["edges"], dtype=np.float64), counts)
    known = Known.read(content["known"]) if "known" in content else None
    return Categories(tuple(content["names"]), counts, content["twice"], known)
