"""The cache folder: what can be made again, kept whole by what it depends on."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_base.errors import ArtefactError
from lightning_base.tools.checksums import intact, read_frame, write_sums
from lightning_base.tools.console import console
from lightning_base.tools.files import write_parquet

if TYPE_CHECKING:  # a verb's help needs none of it
    import pandas as pd


def cache_root() -> Path:
    """The folder of what can be made again: $LIGHTNING_BASE_CACHE, else lightning_base below $XDG_CACHE_HOME or
    ~/.cache."""
    if own := os.environ.get("LIGHTNING_BASE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightning_base"


def kept_folder(kind: str, settings: str, make: Callable[[Path], None]) -> Path:
    """A folder in the cache folder, made where it is not there yet or is damaged: whole or not at all.

    Args:
        kind: the part of the cache folder that it goes to.
        settings: everything that its content depends on, as text.
        make: fills an empty folder.

    Raises:
        UserError: where the cache folder cannot be written.
    """
    folder = cache_root() / kind / hashlib.sha256(settings.encode()).hexdigest()[:32]
    if folder.is_dir():
        if intact(folder):
            return folder
        console().print(f"{folder}: is damaged, and is made anew", soft_wrap=True, markup=False)
        shutil.rmtree(folder, ignore_errors=True)  # who has it mapped keeps it
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        make(temporary)
        write_sums(temporary)
        try:
            os.replace(temporary, folder)
        except OSError:
            if not folder.is_dir():  # else another process was first
                raise
    except OSError as error:
        raise ArtefactError(
            f"{cache_root()}: {error.strerror or error}; make room, or name another folder in the environment "
            "variable LIGHTNING_BASE_CACHE"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def kept(name: str, key: str, make: Callable[[], "pd.DataFrame"]) -> "pd.DataFrame":
    """A table from the cache folder; made, and kept there, where it is not in it.

    Args:
        name: folder in the cache.
        key: what the table depends on.
        make: makes it.
    """
    path = cache_root() / name / f"{hashlib.sha256(key.encode()).hexdigest()}.parquet"
    with contextlib.suppress(ArtefactError):  # none yet, or damaged
        return read_frame(path, "")
    table = make()
    with contextlib.suppress(OSError):  # a help, that a full or read-only disk may lack
        write_parquet(path, table)
    return table
