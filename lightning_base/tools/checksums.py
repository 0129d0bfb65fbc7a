"""Check sums of files that are read back: of Parquet inside the file, of JSON among its keys, of a folder beside it."""

import hashlib
import json
import os
import re
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_base.errors import ArtefactError, one_line

if TYPE_CHECKING:  # a verb's help needs none of it
    import pandas as pd
    import pyarrow as pa

KEY = "sha256"
MARK = re.compile(rb"sha256:[0-9a-f]{64}")
BLANK = b"sha256:" + b"0" * 64
SUMS = "sums.json"
BLOCK = 1 << 24  # bytes


def write_table(table: "pa.Table", path: Path) -> None:
    """Writes Parquet whose footer holds the SHA-256 of the file, itself counted as zeros there."""
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({KEY: BLANK.decode()})
    content = path.read_bytes()
    at = content.rindex(BLANK)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"sha256:" + hashlib.sha256(content).hexdigest().encode())


def read_table(path: Path, mend: str) -> "pa.Table":
    """The table of a file that `write_table` wrote.

    Raises:
        ArtefactError: where it cannot be read, or is not as it was written, with the mend.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        content = path.read_bytes()
        found = list(MARK.finditer(content))
        if not found:
            raise ValueError("it has no check sum: it is damaged, or another program or an earlier version wrote it")
        start, end = found[-1].span()
        if hashlib.sha256(content[:start] + BLANK + content[end:]).hexdigest().encode() != content[start + 7 : end]:
            raise ValueError("it is damaged or was changed: its SHA-256 does not match")
        return pq.read_table(pa.BufferReader(content))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ArtefactError(f"{path}: cannot be read ({one_line(error)}); {mend}") from error


def read_frame(path: Path, mend: str) -> "pd.DataFrame":
    """The same as a DataFrame."""
    frame: pd.DataFrame = read_table(path, mend).to_pandas()
    return frame


def signed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with a check sum over its other keys."""
    plain = {key: value for key, value in content.items() if key != KEY}
    return {**plain, KEY: hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()}


def unsigned(content: Mapping[str, Any], path: Path, mend: str) -> dict[str, Any]:
    """A JSON object without its check sum; one that has none, as a person writes, is taken as it is.

    Raises:
        ArtefactError: where the check sum does not match, with the mend.
    """
    if KEY in content and signed(content)[KEY] != content[KEY]:
        raise ArtefactError(f"{path}: is damaged or was changed: its SHA-256 does not match; {mend}")
    return {key: value for key, value in content.items() if key != KEY}


def file_sum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; "" where there is none to read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def write_sums(folder: Path) -> None:
    """Writes the CRC-32 of each block of each file in a folder beside them."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    (folder / SUMS).write_text(json.dumps(signed({path.name: _sums(path) for path in files})))


def intact(folder: Path) -> bool:
    """Whether each file of a folder is as it was when the check sums were written; 1 to 3 GB are read in a second."""
    try:
        sums = unsigned(json.loads((folder / SUMS).read_text()), folder / SUMS, "")
        names = {path.name for path in folder.iterdir()} - {SUMS}
        return names == sums.keys() and all(_sums(folder / name) == told for name, told in sums.items())
    except (OSError, ValueError, AttributeError, ArtefactError, RecursionError):
        return False


def _sums(path: Path) -> list[int]:
    """The CRC-32 of each block; several at a time, since zlib lets other threads work."""
    with path.open("rb") as file:

        def one(start: int) -> int:
            return zlib.crc32(os.pread(file.fileno(), BLOCK, start))

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
            return list(threads.map(one, range(0, path.stat().st_size, BLOCK)))
