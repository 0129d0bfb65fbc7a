"""What started this process: Slurm's srun, torchrun or nothing; and whether its processes can find one another."""

import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from lightning_base.distributed.process import is_foreign
from lightning_base.doctor.finding import Finding

AREA = "launch"


@dataclass(frozen=True)
class Launch:
    """The processes that a launcher started, or an allocation of Slurm is made for.

    Attributes:
        kind: "torchrun"; "srun" inside a step of Slurm; "allocation" inside a job but outside its steps; "alone".
        world: how many processes there are, over all nodes.
        nodes: on how many nodes; None where that is not known.
        per_node: how many on this node; None where that is not known.
        rank: this process's number among all, from 0.
        local_rank: its number among those of this node.
    """

    kind: Literal["torchrun", "srun", "allocation", "alone"]
    world: int = 1
    nodes: int | None = 1
    per_node: int | None = 1
    rank: int = 0
    local_rank: int = 0

    @property
    def many(self) -> bool:
        """Whether this process is one of several that run at once."""
        return self.kind in ("torchrun", "srun") and self.world > 1


def find(environ: Mapping[str, str] = os.environ) -> Launch:
    """What the environment says of the launcher."""

    def value(name: str, otherwise: int) -> int:
        text = environ.get(name, "")
        return int(text) if text.isdigit() else otherwise

    if "TORCHELASTIC_RUN_ID" in environ and "WORLD_SIZE" in environ:
        world, per_node = value("WORLD_SIZE", 1), value("LOCAL_WORLD_SIZE", 1)
        nodes = world // per_node if world % per_node == 0 else None
        return Launch("torchrun", world, nodes, per_node, value("RANK", 0), value("LOCAL_RANK", 0))
    if "SLURM_JOB_ID" not in environ or environ.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return Launch("alone")  # Lightning, too, passes over jobs of these names
    step = environ.get("SLURM_STEP_ID", "").isdigit()
    tasks, nodes = value("SLURM_NTASKS", 1), value("SLURM_NNODES", 1)  # in a step, srun sets them for the step
    each = value("SLURM_NTASKS_PER_NODE", 0) or (tasks if nodes == 1 else None)
    ranks = (value("SLURM_PROCID", 0), value("SLURM_LOCALID", 0)) if step else (0, 0)
    return Launch("srun" if step else "allocation", tasks, nodes, each, *ranks)


def host() -> str:
    """This node's name: Slurm's, where it has given one."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


@contextmanager
def alone() -> Iterator[None]:
    """As if nothing had started this process: Lightning would wait for the others. Devices stay as they are."""
    kept = {key: value for key, value in os.environ.items() if is_foreign(key) and key != "CUDA_VISIBLE_DEVICES"}
    for key in kept:
        del os.environ[key]
    try:
        yield
    finally:
        os.environ.update(kept)


def launchers(launch: Launch, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """The launcher, and the names that processes look one another up by."""
    if launch.kind == "torchrun":
        where = f"process {launch.rank} of {launch.world}, {launch.per_node} on this node"
        yield Finding("ok", AREA, "torchrun", where, number=launch.world)
        yield name("MASTER_ADDR", environ.get("MASTER_ADDR", ""), needed=True)
    elif launch.kind in ("srun", "allocation"):
        yield from _slurm(launch, environ)
    elif environ.get("SLURM_JOB_ID"):
        told = f"job {environ['SLURM_JOB_ID']} is named {environ['SLURM_JOB_NAME']!r}: one process, srun or not"
        mend = "give --job-name another name than bash or interactive" if "SLURM_STEP_ID" in environ else ""
        yield Finding("warning" if mend else "ok", AREA, "slurm", told, mend)
    else:
        slurm = "; srun is here" if shutil.which("srun") else ""
        yield Finding("ok", AREA, "launcher", f"none started this process{slurm}")
    yield name("this host", socket.gethostname(), needed=launch.many and launch.nodes != 1)


def _slurm(launch: Launch, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Slurm's job, what Lightning refuses of it, and its first node's name."""
    tasks = f"{launch.world} tasks on {launch.nodes} nodes"
    job = f"job {environ['SLURM_JOB_ID']}, {tasks}"
    if launch.kind == "allocation" and launch.world > 1:
        # Lightning takes this process for the first of them, and waits for the others for ever
        yield Finding("warning", AREA, "slurm", f"{job}, and srun did not start this process", "train with srun …")
    else:
        yield Finding("ok", AREA, "slurm", job, number=launch.world)
    if launch.world > 1 and "SLURM_NTASKS_PER_NODE" not in environ:
        mend = "give sbatch or srun --ntasks-per-node in place of --ntasks"
        yield Finding("trouble", AREA, "slurm", f"{tasks} without --ntasks-per-node, which Lightning refuses", mend)
    first = environ.get("MASTER_ADDR") or first_host(
        environ.get("SLURM_NODELIST", environ.get("SLURM_JOB_NODELIST", ""))
    )
    if first:
        yield name("first node", first, needed=launch.nodes != 1)


def first_host(nodes: str) -> str:
    """The first host of what Slurm writes as n[1-2,5],m3."""
    found = re.match(r"([^\[,\s]+)(?:\[([^\],-]+))?", nodes)
    return found[1] + (found[2] or "") if found else ""


def name(what: str, host: str, needed: bool) -> Finding:
    """Whether a host's name has an address; other nodes need one that is no loopback's.

    Args:
        what: whose name.
        host: the name.
        needed: whether processes of several nodes look it up.
    """
    mend = f"give {host!r} an address in the name service or in /etc/hosts on every node"
    try:
        found = sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except OSError as error:
        value = f"{host!r} has no address ({error.strerror or error})"
        return Finding("trouble" if needed else "warning", AREA, what, value, mend)
    value = f"{host} is {', '.join(found)}"
    local = all(address.startswith("127.") or address == "::1" for address in found)
    if local and needed and what != "MASTER_ADDR":
        return Finding("warning", AREA, what, f"{value}, which other nodes cannot reach", mend)
    return Finding("ok", AREA, what, value)
