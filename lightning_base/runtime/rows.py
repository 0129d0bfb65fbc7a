"""Rows of tables: values by the columns' names, as JSON or a CSV has them."""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .days import to_days
from .errors import InputError
from .notation import PLAIN, Notation, from_written, number
from .readers import mark_of
from .spelling import spelt

FLOAT32 = float(np.finfo(np.float32).max)
SEPARATORS = "\t,;|"
MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Column:
    """A column of a model's table.

    Args:
        name: the column's.
        kind: "number", "date" or "category".
        written: how a file writes its numbers or dates, where it is not plainly, as `Feature` has it.
        known: the categories that training has seen.
        needed: whether each row must have a value.
        low, high: of numbers, the least and the greatest in training, for forms; not a limit.
        plain_too: whether a number that is not written so is taken where it is written plainly.
    """

    name: str
    kind: str = "number"
    written: str = ""
    known: tuple[str, ...] = ()
    needed: bool = False
    low: float | None = None
    high: float | None = None
    plain_too: bool = False

    def value(self, given: Any, field: str) -> float | str | None:
        """A number, days since 1970-01-01, or a category; None where it is missing.

        Raises:
            InputError: for what is none.
        """
        given = given.strip() if isinstance(given, str) else given
        if given is None or given == "":
            if self.needed:
                raise InputError(field, "is missing; give it a value")
            return None
        if isinstance(given, dict | list):
            raise InputError(field, "takes one value")
        if self.kind == "category":
            if isinstance(given, float) and not math.isfinite(given):
                raise InputError(field, "is no finite number")
            return spelt(given.strip() if isinstance(given, str) else given)
        return self._date(given, field) if self.kind == "date" else self._number(given, field)

    def _date(self, given: Any, field: str) -> float:
        form = self.written.removeprefix("date ")
        found = to_days(given, form) if isinstance(given, str) else math.nan
        if math.isnan(found):
            example = "2024-12-31" if form == "ISO8601" else form
            raise InputError(field, f"{_short(given)} is no date; write it as {example}")
        return found

    def _number(self, given: Any, field: str) -> float:
        if isinstance(given, bool):
            raise InputError(field, "takes a number, not true or false")
        notation: Notation = from_written(self.written) if self.written else PLAIN
        if isinstance(given, str):
            found = number(given, notation)
            found = number(given) if self.plain_too and math.isnan(found) else found
            if math.isnan(found):
                raise InputError(field, f"{_short(given)} is no number, such as {notation}")
        else:
            try:
                found = float(given)
            except OverflowError:
                found = math.inf
        if not abs(found) <= FLOAT32:
            raise InputError(field, "is not finite, or beyond what 32 bits hold")
        return found

    def schema(self) -> dict[str, Any]:
        """That of a value."""
        null = [] if self.needed else ["null"]
        if self.kind == "date":
            found: dict[str, Any] = {"type": ["string", *null], "description": f"a date, {self.written[5:]}"}
            return found | ({"format": "date"} if self.written == "date ISO8601" else {})
        if self.kind == "category":
            found = {"type": ["string", "number", "boolean", *null], "x-known": list(self.known)}
            return found | {"description": "a category; one that training has not seen counts for nothing"}
        found = {"type": ["number", "string", *null] if self.written else ["number", *null]}
        found |= {"minimum": -FLOAT32, "maximum": FLOAT32}
        if self.low is not None and self.high is not None:
            found["description"] = f"a number; {self.low:g} to {self.high:g} in training"
        return found


@dataclass(frozen=True)
class RowReader:
    """A row of a table: an object of values by the columns' names.

    Args:
        columns: of the model's inputs.
        na_values: texts of a CSV that mean "missing".
        truths: texts that are booleans beside "true" and "false": pairs of one and what it is.
    """

    columns: tuple[Column, ...]
    na_values: tuple[str, ...] = ("",)
    truths: tuple[tuple[str, str], ...] = ()
    kind: ClassVar[str] = "table"

    def read(self, given: Any, field: str) -> dict[str, float | str | None]:
        """The values by column; a column that is not named is missing.

        Raises:
            InputError: naming the column.
        """
        if not isinstance(given, Mapping):
            raise InputError(field, "takes an object: values by the columns' names")
        names = {column.name for column in self.columns}
        for name in given:
            if name not in names:
                raise InputError(_within(field, name), f"is no column of the model; its columns are {_listed(names)}")
        truths, found = dict(self.truths), dict[str, float | str | None]()
        for column in self.columns:
            value = column.value(given.get(column.name), _within(field, column.name))
            found[column.name] = truths.get(value, value) if isinstance(value, str) else value
        if all(value is None for value in found.values()):
            raise InputError(field, "has no value in any column; give some")
        return found

    def schema(self) -> dict[str, Any]:
        """An object with these properties and no others."""
        return {
            "type": "object",
            "properties": {column.name: column.schema() for column in self.columns},
            "required": [column.name for column in self.columns if column.needed],
            "additionalProperties": False,
            "minProperties": 1,
        }

    def rows(self, content: bytes) -> Iterator[dict[str, float | str | None]]:
        """The rows of a CSV with a header that has every column; those that are none of the model's are not read.

        Raises:
            InputError: naming the line and the column.
        """
        names = [column.name for column in self.columns]
        for line, cells in csv_rows(content, names):
            trimmed = {name: cells[name].strip() for name in names}
            values = {name: None if cell in self.na_values else cell for name, cell in trimmed.items()}
            yield self.read(values, f"line {line}")


def csv_rows(content: bytes, names: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines' numbers and cells by column of a CSV.

    Args:
        content: of the file.
        names: of the columns that are wanted, each of which must be there.

    Raises:
        InputError: for what is no CSV with these columns, or a line with another number of cells.
    """
    name, skip = mark_of(content) or ("utf-8", 0)
    try:
        text = content[skip:].decode(name)
    except UnicodeDecodeError as error:
        raise InputError("", f"the file is no text in {name} (byte {error.start}); give UTF-8") from error
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=re.sub('".*?"', "", first).count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [" ".join(cell.split()) for cell in next(reader, [])]
        if len(header) > MOST_COLUMNS:
            raise InputError("", f"the file has {len(header)} columns, where {MOST_COLUMNS} are the most")
        missing = [one for one in names if one not in header]
        if missing:  # one that is misspelt would count as missing in every row
            raise InputError(
                missing[0],
                f"is no column of the file, whose first line is {_short(first)}; give it, with empty cells where its "
                "values are missing",
            )
        if len(set(header)) < len(header):
            raise InputError("", "two columns of the file have one name; rename one")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise InputError(f"line {reader.line_num}", f"has {len(cells)} cells, and the header {len(header)}")
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise InputError(f"line {reader.line_num}", f"cannot be read as CSV ({error})") from error


def _within(field: str, name: Any) -> str:
    name = str(name)[:100]
    return f"{field}.{name}" if field else name


def _listed(names: set[str]) -> str:
    some = sorted(names)
    return ", ".join(some[:20]) + (", …" if len(some) > 20 else "")


def _short(given: Any) -> str:
    return repr(given if len(str(given)) <= 60 else str(given)[:57] + "…")
