"""Writing files whole or not at all, by the main process alone: the JSON, text and Parquet that runs leave."""

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_base.errors import ArtefactError, one_line
from lightning_base.tools.checksums import signed, unsigned, write_table
from lightning_base.tools.process import is_main

if TYPE_CHECKING:  # a verb's help needs none of it
    import pandas as pd

# what a folder or a disk is at fault for
UNWRITABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST),
    *(errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO),
}


@contextmanager
def replace(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder; after the block it is renamed to `path`, on an error it is removed.

    Where `path` is a link, what it points to is written and the link stays.

    Raises:
        OSError: naming `path`, where it is a folder or cannot be written.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if str(error.filename) == str(temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, in the main process."""
    if is_main():
        with replace(path) as temporary:
            temporary.write_text(text)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes indented JSON with a check sum, in the main process; NaN and infinity, which JSON lacks, become null."""
    write_text(path, to_json(signed(_finite(content))))


def write_parquet(path: Path, table: "pd.DataFrame") -> None:
    """Writes a table with a check sum, in the main process."""
    import pyarrow as pa

    if is_main():
        with replace(path) as temporary:
            write_table(pa.Table.from_pandas(table, preserve_index=False), temporary)


def read_json(
    path: Path, mend: str = "delete it to have it made again", needs: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """The JSON object that `to_json` wrote.

    Args:
        path: the file.
        mend: what to do where it cannot be read.
        needs: keys that it must have, with the types of their values.

    Raises:
        UserError: where it cannot be read, is no such object, or was changed since it was written, with the mend.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactError(f"{path}: cannot be read ({one_line(error)}); {mend}") from error
    if not isinstance(content, dict):
        raise ArtefactError(f"{path}: is no JSON object; {mend}")
    content = unsigned(content, path, mend)
    demand(content, needs or {}, path, mend)
    return content


def demand(content: Mapping[str, Any], needs: Mapping[str, type], path: Path, mend: str) -> None:
    """Refuses a JSON object that lacks one of these keys, or has a value of another type there.

    Raises:
        UserError: naming the key, with the mend.
    """
    for key, kind in needs.items():
        if not isinstance(content.get(key), kind):
            raise ArtefactError(f"{path}: {key!r} is {str(content.get(key))[:40]!r}, no {kind.__name__}; {mend}")


def to_json(content: dict[str, Any]) -> str:
    """Indented JSON; NaN and infinity, which JSON lacks, become null."""
    return json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """The value with None for each number in it that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def last_line(log: Path) -> str:
    """The last line of a program's log that it said itself, at most 200 characters; "" where it said nothing.

    Slurm's own lines, of srun and slurmstepd, are passed over.
    """
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    own = [line for line in lines if line.strip() and not re.match(r"srun: |slurmstepd", line)]
    return one_line(own[-1])[:200] if own else ""
