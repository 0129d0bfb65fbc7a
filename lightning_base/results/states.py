"""The state of each fold of a cross-validation, as files that tell it while and after it runs; read without torch."""

import os
import socket
import time
import traceback
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from rich.table import Table

from lightning_base.errors import ArtefactError, ConfigError, UserError, one_line
from lightning_base.results.fold_result import is_done, read_result
from lightning_base.tools.checksums import read_table
from lightning_base.tools.console import Level, console
from lightning_base.tools.files import demand, read_json, write_json, write_text

STATE = "state.json"
PROGRESS = "progress.json"
MEND = "delete it, and run crossval again"


def running() -> dict[str, Any]:
    """What a fold's state.json says while it runs: where, and since when."""
    return {
        "state": "running",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "began": _began(os.getpid()),
        "since": _now(),
    }


def failed(error: BaseException) -> dict[str, Any]:
    """What it says after an error; the traceback stands in error.txt beside it."""
    return {"state": "failed", "error": f"{type(error).__name__}: {one_line(error)[:500]}", "since": _now()}


def runs_here(directory: Path) -> bool:
    """Whether a living process of this machine trains the fold."""
    state = read(directory)
    return bool(state["state"] == "running" and state["host"] == socket.gethostname())


def holder(directory: Path) -> str:
    """Which process trains a fold, in words."""
    state = read(directory)
    return f"process {state['pid']} on {state['host']}" if state["state"] == "running" else "another process"


def forget_failure(directory: Path) -> None:
    """Makes a failed fold pending again, before it is tried anew."""
    if read(directory)["state"] == "failed":
        (directory / STATE).unlink(missing_ok=True)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def read(directory: Path) -> dict[str, Any]:
    """A fold's state: "pending", "running", "interrupted", "failed" (with `error`) or "done" (with its result).

    Interrupted is a fold whose process, on this machine, is gone; on another machine that cannot be known.
    """
    if is_done(directory):
        return {**asdict(read_result(directory)), "state": "done"}
    if not (directory / STATE).is_file():
        return {"state": "pending"}
    state = read_json(directory / STATE, MEND, {"state": str})
    if state["state"] == "running":
        demand(state, {"host": str, "pid": int}, directory / STATE, MEND)
        if state["host"] == socket.gethostname() and not _alive(state["pid"], state.get("began")):
            state["state"] = "interrupted"
    return state


def _alive(pid: int, began: str | None) -> bool:
    """Whether this process runs, and is not a later one of the same number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no process has so large a number
        return False
    except PermissionError:
        pass
    return _began(pid) == began


def _began(pid: int) -> str | None:
    """When a process began, as Linux counts it; None where this is not known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return f"{_boot()} {stat[19]}"
    except OSError:
        return None


@cache
def _boot() -> str:
    """Which start of the machine this is, as Linux names it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def states(directory: Path) -> list[dict[str, Any]]:
    """The state of every fold of a crossval directory.

    Raises:
        UserError: for a directory that is none.
    """
    path = directory / "split.parquet"
    if not path.is_file():
        raise ConfigError(
            f"{directory} is no crossval directory (it has no split.parquet); name one, as runs/NAME/crossval"
        )
    try:
        k = max(read_table(path, "put it back, or run anew")["fold"].to_pylist()) + 1
    except (ValueError, TypeError, KeyError) as error:
        raise ArtefactError(f"{path}: cannot be read ({one_line(error)}); put it back, or run anew") from error
    return [read(directory / f"fold_{fold}") for fold in range(k)]


def show_status(directory: Path) -> int:
    """Prints a table of the folds; returns the exit status: 0 where all are done, else 1."""
    found = states(directory)
    table = Table(title=str(directory), title_justify="left")
    for heading in ("fold", "state", "epochs", "seconds", "since"):
        table.add_column(heading, no_wrap=True)
    table.add_column("error")
    for fold, state in enumerate(found):
        seconds = f"{state['seconds']:.1f}" if "seconds" in state else ""
        seen = read_progress(directory / f"fold_{fold}") or {}
        table.add_row(
            str(fold),
            state["state"],
            str(state.get("epochs", f"{seen['epochs']:.1f}" if seen else "")),
            seconds,
            str(state.get("since", "")),
            str(state.get("error", "")),
        )
    out = console(Level.QUIET)
    out.print(table)
    done = sum(state["state"] == "done" for state in found)
    out.print(f"{done} of {len(found)} folds are done")
    return 0 if done == len(found) else 1


def note_failure(directory: Path, error: Exception) -> None:
    """Leaves in a fold's directory why it failed."""
    write_json(directory / STATE, failed(error))
    write_text(directory / "error.txt", "".join(traceback.format_exception(error)))


def note_success(directory: Path) -> None:
    """Takes away what a fold that is done needs no more: its result says it all."""
    for name in (STATE, PROGRESS, "error.txt"):
        (directory / name).unlink(missing_ok=True)


def note_progress(directory: Path, seen: dict[str, Any]) -> None:
    """Leaves in a fold's directory how far it is, for other processes; a disk that takes none stops no training."""
    with suppress(OSError):
        write_json(directory / PROGRESS, seen)


def read_progress(directory: Path) -> dict[str, Any] | None:
    """How far a fold that runs is, as its process last left it; None where it does not run or has left nothing."""
    if not (directory / PROGRESS).is_file() or read(directory)["state"] != "running":
        return None
    with suppress(UserError):  # it has just ended
        seen = read_json(directory / PROGRESS)
        return seen if isinstance(seen.get("epochs"), int | float) else None
    return None
