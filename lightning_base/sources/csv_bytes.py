"""The bytes of a CSV as pyarrow is given them: unpacked, in UTF-8, and counted line by line on the way."""

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lightning_base.errors import ConfigError, DataError, near_file, one_line

DAMAGED = (EOFError, zlib.error, lzma.LZMAError, pa.ArrowException)  # what unpacking raises beside OSError
OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16"}
MARKS |= {codecs.BOM_UTF16_BE: "utf-16"}
BLOCK = 1 << 20  # bytes read at a time: what processors hold near them
LARGE, MOST_RATIO = 1 << 30, 200  # bytes, above which a packed file is refused that unpacks to so many times its size
LONGEST = 1 << 28  # bytes of a line
UNIT = "\x1f"  # stands for separators that pyarrow does not know: of several characters, or runs of blanks
SPACE = 32


def open_bytes(path: Path) -> IO[bytes]:
    """A file's bytes, unpacked where its name ends in .gz, .bz2, .xz or .zst."""
    suffix = path.suffix.lower()
    if suffix == ".zst":
        return pa.input_stream(str(path), compression="zstd")  # type: ignore[no-any-return]
    return OPENERS.get(suffix, open)(path, "rb")  # type: ignore[no-any-return]


def encoding_of(path: Path, encoding: str, key: str) -> str:
    """The encoding of a text file: what its byte-order mark says, else as declared.

    Raises:
        ConfigError: for an encoding that Python does not know.
        DataError: for a file that cannot be read.
    """
    try:
        name = codecs.lookup(encoding).name
    except LookupError as error:
        raise ConfigError(f"data.encoding: {encoding!r} is not an encoding; give e.g. utf-8 or latin-1") from error
    try:
        with open_bytes(path) as file:
            head = file.read(4)
    except OSError as error:
        mend = near_file(str(path)) or "; mend the path"
        raise DataError(f"{key}: {path} cannot be read ({error.strerror or error}){mend}") from error
    except DAMAGED as error:
        raise DataError(f"{key}: {path} cannot be unpacked ({one_line(error)}); fetch it again") from error
    return next((found for mark, found in MARKS.items() if head.startswith(mark)), name)


def decoded(path: Path, encoding: str) -> Iterator[bytes]:
    """The blocks of a file in UTF-8, each of whole lines, without a byte-order mark.

    Raises:
        UnicodeDecodeError: where it is in another encoding.
        DataError: for a line of more than LONGEST bytes.
    """
    decode = codecs.getincrementaldecoder(encoding)()
    first, rest, total = True, b"", 0
    size = path.stat().st_size
    with open_bytes(path) as file:
        while raw := file.read(BLOCK):
            total += len(raw)
            if total > max(LARGE, MOST_RATIO * size):
                raise DataError(
                    f"{path}: unpacks to more than {MOST_RATIO} times its size, as files do that are made to fill "
                    "memory; unpack it yourself if it is right"
                )
            if encoding == "utf-8" and raw.isascii() and not decode.getstate()[0]:
                rest, first = rest + raw, False  # it is what it is, and most files are nothing else
            else:
                text = decode.decode(raw)
                if first and text:
                    first, text = False, text.removeprefix("\ufeff")
                rest += text.encode()
            at = rest.rfind(b"\n") + 1
            if not at and len(rest) > BLOCK:  # as old Macs end lines; the last byte may be half of \r\n
                at = rest.rfind(b"\r", 0, -1) + 1
            if at:
                yield rest[:at]
                rest = rest[at:]
            elif len(rest) > LONGEST:
                raise DataError(f"{path}: a line of more than {LONGEST >> 20} MB; is this a text file?")
    rest += decode.decode(b"", final=True).encode()
    if rest:
        yield rest


