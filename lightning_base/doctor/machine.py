"""The machine: cores and threads, memory, limits of files, and the folders that runs write to."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path

from lightning_base.doctor.finding import Finding, duration, size
from lightning_base.tools.process import cores

ROOT = Path("/")
AREA = "machine"
TRIED = 32 * 2**20  # bytes that are written to measure a disk


def levels(controller: str, root: Path = ROOT) -> Iterator[Path]:
    """The folders of this process' control group and those above it, for a controller; both versions of cgroups."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controllers and controller)
        home = mount / path.lstrip("/")
        yield from (folder for folder in (home, *home.parents) if folder.is_relative_to(mount) and folder.is_dir())


def number(path: Path) -> int | None:
    """The number in a file; None where there is none."""
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def cpu_quota(root: Path = ROOT) -> float | None:
    """Cores' worth of time that control groups let this process have; None where they set no bound."""
    found = []
    for folder in levels("cpu", root):
        quota, period = number(folder / "cpu.cfs_quota_us"), number(folder / "cpu.cfs_period_us")
        with suppress(OSError, ValueError):
            first, second = (folder / "cpu.max").read_text().split()
            quota, period = int(first), int(second)  # "max" is no number: no bound
        if quota is not None and period and quota > 0:
            found.append(quota / period)
    return min(found, default=None)


def memory(root: Path = ROOT) -> tuple[int, int] | None:
    """Bytes of memory that this process could have at most, and has left, control groups' bounds included."""
    fields = {}
    with suppress(OSError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            key, _, value = line.partition(":")
            fields[key] = int(value.split()[0]) * 1024  # the file's kB are 1024 bytes
    if "MemTotal" not in fields:
        try:
            total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (ValueError, OSError):
            return None
        return total, total
    total, free = fields["MemTotal"], fields.get("MemAvailable", fields.get("MemFree", 0))
    for folder in levels("memory", root):
        limit, used = number(folder / "memory.max"), number(folder / "memory.current")
        if limit is None:
            limit, used = number(folder / "memory.limit_in_bytes"), number(folder / "memory.usage_in_bytes")
        if limit is not None and limit < total:
            total = limit
            free = min(free, limit - (used or 0) + _cached(folder))
    return total, max(free, 0)


def _cached(folder: Path) -> int:
    """Bytes of a control group's memory that are files' pages, which go where memory is wanted."""
    with suppress(OSError, ValueError):
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return 0


def usable_cores(root: Path = ROOT) -> int:
    """Cores that this process can keep busy."""
    quota = cpu_quota(root)
    return cores() if quota is None else max(min(cores(), ceil(quota)), 1)


def machine(processes: int = 1, root: Path = ROOT) -> Iterator[Finding]:
    """Cores, threads, memory and limits.

    Args:
        processes: how many of this machine's processes belong to the run.
        root: where /proc and /sys are.
    """
    import torch

    usable, quota, threads = usable_cores(root), cpu_quota(root), torch.get_num_threads()
    bound = "" if quota is None else f", a control group gives {quota:.3g} cores of time"
    yield Finding("ok", AREA, "cores", f"{usable} usable of {os.cpu_count()}{bound}", number=usable)
    each = f"{threads} per process" + (f", {processes} processes" if processes > 1 else "")
    variable = os.environ.get("OMP_NUM_THREADS")
    said = f" (OMP_NUM_THREADS={variable})" if variable else ""
    if threads * processes > usable:
        mend = f"export OMP_NUM_THREADS={max(usable // processes, 1)}"
        yield Finding("warning", AREA, "threads", f"{each}{said} on {usable} cores wait for one another", mend, threads)
    else:
        yield Finding("ok", AREA, "threads", f"{each}{said}", number=threads)
    if (found := memory(root)) is not None:
        total, free = found
        little = free < 10**9
        mend = "end other programs, or take a larger machine" if little else ""
        value = f"{size(free)} free of {size(total)}"
        yield Finding("warning" if little else "ok", AREA, "memory", value, mend, free)
    yield from _limits(root)


def _limits(root: Path) -> Iterator[Finding]:
    """How many files may be open, and the shared memory."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 0 <= soft < 1024
    highest = "" if hard < 0 else f" (at most {hard})"
    mend = f"ulimit -n {4096 if hard < 0 else min(hard, 4096)}" if few else ""
    yield Finding("warning" if few else "ok", AREA, "open files", f"{soft}{highest}", mend, soft)
    shared = root / "dev/shm"
    if shared.is_dir():
        status = os.statvfs(shared)
        room = status.f_frsize * status.f_blocks
        small = room < 2**28  # Docker gives 64 MiB, too little for NCCL between GPUs and for workers of loaders
        mend = "docker run --shm-size=8g, or --ipc=host" if small else ""
        yield Finding("warning" if small else "ok", AREA, "/dev/shm", size(room), mend, room)


def nearest(folder: Path) -> Path:
    """The folder, or what is nearest above it and there."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def disk(what: str, folder: Path, option: str) -> Finding:
    """Whether a folder can be written, how fast, and how much room there is; nothing is left in it.

    Args:
        what: what the folder is for.
        folder: it may not be there yet.
        option: what names another one.
    """
    home, mend = nearest(folder), f"give another folder with {option}"
    if not home.is_dir():
        return Finding("trouble", AREA, what, f"{folder}: {home} is a file", mend)
    try:
        with tempfile.TemporaryFile(dir=home) as file:
            block = os.urandom(2**20)
            began = time.perf_counter()
            for _ in range(TRIED // len(block)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            seconds = time.perf_counter() - began
        status = os.statvfs(home)
    except OSError as error:
        return Finding("trouble", AREA, what, f"{folder} cannot be written: {error.strerror}", mend)
    free = status.f_frsize * status.f_bavail
    value = f"{folder}: {size(free)} free, {size(TRIED)} written in {duration(seconds)}"
    if status.f_files and not status.f_favail:
        return Finding("trouble", AREA, what, f"{folder}: no inode is left", f"delete files, or {mend}", free)
    if free < 10**9:
        return Finding("warning", AREA, what, value, f"make room, or {mend}", free)
    if TRIED / seconds < 10**7:
        return Finding("warning", AREA, what, f"{value}, which is slow", mend, free)
    return Finding("ok", AREA, what, value, number=free)
