"""What a process is among others: whether it is the main one, what it inherits, and how others are ended."""

import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_only


def is_main() -> bool:
    """Whether this process is the one that writes and prints: the only one, or the first of a launch.

    Lightning sets the rank when it is imported; a process that has not imported it is alone.
    """
    return getattr(rank_zero_only, "rank", None) in (0, None)


def cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_variables(threads: int) -> dict[str, str]:
    """The environment variables by which a process computes with so many threads."""
    return {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}


def path_variables() -> dict[str, str]:
    """The environment variables by which another Python finds the modules that this one finds, in the same order.

    Python's own folders are left out, which the other one has. Its working directory, which `python -m` would put
    first, is found where this one has it.
    """
    entries = [os.path.abspath(entry) for entry in sys.path]  # "" is the working directory
    own = [entry for entry in dict.fromkeys(entries) if not is_pythons(entry) and os.pathsep not in entry]
    return {"PYTHONPATH": os.pathsep.join(own), "PYTHONSAFEPATH": "1"}


def is_pythons(entry: str) -> bool:
    """Whether a folder or file on the path is of Python itself, or one that packages are installed in."""
    folders = {sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    version = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    return entry.endswith(version) or any(Path(entry).is_relative_to(folder) for folder in folders)


def stop(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Ends processes that still run, each the head of its own session: by an interrupt, after ten seconds at once."""
    alive = [process for process in processes if process.poll() is None]
    for process in alive:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
    until = time.monotonic() + 10
    for process in alive:
        try:
            process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
