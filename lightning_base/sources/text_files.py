"""Text files: bytes made characters as a whole, by byte-order mark or declared encoding, and then lines."""

import codecs
import gzip
import os
import re
import zlib
from pathlib import Path
from typing import NamedTuple

from lightning_base.errors import one_line
from lightning_base.runtime.readers import mark_of
from lightning_base.sources.archive import MAX_RATIO, RATIO_FROM
from lightning_base.sources.csv_file import mend

SUFFIXES = (".txt", ".text", ".txt.gz", ".text.gz")
MOST = 1 << 32  # bytes of a file, unpacked
STEP = 1 << 20
LINE = re.compile("\r\n|\n|\r")  # str.splitlines would also break at form feeds, U+0085 and U+2028, which texts hold
BYTE_LINE = re.compile(b"\r\n|\n|\r")
STATEFUL = ("iso2022", "utf-7", "hz")  # a line's bytes mean what those before them say


class Line(NamedTuple):
    """A line of a text file: its text without what ends it, or, where that is None, what is wrong with it."""

    text: str | None
    wrong: str = ""


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, unpacked where they are gzip's.

    Raises:
        OSError: where the machine cannot read it.
        ValueError: for gzip that is damaged, or too much: over 4 GiB, or over 100 MB at 200 times the file's size.
    """
    with open(path, "rb") as file:
        size, head = os.fstat(file.fileno()).st_size, file.read(2)
        if size > MOST:
            raise ValueError(f"{size} bytes, where {MOST} are the most; divide it")
        if head != b"\x1f\x8b":
            return head + file.read()
        file.seek(0)
        most, parts, length = min(MOST, max(RATIO_FROM, MAX_RATIO * size)), [], 0
        try:
            with gzip.GzipFile(fileobj=file) as packed:
                while part := packed.read(STEP):
                    parts.append(part)
                    if (length := length + len(part)) > most:
                        raise ValueError(f"unpacks to more than {most} bytes, as a decompression bomb does")
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"damaged gzip ({one_line(error)})") from error
    return b"".join(parts)


def decode(raw: bytes, encoding: str) -> str:
    """The text of a whole file, its byte-order mark left out; a mark is believed before the declared encoding.

    Raises:
        ValueError: naming line, column and byte, or a NUL character, which text read in a wrong encoding has.
    """
    name, skip = _codec(raw, encoding)
    return _decoded(raw[skip:], name, skip > 0, 0)


def decode_lines(raw: bytes, encoding: str) -> list[Line]:
    r"""The lines of a text file, which end at \n, \r\n or \r alone; what ends the last one begins no other.

    Where bytes are no text in this encoding, the line is wrong; where lines cannot be told apart before decoding, as in
    UTF-16, the file is.

    Raises:
        ValueError: as `decode`, for the file.
    """
    name, skip = _codec(raw, encoding)
    try:
        return [Line(text) for text in _split(LINE.split(_decoded(raw[skip:], name, skip > 0, 0)))]
    except ValueError:
        if not _separable(name):
            raise
    lines = []
    for number, part in enumerate(_split(BYTE_LINE.split(raw[skip:]))):
        try:
            lines.append(Line(_decoded(part, name, skip > 0, number)))
        except ValueError as error:
            lines.append(Line(None, str(error)))
    return lines


def _split(parts: list[str] | list[bytes]) -> list:  # type: ignore[type-arg]
    """The parts between line ends, without the one behind the last."""
    return parts[:-1] if len(parts) > 1 and not parts[-1] else parts


def _codec(raw: bytes, encoding: str) -> tuple[str, int]:
    """The encoding of a file, and how many bytes its mark has."""
    if (marked := mark_of(raw)) is not None:
        return marked
    known = codecs.lookup(encoding).name
    if known in ("utf-16", "utf-32") and raw:
        raise ValueError(f"it has no byte-order mark; give data.encoding: {known}-le or {known}-be")
    return known, 0


def _separable(name: str) -> bool:
    """Whether line ends are told in bytes, and the lines between decoded one by one."""
    try:
        return not name.startswith(STATEFUL) and "\r\n".encode(name) == b"\r\n"
    except UnicodeError:
        return False


def _decoded(raw: bytes, name: str, marked: bool, before: int) -> str:
    """The text of bytes without a mark; `before` is how many lines stand before them."""
    try:
        text = raw.decode(name)
    except UnicodeDecodeError as error:
        why = f"which is not {name}, as its byte-order mark says" if marked else mend(name)
        place = _place(raw[: error.start].decode(name, errors="replace"), before)
        byte = f"0x{raw[error.start]:02x}" if error.start < len(raw) else "none"
        raise ValueError(f"line {place[0]} has byte {byte} at column {place[1]}, {why}") from error
    except UnicodeError as error:  # of codecs that are no character sets, such as idna
        raise ValueError(f"it is not {name} ({one_line(error)}); give data.encoding") from error
    if (at := text.find("\0")) >= 0:
        line, column = _place(text[:at], before)
        raise ValueError(
            f"line {line} has a NUL character at column {column}, as UTF-16 read as {name} has; give the encoding the "
            "text is written in, e.g. data.encoding: utf-16-le"
        )
    return text


def _place(text: str, before: int) -> tuple[int, int]:
    """The line and column, from 1, of the character after a text."""
    lines = LINE.split(text)
    return before + len(lines), len(lines[-1]) + 1
