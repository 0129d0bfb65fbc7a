"""A network from elsewhere made to fit the data: its last layer gives other outputs, its first takes other channels."""

from typing import Any

import torch
from torch import nn

from lightning_base.errors import ConfigError

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def new_head(network: nn.Module, n: int) -> str:
    """Gives a network a new last layer of n outputs, where it has not as many; what was done, or "" where nothing was.

    The last layer is the linear layer or convolution that its modules name last, in timm's networks what they call
    their classifier.

    Raises:
        ConfigError: for a network without such a layer.
    """
    every = [(name, m) for name, m in network.named_modules() if isinstance(m, (nn.Linear, *CONVOLUTIONS)) and name]
    found = [(name, module) for name, module in every if not name.lower().startswith("aux")]
    beside = " (auxiliary outputs keep theirs, and are not trained)" if len(found) < len(every) else ""
    if not found:
        raise ConfigError(
            f"model.head: {type(network).__name__} has no linear layer or convolution to put a new one in place of; "
            "give a network of the right size, and model.head: keep"
        )
    name, old = found[-1]
    before = old.out_features if isinstance(old, nn.Linear) else old.out_channels
    if before == n:
        return ""
    place(network, name, resized(old, outputs=n))
    told(network, n)
    return f"new head {name}: {before} → {n} outputs{beside}"


def new_stem(network: nn.Module, channels: int) -> str:
    """Lets a network's first convolution take so many channels; what was done, or "" where nothing was.

    For one channel in place of several their weights are summed, which gives what equal channels gave; else the new
    weights are random.

    Raises:
        ConfigError: for a convolution in groups.
    """
    found = [(name, module) for name, module in network.named_modules() if isinstance(module, CONVOLUTIONS) and name]
    if not found or found[0][1].in_channels == channels:
        return ""
    name, old = found[0]
    if old.groups != 1:
        raise ConfigError(
            f"model.head: {name} of {type(network).__name__} takes {old.in_channels} channels in {old.groups} groups, "
            f"and the data has {channels}; give a network that takes them"
        )
    new = resized(old, inputs=channels)
    if channels == 1:
        with torch.no_grad():
            new.weight.copy_(old.weight.sum(dim=1, keepdim=True))
            if old.bias is not None:
                new.bias.copy_(old.bias)
    place(network, name, new)
    how = "weights summed" if channels == 1 else "new weights"
    return f"first layer {name}: {old.in_channels} → {channels} channels, {how}"


def resized(old: Any, inputs: int | None = None, outputs: int | None = None) -> Any:
    """A new linear layer or convolution like another, but for its number of inputs or outputs."""
    more = {"bias": old.bias is not None, "device": old.weight.device, "dtype": old.weight.dtype}
    if isinstance(old, nn.Linear):
        return nn.Linear(inputs or old.in_features, outputs or old.out_features, **more)
    kind = next(one for one in CONVOLUTIONS if isinstance(old, one))
    settings = {key: getattr(old, key) for key in ("stride", "padding", "dilation", "groups", "padding_mode")}
    return kind(inputs or old.in_channels, outputs or old.out_channels, old.kernel_size, **settings, **more)


def place(network: nn.Module, name: str, module: nn.Module) -> None:
    """Puts a module in the place of that name."""
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)


def told(network: nn.Module, n: int) -> None:
    """Lets a network of timm or transformers know its number of outputs, where it keeps it."""
    held: Any = network
    for owner, key in ((held, "num_classes"), (held, "num_labels"), (getattr(held, "config", None), "num_labels")):
        if isinstance(getattr(owner, key, None), int):
            setattr(owner, key, n)
