"""How often drift is called where there is none, how often it is found where there is some, and what watching takes.

python benchmarks/drift.py [FOLDER]    (FOLDER has german-credit/german.data; by default ../shared/data)

Random parts of real rows (German credit, 20 columns) and of simulated columns are held against each other; the rule
"PSI above 0.1", which is often given, stands beside. Two minutes on one core.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_base.runtime.columns import Categories, Column, Numbers
from lightning_base.runtime.drift import Reference, Side, Watch
from lightning_base.runtime.measured import Part
from lightning_base.runtime.verdicts import CHANGED, LEVEL, Row, rows_of

RNG = np.random.default_rng(0)
Draw = Callable[[int], Any]


def column_of(values: Any) -> Column:
    """The distribution of values."""
    return Categories.of(values) if isinstance(values, list) else Numbers.of(values)


def called(own: dict[str, Column], live: dict[str, Any]) -> list[Row]:
    """The verdicts on new values."""
    found = [("input", name, one, one.compared(one.counted(live[name])), "") for name, one in own.items()]
    return rows_of(found)


def categories(shares: Any) -> Draw:
    """Names drawn with these shares."""
    names = np.array([f"name {i}" for i in range(len(shares))], dtype=object)
    return lambda n: RNG.choice(names, n, p=shares / shares.sum()).tolist()


KINDS: dict[str, Draw] = {
    "normal": lambda n: RNG.normal(size=n),
    "60 % zeros": lambda n: np.where(RNG.random(n) < 0.6, 0, RNG.exponential(size=n)),
    "3 % missing": lambda n: np.where(RNG.random(n) < 0.03, np.nan, RNG.normal(size=n)),
    "counts": lambda n: RNG.poisson(2, n).astype(float),
    "5 categories": categories(np.ones(5)),
    "40, Zipf": categories(1 / np.arange(1, 41)),
    "200 alike": categories(np.ones(200)),
    "2,000, Zipf": categories(1 / np.arange(1, 2001)),
}


def one_column(times: int = 2000) -> None:
    """False calls of single columns without a change."""
    print(f"one column without a change, {times:,} times: share called at a level of {LEVEL}; PSI and what is expected")
    for kind, draw in KINDS.items():
        for m, n in ((200, 50), (700, 200), (700, 2000), (5000, 500)):
            hits, index, chance = 0, 0.0, 0.0
            for _ in range(times):
                (row,) = called({"x": column_of(draw(m))}, {"x": draw(n)})
                hits += row.verdict in CHANGED
                index, chance = index + row.found.psi / times, chance + row.found.psi_expected / times
            print(
                f"  {kind:<13} {m:>5} of training, {n:>5} new   {hits / times:.4f}   {index:.4f} {chance:.4f}",
                flush=True,
            )


def credit(folder: Path, times: int = 1000) -> None:
    """False calls of whole reports on random parts of real rows."""
    table = pd.read_csv(folder / "german-credit" / "german.data", sep=r"\s+", header=None).iloc[:, :20]
    lists = {name: table[name].tolist() if table[name].dtype.kind not in "if" else table[name] for name in table}
    print(f"German credit, 600 rows against n others, 20 columns, {times:,} times: reports with a false call")
    for n in (50, 100, 400):
        false = tenth = 0
        for _ in range(times):
            order = RNG.permutation(len(table))
            part = {
                str(name): ([v[i] for i in order] if isinstance(v, list) else v.to_numpy()[order])
                for name, v in lists.items()
            }
            rows = called(
                {k: column_of(v[:600]) for k, v in part.items()}, {k: v[600 : 600 + n] for k, v in part.items()}
            )
            false += any(row.verdict in CHANGED for row in rows)
            tenth += any(row.found.psi > 0.1 for row in rows)
        print(f"  n = {n:>3}   {false / times:.3f}   by PSI > 0.1: {tenth / times:.3f}", flush=True)


def power(times: int = 200) -> None:
    """How often one changed column among twenty is called."""
    print(f"one of 20 normal columns shifted by some deviations, 2,000 of training, {times} times: share found")
    for n in (100, 300, 1000, 4000):
        found = []
        for shift in (0.1, 0.2, 0.3, 0.5, 1.0):
            hits = 0
            for _ in range(times):
                own, live = RNG.normal(size=(2000, 20)), RNG.normal(size=(n, 20))
                live[:, 3] += shift
                columns = {str(i): column_of(own[:, i]) for i in range(20)}
                rows = called(columns, {str(i): live[:, i] for i in range(20)})
                hits += next(row for row in rows if row.column == "3").verdict in CHANGED
            found.append(f"{shift}: {hits / times:.2f}")
        print(f"  n = {n:>4}   {'   '.join(found)}", flush=True)


def cost() -> None:
    """What counting and reporting take."""
    names = [f"c{i}" for i in range(20)]
    values = {name: RNG.normal(size=5000) for name in names}
    side = Side("training", {name: column_of(v) for name, v in values.items()})
    watch = Watch(Reference({"row": Part("table", dict.fromkeys(names, True))}, side))
    items = [{"row": {name: float(values[name][i]) for name in names}} for i in range(5000)]
    for size in (1, 64):
        began = time.perf_counter()
        for start in range(0, 2048, size):
            watch.take(items[start : start + size])
        print(f"rows of 20 numbers, {size} at a time: {1e6 * (time.perf_counter() - began) / 2048:.0f} µs a row")
    began = time.perf_counter()
    watch.report()
    print(f"a report of 20 columns: {1e3 * (time.perf_counter() - began):.0f} ms")


if __name__ == "__main__":
    credit(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("../shared/data"))
    one_column()
    power()
    cost()
