"""Processes that torchrun starts, and starts again where one dies; and the command for TPU VMs."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from lightning_base.distributed.process import STATUS, is_foreign
from lightning_base.distributed.slurm import Slurm
from lightning_base.errors import ConfigError
from lightning_base.tools.process import thread_variables


@dataclass(frozen=True, kw_only=True)
class Torchrun:
    """How torchrun starts a verb.

    Args:
        hosts: names of the nodes, the first of which the others meet at; by default this machine alone.
        port: where they meet; by default a free one, and 29400 for several hosts.
        max_restarts: how often all processes are started again because one died.
        setup: shell lines before the work, such as source .venv/bin/activate.
        processes: processes per node; by default what trainer.devices says.
    """

    hosts: list[str] = field(default_factory=list)
    port: int | None = None
    max_restarts: int = 3
    setup: str = ""
    processes: int | None = None

    def check(self, devices: int | str | Sequence[int], num_nodes: int, accelerator: str) -> "Torchrun":
        """The same with the processes filled in from what the Trainer is asked for.

        Raises:
            UserError: for another number of hosts or processes than the Trainer's.
        """
        for host in self.hosts:
            if not re.fullmatch(r"[\w.-]+", host):
                raise ConfigError(
                    f"launch torchrun: --hosts: {host!r} is no host's name; give such as --hosts [n1, n2]"
                )
        if self.max_restarts < 0 or not 0 <= (self.port or 0) < 2**16:
            raise ConfigError("launch torchrun: --max_restarts from 0 and --port from 0 to 65535")
        nodes = max(len(self.hosts), 1)
        if nodes != num_nodes:
            raise ConfigError(
                f"launch torchrun: trainer.num_nodes is {num_nodes}, hosts are {nodes}; name as many by --hosts"
            )
        ranks = Slurm().ranks(devices, accelerator)
        if self.processes not in (None, ranks):
            raise ConfigError(
                f"launch torchrun: --processes is {self.processes}, but trainer.devices gives {ranks}; leave it out, "
                f"or set trainer.devices to {self.processes}"
            )
        return replace(self, processes=ranks)

    def options(self, name: str) -> list[str]:
        """The options of torchrun.

        Args:
            name: of the launch, by which processes that are started again find what they have begun.
        """
        several = len(self.hosts) > 1
        endpoint = f"{self.hosts[0] if several else 'localhost'}:{self.port or (29400 if several else 0)}"
        return [
            f"--nnodes={max(len(self.hosts), 1)}",
            f"--nproc-per-node={self.processes}",
            f"--max-restarts={self.max_restarts}",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={endpoint}",
            f"--rdzv-id={name}",
        ]


def script(command: Sequence[str], asked: Torchrun, *, path: Path, threads: int) -> str:
    """The script for every node: the same on each.

    Args:
        command: torchrun, its options, and what it runs.
        asked: as checked.
        path: where the script will stand.
        threads: threads that each process computes with.
    """
    where = f"run it on each of {', '.join(asked.hosts)}" if len(asked.hosts) > 1 else "run it again to go on"
    lines = [
        "#!/usr/bin/env bash",
        f"# bash {path}  ({where}; another --rdzv-id begins anew)",
        *([asked.setup.strip()] if asked.setup.strip() else []),
        f"cd {shlex.quote(os.getcwd())} || exit",
        "export " + " ".join(f"{name}={value}" for name, value in thread_variables(threads).items()),
        # else processes that are started again look for those of before (pytorch#135712)
        "export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1",
        "exec " + shlex.join(command),
    ]
    return "\n".join(lines) + "\n"


def run(path: Path) -> int:
    """Runs a script of one node here; its exit status, or that of lightning_base.training.preempt where a signal came.

    Signals are passed on as SIGTERM, the one that torchrun gives to its processes.
    """
    environment = {key: value for key, value in os.environ.items() if not is_foreign(key)}
    with subprocess.Popen(["bash", str(path)], env=environment) as process:
        told = []

        def pass_on(number: int, frame: FrameType | None) -> None:
            told.append(number)
            process.send_signal(signal.SIGTERM)

        before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGUSR1)}
        try:
            status = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return STATUS if told and status else status if status >= 0 else 128 - status


def tpu(words: Sequence[str], name: str | None, zone: str | None, setup: str) -> str:
    """The command that starts a verb on every worker of a TPU VM.

    Args:
        words: the verb and its options.
        name: the TPU VM; None for the machine that the command is typed on.
        zone: its zone.
        setup: shell lines before it.
    """
    folder = os.path.relpath(os.getcwd(), Path.home()) if Path.cwd().is_relative_to(Path.home()) else os.getcwd()
    work = "; ".join([*setup.strip().splitlines(), f"PJRT_DEVICE=TPU {shlex.join(['lightning-base', *words])}"])
    if name is None:
        return f"# not tried: no TPU was at hand\n{work}\n"
    gcloud = ["gcloud", "compute", "tpus", "tpu-vm", "ssh", name, *([f"--zone={zone}"] if zone else []), "--worker=all"]
    inside = f"cd {shlex.quote(folder)} && {work}"
    return f"# not tried: no TPU was at hand\n{shlex.join([*gcloud, f'--command={inside}'])}\n"
