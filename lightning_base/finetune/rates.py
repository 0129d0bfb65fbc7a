"""Learning rates per layer: factors on whatever rate optimizer and scheduler have, at the moment of each step."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from lightning_base.errors import ConfigError
from lightning_base.finetune.names import covered

Scale: TypeAlias = float | Mapping[str, float]
SCALE = "lr_scale"  # of a parameter group
KEY = "model.lr_scale"
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)  # these themselves; what is derived from them is a layer


def demand_scale(scale: Scale | None) -> None:
    """Refuses factors that are none.

    Raises:
        ConfigError: naming the key.
    """
    if scale is None:
        return
    each = scale.items() if isinstance(scale, Mapping) else [("", scale)]
    for name, factor in each:
        number = isinstance(factor, int | float) and not isinstance(factor, bool) and isfinite(factor)
        if not number or factor <= 0:
            instead = "; to keep layers as they are name them in model.freeze" if number and factor == 0 else ""
            raise ConfigError(f"{KEY}{'.' if name else ''}{name}: {factor!r} is no factor above 0{instead}")


def factors(network: nn.Module, scale: Scale) -> dict[str, float]:
    """The factor of each parameter by name.

    Args:
        network: whose layers these are.
        scale: by pattern, of which the one that names the deepest layer counts; 1 for what none names. Or one factor
            d, layer by layer (Howard & Ruder 2018; Clark et al. 2020): the last layer has 1, the one before d, then d².

    Raises:
        ConfigError: for a pattern that covers nothing, or two that contradict each other.
    """
    names = [name for name, _ in network.named_parameters()]
    if not isinstance(scale, Mapping):
        order = layers(network)
        place = {name: len(order) - 1 - n for n, layer in enumerate(order) for name in layer}
        return {name: float(scale) ** place[name] for name in names}
    found: dict[str, tuple[int, float, str]] = {}
    for pattern, factor in scale.items():
        for name, depth in covered(network, pattern, KEY).items():
            before = found.get(name, (0, 1.0, ""))
            if depth == before[0] and factor != before[1]:
                raise ConfigError(
                    f"{KEY}: {before[2]!r} and {pattern!r} give {name} the factors {before[1]:g} and {factor:g}; let "
                    "one of them name it alone"
                )
            if depth > before[0]:
                found[name] = (depth, float(factor), pattern)
    return {name: found[name][1] if name in found else 1.0 for name in names}


def layers(network: nn.Module) -> list[list[str]]:
    """Names of parameters by layer, in the order in which the network defines them.

    A layer is what stands in the network or in its sequences, however deep these lie in each other; a parameter of the
    network's own is one of its first layer.
    """
    found: list[list[str]] = []

    def visit(module: nn.Module, path: str) -> None:
        for name, child in module.named_children():
            if type(child) in CONTAINERS:
                visit(child, f"{path}{name}.")
            elif names := [f"{path}{name}.{own}" for own, _ in child.named_parameters()]:
                found.append(names)

    visit(network, "")
    known = {name for layer in found for name in layer}
    own = [name for name, _ in network.named_parameters() if name not in known]
    if own:
        found[:1] = [[*own, *(found[0] if found else [])]]
    return found


def groups(task: nn.Module, network: nn.Module, scale: Scale) -> list[dict[str, Any]]:
    """The parameter groups of a task, one per factor, the largest first.

    Args:
        task: whose parameters are trained.
        network: the part of it whose layers are named; all else has factor 1.
        scale: as `factors` takes it.
    """
    by_name = factors(network, scale)
    of = {id(parameter): by_name[name] for name, parameter in network.named_parameters()}
    found: dict[float, list[nn.Parameter]] = {}
    for parameter in task.parameters():
        found.setdefault(of.get(id(parameter), 1.0), []).append(parameter)
    return [{"params": found[factor], SCALE: factor} for factor in sorted(found, reverse=True)]


def scaled(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Lets an optimizer step with each group's rate times its factor.

    Outside of its steps every group has the rate that the YAML gives, which schedulers, the finder of a rate and
    loggers read and set: so a factor holds under a scheduler that sets rates of its own, such as OneCycleLR, too.

    Raises:
        ConfigError: for an optimizer without a rate.
    """
    if any("lr" not in group for group in optimizer.param_groups):
        raise ConfigError(f"{KEY}: {type(optimizer).__name__} has no lr to scale; leave lr_scale out")
    kept: list[float | Tensor] = []

    def before(one: torch.optim.Optimizer, *_: Any) -> None:
        kept[:] = [group["lr"] for group in one.param_groups]
        for group in one.param_groups:
            group["lr"] = group["lr"] * group[SCALE]

    def after(one: torch.optim.Optimizer, *_: Any) -> None:
        for group, rate in zip(one.param_groups, kept, strict=True):
            group["lr"] = rate

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)
    return optimizer
