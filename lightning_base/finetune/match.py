"""Which of a file's weights go where in a network: names without wrappers, renamed, and what is left on either side."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from lightning_base.errors import ConfigError, suggest
from lightning_base.finetune.given import KEY, InitFrom
from lightning_base.finetune.names import covered, listed, paths, summed

WRAPPERS = ("network.", "module.", "model.", "_orig_mod.")
LAZY = (UninitializedParameter, UninitializedBuffer)
COUNTER = "num_batches_tracked"  # which torch before 1.0 did not keep, and nothing is computed from by default


@dataclass(frozen=True)
class Match:
    """What of a source fits a network.

    Attributes:
        weights: what is loaded, by the network's names.
        came: the name that each has in the source.
        renamed: of these, by their names in the source, those that `rename` gave another.
        left: what stays as it was, with why.
        unused: names in the source that go nowhere, with why.
        last: names of the network's last layer.
    """

    weights: dict[str, Tensor]
    came: dict[str, str]
    renamed: dict[str, str]
    left: dict[str, str]
    unused: dict[str, str]
    last: list[str] = field(default_factory=list)

    def told(self) -> str:
        """What was loaded and what was not, on one line."""
        n = len(self.weights)
        parts = [f"{n} of {n + len(self.left)} tensors loaded"]
        if self.renamed:
            old, new = next(iter(self.renamed.items()))
            parts.append(f"{len(self.renamed)} of them renamed ({old} is {new})")
        if self.left:
            parts.append(f"as it was: {listed(summed(self.left), 3)}")
        if self.unused:
            parts.append(f"not used: {listed(summed(self.unused), 3)}")
        return "; ".join(parts)


def match(source: Mapping[str, Tensor], network: nn.Module, given: InitFrom) -> Match:
    """What of a source's weights fits a network.

    Args:
        source: by name.
        network: whose lazy layers have their sizes.
        given: how names are changed, and what may stay as it was.

    Raises:
        ConfigError: where nothing fits, two weights claim one name, a value is not finite, or a layer that should have
            been there is not; the message names it.
    """
    own = dict(network.state_dict())
    bare = {name: _bare(name, own, given.rename) for name in source}
    named = renamed(bare, given.rename)
    last, new = last_layer(network), named_new(network, given)
    weights: dict[str, Tensor] = {}
    left = dict.fromkeys(own, "not in the source")
    unused: dict[str, str] = {}
    moved: dict[str, str] = {}
    came: dict[str, str] = {}
    for name, value in source.items():
        target = named[name]
        if target not in own:
            unused[name] = "the network has no such name"
        elif target in came:
            raise ConfigError(f"{KEY}: {came[target]} and {name} would both be {target}; rename one of them")
        elif target in new:
            came[target] = name
            left[target] = unused[name] = f"named in {KEY}.new"
        elif isinstance(own[target], LAZY) or value.shape != own[target].shape:
            came[target] = name
            here = "no size yet" if isinstance(own[target], LAZY) else str(tuple(own[target].shape))
            left[target] = unused[name] = f"{tuple(value.shape)} in the source, {here} here"
        else:
            came[target] = name
            weights[target] = value
            del left[target]
            if target != bare[name]:
                moved[name] = target
    for name in beside(weights, left, came.keys()):
        del weights[name]
        moved.pop(came[name], None)
        left[name] = unused[came[name]] = "beside one of another shape"
    found = Match(weights, {name: came[name] for name in weights}, moved, left, unused, last)
    demand_some(found, source, own, network)
    demand_finite(found)
    demand_whole(found, new or set(last), given)
    return found


def named_new(network: nn.Module, given: InitFrom) -> set[str]:
    """Names of the parameters and buffers that are to keep their own first weights.

    Raises:
        ConfigError: for a pattern that covers none.
    """
    found = {name for one in given.new or () for name in covered(network, one, f"{KEY}.new")}
    modules = {name.rpartition(".")[0] for name in found}
    whole = {path for path in modules if all(f"{path}.{own}".lstrip(".") in found for own in _own(network, path))}
    return found | {name for name in network.state_dict() if name.rpartition(".")[0] in whole}


def _own(network: nn.Module, path: str) -> list[str]:
    return [name for name, _ in network.get_submodule(path).named_parameters(recurse=False)]


def beside(weights: Mapping[str, Tensor], left: Mapping[str, str], came: Iterable[str]) -> list[str]:
    """Weights of a layer of which the source has another one in another shape: half a layer is none."""
    apart = {name.rpartition(".")[0] for name in came if name in left}
    return [name for name in weights if name.rpartition(".")[0] in apart]


def renamed(bare: Mapping[str, str], rename: Mapping[str, str]) -> dict[str, str]:
    """What each name of a source is called in the network.

    Args:
        bare: names without wrappers, by those in the source.
        rename: what parts of names are called, of which the longest that a name begins with counts.

    Raises:
        ConfigError: for a part to rename that no name begins with.
    """
    used: set[str] = set()
    found = {}
    for name, short in bare.items():
        found[name] = short
        if olds := [old for old in rename if _begins(short, old)]:
            old = max(olds, key=len)
            used.add(old)
            found[name] = ".".join(part for part in (rename[old], short[len(old) :].lstrip(".")) if part)
    for old in rename.keys() - used:
        known = list(dict.fromkeys(path for name in bare.values() for path in paths(name)))
        top = list(dict.fromkeys(name.partition(".")[0] for name in bare.values()))
        raise ConfigError(
            f"{KEY}.rename: no name in the source begins with {old!r}{suggest(old, known)}; there are {listed(top)}"
        )
    return found


def _begins(name: str, old: str) -> bool:
    return old == "" or name == old or name.startswith(f"{old}.")


def _bare(name: str, own: Mapping[str, Tensor], rename: Mapping[str, str]) -> str:
    """A name without wrappers, as far as they are none of the network's own parts or of those to rename."""
    while name not in own and not any(old and _begins(name, old) for old in rename):
        wrapper = next((one for one in WRAPPERS if name.startswith(one)), None)
        if wrapper is None:
            break
        name = name.removeprefix(wrapper)
    return name


