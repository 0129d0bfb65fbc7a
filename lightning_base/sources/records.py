"""Records: CSV and Parquet files read a chunk at a time, with the lines that cannot be read as findings."""

import codecs
import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lightning_base.errors import ConfigError, DataError, near_file, one_line, suggest

Values = npt.NDArray[Any]  # (n,) object of str, None where missing; or float64, NaN where missing
PARQUET = (".parquet", ".pq")
NA_VALUES = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A")
CHUNK = 50_000  # records


@dataclass(frozen=True)
class Chunk:
    """Some records that follow each other.

    Attributes:
        columns: the values of each column asked for.
        lines: (n,) int64, the line of the file that each record ends on (from 1), or its row (from 1) in Parquet.
    """

    columns: dict[str, Values]
    lines: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True)
class Format:
    """How a file of records is written.

    Args:
        path: its file; Parquet where the suffix is .parquet or .pq, else CSV.
        separator: between the fields of a CSV; "whitespace" for runs of it; null takes the one of tab, comma, semicolon
            and bar that is most frequent in the first line that is not blank, else whitespace.
        header: true where the first record names the columns, else their names.
        encoding: of a CSV.
        na_values: the fields that mean "missing".
        key: the configuration key that messages name.
        optional: names in `header` whose columns the file may lack: the first, or the first two, ….
    """

    path: Path
    separator: str | None = None
    header: bool | Sequence[str] = True
    encoding: str = "utf-8"
    na_values: Sequence[str] = NA_VALUES
    key: str = "data.path"
    optional: Sequence[str] = ()

    @property
    def parquet(self) -> bool:
        """Whether the file is Parquet."""
        return self.path.suffix.lower() in PARQUET


