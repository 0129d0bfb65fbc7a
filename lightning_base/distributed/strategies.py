"""Training on several devices: which share of the data a process takes, and networks sharded over processes.

Lightning's strategies do the rest. Sharding is FSDP2 (Zhao et al. 2023; torch's `fully_shard`), after the weights of
Transformers are split over a row of devices (Shoeybi et al. 2019, Megatron-LM) where the network states how.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module
from torchmetrics import Metric
from torchmetrics.wrappers.abstract import WrapperMetric

from lightning_base.distributed.tpu import on_tpu
from lightning_base.errors import ConfigError

Plan: TypeAlias = dict[str, Literal["column", "row"]]
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@runtime_checkable
class Parallel(Protocol):
    """A network that states how its layers are split over devices."""

    def parallel_plan(self) -> Plan:
        """Linear layers by dotted name: "column" splits a layer's outputs, "row" the inputs of the one that follows."""


class Sharded(ModelParallelStrategy):
    """Shards weights, gradients and optimizer state over processes (FSDP2), and Transformers' layers too.

    Checkpoints hold whole tensors: any strategy and number of devices loads them.

    Args:
        tensor_parallel_size: how many processes share each layer that the network's `parallel_plan` names; they take
            the same samples. The others, world size / tensor_parallel_size, share out samples, weights and states.
        activation_checkpointing: forget the blocks' activations, and compute them again in the backward pass.

    Raises:
        UserError: where the processes cannot be shared out so.
    """

    def __init__(self, tensor_parallel_size: int = 1, activation_checkpointing: bool = False) -> None:
        if tensor_parallel_size < 1:
            raise ConfigError(
                f"trainer.strategy.tensor_parallel_size: {tensor_parallel_size} is below 1; give 1 or more"
            )
        super().__init__(tensor_parallel_size=tensor_parallel_size, save_distributed_checkpoint=False)
        self.tensor_parallel_size, self.activation_checkpointing = tensor_parallel_size, activation_checkpointing

    @property
    def data_parallel_size(self) -> int:
        """How many shares a batch is divided into."""
        processes, rest = divmod(self.num_nodes * self.num_processes, self.tensor_parallel_size)
        if rest:
            raise ConfigError(
                f"trainer.strategy.tensor_parallel_size: {self.tensor_parallel_size} does not divide "
                f"{self.num_nodes * self.num_processes} processes; give a divisor, or another trainer.devices"
            )
        return processes

    def setup_environment(self) -> None:
        """Starts the processes' group and arranges them as data × tensor parallel (Lightning's hook)."""
        self._data_parallel_size = self.data_parallel_size  # Lightning's "auto" is the number of nodes
        super().setup_environment()


@dataclass(frozen=True)
class Ranks:
    """A process among those that share out a batch.

    Attributes:
        rank: its number among them, from 0.
        size: how many they are.
        group: these processes; None for all there are.
    """

    rank: int = 0
    size: int = 1
    group: Any = None


def data_ranks(trainer: Trainer | None) -> Ranks:
    """Where this process stands among those that share out a batch; the strategy must be set up."""
    found = None if trainer is None else trainer.distributed_sampler_kwargs  # None for one device
    if trainer is None or found is None:
        return Ranks()
    strategy = trainer.strategy
    group = strategy.device_mesh["data_parallel"].get_group() if isinstance(strategy, ModelParallelStrategy) else None
    return Ranks(found["rank"], found["num_replicas"], group)


def total(value: Tensor, trainer: Trainer) -> Tensor:
    """The sum () of a number () over all processes."""
    if torch.distributed.is_initialized():
        value = value.detach().clone()
        torch.distributed.all_reduce(value)
        return value
    summed: Tensor = trainer.strategy.reduce(value.detach(), reduce_op="sum")
    return summed


def forget(metric: Metric) -> None:
    """Takes a metric's samples out again; the lists that it keeps get parts without samples."""
    for one in metric.modules():
        if isinstance(one, Metric) and not isinstance(one, WrapperMetric):  # that has no samples of its own
            lists = {k: [part[:0] for part in v] for k, v in one.metric_state.items() if isinstance(v, list)}
            one.reset()
            for name, parts in lists.items():
                setattr(one, name, parts)
            one._update_count = 1  # torchmetrics warns of a metric without


