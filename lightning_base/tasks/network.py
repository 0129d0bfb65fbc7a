"""How a network is called with a batch's inputs, one or several, and what is said where it does not take them."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lightning_base.samples.batch import Inputs, Lengths
from lightning_base.samples.spans import PLACES, TEXT


def outputs(network: nn.Module, x: Inputs, lengths: Lengths, cast: Callable[[Tensor], Tensor]) -> Any:
    """What the network gives of preprocessed inputs; its `logits`, where it gives an object that has some.

    Args:
        network: takes one input as its argument, several as keywords of their names; also the lengths of padded samples
            (B,), or None, where its `forward` has a parameter `lengths`, or `<name>_lengths` of one of several; and of
            token numbers an `attention_mask` (B, T), where it has that.
        x: the inputs.
        lengths: of padded ones.
        cast: brings an input to the network's precision and memory format.
    """
    x = passed(network, x)
    named = x if isinstance(x, dict) else {"": x}
    known = lengths if isinstance(lengths, dict) else {"": lengths}
    taken = inspect.signature(type(network).forward).parameters
    more: dict[str, Any] = {key: known.get(name) for name in named if (key := f"{name}_lengths".lstrip("_")) in taken}
    if isinstance(x, dict):
        return logits(network(**{name: cast(value) for name, value in x.items()}, **more))
    if "attention_mask" in taken and x.ndim == 2 and not x.is_floating_point():
        more["attention_mask"] = attention_mask(x, known.get(""))
    return logits(network(cast(x), **more))


def attention_mask(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(B, T) int64, 1 for tokens and 0 for padding; of a text without tokens the first padding counts, against NaN.

    Args:
        x: token numbers (B, T), padded at their ends.
        lengths: (B,), where they are known; else what is 0 at an end is padding.
    """
    place = torch.arange(x.shape[1], device=x.device)
    if lengths is None:
        lengths = ((x != 0) * (place + 1)).amax(dim=1)
    return (place < lengths.clamp_min(1)[:, None]).long()


def logits(found: Any) -> Any:
    """What a network gives; of an output with `logits`, as those of transformers' and torchvision's, these."""
    return found if isinstance(found, Tensor) else getattr(found, "logits", found)


def in_channels_last(network: nn.Module) -> nn.Module:
    """The network with the weights of its convolutions in channels-last memory, but for those of lazy ones to come."""
    for tensor in (*network.parameters(), *network.buffers()):
        if not is_lazy(tensor) and tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return network


def passed(network: nn.Module, x: Inputs) -> Inputs:
    """The inputs, without what was put beside texts (`<name>_places`, `<name>_text`) where the network takes it not."""
    if not isinstance(x, dict):
        return x
    taken = inspect.signature(type(network).forward).parameters
    beside = {f"{name}{ending}" for name in x for ending in (PLACES, TEXT)}
    return {name: part for name, part in x.items() if name not in beside or name in taken}


def shape_of(x: Inputs) -> str:
    """The shape of a batch's inputs, in words."""
    if isinstance(x, dict):
        return ", ".join(f"{name} {tuple(part.shape)}" for name, part in x.items())
    return str(tuple(x.shape))


def outputs_key(network: nn.Module) -> str:
    """The key of the network's option that says how many outputs it has, by its signature; else in words."""
    taken = inspect.signature(type(network).__init__).parameters
    known = [name for name in ("num_outputs", "num_classes", "out_features", "n_classes") if name in taken]
    return f"model.network.{known[0]}" if known else "the network's number of outputs"


def mend(network: nn.Module, x: Inputs) -> str:
    """What to do about a network that does not take inputs (B, ...)."""
    if isinstance(x, dict):
        return f"its forward takes them as keywords: forward(self, {', '.join(passed(network, x))})"
    taken = inspect.signature(type(network)).parameters
    if "num_inputs" not in taken:
        return "mend model.network or the data"
    alone = ", or leave it out" if taken["num_inputs"].default is None else ""
    return f"a sample has {x[0].numel()} numbers: set model.network.num_inputs to that{alone}"
