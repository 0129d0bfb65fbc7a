"""Jobs for Slurm: what one asks for, the plain script of any command, and its way into the queue."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lightning_base.distributed.process import STATUS, is_foreign
from lightning_base.errors import ConfigError, one_line
from lightning_base.tools.process import thread_variables

# squeue(1), JOB STATE CODES: those that a job does not leave; a requeued one goes back to PENDING without them
FINAL = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"),
    *("NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
TASK = "@task"
TIME = r"\d+(:\d{1,2}){0,2}|\d+-\d{1,2}(:\d{1,2}){0,2}|UNLIMITED|INFINITE"  # sbatch(1), --time
MEMORY = r"\d+([KMGT]B?)?"
# options of the script's own; clusters would send the job where squeue does not look
OWN = r"array|chdir|clusters|cpus-per-task|job-name|nodes|(no-)?requeue|ntasks(-per-node)?|open-mode|output|signal|wrap"


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """What a job asks of Slurm.

    Args:
        partition: the partition; by default the cluster's.
        account: the account to charge.
        qos: the quality of service.
        time: the time limit, such as 02:00:00 or 1-12:00:00.
        nodes: nodes per job; by default what trainer.num_nodes says.
        tasks_per_node: processes per node; by default what trainer.devices says.
        gpus_per_node: GPUs per node, such as 4 or a100:4.
        cpus_per_task: CPUs per process; by default as many as it has threads.
        mem: memory per node, such as 16G.
        at_once: how many of an array's jobs may run at once; by default as many as the cluster lets.
        setup: shell lines before the work, such as module load cuda.
        extra: further options of sbatch, such as --constraint=a100.
        requeue: whether a job goes on after a lost node, a preemption or its time limit.
        signal: seconds before the time limit at which a job keeps a checkpoint and is queued again.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    nodes: int | None = None
    tasks_per_node: int | None = None
    gpus_per_node: int | str | None = None
    cpus_per_task: int | None = None
    mem: str | None = None
    at_once: int | None = None
    setup: str = ""
    extra: list[str] = field(default_factory=list)
    requeue: bool = True
    signal: int = 90

    def check(
        self,
        devices: int | str | Sequence[int],
        num_nodes: int,
        accelerator: str = "auto",
        submits: bool = True,
        asker: str = "--executor slurm: ",
        prefix: str = "--slurm.",
    ) -> "Slurm":
        """The same with nodes, tasks and GPUs filled in from what the Trainer is asked for.

        Args:
            devices: trainer.devices.
            num_nodes: trainer.num_nodes.
            accelerator: trainer.accelerator.
            submits: whether the job will be submitted from here.
            asker: begins the messages, but for those that begin with an option.
            prefix: stands before an option's name.

        Raises:
            UserError: for a value that Slurm would refuse, another number of processes than the Trainer's, or a machine
                without Slurm.
        """
        for key in ("partition", "account", "qos", "gpus_per_node"):
            self._demand(prefix, key, r"[^\s'\"\\]+", "no name; give one without spaces and quotes")
        self._demand(prefix, "time", TIME, "no time limit; give one such as 02:00:00")
        self._demand(prefix, "mem", MEMORY, "no amount of memory; give one such as 16G")
        for key in ("nodes", "tasks_per_node", "cpus_per_task", "at_once"):
            self._demand(prefix, key, r"[1-9]\d*", "no positive number; give one, or leave it out")
        self._demand(prefix, "signal", r"\d{1,4}", "not from 0 to 9999 seconds")
        for option in self.extra:
            name = re.fullmatch(r"--([a-z-]+)(=.+)?", option)
            if name is None:
                raise ConfigError(f"{prefix}extra: {option!r} is no option; give one such as --constraint=a100")
            if re.fullmatch(OWN, name[1]):
                raise ConfigError(f"{prefix}extra: --{name[1]} is what the script itself says; leave it out")
        gpus, ranks = self.gpus_per_node, self.ranks(devices, accelerator)
        for key, asked, expected, source in (
            ("nodes", self.nodes, num_nodes, "trainer.num_nodes"),
            ("tasks_per_node", self.tasks_per_node, ranks, "trainer.devices"),
            ("gpus_per_node", None if gpus is None else count(gpus), ranks, "trainer.devices"),
        ):
            if asked is not None and asked != expected:
                raise ConfigError(
                    f"{prefix}{key} is {asked}, but {source} gives {expected}; leave it out, or set {source} to {asked}"
                )
        for program in ("sbatch", "squeue") if submits else ():
            if shutil.which(program) is None:
                raise ConfigError(f"{asker}no {program} here; run it where a cluster's jobs are submitted")
        if gpus is None and accelerator in ("gpu", "cuda") and not any(re.match("--g(res|pus)", o) for o in self.extra):
            gpus = ranks
        return replace(self, nodes=num_nodes, tasks_per_node=ranks, gpus_per_node=gpus)

    def _demand(self, prefix: str, key: str, pattern: str, otherwise: str) -> None:
        """Refuses a value that does not match the pattern."""
        value = getattr(self, key)
        if value is not None and not re.fullmatch(pattern, str(value), re.IGNORECASE):
            raise ConfigError(f"{prefix}{key}: {value!r} is {otherwise}")

    def ranks(self, devices: int | str | Sequence[int], accelerator: str) -> int:
        """Processes per node, as Lightning reads trainer.devices: a number, numbers of devices, or all there are."""
        if isinstance(devices, str) and devices != "auto":
            listed = [int(number) for number in devices.split(",") if number.strip()]
            devices = listed if "," in devices else listed[0]
        if not isinstance(devices, int | str):
            return len(devices)
        if devices not in ("auto", -1):
            return int(devices)
        if self.gpus_per_node is not None:
            return count(self.gpus_per_node)
        if accelerator not in ("auto", "cpu"):
            raise ConfigError(
                f"trainer.devices: what a node has is not known here ({devices!r}); give a number of devices"
            )
        return 1

    def options(self) -> list[str]:
        """The options of sbatch for one job."""
        given = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "time": self.time,
            "nodes": self.nodes or 1,
            "ntasks-per-node": self.tasks_per_node or 1,
            "gpus-per-node": self.gpus_per_node,
            "cpus-per-task": self.cpus_per_task,
            "mem": self.mem,
            # USR1 goes to the job's steps, where lightning_base.training.preempt keeps a checkpoint and ends them so
            "signal": f"USR1@{self.signal}" if self.requeue else None,
        }
        own = [f"--{key}={value}" for key, value in given.items() if value is not None]
        return [*own, "--requeue" if self.requeue else "--no-requeue", *map(shlex.quote, self.extra)]


