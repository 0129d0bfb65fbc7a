"""Records: files of tables read a chunk at a time, with the lines that cannot be read as findings."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lightning_base.errors import DataError, near_file, one_line, suggest
from lightning_base.runtime.notation import Notation
from lightning_base.sources.arrow import (
    arrow_column,
    as_floats,
    as_texts,
    demand_known,
    is_number,
    read_json_lines,
    read_sheet,
)
from lightning_base.sources.csv_bytes import UNIT
from lightning_base.sources.csv_file import CsvFile
from lightning_base.sources.csv_parse import NotNumbers
from lightning_base.sources.form import EXCEL, JSON_LINES, OTHERS, PACKED, Format, Values
from lightning_base.sources.numbers import to_numbers

CHUNK = 50_000  # records
IN_MEMORY = 200_000_000  # bytes: of smaller files what was parsed is kept for a second run through
PROBED_BYTES = 1 << 18
PROBED = 500  # records by which a CSV's columns of numbers are found
TRIES = 3  # columns that turn out not to be numbers, after which all are read as texts
UNPACKED = 10  # how many times its size a packed file is taken to have

T = TypeVar("T")


@dataclass(frozen=True)
class Chunk:
    """Some records that follow each other.

    Attributes:
        columns: the values of each column asked for.
        numbers: (n,) int64, the numbers of the records in the file, from 1.
        locate: the lines that records of those numbers end on.
    """

    columns: dict[str, Values]
    numbers: npt.NDArray[np.int64]
    locate: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def lines(self) -> npt.NDArray[np.int64]:
        """(n,) int64, the line of the file that each record ends on (from 1), or its row (from 1) where it has none."""
        return self.locate(self.numbers)


class Records:
    """The records of one file: column names, chunks of columns, and what could not be read.

    After `chunks` was run through, `findings` has one (id, kind, detail) for every line with another number of fields
    than there are columns ("unreadable") and every blank line between others ("empty").

    Args:
        form: how the file is written.

    Raises:
        UserError: for a file that is not there, is not what its name says or has no records, or an unknown encoding.
    """

    rename = "rename one in the file"  # what to do about two columns of one name

    def __init__(self, form: Format) -> None:
        self.form, self.findings = form, list[tuple[str, str, str]]()
        self.notation = Notation(form.decimal, form.thousands or "")
        self._csv: CsvFile | None = None
        self._kept: tuple[set[str], list[Any]] | None = None  # a CSV's columns of numbers, and its batches
        self._table: dict[str, Any] | None = None  # what was read whole
        self._lines: npt.NDArray[np.int64] | None = None  # where its records stand in the file
        self.index: list[str] = []  # columns that name rows, by what pandas wrote into the file
        if form.parquet:
            self.names = self._parquet_names()
        elif form.suffix in (*EXCEL, *JSON_LINES):
            self._take(self._whole_frame())
        elif form.suffix in OTHERS and form.path.is_file():
            raise DataError(f"{form.key}: {form.path} is {OTHERS[form.suffix]}")
        else:
            self._csv = CsvFile(form)
            self.names, self.rename = self._csv.names, "give names with data.header: [...]"
        self._demand_distinct()

    def _whole_frame(self) -> pd.DataFrame:
        """The table of a file that is read whole."""
        if not self.form.path.is_file():
            mend = near_file(str(self.form.path)) or "; mend the path"
            raise DataError(f"{self.form.key}: {self.form.path} cannot be read (no such file){mend}")
        frame, self._lines = (read_sheet if self.form.suffix in EXCEL else read_json_lines)(self.form)
        if not isinstance(self.form.header, bool) and len(self.form.header) == frame.shape[1]:
            frame.columns = pd.Index(self.form.header)
        return frame

    def _locate(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The lines, or rows of a sheet, that records stand in; their numbers where there are none."""
        return numbers if self._lines is None else self._lines[numbers - 1]

    def _take(self, frame: pd.DataFrame) -> None:
        """Takes a DataFrame's columns."""
        self.names = [str(name) for name in frame.columns]
        columns = zip(self.names, frame.items(), strict=True)
        self._table = {name: arrow_column(name, column, str(self.form.path)) for name, (_, column) in columns}

    def _parquet_names(self) -> list[str]:
        """The columns of a Parquet file, without pandas' index."""
        try:
            schema = pq.read_schema(self.form.path)
            names = [str(name) for name in schema.names]
            self._kinds = {str(field.name): field.type for field in schema}
            said = schema.pandas_metadata or {}
        except (OSError, ValueError, pa.ArrowException) as error:  # names and metadata may be no UTF-8, or no JSON
            raise DataError(f"{self.form.key}: {self.form.path} is not readable Parquet ({one_line(error)})") from error
        self.index = [name for name in said.get("index_columns", ()) if isinstance(name, str) and name in self._kinds]
        return [name for name in names if name not in self.index]

    def _demand_distinct(self) -> None:
        if twice := [name for name, n in Counter(self.names).items() if n > 1]:
            raise DataError(f"{self.form.path}: two columns are named {twice[0]!r}; {self.rename}")

    def require(self, names: Iterable[str | None], key: str) -> None:
        """Raises a UserError for a name that is no column."""
        there = {*self.names, *self.index}
        for name in names:
            if name is not None and name not in there:
                shown = ", ".join(self.names[:20]) + (", …" if len(self.names) > 20 else "")
                raise DataError(
                    f"{key}: {self.form.path} has no column {name!r}, only {shown}{suggest(name, self.names)}"
                )

    def chunks(self, text: Sequence[str], numbers: Sequence[str] = ()) -> Iterator[Chunk]:
        """All records, at most CHUNK at a time.

        Args:
            text: columns wanted as strings.
            numbers: columns wanted as float64; where not all values of a chunk are numbers, they are strings there.
        """
        self.findings = []
        wanted, as_number = [*text, *numbers], set(numbers)
        for batch, rows, locate in ahead(self._batches(wanted, set(numbers))):
            try:
                columns = {name: self._column(name, batch[name], name in as_number) for name in wanted}
            except (UnicodeDecodeError, pa.ArrowException) as error:
                raise DataError(f"{self.form.path}: cannot be read ({one_line(error)}); mend the file") from error
            yield Chunk(columns, rows, locate)
        if self._csv is not None:
            self.findings = self._csv.findings

    def _batches(self, wanted: list[str], numbers: set[str]) -> Iterator[tuple[dict[str, Any], Any, Any]]:
        """Columns of pyarrow, the numbers of their records, and what finds their lines."""
        if self._csv is not None:
            yield from self._csv_batches(numbers)
        elif self._table is not None:
            rows = len(next(iter(self._table.values()), ()))
            for start in range(0, rows, CHUNK):
                part = {name: self._table[name].slice(start, CHUNK) for name in wanted}
                yield part, np.arange(start + 1, min(start + CHUNK, rows) + 1), self._locate
        else:
            yield from self._parquet_batches(wanted)

    def _parquet_batches(self, wanted: list[str]) -> Iterator[tuple[dict[str, Any], Any, Any]]:
        for name in wanted:
            demand_known(name, self._kinds[name], str(self.form.path))
        start = 1
        try:
            with pq.ParquetFile(self.form.path) as file:
                for batch in file.iter_batches(CHUNK, columns=wanted):
                    yield (
                        {name: batch.column(name) for name in wanted},
                        np.arange(start, start + len(batch)),
                        self._locate,
                    )
                    start += len(batch)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.form.path}: cannot be read ({one_line(error)}); mend the file") from error

    def _csv_batches(self, numbers: set[str]) -> Iterator[tuple[dict[str, Any], Any, Any]]:
        """Numbers straight from pyarrow where a column has nothing else; begun anew where one turns out to have."""
        assert self._csv is not None
        if self._kept is not None and self._kept[0] <= numbers:
            yield from self._kept[1]
            return
        keep = self.bytes() <= IN_MEMORY
        floats, done, tries = self._probed(numbers), 0, 0
        while True:
            seen, kept = 0, list[Any]()
            try:
                for whole, rows in self._csv.batches(floats):
                    left = max(done - seen, 0)  # of this batch, handed on before
                    seen += len(whole)
                    for start in range(left, len(whole), CHUNK):
                        part = whole.slice(start, CHUNK)
                        done += len(part)
                        columns = dict(zip(self.names, part.columns, strict=True))
                        item = columns, rows[start : start + len(part)], self._csv.locator()
                        kept += [item] if keep else []
                        yield item
                self._kept = (floats, kept) if keep and tries == 0 else None
                return
            except NotNumbers as error:
                tries += 1
                floats = set() if tries == TRIES or error.column < 0 else floats - {self.names[error.column]}

    def _probed(self, numbers: set[str]) -> set[str]:
        """The columns that are numbers, as Python writes them, in the first records."""
        assert self._csv is not None
        if self.notation.thousands or (head := self._csv.first(PROBED_BYTES)) is None:
            return set()
        found: set[str] = set()
        place = {name: i for i, name in enumerate(self.names)}
        part = head.slice(0, PROBED)
        for name in numbers:
            values = as_texts(part.column(place[name]), self.form.na_values)
            there = np.array([value for value in pd.unique(values) if value is not None], dtype=object)
            if not np.isnan(to_numbers(there, self.notation)).any() and not any(map(is_code, there)):
                found.add(name)
        return found

    def bytes(self) -> int:
        """About how much memory the numbers will take: a CSV's size, or 8 bytes per value of what is read whole."""
        if self._table is not None:
            return sum(8 * len(column) for column in self._table.values())
        if not self.form.parquet:
            packed = self.form.path.suffix.lower() in PACKED
            return self.form.path.stat().st_size * (UNPACKED if packed else 1)
        return int(pq.read_metadata(self.form.path).num_rows) * len(self.names) * 4

    def _column(self, name: str, column: Any, number: bool) -> Values:
        """(n,) values: float64 where numbers are wanted and held, else texts, booleans as "true" and "false"."""
        if is_number(column.type) and number:
            return as_floats(column)
        values = self._truths(as_texts(self._as_written(column), self.form.na_values))
        if not number:
            return values
        found = to_numbers(values, self.notation)
        known = ~pd.isna(values)
        coded = any(is_code(one) for one in pd.unique(values[known])) if known.any() else False
        return values if np.isnan(found[known]).any() or coded else found

    def _as_written(self, column: Any) -> Any:
        """A column with the separators of several characters that stood within quotes."""
        separator = self._csv.head.separator if self._csv is not None else ""
        if len(separator) < 2 or separator == "whitespace":
            return column
        return pc.replace_substring(column, UNIT, separator)

    def kind(self, name: str) -> str:
        """What the file itself says a column is: "number", "moment", or "" where it holds texts or other values."""
        if self._csv is not None:
            return ""
        held = self._kinds[name] if self._table is None else self._table[name].type
        return "number" if is_number(held) else "moment" if pa.types.is_temporal(held) else ""

    def _truths(self, values: Values) -> Values:
        """The texts, those that are declared booleans spelt as such."""
        for spelt, declared in (("true", self.form.true_values), ("false", self.form.false_values)):
            if declared:
                values[pd.Index(values, dtype=object).isin(list(declared))] = spelt
        return values


def is_code(text: str) -> bool:
    """Whether digits are written as no number is: with zeros in front, as postcodes are."""
    return len(text) > 1 and text[0] == "0" and text.isdecimal()


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one made in a thread while one is used."""
    with ThreadPoolExecutor(1) as thread:
        end = object()
        coming: Any = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item
