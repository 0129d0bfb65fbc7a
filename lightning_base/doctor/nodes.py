"""The processes of a launcher talk to one another: a sum that is known, how long it takes, and how much per second."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from lightning_base import __version__
from lightning_base.doctor.finding import Finding, duration, size
from lightning_base.doctor.launcher import Launch, host
from lightning_base.errors import ConfigError, one_line

AREA = "processes"
SIZES = (4, 2**16, 2**20, 2**24, 2**26)  # bytes
PATIENCE = timedelta(seconds=60)
SECONDS = 0.5  # for one size
START = (
    "start several with `torchrun --nproc-per-node 2 -m lightning_base doctor --nodes`, or in an allocation of Slurm "
    "with `srun python -m lightning_base doctor --nodes`"
)


@dataclass(frozen=True)
class Member:
    """One process: where it runs, on what, and the versions that must agree."""

    rank: int
    host: str
    device: str
    versions: str


def nodes(launch: Launch) -> list[Finding]:
    """What all processes found together, the same in each.

    Raises:
        UserError: where this process is alone.
    """
    if launch.kind not in ("torchrun", "srun"):
        raise ConfigError(f"--nodes: no launcher started this process; {START}")
    address, port = meeting_point(launch)
    device = torch.device("cpu")
    if torch.cuda.is_available() and distributed.is_nccl_available():
        device = torch.device("cuda", launch.local_rank % torch.cuda.device_count())
    try:
        with group(launch, f"tcp://{address}:{port}", device):
            return list(tests(launch, device))
    except (RuntimeError, ValueError) as error:  # torch's errors of networks are RuntimeErrors
        mend = (
            f"open port {port} of {address} between the nodes, and name the network interface in GLOO_SOCKET_IFNAME or "
            "NCCL_SOCKET_IFNAME"
        )
        where = f"process {launch.rank} of {launch.world} on {host()}"
        return [Finding("trouble", AREA, "connection", f"{where}: {one_line(error)[:300]}", mend)]


def meeting_point(launch: Launch) -> tuple[str, int]:
    """The address and the port of the first process, as Lightning takes them."""
    if launch.kind == "torchrun":
        return os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment  # torchrun's processes need no Lightning

    environment = SLURMEnvironment()
    return environment.main_address, environment.main_port


@contextmanager
def group(launch: Launch, url: str, device: torch.device) -> Iterator[None]:
    """The group of all processes, for a while."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=url,
        rank=launch.rank,
        world_size=launch.world,
        timeout=PATIENCE,
        device_id=device if device.type == "cuda" else None,
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def tests(launch: Launch, device: torch.device) -> Iterator[Finding]:
    """Where each process is, whether sums are right, and how fast they are."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    versions = f"torch {torch.__version__}, lightning-base {__version__}"
    members: list[Member] = [Member(0, "", "", "")] * launch.world
    distributed.all_gather_object(members, Member(launch.rank, host(), f"{device} ({kind})", versions))
    backend = distributed.get_backend()
    yield Finding("ok", AREA, "processes", f"{launch.world}, by {launch.kind} and {backend}", number=launch.world)
    for member in members:
        yield Finding("ok", AREA, f"process {member.rank}", f"{member.host}, {member.device}")
    yield from agree(members, device)
    yield right(launch, device)
    hosts = len({member.host for member in members})
    for count in SIZES:
        seconds = timed(count, device)
        if count == SIZES[0]:
            yield Finding("ok", AREA, "latency", f"{duration(seconds)} per sum of one number", number=seconds)
            continue
        # NCCL-tests, PERFORMANCE.md: what each link carries, which does not depend on the number of processes
        rate = count / seconds * 2 * (launch.world - 1) / launch.world
        value = f"{size(rate)}/s between processes, {duration(seconds)} per sum of {size(count)}"
        slow = hosts > 1 and count == SIZES[-1] and rate < 10**8
        mend = "name a faster network interface in GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME" if slow else ""
        yield Finding("warning" if slow else "ok", AREA, f"bandwidth, {size(count)}", value, mend, rate)


def agree(members: list[Member], device: torch.device) -> Iterator[Finding]:
    """Whether all have the same versions, and each a GPU of its own."""
    versions = sorted({member.versions for member in members})
    if len(versions) > 1:
        yield Finding("trouble", AREA, "versions", " / ".join(versions), "give all nodes one environment")
    places = {(member.host, member.device) for member in members}
    if device.type == "cuda" and len(places) < len(members):
        mend = "start at most one process per GPU"
        yield Finding("trouble", AREA, "GPUs", f"{len(members)} processes share {len(places)}", mend)


def right(launch: Launch, device: torch.device) -> Finding:
    """Whether the sum over processes of (rank + 1) · i is what it must be for each i; integers, so exactly."""
    numbers = torch.arange(1_000_003, dtype=torch.int64, device=device)  # a prime: shares are uneven
    summed = numbers * (launch.rank + 1)
    distributed.all_reduce(summed)
    wrong = (summed != numbers * (launch.world * (launch.world + 1) // 2)).sum()
    distributed.all_reduce(wrong)
    if int(wrong):
        mend = "take another network interface, or driver and library of the network"
        return Finding("trouble", AREA, "all-reduce", f"{int(wrong)} numbers of the sum are wrong", mend)
    return Finding("ok", AREA, "all-reduce", f"the sum of {len(numbers):,} integers is exact in every process")


def timed(count: int, device: torch.device) -> float:
    """Seconds of a sum of so many bytes over all processes: the median, in the slowest of them."""
    values = torch.zeros(count // 4, device=device)
    once(values)
    tried = torch.tensor([once(values) for _ in range(3)], device=device).max()
    distributed.all_reduce(tried, distributed.ReduceOp.MAX)  # all must repeat it equally often
    repeats = int(min(max(SECONDS / max(float(tried), 1e-6), 3), 50))
    median = torch.tensor([once(values) for _ in range(repeats)], device=device).median()
    distributed.all_reduce(median, distributed.ReduceOp.MAX)
    return float(median)


def once(values: Tensor) -> float:
    """Seconds of one sum."""
    if values.is_cuda:
        torch.cuda.synchronize(values.device)
    began = time.perf_counter()
    distributed.all_reduce(values)
    if values.is_cuda:
        torch.cuda.synchronize(values.device)
    return time.perf_counter() - began
