"""Format: how a file of records is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt

from lightning_base.errors import ConfigError

Values: TypeAlias = npt.NDArray[Any]  # (n,) object of str, None where missing; or float64, NaN where missing
PARQUET = (".parquet", ".pq")
EXCEL = (".xlsx", ".xlsm")
JSON_LINES = (".jsonl", ".ndjson")
OTHERS = {  # endings of tables that are none of these and no text, and what they are
    ".xls": "old Excel; save it as .xlsx",
    ".xlsb": "binary Excel; save it as .xlsx",
    ".ods": "OpenDocument; save it as .xlsx or CSV",
    ".json": "JSON; write a line an object, as .jsonl",
    ".zip": "a zip archive; unpack it, or have data.fetch unpack it",
    ".7z": "an archive; unpack it",
    ".tar": "an archive; unpack it, or have data.fetch unpack it",
    ".tgz": "an archive; unpack it, or have data.fetch unpack it",
    **dict.fromkeys((".feather", ".arrow", ".orc", ".avro"), "not read; write it as Parquet or CSV"),
    **dict.fromkeys((".pkl", ".pickle"), "pickled Python, which is not read safely; write it as Parquet or CSV"),
    **dict.fromkeys((".h5", ".hdf5"), "HDF5; write it as Parquet or CSV"),
    **dict.fromkeys((".dta", ".sav", ".sas7bdat", ".rds"), "another program's; write it as Parquet or CSV"),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), "a database; write the table as Parquet or CSV"),
}
PACKED = (".gz", ".bz2", ".xz", ".zst")
NA_VALUES = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A")


@dataclass(frozen=True)
class Format:
    """How a file of records is written.

    Args:
        path: its file: Parquet (.parquet, .pq), Excel (.xlsx), JSON lines (.jsonl, .ndjson), else CSV. A CSV or JSON
            lines may be packed (.gz, .bz2, .xz, .zst).
        separator: between the fields of a CSV; "whitespace" for runs of it; null takes the one of tab, comma, semicolon
            and bar that is most frequent in the first line that is not blank, else whitespace. It may have several
            characters, as MovieLens' "::".
        header: true where the first record names the columns, else their names.
        encoding: of a CSV; a byte-order mark tells UTF-16 and UTF-32 by itself.
        na_values: the fields that mean "missing".
        key: the configuration key that messages name.
        optional: names in `header` whose columns the file may lack: the first, or the first two, ….
        decimal: the decimal mark of a CSV's numbers.
        thousands: what stands between a number's thousands; null for nothing.
        quote: what encloses fields that hold separators or line ends; null for nothing.
        comment: what lines begin with that are no records.
        skip_rows: lines at the start that are no records and no header.
        true_values, false_values: texts that are booleans, beside true and false.
        sheet: of an Excel file that has several.
    """

    path: Path
    separator: str | None = None
    header: bool | Sequence[str] = True
    encoding: str = "utf-8"
    na_values: Sequence[str] = NA_VALUES
    key: str = "data.path"
    optional: Sequence[str] = ()
    decimal: str = "."
    thousands: str | None = None
    quote: str | None = '"'
    comment: str | None = None
    skip_rows: int = 0
    true_values: Sequence[str] = ()
    false_values: Sequence[str] = ()
    sheet: str | None = None

    @property
    def suffix(self) -> str:
        """The ending that tells the kind of file, in lower case."""
        path = self.path.with_suffix("") if self.path.suffix.lower() in PACKED else self.path
        return path.suffix.lower()

    @property
    def parquet(self) -> bool:
        """Whether the file is Parquet."""
        return self.suffix in PARQUET


def demand_separator(separator: str | None, quote: str | None) -> None:
    """Raises a ConfigError for a separator that is none."""
    if separator is not None and (not separator or set(separator) & {"\n", "\r", quote}):
        raise ConfigError(
            f"data.separator: {separator!r} separates no fields; give one character or more, 'whitespace', or null"
        )


def demand_written(decimal: str, thousands: str | None, quote: str | None, comment: str | None, skip_rows: int) -> None:
    """Raises a ConfigError for characters that are none, or that say the same thing twice."""
    for key, value in (("decimal", decimal), ("thousands", thousands), ("quote", quote), ("comment", comment)):
        if value is not None and (len(value) != 1 or value.isalnum()):
            raise ConfigError(f"data.{key}: {value!r} is no single mark; give one character")
    if decimal == thousands:
        raise ConfigError(f"data.thousands: {thousands!r} is data.decimal too; give one of them another mark")
    if skip_rows < 0:
        raise ConfigError(f"data.skip_rows: {skip_rows} is negative; give 0 or more lines")
