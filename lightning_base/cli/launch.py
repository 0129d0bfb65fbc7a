"""`lightning-base launch slurm|torchrun|tpu … -- VERB …`: a plain script that starts a verb elsewhere, started."""

import os
import re
import sys
import time
from argparse import ArgumentError
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jsonargparse import ArgumentParser, Namespace

from lightning_base.cli import torchrun
from lightning_base.cli.follow import follow
from lightning_base.cli.torchrun import Torchrun
from lightning_base.distributed.process import leave_allocation
from lightning_base.distributed.slurm import TASK, Slurm, script, submit
from lightning_base.errors import ConfigError, one_line, suggest
from lightning_base.tools.console import Level, console, quiet
from lightning_base.tools.files import write_text
from lightning_base.training.experiment import Experiment
from lightning_base.training.preflight import preflight
from lightning_base.training.run import build
from lightning_base.verbs.opening import open_experiment
from lightning_base.verbs.words import LEVELS, given, with_saved_config, without_level

ASKER = "launch slurm: "
VERBS = ("fit", "crossval", "validate", "test", "predict")
HELP = f"""usage: lightning-base launch slurm|torchrun|tpu [options] -- VERB --config FILE.yaml …

Writes a plain script that starts {", ".join(VERBS[:-1])} or {VERBS[-1]} elsewhere, and starts it.

  slurm      submits it as a job
  torchrun   runs it here, or says how on each of several hosts; a process that dies is started again
  tpu        prints the command for a TPU VM or a pod of them; it is not run

  lightning-base launch slurm --help   the options
"""


@dataclass(frozen=True)
class Job:
    """A verb to start: its words, the experiment, and the number of folds (0 where the verb has none)."""

    words: Sequence[str]
    experiment: Experiment
    folds: int = 0

    @property
    def verb(self) -> str:
        """Which."""
        return self.words[0]

    @property
    def trainer(self) -> Namespace:
        """What the configuration asks of the Trainer."""
        asked: Namespace = self.experiment.config.trainer
        return asked

    def command(self, container: str, *before: str) -> list[str]:
        """The program and its arguments.

        Args:
            container: words in front of it, such as apptainer exec --nv image.sif; its own Python is taken then.
            before: what stands between Python and the module.
        """
        python = [*container.split(), "python"] if container.strip() else [sys.executable]
        return [*python, *before, "-m", "lightning_base", *self.words]


