"""How a network is called with a batch's inputs, one or several, and what is said where it does not take them."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from lightning_base.samples.batch import Inputs, Lengths
from lightning_base.samples.spans import PLACES, TEXT


def outputs(network: nn.Module, x: Inputs, lengths: Lengths, cast: Callable[[Tensor], Tensor]) -> Any:
    """What the network gives of preprocessed inputs.

    Args:
        network: takes one input as its argument, several as keywords of their names; also the lengths of padded samples
            (B,), or None, where its `forward` has a parameter `lengths`, or `<name>_lengths` of one of several.
        x: the inputs.
        lengths: of padded ones.
        cast: brings an input to the network's precision and memory format.
    """
    x = passed(network, x)
    named = x if isinstance(x, dict) else {"": x}
    known = lengths if isinstance(lengths, dict) else {"": lengths}
    taken = inspect.signature(type(network).forward).parameters
    more = {key: known.get(name) for name in named if (key := f"{name}_lengths".lstrip("_")) in taken}
    if isinstance(x, dict):
        return network(**{name: cast(value) for name, value in x.items()}, **more)
    return network(cast(x), **more)


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
