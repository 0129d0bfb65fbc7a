"""Scores as a person sees them in the terminal: tables, and lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

from rich import box
from rich.cells import cell_len
from rich.table import Table

from lightning_base.stats.digits import more_digits, number, together
from lightning_base.stats.estimates import Score

SHOWN = 4  # metrics in the terminal: the score and three more


def show_nested(nested: Mapping[str, tuple[float | None, tuple[float, float]]]) -> str:
    """Nested estimates of metrics on one line, each with its interval."""
    return "  ".join(
        "{} {} ({} … {})".format(name, *together([nan if mean is None else mean, *interval]))
        for name, (mean, interval) in nested.items()
    )


def first_shown(scores: Mapping[str, Score], everything: bool = False) -> tuple[dict[str, Score], str]:
    """The scores that the terminal shows, which are the first ones, and which more there are, in words; "" for none.

    Args:
        scores: by metric, in the order they are shown in.
        everything: whether all are shown.
    """
    names = list(scores) if everything else list(scores)[:SHOWN]
    rest = [name for name in scores if name not in names]
    what = "metric" if len(rest) == 1 else "metrics"
    return {name: scores[name] for name in names}, f"{len(rest)} more {what} ({', '.join(rest)})" if rest else ""


def digits_of(one: Score) -> int:
    """How many digits more than four its score, its interval and the trivial model's score need to differ."""
    return more_digits([one.score, *one.ci95, *([] if one.trivial is None else [one.trivial])])


@dataclass(frozen=True)
class Cells:
    """A column of a table: its heading, its cells, and whether they stand to the right."""

    heading: str
    cells: Sequence[str]
    right: bool = True

    @property
    def width(self) -> int:
        """Of its widest cell."""
        return max(map(cell_len, [self.heading, *self.cells]))


def fold_table(title: str, scores: Mapping[str, Score], width: int) -> tuple[Table, str]:
    """Per metric the score, standard deviation over folds, 95 % interval, trivial model's score, and the folds' values.

    Of windows over time the last one's value and the change per window stand in place of an interval. "!" marks what is
    not shown to be better than the trivial model. Where the width has no room for all of it, folds are left out first,
    then the lines between columns and the standard deviation.

    Returns:
        The table, and what was left out or "".
    """
    found = list(scores.values())
    columns = [
        Cells("metric", list(scores), right=False),
        Cells("score", [number(e.score, digits_of(e)) for e in found]),
        Cells("std", [number(e.std) if len(e.folds) > 1 else "-" for e in found]),
        *_middle(found),
        *_trivial(found),
    ]
    k = max(len(e.folds) for e in found)
    values = [[number(value, digits_of(e)) for value in e.folds] for e in found]
    folds = first_folds(values, width - boxed(columns) - 3)
    left = []
    if folds is not None and k > 1:  # a single fold's value is the score
        columns.append(Cells("folds", [text for text, _ in folds], right=False))
    shown = 0 if folds is None else folds[0][1]
    if k > 1 and shown < k:
        left.append(f"the values of {k - shown} of {k} folds" if shown else "the folds' values")
    if plain(columns) > width:
        columns = [column for column in columns if column.heading != "std"]
        left.append("std")
    return drawn(title, columns, width), f"… in summary.json: {', '.join(left)}" if left else ""


def _middle(found: Sequence[Score]) -> list[Cells]:
    """The columns of intervals, or of windows over time."""
    if any(e.last is not None for e in found):
        last, trend = (
            [nan if x is None else x for x in column]
            for column in zip(*((e.last, e.trend) for e in found), strict=True)
        )
        return [Cells("last", [number(x) for x in last]), Cells("per window", [f"{x:+.4f}" for x in trend])]
    return [Cells("95 % interval", [between(e) for e in found])]


def _trivial(found: Sequence[Score]) -> list[Cells]:
    """The column of the trivial model's scores, where there are any."""
    if all(e.trivial is None for e in found):
        return []
    room = " " if any(e.better is False for e in found) else ""  # so that the numbers stand below each other
    marks = ["!" if e.better is False else room for e in found]
    values = ["-" if e.trivial is None else number(e.trivial, digits_of(e)) for e in found]
    return [Cells("trivial", [value + mark for value, mark in zip(values, marks, strict=True)])]


def first_folds(values: Sequence[Sequence[str]], room: int) -> list[tuple[str, int]] | None:
    """The values of as many folds as there is room for, as text with their number; None where not two fit."""
    k = max(map(len, values))
    for shown in range(k, min(k, 2) - 1, -1):
        texts = [" ".join(row[:shown]) + (" …" if shown < k else "") for row in values]
        if max(map(cell_len, texts)) <= room:
            return [(text, shown) for text in texts]
    return None


def score_table(title: str, scores: Mapping[str, Score], n: int, width: int) -> Table:
    """Per metric its value, its 95 % interval ("-" where the samples cannot give one), the trivial model's, and n."""
    found = list(scores.values())
    columns = [
        Cells("metric", list(scores), right=False),
        Cells("value", [number(one.score, digits_of(one)) for one in found]),
        Cells("95 % interval", [between(one) for one in found]),
        *_trivial(found),
        Cells("n", [str(n)] * len(scores)),
    ]
    if plain(columns) > width:
        columns = columns[:-1]
    return drawn(title, columns, width)


def between(one: Score) -> str:
    """The ends of a score's interval; "-" where it has none."""
    (low, high), more = one.ci95, digits_of(one)
    return f"{number(low, more)} … {number(high, more)}" if low < high else "-"


def boxed(columns: Sequence[Cells]) -> int:
    """The width of a table with lines around its cells."""
    return sum(column.width + 3 for column in columns) + 1


def plain(columns: Sequence[Cells]) -> int:
    """The width of a table with a space between its columns."""
    return sum(column.width + 1 for column in columns) - 1


def drawn(title: str, columns: Sequence[Cells], width: int) -> Table:
    """The columns as a table, with lines around the cells where there is room for them."""
    narrow = boxed(columns) > width
    table = Table(
        title=title,
        title_justify="left",
        box=None if narrow else box.HEAVY_HEAD,
        pad_edge=not narrow,
        collapse_padding=narrow,
    )
    for column in columns:
        table.add_column(
            column.heading, justify="right" if column.right else "left", no_wrap=column.right, overflow="fold"
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table