def main(arguments: Sequence[str]) -> int:
    """Starts what stands after `--`; returns the exit status.

    Raises:
        UserError: for a mistake in the options or the configuration; nothing is written then.
    """
    at = list(arguments).index("--") if "--" in arguments else len(arguments)
    given, words = list(arguments[:at]), sorted(arguments[at + 1 :], key=lambda word: word in LEVELS)  # the verb first
    if not given or given[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0
    kinds = {"slurm": slurm, "torchrun": on_hosts, "tpu": on_tpu}
    if given[0] not in kinds:
        raise ConfigError(f"launch {given[0]!r}: give {', '.join(kinds)}{suggest(given[0], kinds)}")
    options = parse(given[0], given[1:])
    leave_allocation()
    if not words:
        raise ConfigError(
            f"launch {given[0]}: no verb; it stands after --: launch {given[0]} … -- fit --config FILE.yaml"
        )
    return kinds[given[0]](options, words)


def parse(kind: str, arguments: Sequence[str]) -> Namespace:
    """The options before `--`."""
    parser = ArgumentParser(prog=f"lightning-base launch {kind}", exit_on_error=False, allow_abbrev=False)
    if kind == "slurm":
        parser.add_class_arguments(Slurm)
        parser.add_argument(
            "--array",
            type=str | None,
            default=None,
            help="An array of jobs: folds for one per fold of crossval, or numbers such as 0-9,12, each of which "
            f"{TASK} stands for in the words after --.",
        )
        parser.add_argument("--wait", action="store_true", help="Follow the job; the exit status is the job's.")
    elif kind == "torchrun":
        parser.add_class_arguments(Torchrun)
    else:
        parser.add_argument("--name", type=str | None, default=None, help="The TPU VM; without it, the one you are on.")
        parser.add_argument("--zone", type=str | None, default=None, help="Its zone.")
        parser.add_argument("--setup", type=str, default="", help="Shell lines before the work, on each worker.")
    if kind != "tpu":
        parser.add_argument(
            "--container", type=str, default="", help="Words before Python, such as: apptainer exec --nv image.sif"
        )
        parser.add_argument("--threads", type=int | None, default=None, help="Threads that a process computes with.")
        parser.add_argument("--dry-run", action="store_true", help="Print the script; write and start nothing.")
    try:
        return parser.parse_args(list(arguments))
    except ArgumentError as error:
        raise ConfigError(
            f"launch {kind}: {one_line(error)}; `lightning-base launch {kind} --help` shows them"
        ) from error


def open_job(words: Sequence[str]) -> Job:
    """What the words ask for, tried out as far as this machine can: the configuration builds, and fits its data.

    Raises:
        UserError: where it does not.
    """
    if words[0] not in VERBS:
        raise ConfigError(f"launch: {words[0]!r} is none of {', '.join(VERBS)}{suggest(words[0], VERBS)}")
    arguments, _ = without_level([word.replace(TASK, "0") for word in words])
    with quiet():
        experiment = open_experiment(with_saved_config(arguments))
        if words[0] == "crossval" and experiment.config.executor != "inline":
            raise ConfigError(
                f"launch: crossval --executor {experiment.config.executor} starts processes itself; leave it out"
            )
        run = build(experiment.on_cpu(), 0, experiment.root / words[0], quiet=True, training=False)
        preflight(run)
    return Job(words, experiment, len(run.datamodule.folds.folds) if words[0] == "crossval" else 0)


def slurm(options: Namespace, words: Sequence[str]) -> int:
    """A job, or an array of them."""
    job = open_job(words)
    array = tasks(options.array, job)
    if options.array == "folds":
        job = replace(job, words=[*words, "--folds", f"[{TASK}]"])
    keys = {field: options[field] for field in Slurm.__dataclass_fields__}
    asked = Slurm(**keys).check(
        *(job.trainer.devices, job.trainer.num_nodes, job.trainer.accelerator),
        submits=not options.dry_run,
        asker=ASKER,
        prefix=f"{ASKER}--",
    )
    threads = options.threads or asked.cpus_per_task or 1
    home = (job.experiment.root / "slurm").resolve()
    text = script(
        job.command(options.container),
        replace(asked, cpus_per_task=asked.cpus_per_task or threads),
        says=f"`lightning-base {job.verb}` of {job.experiment.name}; submitted by `sbatch {home / job.verb}.sh`",
        name=job.experiment.name,
        log=home / ("%j.out" if array is None else "%A_%a.out"),
        threads=threads,
        array=array,
    )
    if options.dry_run:
        print(text, end="")
        return 0
    path = home / f"{job.verb}.sh"
    write_text(path, text)
    number = submit(path, ASKER)
    out = console(Level.QUIET)
    log = home / (f"{number}.out" if array is None else f"{number}_*.out")
    out.print(f"job {number}, submitted by {path}\nlog: {log}", soft_wrap=True)
    if not options.wait:
        return 0
    try:
        return follow(number, home)
    except KeyboardInterrupt:
        out.print(f"the job goes on; `scancel {number}` ends it")
        raise


def tasks(array: str | None, job: Job) -> list[int] | None:
    """The numbers of an array's tasks.

    Raises:
        UserError: for what is none, or an array whose tasks would all do the same.
    """
    if array is None:
        if any(TASK in word for word in job.words):
            raise ConfigError(f"launch slurm: {TASK} is an array's; give --array 0-9 or such")
        return None
    if array == "folds":
        if job.verb != "crossval" or given(job.words, "--folds"):
            raise ConfigError("launch slurm: --array folds is for crossval without --folds; give numbers such as 0-9")
        return list(range(job.folds))
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", array):
        raise ConfigError(f"launch slurm: --array {array!r} is neither folds nor numbers such as 0-9,12")
    if not any(TASK in word for word in job.words):
        raise ConfigError(f"launch slurm: --array {array}: its jobs are all the same; {TASK} stands for a job's number")
    spans = [part.partition("-") for part in array.split(",")]
    return sorted({n for low, _, high in spans for n in range(int(low), int(high or low) + 1)})


def on_hosts(options: Namespace, words: Sequence[str]) -> int:
    """A verb by torchrun."""
    job = open_job(words)
    keys = {field: options[field] for field in Torchrun.__dataclass_fields__}
    asked = Torchrun(**keys).check(job.trainer.devices, job.trainer.num_nodes, job.trainer.accelerator)
    home = (job.experiment.root / "torchrun").resolve()
    name = f"{job.experiment.name}-{job.verb}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    command = job.command(options.container, "-m", "torch.distributed.run", *asked.options(name))
    text = torchrun.script(command, asked, path=home / f"{job.verb}.sh", threads=options.threads or 1)
    if options.dry_run:
        print(text, end="")
        return 0
    path = home / f"{job.verb}.sh"
    write_text(path, text)
    if len(asked.hosts) > 1:
        for host in asked.hosts:
            print(f"ssh {host} bash {path}")
        return 0
    return torchrun.run(path)


def on_tpu(options: Namespace, words: Sequence[str]) -> int:
    """The command for TPU VMs, printed."""
    open_job(words)
    print(torchrun.tpu(words, options.name, options.zone, options.setup), end="")
    return 0
