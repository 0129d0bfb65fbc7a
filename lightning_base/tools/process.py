"""What a process is among others: whether it is the main one, what it inherits, and how others are ended."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from lightning_utilities.core.rank_zero import rank_zero_only


def is_main() -> bool:
    """Whether this process is the one that writes and prints: the only one, or the first of a launch.

    Lightning sets the rank when it is imported; a process that has not imported it is alone.
    """
    return getattr(rank_zero_only, "rank", None) in (0, None)


def thread_variables(threads: int) -> dict[str, str]:
    """The environment variables by which a process computes with so many threads."""
    return {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}


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
