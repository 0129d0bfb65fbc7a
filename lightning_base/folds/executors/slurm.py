"""The Slurm executor: folds submitted as an array of jobs, and followed until each has left a result or has failed."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from lightning_base.distributed.slurm import TASK, Slurm, Task, queue, script, submit
from lightning_base.errors import ConfigError
from lightning_base.results import states
from lightning_base.tools.console import console
from lightning_base.tools.files import last_line, write_json, write_text
from lightning_base.tools.locks import claiming
from lightning_base.tools.process import path_variables

SETTLE = 5.0  # seconds that a shared file system may take to show what a task has left
PASSING = ("None", "JobArrayTaskLimit")  # squeue's reasons of tasks that wait for nothing or for those before them


def submit_and_follow(
    directory: Path,
    folds: Sequence[int],
    slurm: Slurm,
    threads: int | None,
    ended: Callable[[int], None],
    look: Callable[[Iterable[int]], None],
) -> None:
    """Submits folds as an array of jobs and waits until each has ended; those still queued are not submitted again.

    Writes slurm/crossval.sh, and the jobs write slurm/<job>_<fold>.out. An interrupt leaves the jobs as they are.

    Args:
        directory: of the cross-validation; every node must see it.
        folds: which.
        slurm: what a fold asks for, as `Slurm.check` gives it.
        threads: threads that each process of a fold computes with; by default as many as it has CPUs.
        ended: called with each fold that has left its result, or has failed.
        look: called with the folds that have not, again and again.

    Raises:
        UserError: where Slurm refuses the job, or does not answer.
    """
    directory = directory.resolve()
    path, out = directory / "slurm" / "crossval.sh", console()
    with claiming(path):  # else two commands would both submit what neither sees in the queue
        jobs = _submitted(directory, path, folds, slurm, threads)
    names = " ".join(sorted(set(jobs.values())))
    try:
        follow(directory, jobs, path, ended, look)
    except KeyboardInterrupt:
        out.print(f"the folds go on: run the same command again to follow them; `scancel {names}` ends them")
        raise


def _submitted(directory: Path, path: Path, folds: Sequence[int], slurm: Slurm, threads: int | None) -> dict[int, str]:
    """The job of each fold, those that are in the queue already included."""
    out = console()
    found = queue(path)
    if found is None:
        raise ConfigError("--executor slurm: squeue does not answer; try again when the cluster does")
    jobs = {task.number: task.job for task in found if task.number in folds and not task.ended}
    if jobs:
        out.print(f"folds {sorted(jobs)} are in the queue already (job {', '.join(sorted(set(jobs.values())))})")
    if rest := [fold for fold in folds if fold not in jobs]:
        threads = threads or slurm.cpus_per_task or 1
        text = script(
            [sys.executable, "-m", "lightning_base.cli.worker", str(directory), TASK],
            replace(slurm, cpus_per_task=slurm.cpus_per_task or threads),
            says=f"Folds of {directory}, one per task; written by `lightning-base crossval`.",
            name=directory.parent.name,
            log=path.with_name("%A_%a.out"),
            threads=threads,
            array=rest,
        )
        write_text(path, text)
        job = submit(path, more=path_variables())
        jobs |= dict.fromkeys(rest, job)
        out.print(f"job {job}: folds {rest}, submitted by {path}", soft_wrap=True)
    return jobs


def follow(
    directory: Path,
    jobs: dict[int, str],
    path: Path,
    ended: Callable[[int], None],
    look: Callable[[Iterable[int]], None],
) -> None:
    """Waits for folds, each a task of a job; one that left the queue without a result or an error has failed."""
    began, shown = time.monotonic(), ""
    left: dict[int, float] = {}  # since when a fold is out of the queue
    while jobs:
        found = queue(path, sorted(set(jobs.values())))
        tasks = {(task.job, task.number): task for task in found or ()}
        for fold, job in list(jobs.items()):
            home, task = directory / f"fold_{fold}", tasks.get((job, fold))
            list(home.glob("*.json"))  # has NFS look whether the folder has changed
            state = states.read(home)["state"]
            if state != "done":
                if found is None or (task is not None and not task.ended):
                    left.pop(fold, None)
                    continue
                since = left.setdefault(fold, time.monotonic())
                if state != "failed":
                    if time.monotonic() < since + SETTLE:
                        continue
                    write_json(home / states.STATE, states.failed(TaskEnded(why(job, fold, task, path.parent))))
            del jobs[fold]
            ended(fold)
        if found is not None and (now := waiting([task for task in found if task.number in jobs])) != shown:
            shown = now
            if now:
                console().print(now)
        look(jobs)
        if jobs:
            time.sleep(min(1 + (time.monotonic() - began) / 60, 15))  # seconds: squeue is a load on the cluster


class TaskEnded(Exception):
    """A task that Slurm ended before its fold was done."""


def why(job: str, fold: int, task: Task | None, logs: Path) -> str:
    """Why a task left the queue: what Slurm says, or what its command printed last; and where all of it stands."""
    log = logs / f"{job}_{fold}.out"
    state = "gone from the queue" if task is None else task.state
    said = ""
    if state == "FAILED":
        said = f" ({line})" if (line := last_line(log)) else ""
    elif task is not None and task.reason not in PASSING:
        said = f" ({task.reason})"
    return f"Slurm's job {job}_{fold} is {state} without a result{said}; its log is {log}"


def waiting(tasks: Sequence[Task]) -> str:
    """Why nothing happens, where no fold runs and folds wait; else nothing."""
    live = [task for task in tasks if not task.ended]
    reasons = Counter(task.reason for task in live if task.state == "PENDING" and task.reason not in PASSING)
    if not reasons or any(task.state != "PENDING" for task in live):
        return ""
    return "folds wait in the queue: " + ", ".join(f"{count} for {reason}" for reason, count in sorted(reasons.items()))
