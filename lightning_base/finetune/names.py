"""Layers by name: which parameters of a network a pattern such as `features.*` covers."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from torch import nn

from lightning_base.errors import ConfigError, suggest

PREFIX = "network."  # how the task calls it, which a pattern may begin with


def paths(name: str) -> list[str]:
    """A dotted name after those of the modules that it lies in: `a.b` gives `a` and `a.b`."""
    parts = name.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def covered(network: nn.Module, pattern: str, key: str) -> dict[str, int]:
    """The parameters that a pattern covers, each with the depth of what it names (1: a child of the network).

    It names modules, with all that lies inside of them, or parameters; `*`, `?` and `[…]` as in file names, and `*`
    stands for dots too.

    Args:
        network: whose layers are named.
        pattern: the name, or a pattern of names.
        key: where the configuration has it.

    Raises:
        ConfigError: where it covers none, naming the nearest.
    """
    names = [name for name, _ in network.named_parameters()]
    tries = [pattern, pattern.removeprefix(PREFIX)] if pattern.startswith(PREFIX) else [pattern]
    for one in tries:
        if found := {name: depth for name in names if (depth := _depth(name, one))}:
            return found
    known = list(dict.fromkeys(path for name in names for path in paths(name)))
    there = list(dict.fromkeys(name.partition(".")[0] for name in names))
    there = there if len(there) > 1 else summed(names)
    raise ConfigError(
        f"{key}: {pattern!r} names no layer with parameters of {type(network).__name__}{suggest(tries[-1], known)}; "
        f"there are {listed(there)}, with what lies in them"
    )


def _depth(name: str, pattern: str) -> int:
    """How deep the outermost thing lies that a pattern names and a parameter lies in; 0 for none."""
    return next((n + 1 for n, path in enumerate(paths(name)) if fnmatchcase(path, pattern)), 0)


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names, the first few of many."""
    rest = len(names) - most
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:most])} and {rest} more"


def summed(names: Iterable[str]) -> list[str]:
    """Names of parameters by the modules that hold them: `a.weight` and `a.bias` are `a`."""
    return list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
