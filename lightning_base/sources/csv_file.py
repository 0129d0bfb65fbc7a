"""CSV files by pyarrow: what their head says, their records as texts, and each line that is no record."""

import csv
import io
import itertools
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lightning_base.errors import ConfigError, DataError, one_line
from lightning_base.sources.csv_bytes import DAMAGED, UNIT, CsvBytes, decoded, encoding_of, open_bytes
from lightning_base.sources.csv_parse import Bad, Batch, NotNumbers, Parser, Uneven
from lightning_base.sources.form import Format

TOGETHER = 20_000  # records that are read one by one before they are handed on
Locate: TypeAlias = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
FIRST = 1 << 18  # bytes that are looked at for the head


@dataclass(frozen=True)
class Head:
    """What is known of a CSV before its records are read.

    Attributes:
        encoding: of the text.
        separator: between fields; "whitespace" for runs of blanks.
        names: the columns' names.
        skip: lines before the first record.
        blank: the numbers of the blank ones among them.
    """

    encoding: str
    separator: str
    names: list[str]
    skip: int
    blank: list[int]


def undecodable(path: Path, encoding: str) -> str:
    """Where a text file first is not in this encoding, with the mend."""
    with open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                if encoding.startswith(("utf-16", "utf-32")):
                    break
                return f"line {number} has byte 0x{line[error.start]:02x} at column {error.start + 1}, {mend(encoding)}"
    return f"its text, {mend(encoding)}"


def mend(encoding: str) -> str:
    """What to do about text in another encoding."""
    other = "utf-8" if encoding.lower().replace("-", "") not in ("utf8", "utf8sig") else "latin-1"
    return f"which is not {encoding}; give the encoding the text is written in, e.g. data.encoding: {other}"


@contextmanager
def said(form: Format, encoding: str) -> Iterator[None]:
    """What goes wrong in reading a file, told as a DataError."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{form.path}: {undecodable(form.path, encoding)}") from error
    except (csv.Error, *DAMAGED, OSError) as error:
        raise DataError(f"{form.path}: cannot be read ({one_line(error)}); mend the file") from error


def read_head(form: Format) -> Head:
    """The head of a CSV.

    Raises:
        UserError: for a file that is not there or has no records, or options that do not fit it.
    """
    encoding = encoding_of(form.path, form.encoding, form.key)
    with said(form, encoding):
        block = next(decoded(form.path, encoding), b"")
        block = block[: block.rfind(b"\n", 0, FIRST) + 1] if b"\n" in block[:FIRST] else block
        lines = list(io.StringIO(block.decode(), newline=""))
        skip, blank = min(form.skip_rows, len(lines)), []
        while skip < len(lines) and _is_none(lines[skip], form.comment):
            skip += 1
            blank += [] if lines[skip - 1].strip() else [skip]
        if skip == len(lines):
            raise DataError(f"{form.path}: no records; give a file that has some")
        separator = form.separator
        if hint := re.fullmatch(r'"?sep=(.)"?\s*', lines[skip], re.IGNORECASE):  # what Excel takes a separator from
            skip, separator = skip + 1, separator or hint[1]
            if skip == len(lines):
                raise DataError(f"{form.path}: no records; give a file that has some")
        separator = separator or most_frequent(lines[skip:], form.quote)
        reader = fields(lines[skip:], separator, form.quote)
        first = next(reader)
        names = _names(form, first)
        if form.header is True:
            skip += getattr(reader, "line_num", 1)
    return Head(encoding, separator, names, skip, blank)


def _is_none(line: str, comment: str | None) -> bool:
    """Whether a line is blank or a comment."""
    return not line.strip() or bool(comment and line.lstrip().startswith(comment))


def most_frequent(lines: list[str], quote: str | None) -> str:
    """The separator that stands most often in the first record, outside quotes; else blanks, or commas."""
    first = ""
    for line in lines:
        first += line
        if not quote or first.count(quote) % 2 == 0:
            break
    if quote:
        first = re.sub(f"{re.escape(quote)}.*?{re.escape(quote)}", "", first, flags=re.DOTALL)
    best = max("\t,;|", key=first.count)
    return best if best in first else "whitespace" if len(first.split()) > 1 else ","


def _names(form: Format, first: list[str]) -> list[str]:
    """The columns' names, by the first record or as they are declared."""
    if form.header is True:
        return [" ".join(name.split()) for name in first]
    if form.header is False:
        return [f"column_{i + 1}" for i in range(len(first))]
    for n in range(len(form.optional) + 1):
        names = [name for name in form.header if name not in form.optional[:n]]
        if len(names) == len(first):
            return names
    raise ConfigError(f"data.header: {len(form.header)} names for the {len(first)} fields of {form.path}")


