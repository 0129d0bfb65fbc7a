"""What `forward` of somebody else's LightningModule is given of a batch: never what is to be predicted."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from lightning_base.data.items import TARGETS, Finder
from lightning_base.errors import ConfigError

WIDE = 30.0  # inputs so much larger take logits out of 0 to 1, and no sigmoid


def inputs_of(forward: Callable[..., Any], x: Any, target: Finder) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments and keywords that `forward` is given of what `collate` has made.

    Args:
        forward: of the module.
        x: a tensor, a tuple or list, or a mapping, with what is to be predicted where items have it.
        target: where that is, as `data.targets` says: a place, a key; None for the last place, or the keys TARGETS. Of
            a function, or targets given one an item, nothing tells where it is in a batch: then `forward` is given the
            first place alone, or of keys those that it cannot do without.
    """
    known = target is None or isinstance(target, str | int)
    if isinstance(x, Mapping):
        parameters = inspect.signature(forward).parameters
        whole = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
        needed = {name for name, one in parameters.items() if one.default is inspect.Parameter.empty}
        hidden = {target} | {name for name in TARGETS if target is None or name not in needed}
        named = {
            key: value
            for key, value in x.items()
            if key not in hidden and ((whole and known) or key in (parameters if known else needed))
        }
        if named:
            return (), named
        return ({key: value for key, value in x.items() if key not in hidden},), {}
    if isinstance(x, tuple | list) and len(x) > 1:
        if not known:
            return (x[0],), {}
        place = target if isinstance(target, int) else -1
        return tuple(value for i, value in enumerate(x) if i != place % len(x)), {}
    return (x[0] if isinstance(x, tuple | list) else x,), {}


def demand_unseen(given: tuple[tuple[Any, ...], dict[str, Any]], y: Any, name: str) -> None:
    """Refuses inputs among which the targets stand.

    Args:
        given: what `inputs_of` gave of some samples.
        y: their targets (B, ...).
        name: the module's.

    Raises:
        ConfigError: for one that holds the same numbers.
    """
    if not isinstance(y, Tensor) or y.is_complex() or len(y) < 4 or bool((y == y[:1]).all()):
        return
    args, named = given
    parts = [*args, *named.values()]
    parts += [value for part in parts if isinstance(part, Mapping) for value in part.values()]
    own = y.detach().cpu().double().flatten()
    for part in parts:
        if not isinstance(part, Tensor) or part.is_complex() or part.numel() != y.numel():
            continue
        if torch.equal(part.detach().cpu().double().flatten(), own):
            raise ConfigError(
                f"data.targets: {name}.forward would be given the targets themselves; say where they are in an item, "
                "by place or key (data.targets: label), or give the module a predict_step"
            )


def widened(given: Any, factor: float) -> Any:
    """The same, floating inputs multiplied."""
    if isinstance(given, Tensor):
        return given * factor if given.is_floating_point() else given
    if isinstance(given, Mapping):
        return {key: widened(value, factor) for key, value in given.items()}
    return type(given)(widened(value, factor) for value in given) if isinstance(given, tuple | list) else given
