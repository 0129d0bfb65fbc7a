"""The Slurm executor: folds submitted as an array of jobs, and followed until each has left a result or has failed."""

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lightning_base import states
from lightning_base.display import console
from lightning_base.errors import UserError, one_line
from lightning_base.files import read_json, write_json, write_text
from lightning_base.sbatch import FINAL, Slurm, Task, queue, script, submit

__all__ = ["Slurm", "submit_and_follow"]

SETTLE = 5.0  # seconds that a shared file system may take to show what a task has left


def submit_and_follow(
    directory: Path, folds: Sequence[int], slurm: Slurm, threads: int | None, ended: Callable[[int], None]
) -> None:
    """Submits folds as an array of jobs and waits until each has ended; those still queued are not submitted again.

    Writes slurm/crossval.sh and slurm/job.json. An interrupt leaves the jobs as they are.

    Args:
        directory: of the cross-validation; every node must see it.
        folds: which.
        slurm: what a fold asks for.
        threads: threads that each process of a fold computes with; by default as many as it has CPUs.
        ended: called with each fold that has left its result, or has failed.

    Raises:
        UserError: where Slurm refuses the job, or does not answer.
    """
    directory = directory.resolve()
    path, record, out = directory / "slurm" / "crossval.sh", directory / "slurm" / "job.json", console()
    earlier = read_json(record)["jobs"] if record.is_file() else []
    found = queue(earlier, path) if earlier else {}
    if found is None:
        raise UserError(f"squeue does not answer, and {record} names jobs that may still run; try again later")
    jobs = {fold: task.job for fold, task in found.items() if fold in folds and task.state not in FINAL}
    if jobs:
        out.print(f"folds {sorted(jobs)} are in the queue already (job {', '.join(sorted(set(jobs.values())))})")
    if rest := [fold for fold in folds if fold not in jobs]:
        threads = threads or slurm.cpus_per_task or 1
        text = script(
            [sys.executable, "-m", "lightning_base.worker", str(directory)],
            replace(slurm, cpus_per_task=slurm.cpus_per_task or threads),
            says=f"Folds of {directory}, one a task; written by `lightning-base crossval`.",
            name=directory.parent.name,
            log=path.with_name("%A_%a.out"),
            threads=threads,
            array=rest,
        )
        write_text(path, text)
        job = submit(path)
        jobs |= dict.fromkeys(rest, job)
        write_json(record, {"jobs": sorted({*jobs.values()})})
        out.print(f"job {job}: folds {rest}, submitted by {path}")
    try:
        follow(directory, jobs, path, ended)
    except KeyboardInterrupt:
        names = " ".join(sorted(set(jobs.values())))
        out.print(f"the folds go on: run the same command again to follow them; `scancel {names}` ends them")
        raise


def follow(directory: Path, jobs: dict[int, str], path: Path, ended: Callable[[int], None]) -> None:
    """Waits for folds, each a task of a job; one that left the queue without a result or an error has failed."""
    began, shown = time.monotonic(), ""
    left: dict[int, float] = {}  # since when a fold is out of the queue
    while jobs:
        found = queue(set(jobs.values()), path)
        for fold, job in list(jobs.items()):
            home, task = directory / f"fold_{fold}", None if found is None else found.get(fold)
            list(home.glob("*.json"))  # has NFS look whether the folder has changed
            state = states.read(home)["state"]
            if state != "done":
                if found is None or (task is not None and task.state not in FINAL):
                    left.pop(fold, None)
                    continue
                since = left.setdefault(fold, time.monotonic())
                if state != "failed":
                    if time.monotonic() < since + SETTLE:
                        continue
                    write_json(home / states.STATE, states.failed(TaskEnded(why(job, fold, task, path.parent))))
            del jobs[fold]
            ended(fold)
        if found is not None and jobs and (now := census([found[fold] for fold in jobs if fold in found])) != shown:
            shown = now
            console().print(now)
        if jobs:
            time.sleep(min(1 + (time.monotonic() - began) / 60, 15))  # seconds: squeue is a load on the cluster


class TaskEnded(Exception):
    """A task that Slurm ended before its fold was done."""


def why(job: str, fold: int, task: Task | None, logs: Path) -> str:
    """Why a task left the queue, with the last line that it printed and where the others stand."""
    log = logs / f"{job}_{fold}.out"
    state = "gone from the queue" if task is None else task.state
    if task is not None and task.reason not in ("None", ""):
        state += f" ({task.reason})"
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    said = [line for line in lines if line.strip() and not re.match(r"srun: |slurmstepd", line)]
    last = f", its last line is {one_line(said[-1])[:200]!r}" if said else ""
    return f"Slurm's job {job}_{fold} is {state} without a result{last}; its log is {log}"


def census(tasks: Sequence[Task]) -> str:
    """How many folds run and how many wait for what."""
    waiting = Counter(task.reason for task in tasks if task.state == "PENDING")
    running = sum(task.state in ("RUNNING", "COMPLETING") for task in tasks)
    reasons = ", ".join(f"{count} for {reason}" for reason, count in sorted(waiting.items()))
    return f"{running} folds run" + (f", {waiting.total()} wait ({reasons})" if waiting else "")
