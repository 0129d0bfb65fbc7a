"""Parsing a CSV's bytes by pyarrow: blocks of whole records, in threads."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from lightning_base.sources.csv_bytes import CsvBytes
from lightning_base.tools.threads import in_order

Batch: TypeAlias = tuple[Any, npt.NDArray[np.int64]]  # a RecordBatch, and the records' numbers (n,) in the file, from 1
Bad: TypeAlias = list[tuple[int, int]]  # the numbers of records with another number of fields, and that number


class NotNumbers(Exception):
    """A column (from 0) that was to be numbers has a value that is none; -1 where any may be one."""

    def __init__(self, column: int) -> None:
        super().__init__(column)
        self.column = column


class Uneven(Exception):
    """The lines do not tell the records: quotes stand where a field neither begins nor ends."""


@dataclass(frozen=True)
class Parser:
    """How a CSV's bytes are parsed.

    Args:
        names: of the columns.
        floats: the columns wanted as float64; others are texts.
        na_values: the fields that mean "missing".
        decimal: the decimal mark.
    """

    names: Sequence[str]
    floats: Collection[str]
    na_values: Sequence[str]
    decimal: str

    def in_threads(self, source: CsvBytes, bad: Bad) -> Iterator[Batch]:
        """The records of blocks that are parsed beside each other, in the file's order.

        Args:
            source: the bytes.
            bad: takes the records that are not whole.

        Raises:
            NotNumbers: where one of `floats` has another value.
            Uneven: where records must be told apart one by one.
        """
        for batch, numbers, found in in_order(partial(self._block, source.delimiter, source.quote), _even(source)):
            bad += found
            yield batch, numbers

    def _block(
        self, delimiter: str, quote: str, given: tuple[int, int, bytes]
    ) -> tuple[Any, npt.NDArray[np.int64], Bad]:
        """The records of a block, given as `CsvBytes.whole` has it: a RecordBatch, their numbers, those not whole."""
        before, count, block = given
        batch, bad = self._parsed(delimiter, quote, block)
        if len(batch) + len(bad) != count:
            raise Uneven
        there = np.arange(1, count + 1)
        numbers = there[~np.isin(there, [number for number, _ in bad])] if bad else there
        return batch, before + numbers, [(before + number, fields) for number, fields in bad]

    def _parsed(self, delimiter: str, quote: str, block: bytes) -> tuple[Any, Bad]:
        """A block's records as one RecordBatch, and those that are not whole, from 1."""
        bad, schema = Bad(), pa.schema([(name, self._type(name)) for name in self.names])
        options = self._options(delimiter, quote, bad, len(block) + 1)
        try:
            table = pacsv.read_csv(pa.BufferReader(block), **options)
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                raise self._meant(error) or Uneven from error
            table = schema.empty_table()
        columns = [column.combine_chunks() for column in table.columns]
        _demand_no_nan(columns)
        return pa.RecordBatch.from_arrays(columns, schema=schema), bad

    def first(self, source: CsvBytes, block: bytes) -> Any | None:
        """The records that a file's first bytes hold, the last of which may be cut; None where they do not parse."""
        try:
            return self._parsed(source.delimiter, source.quote, block)[0]
        except (NotNumbers, Uneven):
            return None

    def _meant(self, error: Exception) -> NotNumbers | None:
        """What pyarrow says where a value is no number."""
        found = re.match(r"In CSV column #(\d+): .*conversion error to double", str(error))
        return NotNumbers(int(found[1])) if found else None

    def _type(self, name: str) -> Any:
        """A column's type."""
        return pa.float64() if name in self.floats else pa.string()

    def _options(self, delimiter: str, quote: str, bad: Bad, block: int) -> dict[str, Any]:
        """pyarrow's; records that are not whole are noted in `bad`."""

        def skip(row: Any) -> str:
            bad.append((row.number, row.actual_columns))
            return "skip"

        return {
            "read_options": pacsv.ReadOptions(column_names=self.names, use_threads=False, block_size=block),
            "parse_options": pacsv.ParseOptions(
                delimiter=delimiter,
                quote_char=quote or False,
                newlines_in_values=bool(quote),
                invalid_row_handler=skip,
            ),
            "convert_options": pacsv.ConvertOptions(
                check_utf8=False,
                column_types={name: self._type(name) for name in self.names},
                strings_can_be_null=True,
                null_values=list(self.na_values),
                decimal_point=self.decimal,
            ),
        }


def _even(source: CsvBytes) -> Iterator[tuple[int, int, bytes]]:
    """A file's blocks of whole records; raises Uneven where its lines turn out not to tell them."""
    for block in source.whole():
        if source.odd:
            raise Uneven
        yield block
    if source.odd:
        raise Uneven


def _demand_no_nan(columns: Sequence[Any]) -> None:
    """Raises NotNumbers for what pyarrow takes for a number that is none, as -nan: it is not declared as missing."""
    for i, column in enumerate(columns):
        if column.type == pa.float64():
            count = int(np.count_nonzero(np.isnan(column.to_numpy(zero_copy_only=False))))
            if count > column.null_count:
                raise NotNumbers(i)
