"""Accelerators, what precisions they compute in, and the backends that processes talk through."""

import re
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import distributed

from lightning_base.doctor.finding import Finding, size
from lightning_base.errors import one_line

AREA = "devices"
DRIVER = Path("/proc/driver/nvidia/version")
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def devices() -> Iterator[Finding]:
    """The accelerators, with what each computes in; then the backends."""
    yield from cuda()
    if torch.backends.mps.is_available():
        yield Finding("ok", AREA, "mps", "Apple's GPU")
        yield precisions(torch.device("mps"))
    if find_spec("torch_xla") is not None:
        from lightning.pytorch.accelerators import XLAAccelerator

        count = XLAAccelerator.auto_device_count() if XLAAccelerator.is_available() else 0
        yield Finding("ok", AREA, "tpu", f"{count} devices" if count else "torch-xla finds none", number=count)
    yield precisions(torch.device("cpu"))
    yield from backends()


def cuda() -> Iterator[Finding]:
    """The GPUs: name, memory, capability and driver, and whether a small product comes out right on each."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        there = torch.cuda.is_available()
    driver = driver_version()
    if not there:
        if torch.version.cuda is None and torch.version.hip is None:
            if driver is not None:
                mend = "install the build for your driver: https://pytorch.org/get-started/locally"
                yield Finding("trouble", AREA, "cuda", f"driver {driver} is there, torch is built for CPUs only", mend)
            else:
                yield Finding("ok", AREA, "cuda", "no GPU; torch is built for CPUs only")
        elif driver is not None:
            why = one_line(said[0].message) if said else "torch cannot use it"
            mend = "install a newer driver, or a torch built for this one"
            yield Finding("trouble", AREA, "cuda", f"driver {driver}: {why[:200]}", mend)
        else:
            yield Finding("ok", AREA, "cuda", "no GPU")
        return
    for i in range(torch.cuda.device_count()):
        device = torch.device("cuda", i)
        about = torch.cuda.get_device_properties(i)
        try:
            free, total = torch.cuda.mem_get_info(i)
            broken = try_product(device, torch.float32)[0]
        except RuntimeError as error:
            mend = "see nvidia-smi: another process may hold it, or it is broken"
            yield Finding("trouble", AREA, str(device), f"{about.name}: {one_line(error)[:200]}", mend)
            continue
        value = (
            f"{about.name}, {size(free)} free of {size(total)}, capability {about.major}.{about.minor}"
            + (f", driver {driver}" if driver else "")
            + (f", CUDA {torch.version.cuda}" if torch.version.cuda else f", HIP {torch.version.hip}")
        )
        if broken:
            yield Finding("trouble", AREA, str(device), f"{about.name}: {broken}", "take a torch built for it", free)
        elif free < total / 2:
            mend = "nvidia-smi shows what holds its memory"
            yield Finding("warning", AREA, str(device), value, mend, free)
        else:
            yield Finding("ok", AREA, str(device), value, number=free)
        yield precisions(device)


def driver_version() -> str | None:
    """The version of Nvidia's kernel module; None where there is none."""
    try:
        found = re.search(r"\d+\.\d+(\.\d+)?", DRIVER.read_text())
    except OSError:
        return None
    return found[0] if found else None


def precisions(device: torch.device) -> Finding:
    """What comes of products in bfloat16 and float16, and how fast they are beside float32."""
    _, whole = try_product(device, torch.float32)
    told = []
    for name, dtype in PRECISIONS.items():
        broken, seconds = try_product(device, dtype)
        told.append(f"{name} {broken}" if broken else f"{name} works, {whole / seconds:.2g} × float32's speed")
    return Finding("ok", AREA, f"precision on {device}", "; ".join(told))


def try_product(device: torch.device, dtype: torch.dtype) -> tuple[str, float]:
    """What is wrong with a matrix product on a device, and its seconds; nothing where it is right within 2 %."""
    n = 256 if device.type == "cpu" else 2048
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(n, n, generator=generator).to(dtype) for _ in range(2))
    expected = a.float() @ b.float()
    try:
        x, y = a.to(device), b.to(device)
        best = float("inf")
        for _ in range(3):
            _wait(device)
            began = time.perf_counter()
            found = x @ y
            _wait(device)
            best = min(best, time.perf_counter() - began)
        error = float((found.float().cpu() - expected).norm() / expected.norm())
    except (RuntimeError, TypeError) as refused:
        return f"fails ({one_line(refused)[:120]})", float("inf")
    return ("" if error < 0.02 else f"is wrong by {error:.0%}"), best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def backends() -> Iterator[Finding]:
    """Gloo, tried in a group of one process, which also resolves this host's name; and NCCL."""
    if not distributed.is_available():
        yield Finding("warning", AREA, "distributed", "torch is built without it", "install another build of torch")
        return
    if (why := try_gloo()) is None:
        yield Finding("ok", AREA, "gloo", "works")
    else:
        mend = "give this host's name an address in /etc/hosts, or export GLOO_SOCKET_IFNAME with a network interface"
        yield Finding("warning", AREA, "gloo", why, mend)
    if distributed.is_nccl_available() and torch.cuda.is_available():
        version = torch.cuda.nccl.version()  # type: ignore[no-untyped-call]
        yield Finding("ok", AREA, "nccl", ".".join(map(str, version)))
    elif torch.cuda.device_count() > 1:
        mend = "install a torch built with it, or give ddp process_group_backend gloo"
        yield Finding("warning", AREA, "nccl", "not there, and GPUs talk through it", mend)


def try_gloo() -> str | None:
    """Why an all-reduce of one process does not work; None where it does."""
    if not distributed.is_gloo_available():
        return "torch is built without it"
    if distributed.is_initialized():
        return None
    try:
        store = distributed.HashStore()  # type: ignore[attr-defined]
        distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        try:
            one = torch.ones(1)
            distributed.all_reduce(one)
        finally:
            distributed.destroy_process_group()
    except RuntimeError as error:
        return one_line(error)[:200]
    return None if float(one) == 1 else "an all-reduce of one process gives another number"
