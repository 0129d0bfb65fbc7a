"""How inputs and predictions were distributed in training, and what has changed since, told apart from chance."""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from .cells import Comparison, Counts
from .columns import Categories, Column, Numbers, column_of
from .errors import ExportError
from .measured import Part, Values, answered
from .verdicts import CHANGED, LEVEL, Row, rows_of

REFERENCE, FORMAT = "reference.json", 1
TOGETHER = 64  # inputs that are counted at a time, which takes little longer than to count one
Cells: TypeAlias = dict[str, Counts]
Pair: TypeAlias = tuple[Mapping[str, Any], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Side:
    """Inputs, or predictions.

    Attributes:
        of: which samples they are, in words.
        columns: by name.
        inexact: why a difference may come from how this was made and not from a change, in words; "" where it cannot.
    """

    of: str
    columns: Mapping[str, Column]
    inexact: str = ""

    def written(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "of": self.of,
            "inexact": self.inexact,
            "columns": {name: one.written() for name, one in self.columns.items()},
        }

    @staticmethod
    def read(content: Mapping[str, Any]) -> "Side":
        """What `written` gave."""
        columns = {name: column_of(one) for name, one in content["columns"].items()}
        return Side(content["of"], columns, content["inexact"])


@dataclass(frozen=True)
class Reference:
    """How inputs and predictions are distributed in training.

    Args:
        parts: how each input is measured, by its name.
        inputs: of the training role.
        predictions: of samples that were held out, since a model is surer of those it has trained on; None where
            there are none.
        classes: that predictions name.
    """

    parts: Mapping[str, Part]
    inputs: Side
    predictions: Side | None = None
    classes: tuple[str, ...] = ()

    def written(self) -> dict[str, Any]:
        """As reference.json holds it."""
        return {
            "format": FORMAT,
            "parts": {name: part.written() for name, part in self.parts.items()},
            "inputs": self.inputs.written(),
            "predictions": None if self.predictions is None else self.predictions.written(),
            "classes": list(self.classes),
        }

    @staticmethod
    def read(content: Mapping[str, Any]) -> "Reference":
        """What `written` gave.

        Raises:
            ExportError: for anything else.
        """
        try:
            if content["format"] != FORMAT:
                raise ExportError(f"reference.json: format {content['format']} is not {FORMAT}; export again")
            held = content["predictions"]
            return Reference(
                {name: Part.read(part) for name, part in content["parts"].items()},
                Side.read(content["inputs"]),
                None if held is None else Side.read(held),
                tuple(content["classes"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ExportError):
                raise
            raise ExportError(f"reference.json: is not what export writes ({error!r}); export again") from error

    def measured(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Values]:
        """What is measured of inputs, by the names of columns: NAME.MEASURE, and a table's columns as they are called.

        Args:
            items: B inputs, each with all parts by name; of a table alone also its values by column.
        """
        found: dict[str, Values] = {}
        for name, part in self.parts.items():
            plain = part.kind == "table" and len(self.parts) == 1
            given = [item if plain and name not in item else item[name] for item in items]
            for measure, values in part.values(given).items():
                found[measure if plain else column_name(name, measure)] = values
        return found


def column_name(part: str, measure: str) -> str:
    """What a column is called: image.brightness, x[3]."""
    return f"{part}{measure}" if measure.startswith("[") else f"{part}.{measure}"


@dataclass
class _Block:
    """Some answers one after another, counted."""

    inputs: Cells
    predictions: Cells
    n: int = 0
    began: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Report:
    """What has changed in the last answers.

    Attributes:
        n: how many they are.
        total: how many there were since the start.
        unmeasured: how many could not be measured, since the start; they are in none of the numbers.
        since: when the first of these came, in seconds since 1970; None where there is none.
        rows: what has changed most first.
        shares: of predicted classes, in training and now.
        of: which samples inputs and predictions are compared with, in words.
    """

    n: int
    total: int
    unmeasured: int
    since: float | None
    rows: list[Row]
    shares: dict[str, tuple[float, float]]
    of: dict[str, str]

    @property
    def changed(self) -> list[Row]:
        """The columns that have changed."""
        return [row for row in self.rows if row.verdict in CHANGED]

    def written(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "n": self.n,
            "total": self.total,
            "unmeasured": self.unmeasured,
            "since": self.since,
            "level": LEVEL,
            "compared_with": self.of,
            "class_shares": {name: {"training": a, "now": b} for name, (a, b) in self.shares.items()},
            "columns": [row.written() for row in self.rows],
        }


class Watch:
    """Counts inputs and answers in the cells of a reference, those of the last answers; threads may share it.

    Its memory does not grow: a few hundred numbers a column and block, and the last inputs that wait to be counted.

    Args:
        reference: what they are held against.
        window: how many answers are looked at together, up to a quarter more: the oldest are forgotten by eighths.
    """

    BLOCKS = 8

    def __init__(self, reference: Reference, window: int = 4096) -> None:
        self.reference, self.size = reference, max(window // self.BLOCKS, 1)
        self._lock = threading.Lock()
        self._blocks: deque[_Block] = deque()  # full ones, and one that is being filled
        self._waiting: list[Pair] = []
        self.total = self.unmeasured = 0
        self.fault = ""  # the last one, in words that show no input

    def take(self, items: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]] = ()) -> None:
        """Takes inputs, and what they were answered with; some at a time are counted, the last ones by `report`.

        Args:
            items: as `Answering.run` takes them.
            answers: as it gives them, one each; () where predictions are not looked at.
        """
        said: list[Mapping[str, Any] | None] = [*answers] or [None for _ in items]
        some = list(zip(items, said, strict=True))
        with self._lock:
            self.total += len(some)
            self._waiting += some
            if len(self._waiting) < TOGETHER:
                return
            some, self._waiting = self._waiting, []
        self._count(some)

    def _count(self, some: list[Pair]) -> None:
        """Counts inputs and answers; what cannot be measured is counted as that."""
        most = max(min(TOGETHER, self.size), 1)
        for start in range(0, len(some), most):
            part = some[start : start + most]
            try:
                counted = self._counted(part)
            except Exception as error:  # whatever is odd about an input: watching fails no answer
                if len(part) > 1:
                    for one in part:
                        self._count([one])
                    continue
                with self._lock:
                    self.unmeasured += 1
                    self.fault = type(error).__name__
            else:
                self._add(*counted, len(part))

    def _counted(self, some: list[Pair]) -> tuple[Cells, Cells]:
        ref, held = self.reference, self.reference.predictions
        inputs = count(ref.inputs, ref.measured([item for item, _ in some]))
        said = [answer for _, answer in some if answer is not None]
        return inputs, {} if held is None or not said else count(held, answered(said, ref.classes))

    def _add(self, inputs: Cells, predictions: Cells, n: int) -> None:
        with self._lock:
            if not self._blocks or self._blocks[-1].n >= self.size:
                self._blocks.append(_Block({}, {}))
                while sum(one.n for one in self._blocks) - self._blocks[0].n >= self.BLOCKS * self.size:
                    self._blocks.popleft()
            block = self._blocks[-1]
            block.n += n
            for kept, new in ((block.inputs, inputs), (block.predictions, predictions)):
                for name, counts in new.items():
                    kept[name] = kept[name] + counts if name in kept else counts

    def report(self, level: float = LEVEL) -> Report:
        """What has changed in the last answers.

        A report made of every window of its own has a false call with this chance; windows that overlap are looked at
        more often than that, and one that is called once in a while among many reports may be chance.

        Args:
            level: the chance that some column is called changed though none is.
        """
        ref = self.reference
        with self._lock:
            some, self._waiting = self._waiting, []
        self._count(some)
        with self._lock:
            blocks = [_Block(dict(b.inputs), dict(b.predictions), b.n, b.began) for b in self._blocks]
            total, unmeasured = self.total, self.unmeasured
        compared, shares, of = list[tuple[str, str, Column, Comparison, str]](), {}, {}
        for word, side in (("input", ref.inputs), ("prediction", ref.predictions)):
            if side is None:
                continue
            of[word] = side.of
            for name, column in side.columns.items():
                parts = [(b.inputs if word == "input" else b.predictions).get(name) for b in blocks]
                sums = sum((part for part in parts if part is not None), np.zeros_like(column.counts))
                compared.append((word, name, column, column.compared(sums), side.inexact))
                if word == "prediction" and isinstance(column, Categories) and name == "class":
                    shares = column.shares(sums)
        n, since = sum(block.n for block in blocks), blocks[0].began if blocks else None
        return Report(n, total, unmeasured, since, rows_of(compared, level), shares, of)


def count(side: Side, values: Mapping[str, Values]) -> Cells:
    """Counts of values in the cells of the columns that these are of.

    Raises:
        KeyError: for a column without values.
    """
    found = {}
    for name, column in side.columns.items():
        given = values[name]
        if isinstance(column, Numbers):
            found[name] = column.counted(given)
        else:
            found[name] = column.counted(list(given))
    return found