def last_layer(network: nn.Module) -> list[str]:
    """Names of what the last module with parameters holds, in the order in which the network defines them: its head."""
    names = [name for name, _ in network.named_parameters()]
    if not names:
        return []
    path = names[-1].rpartition(".")[0]
    start = f"{path}." if path else ""
    return [name for name in network.state_dict() if name.startswith(start) and "." not in name[len(start) :]]


def demand_some(found: Match, source: Mapping[str, Tensor], own: Mapping[str, Tensor], network: nn.Module) -> None:
    """Refuses a source of which nothing fits.

    Raises:
        ConfigError: with names of both.
    """
    parameters = {name for name, _ in network.named_parameters()}
    if found.weights.keys() & parameters:
        return
    theirs, ours = listed(list(source), 3), listed(list(own), 3)
    raise ConfigError(
        f"{KEY}: none of the source's {len(source)} tensors fits {type(network).__name__}: it has {theirs}, the "
        f"network {ours}; give {KEY}.rename, or the network that they are of"
    )


def demand_finite(found: Match) -> None:
    """Refuses weights that are NaN or infinite.

    Raises:
        ConfigError: naming the first.
    """
    for name, value in found.weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ConfigError(f"{KEY}: {name} in the source is not finite (NaN or infinity); give other weights")


def demand_whole(found: Match, allowed: set[str], given: InitFrom) -> None:
    """Refuses to leave layers as they were that are not to begin anew.

    Raises:
        ConfigError: naming the first.
    """
    wrong = [name for name in found.left if name not in allowed and not name.endswith(COUNTER)]
    if not given.strict or not wrong:
        return
    more = f" ({len(wrong)} such tensors)" if len(wrong) > 1 else ""
    raise ConfigError(
        f"{KEY}: {wrong[0]} would stay as it was: {found.left[wrong[0]]}{more}; give {KEY}.rename, name layers that "
        f"are meant to begin anew in {KEY}.new, or give {KEY}.strict: false"
    )


def load(network: nn.Module, found: Match) -> None:
    """Puts the weights that fit into a network, in its own precision, memory format and place."""
    own = network.state_dict()
    with torch.no_grad():
        for name, value in found.weights.items():
            own[name].copy_(value)
