"""What a process has taken: memory and processor time, as Linux counts them."""

import os
from pathlib import Path


def resident(pid: int) -> tuple[int, int]:
    """Bytes of memory that a process holds now, and the most that it has held.

    Raises:
        OSError: where there is no such process, or no /proc.
    """
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    if "VmRSS" not in lines:
        raise ProcessLookupError(f"process {pid} has ended")
    now, most = (int(lines[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))
    return now, most


def processor(pid: int) -> float:
    """Seconds of processors that a process has taken.

    Raises:
        OSError: where there is no such process, or no /proc.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))
