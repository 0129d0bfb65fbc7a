"""Layers whose constants are fitted on training inputs before the first step, and kept with the weights after it."""

from collections.abc import Callable, Iterator
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.samples.batch import Batch
from lightning_base.samples.payload import Rows

LEAST = 1000  # training samples that layers are fitted on, spread evenly over the training role


class Fitted(Protocol):
    """What makes an nn.Module a layer that is fitted, once, on what it takes of training samples.

    A task finds such layers in its network, wherever they stand. They see samples of the fold's training role alone, as
    preprocessing does. What they take lies in buffers, so that checkpoints, exports and weights from another run hold
    it; a layer that is fitted already is left alone.

    Attributes:
        fitted: () bool, a buffer: whether it is.
    """

    fitted: Tensor

    def fit(self, x: Tensor) -> None:
        """Takes the layer's constants from inputs (N, ...) and sets `fitted`."""


class _Reached(Exception):
    """The layer to be fitted has its input: what follows need not be computed."""


def unfitted(network: nn.Module) -> Iterator[nn.Module]:
    """A network's layers that are to be fitted and are not, in the order of its modules."""
    for layer in network.modules():
        fitted = dict(layer.named_buffers(recurse=False)).get("fitted")
        if fitted is not None and fitted.dtype == torch.bool and callable(getattr(layer, "fit", None)) and not fitted:
            yield layer


def first_rows(rows: Rows, n: int = LEAST) -> Rows:
    """At most n of the rows, spread evenly over them."""
    return rows[:: -(-len(rows) // n)]


def fit_layers(network: nn.Module, data: BaseDataModule, call: Callable[[Batch], object]) -> None:
    """Fits a network's layers that are not fitted on samples of the training role, preprocessed and not augmented.

    Args:
        network: left in the mode, training or not, in which it is.
        data: whose training role is read; only where there is such a layer.
        call: passes a batch through the network.
    """
    layers = list(unfitted(network))
    if not layers:
        return
    batch = data.transform(data.loader("train").gather(first_rows(data.rows("train"))))
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        for layer in layers:
            cast(Fitted, layer).fit(_input_of(layer, lambda: call(batch)))
    finally:
        for module, training in modes.items():
            module.training = training


def _input_of(layer: nn.Module, call: Callable[[], object]) -> Tensor:
    """What a layer is given first."""
    found: list[Tensor] = []

    def keep(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        found.append(given[0].detach())
        raise _Reached

    handle = layer.register_forward_pre_hook(keep)
    try:
        with torch.no_grad():
            call()
    except _Reached:
        pass
    finally:
        handle.remove()
    if not found:
        raise ValueError(f"{type(layer).__name__} is given nothing when the network is called")
    return found[0]
