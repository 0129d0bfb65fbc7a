"""What a training takes: bytes kept for a backward pass, of optimizer state and at the highest, and seconds."""

import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor


class Kept:
    """Bytes of the storages that autograd keeps for a backward pass, without those of the weights."""

    def __init__(self, weights: Iterable[Tensor]) -> None:
        self.seen = {weight.untyped_storage().data_ptr() for weight in weights}
        self.bytes = 0

    def pack(self, tensor: Tensor) -> Tensor:
        """The tensor, its bytes counted where its storage is new (autograd's hook for what it keeps)."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor

    @staticmethod
    def unpack(tensor: Tensor) -> Tensor:
        """The tensor as it was kept (autograd's hook for what it takes up again)."""
        return tensor


def state_bytes(optimizers: Iterable[Any]) -> int:
    """Bytes of the tensors that optimizers keep beside the weights."""
    tensors = [
        value
        for optimizer in optimizers
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    ]
    return sum(tensor.nbytes for tensor in tensors)


def typical(seconds: Sequence[float]) -> float:
    """The mean without those that take ten times as long as most: a batch of another shape may be compiled first."""
    return fmean(s for s in seconds if s <= 10 * median(seconds))


def now(device: torch.device) -> float:
    """The time in seconds, once the device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def forget_peak(device: torch.device) -> None:
    """Has the highest use of memory counted anew, where that can be done."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM


def highest(device: torch.device) -> int:
    """Bytes of memory at the highest since it was last forgotten: the GPU's, or the process'."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    return _process("VmHWM")


def resident() -> int:
    """Bytes of memory that the process has now."""
    return _process("VmRSS")


def _process(field: str) -> int:
    """Bytes that the kernel tells of this process; the most so far where it has no such file."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
