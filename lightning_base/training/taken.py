"""What the command line gives and the parser drops: it keeps no word of an unknown key inside of a dataclass."""

from collections.abc import Sequence
from typing import Any

from jsonargparse import Namespace

from lightning_base.errors import ConfigError
from lightning_base.training.config_errors import no_option
from lightning_base.training.known_names import options, plain

CLASH = "\u200b"  # what jsonargparse puts before a key that is a method of its Namespace, as `items`


def demand_taken(config: Namespace, words: Sequence[str]) -> None:
    """Refuses a dotted option of the command line that leads nowhere in what was parsed.

    What later words replace, as by another class, is not looked at.

    Args:
        config: the verb's options, as parsed.
        words: without the verb.

    Raises:
        ConfigError: naming the option, with the nearest that there is.
    """
    names = [plain(name) for name, _ in options(words)]
    for i, parts in enumerate(names):
        replaced = any(later == parts[: len(later)] for later in names[i + 1 :])
        if len(parts) < 2 or parts[-1] == "help" or "dict_kwargs" in parts or replaced:
            continue
        if (found := _lost(config, parts)) is not None:
            depth, owner, taken = found
            key = parts[: depth + 1]
            raise ConfigError(no_option(".".join(key), owner or ".".join(key[:-1]), (), taken))


def _lost(held: Any, parts: Sequence[str], depth: int = 0) -> tuple[int, str, list[str]] | None:
    """Which part leads nowhere, the class that has no such option, and those that it has; None where all lead on."""
    if depth == len(parts):
        return None
    if isinstance(held, list):  # an option is of the element that was the last when it was given
        found = [_lost(one, parts, depth) for one in held]
        return None if None in found or not found else found[-1]
    if not isinstance(held, Namespace):
        return None  # plain dictionaries take any key
    owner = str(held.class_path) if "class_path" in held else ""
    inside = held.get("init_args") if owner else held
    if not isinstance(inside, Namespace):
        return None
    taken = {name.removeprefix(CLASH): value for name, value in vars(inside).items()}
    if parts[depth] not in taken:
        return depth, owner, list(taken)
    return _lost(taken[parts[depth]], parts, depth + 1)