def fields(lines: Any, separator: str, quote: str | None) -> Iterator[list[str]]:
    """The fields of records, line by line: as pyarrow tells them apart, but strict about quotes.

    Raises:
        csv.Error: for a quote that is not closed, or text behind a closing one.
    """
    if separator == "whitespace":
        return (line.split() for line in lines)
    mark = separator if len(separator) == 1 else UNIT
    if mark != separator:
        lines = (line.replace(separator, mark) for line in lines)
    if not quote:
        return csv.reader(lines, delimiter=mark, quoting=csv.QUOTE_NONE, skipinitialspace=True)
    behind = re.compile(f"{re.escape(quote)} +(?={re.escape(mark)}|\r?\n|$)")  # which pyarrow lets through
    lines = (behind.sub(quote, line) for line in lines)
    return csv.reader(lines, delimiter=mark, quotechar=quote, strict=True, skipinitialspace=True)


class CsvFile:
    """The records of one CSV file.

    Args:
        form: how it is written.

    Attributes:
        names: its columns' names.
        findings: after `batches` was run through: (id, kind, detail) of each line with another number of fields
            ("unreadable") and each blank line between others ("empty").
    """

    def __init__(self, form: Format) -> None:
        self.form, self.head = form, read_head(form)
        self.names = self.head.names
        self.findings: list[tuple[str, str, str]] = []
        self._source = self._bytes()
        self._lines: npt.NDArray[np.int64] | None = None  # where quotes stand so that each record must be looked at

    def _bytes(self) -> CsvBytes:
        form, head = self.form, self.head
        return CsvBytes(form.path, head.encoding, head.separator, form.quote or "", form.comment or "", head.skip)

    def first(self, size: int) -> Any | None:
        """The first records as a pyarrow RecordBatch of texts, from so many bytes; None where quotes stand oddly."""
        source = self._bytes()
        with said(self.form, self.head.encoding):
            block = next((block for _, _, block in source.whole()), b"")
        block = block[: block.rfind(b"\n", 0, size) + 1] or block
        return None if source.odd else self._parser(()).first(source, block)

    def _parser(self, floats: Collection[str]) -> Parser:
        return Parser(self.names, floats, self.form.na_values, self.form.decimal)

    def batches(self, floats: Collection[str] = ()) -> Iterator[Batch]:
        """The records as pyarrow RecordBatches, and their numbers (n,) int64 in the file, from 1.

        Args:
            floats: columns wanted as float64; others are texts. Both are null where missing.

        Raises:
            NotNumbers: where one of `floats` has another value.
            DataError: for text in another encoding, quotes that are not closed, and records that are not accounted for.
        """
        parser = self._parser(floats)
        with said(self.form, self.head.encoding):
            self._source = self._bytes()
            bad, read = Bad(), 0
            try:
                for batch, numbers in parser.in_threads(self._source, bad):
                    self._demand_numbers(floats)
                    read = int(numbers[-1]) if len(numbers) else read
                    yield batch, numbers
            except Uneven:
                self._source.odd, done = True, read
                bad.clear()
                for batch, numbers in self._one_by_one(floats, bad):
                    read = int(numbers[-1]) if len(numbers) else read
                    new = int(np.searchsorted(numbers, done, side="right"))
                    yield batch.slice(new), numbers[new:]
            self._account(max(read, *(number for number, _ in bad), 0), bad)

    def _demand_numbers(self, floats: Collection[str]) -> None:
        """Raises NotNumbers for digits with zeros in front, which pyarrow would take for numbers."""
        if floats and self._source.zeros:
            raise NotNumbers(-1)

    def lines(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(n,) int64, the lines that records end on, of those read so far; see `locator`."""
        return self.locator()(numbers)

    def locator(self) -> Locate:
        """What gives the lines (n,) int64 that records (n,) of what is read now end on, also when it is read anew.

        It raises a DataError for a quote that is not closed, or text behind a closing one.
        """
        source = self._source

        def locate(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            if not source.odd:
                return source.lines(numbers)
            if self._lines is None:
                self._lines, self._blank = self._strictly()
            return self._lines[numbers - 1]

        return locate

    def _one_by_one(self, floats: Collection[str], bad: Bad) -> Iterator[Batch]:
        """The records as Python's csv tells them apart, for files whose quotes stand oddly; texts alone."""
        if floats:
            raise NotNumbers(-1)
        missing, number = set(self.form.na_values), 0
        rows, numbers = list[list[str]](), list[int]()

        def made() -> Batch:
            columns = [[None if one in missing else one for one in column] for column in zip(*rows, strict=True)]
            arrays = [pa.array(column, pa.string()) for column in columns or [[] for _ in self.names]]
            return pa.RecordBatch.from_arrays(arrays, names=self.names), np.array(numbers, dtype=np.int64)

        try:
            for record, _ in self._records():
                number += bool(record)
                if record and len(record) != len(self.names):
                    bad.append((number, len(record)))
                elif record:
                    rows.append(record)
                    numbers.append(number)
                if len(rows) == TOGETHER:
                    yield made()
                    rows, numbers = [], []
        except csv.Error:
            self._strictly()  # says where
            raise
        yield made()

    def _account(self, read: int, bad: list[tuple[int, int]]) -> None:
        """Compares what was read with the file's lines, and names those that are no records."""
        records, blank = self._source.records, self._source.blank
        if self._source.odd:
            self.lines(np.zeros(0, dtype=np.int64))
            assert self._lines is not None
            records, blank = len(self._lines), self._blank
        if read != records:
            raise DataError(
                f"{self.form.path}: {records} records by its lines, but {read} were found ({len(bad)} of them faulty); "
                "write the file anew, with quotes around fields that hold line ends"
            )
        lines = self.lines(np.array([number for number, _ in bad], dtype=np.int64))
        found = [(line, "empty", "it is blank") for line in (self.head.blank if records else [])]
        found += [(line, "empty", "it is blank") for line, before in blank if before < records]
        for line, (_, count) in zip(lines.tolist(), bad, strict=True):
            found.append((line, "unreadable", f"{count} fields where there are {len(self.names)} columns"))
        self.findings = [(f"line {line}", kind, detail) for line, kind, detail in sorted(found)]

    def _records(self) -> Iterator[tuple[list[str], int]]:
        """The fields of each record, none of a blank line, and the line that it ends on; comments are left out."""
        form, head = self.form, self.head
        line, between = head.skip, True

        def told(text: Iterator[str]) -> Iterator[str]:
            nonlocal line, between
            for one in itertools.islice(text, head.skip, None):
                line += 1
                if not (between and form.comment and one.lstrip().startswith(form.comment)):
                    between = False
                    yield one

        with open_bytes(form.path) as raw, io.TextIOWrapper(raw, head.encoding, newline="") as text:
            for record in fields(told(text), head.separator, form.quote):
                between = True
                yield record, line

    def _strictly(self) -> tuple[npt.NDArray[np.int64], list[tuple[int, int]]]:
        """The lines of records and the blank ones, looked at one by one."""
        lines, blank, line = list[int](), list[tuple[int, int]](), self.head.skip
        try:
            for record, line in self._records():
                if record:
                    lines.append(line)
                else:
                    blank.append((line, len(lines)))
        except csv.Error as error:
            raise DataError(
                f"{self.form.path}: line {line + 1} begins a record whose quotes are not closed, or have text behind "
                f"them ({one_line(error)}); mend it, or set data.quote: null where quotes are part of the text"
            ) from error
        return np.array(lines, dtype=np.int64), blank