def check(trainer: Trainer, network: nn.Module, batch_size: int | None) -> None:
    """Refuses batches or a network that cannot be divided among the processes, before there are any.

    Raises:
        UserError: where they cannot, or the strategy does not serve what the trainer asks for.
    """
    strategy = trainer.strategy
    if on_tpu(trainer) and trainer.num_devices > 1:  # its world size is 1 until there are processes
        raise ConfigError(f"trainer.devices: {trainer.num_devices} TPU cores gather no metrics together yet; give 1")
    size = strategy.data_parallel_size if isinstance(strategy, Sharded) else trainer.world_size
    if isinstance(strategy, Sharded) and strategy.tensor_parallel_size > 1 and not isinstance(network, Parallel):
        raise ConfigError(
            f"trainer.strategy.tensor_parallel_size: {type(network).__name__} states no parallel_plan; leave it out"
        )
    if batch_size is not None and batch_size % size:
        low = batch_size - batch_size % size
        sizes = f"{low} or {low + size}" if low else str(size)
        steps = trainer.accumulate_grad_batches
        each = f"; each of the {steps} batches that a step accumulates is divided" if steps > 1 else ""
        raise ConfigError(
            f"data.batch_size: {batch_size} is the size over all processes, and cannot be divided among {size}{each}; "
            f"give {sizes}"
        )
    synced = getattr(strategy, "_layer_sync", None) is not None
    if synced and strategy.root_device.type == "cpu":
        raise ConfigError("trainer.sync_batchnorm: torch has none for CPUs; leave it out")
    if synced and isinstance(strategy, ModelParallelStrategy):
        raise ConfigError("trainer.sync_batchnorm: it is for ddp, not for a sharded network; leave it out")


def shard(network: nn.Module, strategy: ModelParallelStrategy) -> None:
    """Shards a network over the strategy's processes, in place: the blocks, then what is left as one."""
    if isinstance(network, FSDPModule):
        return
    network.to(memory_format=torch.contiguous_format)  # fully_shard takes no other
    mesh = strategy.device_mesh
    if mesh["tensor_parallel"].size() > 1:
        split(network, mesh["tensor_parallel"])
    units = list(blocks(network))
    if isinstance(strategy, Sharded) and strategy.activation_checkpointing:
        units = [checkpointed(network, unit) for unit in units]
    for unit in units:
        fully_shard(unit, mesh=mesh["data_parallel"])
    fully_shard(network, mesh=mesh["data_parallel"])


def clip_norm(weights: Sequence[nn.Parameter], limit: float) -> None:
    """Scales the gradients so that their norm over all weights is at most the limit.

    torch.nn.utils.clip_grad_norm_ does it for weights that lie on one mesh; with tensor parallelism there are two.
    """
    meshes: dict[Any, list[Tensor]] = {}
    for weight in weights:
        if weight.grad is not None:
            mesh = weight.grad.device_mesh if isinstance(weight.grad, DTensor) else None
            meshes.setdefault(mesh, []).append(weight.grad)
    norms = [nn.utils.get_total_norm(grads) for grads in meshes.values()]
    norm = torch.stack([n.full_tensor() if isinstance(n, DTensor) else n for n in norms]).norm()
    scale = (limit / (norm + 1e-6)).clamp(max=1)
    for grads in meshes.values():
        for grad in grads:
            grad.mul_(scale)


def blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The parts that are gathered one at a time: a container's children that have a weight of two or more dimensions.

    Containers are nn.Sequential, nn.ModuleList and nn.ModuleDict; one inside another is looked into, a block is not.
    """
    for child in network.children():
        if isinstance(network, CONTAINERS) and not isinstance(child, CONTAINERS):
            if any(weight.ndim > 1 for weight in child.parameters()):
                yield child
        else:
            yield from blocks(child)


def checkpointed(network: nn.Module, unit: nn.Module) -> nn.Module:
    """A block of a network, replaced there by one that forgets its activations."""
    name = next(name for name, module in network.named_modules() if module is unit)
    wrapped: nn.Module = checkpoint_wrapper(unit)
    owner, _, last = name.rpartition(".")
    setattr(network.get_submodule(owner), last, wrapped)
    return wrapped


def split(network: nn.Module, mesh: DeviceMesh) -> None:
    """Splits the layers that the network's plan names over a row of devices."""
    assert isinstance(network, Parallel)
    styles: dict[str, type[ParallelStyle]] = {"column": ColwiseParallel, "row": RowwiseParallel}
    plan = {name: styles[kind]() for name, kind in network.parallel_plan().items()}
    parallelize_module(network, mesh, plan)