class CsvBytes:
    """A CSV file for pyarrow to parse, from the record after the header on.

    Args:
        path: the file.
        encoding: as `encoding_of` gives it.
        separator: "whitespace" for runs of blanks; several characters are taken as one.
        quote: what encloses fields that hold separators; "" for nothing.
        comment: what lines begin with that are no records; "" for nothing.
        skip: lines that are left out at the start.

    Attributes:
        delimiter: the character that stands between fields here.
        records: lines, not blank, that begin a record, so far.
        blank: the blank lines' numbers, and how many records came before each.
        extra: lines that begin no record, by the number of the record before which or in which they stand.
        zeros: whether digits with zeros in front stand in a field, as in postcodes.
        odd: whether quotes stand where a field neither begins nor ends, so that lines must be looked at one by one.
    """

    def __init__(self, path: Path, encoding: str, separator: str, quote: str, comment: str, skip: int) -> None:
        self.path, self.separator, self.comment, self.skip = path, separator, comment, skip
        self.plain = len(separator) == 1
        self.delimiter = separator if self.plain else UNIT
        self.quote = "" if separator == "whitespace" else quote
        self.records, self.odd, self.zeros = 0, False, False
        self.blank: list[tuple[int, int]] = []
        self.extra: list[npt.NDArray[np.int64]] = []
        self._line, self._inside, self._comments, self._dropped = skip, False, False, skip
        self._blocks = self._counted(decoded(path, encoding))

    def whole(self) -> Iterator[tuple[int, int, bytes]]:
        """Blocks of whole records: how many came before, how many it holds, and the bytes.

        A record that does not end, for its quotes are not closed, is not among them, and `odd` is set.
        """
        parts, before = list[bytes](), self.records
        for block in self._blocks:
            parts.append(block)
            if not self._inside:
                yield before, self.records - before, b"".join(parts)
                parts, before = [], self.records
            elif sum(map(len, parts)) > LONGEST:
                self.odd = True
                return

    def lines(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The lines that records (from 1) end on."""
        extra = np.concatenate(self.extra) if self.extra else np.zeros(0, dtype=np.int64)
        return self.skip + numbers + np.searchsorted(extra, numbers, side="right")

    def _counted(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The blocks without what is no record, all lines counted."""
        for given in blocks:
            block = self._skipped(given)
            if self.comment:
                block = self._uncommented(block)
            if not self.plain:
                block = self._separated(block)
            if block:
                self.zeros = self.zeros or self._has_zeros(block)
                yield self._count(block)
        self.odd |= self._inside

    def _has_zeros(self, block: bytes) -> bool:
        """Whether a field of a block begins with 0 and a digit."""
        a = np.frombuffer(b"\n" + block, dtype=np.uint8)  # a block begins with a field
        marks = [ord(self.delimiter), ord(self.quote or "\n"), 10, 13]
        may = a[1:-1] == 48
        may &= a[2:] != ord(".")
        may &= a[:-2] <= max(marks)
        at = np.flatnonzero(may)  # which most often is nowhere
        digit = a[at[np.isin(a[at], marks)] + 2]
        return bool(((digit >= 48) & (digit <= 57)).any())

    def _skipped(self, block: bytes) -> bytes:
        """The block without lines that are to be left out at the start."""
        while self._dropped and block:
            self._dropped -= 1
            ends = [at for at in (block.find(b"\n"), block.find(b"\r")) if at >= 0]
            at = min(ends, default=len(block))
            block = block[at + (2 if block[at : at + 2] == b"\r\n" else 1) :]
        return block

    def _uncommented(self, block: bytes) -> bytes:
        """The block with lines that are comments emptied, which are then no blank lines."""
        mark, quote, lines = self.comment.encode(), self.quote.encode(), block.splitlines(keepends=True)
        for i, line in enumerate(lines):
            if not self._comments and line.lstrip().startswith(mark):
                lines[i] = b"\x1e" + line[len(line.rstrip(b"\r\n")) :]  # told from a blank one when lines are counted
            elif quote and line.count(quote) % 2:
                self._comments = not self._comments
        return b"".join(lines)

    def _separated(self, block: bytes) -> bytes:
        """The block with one character between fields."""
        if UNIT.encode() in block:
            raise DataError(
                f"{self.path}: holds the control character 0x1f, which stands for {self.separator!r} while it is read; "
                "write the file with another separator"
            )
        if self.separator != "whitespace":
            return block.replace(self.separator.encode(), UNIT.encode())
        unit, ends = UNIT.encode(), b"\n" if block.endswith((b"\n", b"\r")) else b""
        return b"\n".join(unit.join(line.split()) for line in block.splitlines()) + ends

    def _count(self, block: bytes) -> bytes:
        """The block, its lines counted and its quotes looked at."""
        if self.quote and self.quote.encode() in block:
            block = self._quotes(block)
        elif not self._inside and (count := plain_lines(block)):
            self.records, self._line = self.records + count, self._line + count
            return block
        a = np.frombuffer(block, dtype=np.uint8)
        ends = line_ends(block, a)
        quotes = np.flatnonzero(a == ord(self.quote)) if self.quote else np.zeros(0, dtype=np.int64)
        inside = (int(self._inside) + np.searchsorted(quotes, ends)) % 2 == 1
        starts = np.concatenate([[0], ends[:-1] + 1])
        length = ends - starts - ((ends > starts) & (a[np.maximum(ends - 1, 0)] == 13))
        before = np.concatenate([[self._inside], inside[:-1]])
        none = (length == 0) & ~before & ~inside  # blank, or a comment
        comment = (length == 1) & (a[np.minimum(starts, len(a) - 1)] == 0x1E) & ~before
        record = ~inside & ~none & ~comment
        done = self.records + np.cumsum(record)
        number = self._line + np.arange(1, len(ends) + 1)
        self.blank += list(zip(number[none].tolist(), done[none].tolist(), strict=True))
        self.extra.append(done[~record] + 1)
        self.records, self._line = int(done[-1]), int(number[-1])
        self._inside = bool((int(self._inside) + len(quotes)) % 2)
        if not comment.any():
            return block
        return b"".join(line for line in block.splitlines(keepends=True) if line.rstrip(b"\r\n") != b"\x1e")

    def _quotes(self, block: bytes) -> bytes:
        """The block without blanks between a separator and a quote; notes quotes that stand elsewhere."""
        a = np.frombuffer(block, dtype=np.uint8)
        quotes = np.flatnonzero(a == ord(self.quote))
        opening = quotes[int(self._inside) :: 2]
        closing = quotes[1 - int(self._inside) :: 2]
        may = np.array([ord(self.delimiter), ord(self.quote), 10, 13], dtype=np.uint8)
        gone = np.zeros(len(a), dtype=bool)
        for at in opening[(opening > 0) & ~np.isin(a[opening - 1], may)].tolist():
            start = at
            while start and a[start - 1] == SPACE:
                start -= 1
            if start == at or (start and a[start - 1] not in may):
                self.odd = True
                return block
            gone[start:at] = True
        after = closing[closing + 1 < len(a)] + 1
        self.odd |= not np.isin(a[after], [*may, SPACE]).all()
        return a[~gone].tobytes() if gone.any() else block


def plain_lines(block: bytes) -> int:
    """How many lines a block without quotes has, where each is a record; else 0."""
    if b"\r" in block or b"\x1e" in block:
        return 0
    ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == 10)
    if len(ends) and (ends[0] == 0 or (np.diff(ends) == 1).any()):
        return 0
    return len(ends) + (not block.endswith(b"\n"))


def line_ends(block: bytes, a: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Where lines end in a block: at each line feed, each return that none follows, and the end."""
    ends = np.flatnonzero(a == 10)
    if block.count(b"\r") != block.count(b"\r\n"):
        returns = np.flatnonzero(a == 13)
        alone = returns[a[np.minimum(returns + 1, len(a) - 1)] != 10]
        ends = np.sort(np.concatenate([ends, alone]))
    return ends if len(ends) and ends[-1] == len(a) - 1 else np.append(ends, len(a))
