"""Locks between processes, as files: each ends with the process that holds it, however that ends.

Where a file system has no locks (some NFS mounts) nothing is held, and nothing waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lightning_base.errors import ArtefactError
from lightning_base.tools.process import is_main

PATIENCE = 60.0  # seconds to wait for what takes none: a look at a folder, and a few small files written there


@contextmanager
def claiming(path: Path) -> Iterator[None]:
    """Holds a file or folder, which need not be there, against other processes while it is looked at and written.

    Main processes alone take it. It is held for a moment, never for a training.

    Raises:
        ArtefactError: where another process has held it for a minute.
    """
    if not is_main():
        yield
        return
    with hold(path.with_name(f".{path.name}.lock"), PATIENCE) as held:
        if not held:
            raise ArtefactError(
                f"{path}: another process has been at work there for {PATIENCE:.0f} seconds; run the same command "
                "again when it has ended"
            )
        yield


@contextmanager
def hold(path: Path, wait: float = 0.0) -> Iterator[bool]:
    """Holds a lock's file for a while; whether it could be had within so many seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        yield False
        return
    except (NotImplementedError, OSError):  # a file system without locks
        yield True
        return
    try:
        yield True
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a living process holds a lock's file."""
    if not path.is_file():
        return False
    with hold(path) as held:
        return not held