def undecodable(path: Path, encoding: str) -> str:
    """Where a text file first is not in this encoding, with the mend."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                return f"line {number} has byte 0x{line[error.start]:02x} at column {error.start + 1}, {mend(encoding)}"
    return mend(encoding)


def mend(encoding: str) -> str:
    """What to do about text in another encoding."""
    other = "utf-8" if encoding.lower().replace("-", "") not in ("utf8", "utf8sig") else "latin-1"
    return f"which is not {encoding}; give the encoding the text is written in, e.g. data.encoding: {other}"


def open_text(path: Path, encoding: str, key: str) -> TextIO:
    """A text file for `csv`; a byte-order mark is left out.

    Raises:
        UserError: for a file that is not there, or an encoding that Python does not know.
    """
    check_encoding(encoding)
    try:
        return open(path, encoding="utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding, newline="")
    except OSError as error:
        mend = near_file(str(path)) or "; mend the path"
        raise DataError(f"{key}: {path} cannot be read ({error.strerror}){mend}") from error


def check_encoding(encoding: str) -> None:
    """Raises a UserError for an encoding that Python does not know."""
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise ConfigError(f"data.encoding: {encoding!r} is not an encoding; give e.g. utf-8 or latin-1") from error


class Records:
    """The records of one file: column names, chunks of columns, and what could not be read.

    After `chunks` was run through, `findings` has one (id, kind, detail) for every line with another number of fields
    than there are columns ("unreadable") and every blank line between others ("empty").

    Raises:
        UserError: for a file that is not there, is no Parquet or has no records, or an unknown encoding.
    """

    def __init__(self, form: Format) -> None:
        self.form, self.findings = form, list[tuple[str, str, str]]()
        self.separator = form.separator
        # numbers that mean "missing", or no "" among what does
        spelt = pd.to_numeric(pd.Series(list(form.na_values), dtype=object), errors="coerce")
        self._missing_numbers = bool(spelt.notna().any()) or not {"", "nan", "NaN"} <= set(form.na_values)
        if form.parquet:
            try:
                self._schema = pq.read_schema(form.path)
            except (OSError, pa.ArrowException) as error:
                raise DataError(f"{form.key}: {form.path} is not readable Parquet ({one_line(error)})") from error
            self.names = [str(name) for name in self._schema.names]
        else:
            self.names = self._csv_names()
        self._demand_distinct()

    @property
    def rename(self) -> str:
        """What to do about two columns of one name."""
        return "rename one in the file" if self.form.parquet else "give names with data.header: [...]"

    def _demand_distinct(self) -> None:
        if twice := [name for i, name in enumerate(self.names) if name in self.names[:i]]:
            raise DataError(f"{self.form.path}: two columns are named {twice[0]!r}; {self.rename}")

    def require(self, names: Iterable[str | None], key: str) -> None:
        """Raises a UserError for a name that is no column."""
        for name in names:
            if name is not None and name not in self.names:
                shown = ", ".join(self.names[:20]) + (", …" if len(self.names) > 20 else "")
                raise DataError(
                    f"{key}: {self.form.path} has no column {name!r}, only {shown}{suggest(name, self.names)}"
                )

    def chunks(self, text: Sequence[str], numbers: Sequence[str] = ()) -> Iterator[Chunk]:
        """All records, CHUNK at a time.

        Args:
            text: columns wanted as strings.
            numbers: columns wanted as float64; where not all values of a chunk are numbers, they are strings there.
        """
        self.findings = []
        try:
            yield from self._parquet(text, numbers) if self.form.parquet else self._csv(text, numbers)
        except UnicodeDecodeError as error:
            place = undecodable(self.form.path, self.form.encoding)
            raise DataError(f"{self.form.path}: {place}") from error
        except (csv.Error, pa.ArrowException, OSError) as error:
            raise DataError(f"{self.form.path}: cannot be read ({one_line(error)}); mend the file") from error

    def bytes(self) -> int:
        """About how much memory the numbers will take: a CSV's size, or 4 bytes per value of Parquet."""
        if not self.form.parquet:
            return self.form.path.stat().st_size
        return int(pq.read_metadata(self.form.path).num_rows) * len(self.names) * 4

    def _parquet(self, text: Sequence[str], numbers: Sequence[str]) -> Iterator[Chunk]:
        """The chunks of a Parquet file."""
        start = 1
        with pq.ParquetFile(self.form.path) as file:
            for batch in file.iter_batches(CHUNK, columns=[*text, *numbers]):
                columns = {name: self._column(batch.column(name), name in numbers) for name in [*text, *numbers]}
                yield Chunk(columns, np.arange(start, start + len(batch)))
                start += len(batch)

    def _column(self, column: Any, number: bool) -> Values:
        """(n,) values of a Parquet column: float64 where numbers are wanted and held, else strings."""
        kind = column.type
        if number and (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        values = np.array(column.cast(pa.string()).to_pylist(), dtype=object)
        return self._known(values)

    def _known(self, values: Values) -> Values:
        """The strings (n,), with None for those that mean "missing"."""
        values[pd.Index(values, dtype=object).isin(list(self.form.na_values))] = None
        return values

    def _csv_names(self) -> list[str]:
        """The columns' names of a CSV; settles the separator where none is given."""
        form = self.form
        try:
            with open_text(form.path, form.encoding, form.key) as file:
                line = next((line for line in file if line.strip()), "")
                if self.separator is None:
                    best = max("\t,;|", key=line.count)
                    self.separator = best if best in line else "whitespace"
                first = next(self._fields([line]), [])
        except UnicodeDecodeError as error:
            raise DataError(f"{form.path}: {undecodable(form.path, form.encoding)}") from error
        if not first:
            raise DataError(f"{form.path}: no records; give a file that has some")
        if form.header is True:
            return [name.strip() for name in first]
        if form.header is False:
            return [f"column_{i + 1}" for i in range(len(first))]
        for n in range(len(form.optional) + 1):
            names = [name for name in form.header if name not in form.optional[:n]]
            if len(names) == len(first):
                return names
        raise ConfigError(f"data.header: {len(form.header)} names for the {len(first)} fields of {form.path}")

    def _fields(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The fields of each record; none for a blank line."""
        if self.separator == "whitespace":
            return (line.split() for line in lines)
        assert self.separator is not None
        try:
            return csv.reader(lines, delimiter=self.separator, skipinitialspace=self.separator != "\t")
        except TypeError as error:
            raise ConfigError(f"data.separator: {self.separator!r} is not one character, nor 'whitespace'") from error

    def _csv(self, text: Sequence[str], numbers: Sequence[str]) -> Iterator[Chunk]:
        """The chunks of a CSV; notes findings on the way."""
        rows: list[list[str]] = []
        lines: list[int] = []
        blank: list[int] = []
        names_to_come = self.form.header is True
        with open_text(self.form.path, self.form.encoding, self.form.key) as file:
            reader = self._fields(file)
            for count, row in enumerate(reader, start=1):
                number = getattr(reader, "line_num", count)
                if not row:
                    blank.append(number)
                    continue
                self.findings += [(f"line {n}", "empty", "it is blank") for n in blank]
                blank.clear()
                if names_to_come:
                    names_to_come = False
                elif len(row) != len(self.names):
                    detail = f"{len(row)} fields where there are {len(self.names)} columns"
                    self.findings.append((f"line {number}", "unreadable", detail))
                else:
                    rows.append(row)
                    lines.append(number)
                if len(rows) == CHUNK:
                    yield self._chunk(rows, lines, text, numbers)
                    rows, lines = [], []
        if rows:
            yield self._chunk(rows, lines, text, numbers)

    def _chunk(self, rows: list[list[str]], lines: list[int], text: Sequence[str], numbers: Sequence[str]) -> Chunk:
        """A CSV's records as columns."""
        fields = dict(zip(self.names, zip(*rows, strict=True), strict=True))
        columns: dict[str, Values] = {}
        for name in [*text, *numbers]:
            values = self._floats(fields[name]) if name in numbers else None
            if values is None:
                values = self._known(np.array([value.strip() for value in fields[name]], dtype=object))
            columns[name] = values
        return Chunk(columns, np.array(lines, dtype=np.int64))

    def _floats(self, fields: Sequence[str]) -> Values | None:
        """The fields as float64, at once; None where that is not what `to_numbers` would make of them."""
        if self._missing_numbers:
            return None
        try:
            values = np.array([float(field) if field else math.nan for field in fields])
        except ValueError:
            return None
        return None if any("_" in field for field in fields) else values  # Python takes 1_000 for a number


def to_numbers(values: Values) -> npt.NDArray[np.float64]:
    """(n,) float64; NaN for what is missing or no number."""
    if values.dtype != object:
        return values
    return np.asarray(pd.to_numeric(pd.Series(values, dtype=object), errors="coerce"), dtype=np.float64)
