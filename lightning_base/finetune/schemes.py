"""Schemes that draw a network's first weights: of linear and convolutional layers; biases become zero."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Generator, Tensor, nn
from torch.nn import init
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import UninitializedParameter

from lightning_base.errors import ConfigError, suggest

Scheme: TypeAlias = Literal[
    "kaiming_normal",
    "kaiming_uniform",
    "xavier_normal",
    "xavier_uniform",
    "orthogonal",
    "trunc_normal",
    "normal",
]
STD = 0.02  # of (truncated) normal: BERT's (Devlin et al. 2019) and ViT's (Dosovitskiy et al. 2021)
DRAW: dict[str, Callable[[Tensor, Generator], Any]] = {
    "kaiming_normal": lambda w, g: init.kaiming_normal_(w, nonlinearity="relu", generator=g),  # He et al. 2015
    "kaiming_uniform": lambda w, g: init.kaiming_uniform_(w, nonlinearity="relu", generator=g),
    "xavier_normal": lambda w, g: init.xavier_normal_(w, generator=g),  # Glorot & Bengio 2010
    "xavier_uniform": lambda w, g: init.xavier_uniform_(w, generator=g),
    "orthogonal": lambda w, g: init.orthogonal_(w, generator=g),  # Saxe et al. 2014
    "trunc_normal": lambda w, g: init.trunc_normal_(w, std=STD, a=-2 * STD, b=2 * STD, generator=g),
    "normal": lambda w, g: init.normal_(w, std=STD, generator=g),
}


def demand_scheme(scheme: str | None) -> None:
    """Refuses a scheme that there is not.

    Raises:
        ConfigError: with those that there are.
    """
    known = get_args(Scheme)
    if scheme is not None and scheme not in known:
        hint = suggest(str(scheme), known)
        raise ConfigError(f"model.init: no scheme {scheme!r}{hint}; there are {', '.join(known)}, and null for torch's")


def draw(network: nn.Module, scheme: str, seed: int) -> tuple[list[str], list[str]]:
    """Draws the weights of every linear and convolutional layer, and makes their biases zero.

    All else is left as its class makes it: norm layers, embeddings, recurrent layers, parameters of one's own.

    Args:
        network: whose lazy layers have their sizes.
        scheme: one of `Scheme`.
        seed: what weights are drawn from; other random states stay as they are.

    Returns:
        Names of the parameters that were drawn or made zero, and of the others.

    Raises:
        ConfigError: where there is no such layer.
    """
    generator = torch.Generator().manual_seed(seed)
    done: dict[int, None] = {}
    with torch.no_grad():
        for module in network.modules():
            if not isinstance(module, nn.Linear | nn.Bilinear | _ConvNd) or id(module.weight) in done:
                continue
            weight = module.weight
            if isinstance(weight, UninitializedParameter):
                raise ConfigError(f"model.init: {type(module).__name__} has no size yet; give the network its sizes")
            drawn = torch.empty(weight.shape, dtype=torch.float32)
            DRAW[scheme](drawn, generator)
            weight.copy_(drawn)
            done[id(weight)] = None
            if module.bias is not None:
                module.bias.zero_()
                done[id(module.bias)] = None
    if not done:
        raise ConfigError(
            f"model.init: {type(network).__name__} has no linear or convolutional layer to draw; leave it out"
        )
    names = [(name, id(parameter) in done) for name, parameter in network.named_parameters()]
    return [name for name, own in names if own], [name for name, own in names if not own]