def count(gpus: int | str) -> int:
    """How many, of what --gpus-per-node takes: 4, or a100:4; a type alone is one."""
    last = str(gpus).rpartition(":")[2]
    return int(last) if last.isdigit() else 1


def script(
    command: Sequence[str],
    slurm: Slurm,
    *,
    says: str,
    name: str,
    log: Path,
    threads: int,
    array: Sequence[int] | None = None,
) -> str:
    """A script for sbatch that runs a command, once per task, in the working directory.

    A command that ends with STATUS is queued again. Ranks end ten minutes after the first one, not at once where it
    failed: srun would kill those that are about to end with STATUS too, and itself end with another.

    Args:
        command: the program and its arguments; TASK in one stands for the number of an array's task.
        slurm: what the job asks for.
        says: one line on what the job is.
        name: what the queue calls it.
        log: what it prints goes there; sbatch's %A, %a and %j stand for the job's numbers.
        threads: threads that each process computes with.
        array: numbers of the tasks, each a job of its own.
    """
    options = [f"--job-name={shlex.quote(name)}", *slurm.options()]
    if array is not None:
        most = f"%{slurm.at_once}" if slurm.at_once else ""
        options.append(f"--array={','.join(map(str, array))}{most}")
    folder = shlex.quote(str(log.parent).replace("%", "%%") + f"/{log.name}")
    options += [f"--output={folder}", "--open-mode=append"]
    step = ["srun", "--kill-on-bad-exit=0", "--wait=600"]
    if slurm.cpus_per_task:
        step.append(f"--cpus-per-task={slurm.cpus_per_task}")  # from Slurm 22.05 on it is not taken from the job
    names = " ".join(f"{name}={value}" for name, value in thread_variables(threads).items())
    lines = [
        "#!/usr/bin/env bash",
        f"# {says}",
        *(f"#SBATCH {option}" for option in options),
        "",
        *([slurm.setup.strip()] if slurm.setup.strip() else []),
        f"cd {shlex.quote(os.getcwd())} || exit",
        f"export {names}",
    ]
    work = " ".join(quoted(word) for word in [*step, *command])
    if not slurm.requeue:
        lines += [work]
    else:
        # the number of an array's task that runs alone may be that of the whole array
        job = "$SLURM_JOB_ID" if array is None else "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
        lines += [
            "status=0",
            f"{work} || status=$?",
            f"# {STATUS}: a signal stopped it, with a checkpoint from which the same job goes on",
            f'if [ $status = {STATUS} ]; then scontrol requeue "{job}"; fi',
            "exit $status",
        ]
    return "\n".join(lines) + "\n"


def quoted(word: str) -> str:
    """A word of a command for the shell, TASK in it being the number of the array's task."""
    return '"$SLURM_ARRAY_TASK_ID"'.join(shlex.quote(part) if part else "" for part in word.split(TASK)) or "''"


def submit(path: Path, asker: str = "--executor slurm: ", more: Mapping[str, str] | None = None) -> str:
    """Submits a script; returns the job's number; `asker` begins a refusal.

    The job has this process' environment and `more`, but not what belongs to an allocation or a launcher that it is in.

    Raises:
        UserError: where Slurm refuses it.
    """
    # once more as arguments, which variables such as SBATCH_TIMELIMIT do not overrule
    options = [shlex.split(line)[1] for line in path.read_text().splitlines() if line.startswith("#SBATCH ")]
    environment = {key: value for key, value in os.environ.items() if not is_foreign(key)} | dict(more or {})
    done = subprocess.run(
        ["sbatch", "--parsable", *options, str(path)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ConfigError(f"{asker}sbatch refused {path}: {one_line(done.stderr.replace('sbatch: error: ', ''))}")
    return done.stdout.strip().partition(";")[0]


@dataclass(frozen=True)
class Task:
    """One task of an array, as squeue tells it: the job's number and its own, its state, and why it is in it."""

    job: str
    number: int
    state: str
    reason: str

    @property
    def ended(self) -> bool:
        """Whether it has left the queue for good."""
        return self.state in FINAL


def queue(path: Path, jobs: Collection[str] = ()) -> list[Task] | None:
    """The tasks that were submitted by a script; None where Slurm does not answer.

    Those that have ended are among them for some minutes (slurm.conf's MinJobAge).

    Args:
        path: the script.
        jobs: numbers of the jobs to ask for, which is less work for Slurm; by default all of this user.
    """
    whose = f"--jobs={','.join(jobs)}" if jobs else "--me"
    command = ["squeue", whose, "--noheader", "--array", "--states=all", "--format=%F|%K|%T|%r|%o"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return [] if "Invalid job id" in done.stderr else None
    rows = [line.split("|", 4) for line in done.stdout.splitlines()]
    # a job's number is given anew one day: then another script stands there
    return [Task(job, int(number), state, why) for job, number, state, why, file in rows if file == str(path)]
