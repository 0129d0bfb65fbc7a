"""What becomes of a Slurm job: followed until it has left the queue for good."""

import re
import subprocess
import time
from pathlib import Path

from lightning_base.distributed.slurm import FINAL
from lightning_base.errors import ConfigError
from lightning_base.tools.console import console
from lightning_base.tools.files import last_line

ORDINARY = ("None", "Priority", "BeginTime")  # squeue's reasons of jobs that only wait for their turn


def follow(job: str, logs: Path) -> int:
    """Waits until a job, or each of an array's, has ended, and says what becomes of it; the exit status, the highest.

    There may be no accounting database: Slurm itself tells it, for some minutes (slurm.conf's MinJobAge).

    Args:
        job: its number.
        logs: the folder that it prints to, NUMBER.out.

    Raises:
        UserError: where Slurm knows of no such job.
    """
    known: dict[str, dict[str, str]] = {}
    shown: dict[str, str] = {}
    began, out = time.monotonic(), console()
    while True:
        seen = details(job)
        if seen is not None:
            known = {number: told for number, told in known.items() if told["JobState"] in FINAL} | seen
        for number, told in known.items():
            line = f"job {number}: {describe(told)}"
            if shown.get(number) != line:
                shown[number] = line
                failed = told["JobState"] in FINAL and status(told) != 0
                tail = f"; {last_words(logs / f'{number}.out')}" if failed else ""
                out.print(line + tail, soft_wrap=True)
        if known and all(told["JobState"] in FINAL for told in known.values()):
            return max(status(told) for told in known.values())
        if seen is not None and not known:
            raise ConfigError(f"launch slurm: Slurm knows of no job {job} any more; what it printed stands in {logs}")
        time.sleep(min(1 + (time.monotonic() - began) / 60, 15))  # seconds: each question is a load on the cluster


def details(job: str) -> dict[str, dict[str, str]] | None:
    """What Slurm tells of a job, or of each of an array's, by number; None where it does not answer."""
    done = subprocess.run(["scontrol", "--oneliner", "show", "job", job], capture_output=True, text=True, check=False)
    if done.returncode:
        return {} if "Invalid job id" in done.stderr else None
    found = {}
    for line in done.stdout.splitlines():
        told = dict(re.findall(r"(\w+)=(\S*)", line))
        if "JobState" in told:
            array = "ArrayTaskId" in told
            found[f"{told['ArrayJobId']}_{told['ArrayTaskId']}" if array else told["JobId"]] = told
    return found


def describe(told: dict[str, str]) -> str:
    """A job's state in words: where it runs, why it waits, and how often it has been started again."""
    again = int(told.get("Restarts", "0"))
    where = f" on {told['NodeList']}" if told["JobState"] == "RUNNING" and told.get("NodeList") else ""
    reason = told.get("Reason", "None")
    why = f" ({reason})" if told["JobState"] == "PENDING" and reason not in ORDINARY else ""
    return (
        told["JobState"] + where + why + (f", restarted {again} times" if again > 1 else ", restarted" if again else "")
    )


def status(told: dict[str, str]) -> int:
    """A job's exit status as a shell has it: 128 and the number of the signal that ended it; not 0 where it failed."""
    if told["JobState"] == "COMPLETED":
        return 0
    code, _, number = told.get("ExitCode", "0:0").partition(":")
    return int(code) or (128 + int(number) if int(number or 0) else 1)


def last_words(log: Path) -> str:
    """The last line of a job's log that is its own, and where the log is."""
    said = last_line(log)
    return (f"it said: {said}; " if said else "") + f"its log is {log}"
