"""Cores: how many this process may use, and how a server shares them between batches."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from lightning_base.runtime.answering import Answering
from lightning_base.runtime.command import EXAMPLES
from lightning_base.runtime.folder import read_json
from lightning_base.runtime.model import Model

QUOTA = Path("/sys/fs/cgroup/cpu.max")
SHORT = 0.005  # seconds that one input may take on one core, for which more cores are not worth waiting for
SMALL = 64 * 2**20  # bytes of graphs that are loaded twice where one core turns out to be too few


def cores(quota: Path = QUOTA) -> int:
    """Processors that this process may run on; in a container no more than its quota (cgroup v2).

    Args:
        quota: the file that says it; where it cannot be read there is none.
    """
    there = len(os.sched_getaffinity(0))
    try:
        most, period = quota.read_text(encoding="ascii").split()
        return max(1, min(there, math.ceil(int(most) / int(period))))
    except (OSError, ValueError, ArithmeticError):  # "max 100000" where there is no quota
        return there


def is_short(model: Model) -> bool:
    """Whether an example is answered so fast that one core is enough for it; the first has been answered before."""
    example = model.read(read_json(model.folder / EXAMPLES)[0]["input"])
    taken = []
    for _ in range(3):
        begin = perf_counter()
        model.run([example])
        taken.append(perf_counter() - begin)
        if min(taken) > 2 * SHORT:
            break
    return min(taken) <= SHORT


def at_once(models: Sequence[Answering]) -> int:
    """Batches that are best computed at once: one a core, where each is computed by one."""
    return cores() if all(getattr(model, "threads", None) == 1 for model in models) else 1
