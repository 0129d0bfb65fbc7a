"""New samples beside those of the training role: which columns have changed, told apart from chance."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from lightning_base.auditing.distribution import columns_of, drawn, measured, parts_of
from lightning_base.auditing.report import Leak, counted, named
from lightning_base.clean.cleaning import COLUMN_KINDS
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError, DataError, near_file
from lightning_base.runtime.columns import Column, Numbers
from lightning_base.runtime.drift import Side, count
from lightning_base.runtime.measured import Values
from lightning_base.runtime.verdicts import CHANGED, LEVEL, Row, rows_of
from lightning_base.samples.samples import Samples

CONFIGURED = "data.predict"  # what names the source that the configuration has
SHOWN = 20  # columns that the terminal lists, beside those that have changed


@dataclass(frozen=True)
class Drift(Leak):
    """A column whose new values differ from those of training by more than chance.

    Attributes:
        column: its name.
        psi: the population stability index.
        expected: what it would be on average without a change.
        ks: Kolmogorov's and Smirnov's distance; None of categories.
        p: the chance of such a difference without a change, corrected for all tests of all columns (Holm 1979).
        size: "slight", "moderate" or "large".
        n, m: numbers of new values, and of those of training.
    """

    column: str = ""
    psi: float = 0.0
    expected: float = 0.0
    ks: float | None = None
    p: float = 1.0
    size: str = ""
    n: int = 0
    m: int = 0


@dataclass(frozen=True)
class Compared:
    """New samples beside those of the training role.

    Attributes:
        rows: of each column, what has changed most first.
        columns: the distributions in training, by name.
        unseen: by column the categories that training has not, the most frequent first, and how many samples have them.
        n, m: how many new samples, and how many of training, were compared.
        left_out: how many new samples cleaning has left out.
        origin: where the new ones are from.
    """

    rows: list[Row]
    columns: Mapping[str, Column]
    unseen: Mapping[str, Mapping[str, int]]
    n: int
    m: int
    left_out: int
    origin: str

    @property
    def changed(self) -> list[Row]:
        """The columns that have changed."""
        return [row for row in self.rows if row.verdict in CHANGED]

    @property
    def drifts(self) -> list[Drift]:
        """What the audit says of each of these."""
        found = []
        for row in self.changed:
            one = row.found
            detail = f"{row.column}: {row.why} ({row.verdict}; PSI {one.psi:.3f}, {one.psi_expected:.3f} by chance)"
            found.append(
                Drift(
                    "drift",
                    None,
                    detail,
                    column=row.column,
                    psi=one.psi,
                    expected=one.psi_expected,
                    ks=one.ks,
                    p=row.p,
                    size=row.verdict,
                    n=one.n,
                    m=one.m,
                )
            )
        return found

    def written(self) -> dict[str, Any]:
        """As live.json holds it."""
        columns = []
        for row in self.rows:
            column, more = self.columns[row.column], dict[str, Any]()
            if isinstance(column, Numbers):
                more = {"training_range": [float(column.edges[0]), float(column.edges[-1])]}
            elif row.column in self.unseen:
                more = {"unseen_categories": dict(self.unseen[row.column])}
            columns.append({**row.written(), **more})
        return {
            "live": self.origin,
            "n": self.n,
            "training": self.m,
            "left_out": self.left_out,
            "level": LEVEL,
            "columns": columns,
        }


def live_samples(data: BaseDataModule, live: Any) -> Samples:
    """New samples, read as `predict` reads them, and cleaned.

    Args:
        data: that reads them.
        live: a path in place of data.predict, CONFIGURED for that itself, or samples that are in memory.

    Raises:
        UserError: where they are not there, or cannot be read.
    """
    if isinstance(live, str | Path):
        if str(live) != CONFIGURED:
            if not Path(live).exists():
                raise ConfigError(f"--live: no file or directory {live}{near_file(str(live)) or '; mend the path'}")
            if not hasattr(data, "predict") or isinstance(data.predict, dict):
                raise ConfigError(
                    f"--live: {type(data).__name__} reads no single file of new samples; name them in data.predict, "
                    f"and give --live {CONFIGURED}"
                )
            data.predict = str(live)
        asked = data.dataset("predict")
    else:
        asked = data.given(live)
    data.pool.give(asked)
    return data.samples("predict")


def compare(data: BaseDataModule, live: Any) -> Compared:
    """New samples beside the training role of the data's fold.

    Args:
        data: whose folds can be made.
        live: as `live_samples` takes them.

    Raises:
        UserError: where they cannot be read, or hold nothing that can be compared.
    """
    pool, train = data.samples("pool"), data.rows("train")
    new = live_samples(data, live)
    known = set(pool.parts)
    if set(new.parts) != known:
        raise DataError(f"--live: {new.origin} has other inputs ({', '.join(new.parts)}) than {', '.join(known)}")
    rows, train = drawn(new, np.arange(len(new))), drawn(pool, train)
    parts = parts_of(data, pool, train)
    if not parts:
        raise DataError(
            f"--live: {pool.origin} holds items of a dataset of your own, whose inputs are not known here; compare "
            "them in that"
        )
    own = measured(pool, train, parts, alone=True)
    side = Side("training role", columns_of(own))
    values = measured(new, rows, parts)
    if missing := [name for name in side.columns if name not in values]:
        raise DataError(f"--live: {new.origin} has no {missing[0]!r}, which the training role has")
    counts = count(side, values)
    found = [("input", name, one, one.compared(counts[name]), "") for name, one in side.columns.items()]
    findings = data.findings["predict"]
    dropped = findings[(findings["action"] == "drop") & ~findings["kind"].isin(COLUMN_KINDS)]
    left_out = dropped["id"].nunique()
    return Compared(rows_of(found), side.columns, _unseen(own, values), len(rows), len(train), left_out, new.origin)


def _unseen(own: Mapping[str, Values], values: Mapping[str, Values]) -> dict[str, dict[str, int]]:
    """By column of categories those that training has not, the most frequent first, with their counts."""
    found = {}
    for name, given in values.items():
        if isinstance(given, list):
            seen = {None, *own[name]}
            if new := Counter(value for value in given if value is not None and value not in seen):
                found[name] = dict(new.most_common())
    return found


def table_of(found: Compared) -> Table:
    """A line per column, what has changed most first: those that have, and the first others."""
    n, m = (
        counted(found.n, "new sample", "new samples"),
        counted(found.m, "of the training role", "of the training role"),
    )
    table = Table(title=f"{n} beside {m}", title_justify="left")
    for heading in ("column", "PSI", "chance", "KS", "p", "missing", "new", "training → now", "verdict"):
        table.add_column(heading, overflow="fold", justify="left" if heading in ("column", "verdict") else "right")
    shown = found.rows[: max(SHOWN, len(found.changed))]
    for row in shown:
        one = row.found
        gaps = f"{one.missing[0]:.1%} → {one.missing[1]:.1%}" if any(one.missing) else ""
        new = one.beyond if one.unseen is None else one.unseen[1]
        table.add_row(
            escape(row.column),
            f"{one.psi:.3f}",
            f"{one.psi_expected:.3f}",
            "" if one.ks is None else f"{one.ks:.3f}",
            f"{row.p:.2g}",
            gaps,
            f"{new:.1%}" if new else "",
            escape(typical_of(row)),
            row.verdict,
        )
    return table


def typical_of(row: Row) -> str:
    """What is typical of a column in training and now: means, or shares of the category that has changed most."""
    one = row.found
    if one.typical is None:
        return ""
    if row.kind == "number":
        return f"mean {one.typical[0]:.4g} → {one.typical[1]:.4g}"
    return f"{one.name} {one.typical[0]:.1%} → {one.typical[1]:.1%}"


def notes_of(found: Compared) -> list[str]:
    """What the table does not show: columns left out of it, unseen categories, ranges left, too few samples."""
    lines = []
    if (more := len(found.rows) - max(SHOWN, len(found.changed))) > 0:
        lines.append(f"… and {counted(more, 'column', 'columns')} more that have not changed")
    for name, new in list(found.unseen.items())[:SHOWN]:
        lines.append(f"{name}: {sum(new.values())} samples have categories that training has not: {named(list(new))}")
    for row in found.rows:
        if row.found.beyond:
            column = found.columns[row.column]
            assert isinstance(column, Numbers)
            lines.append(
                f"{row.column}: {row.found.beyond:.1%} lie outside training's range, {column.edges[0]:.6g} to "
                f"{column.edges[-1]:.6g}"
            )
    few = [row for row in found.rows if row.verdict == "too few"]
    if few:
        first = f"{few[0].column}: {few[0].why}"
        lines.append(f"too few to tell even a large change in {counted(len(few), 'column', 'columns')}, as {first}")
    if found.left_out:
        lines.append(f"{counted(found.left_out, 'new sample was', 'new samples were')} left out by cleaning")
    return lines
