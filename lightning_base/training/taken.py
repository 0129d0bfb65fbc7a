"""What the command line gives and the parser drops: it keeps no word of an unknown key inside of a dataclass."""

from collections.abc import Mapping, Sequence
from typing import Any

from jsonargparse import Namespace

from lightning_base.errors import ConfigError
from lightning_base.training.config_errors import no_option
from lightning_base.training.known_names import options

INNER = ("init_args", "class_path")


def demand_taken(config: Namespace, words: Sequence[str]) -> None:
    """Refuses a dotted option of the command line that leads nowhere in what was parsed.

    Args:
        config: the verb's options, as parsed.
        words: without the verb.

    Raises:
        ConfigError: naming the option, with the nearest that there is.
    """
    for name, _ in options(words):
        parts = [part for part in name.split(".") if part not in INNER]
        if len(parts) < 2 or parts[-1] == "help" or "dict_kwargs" in parts:
            continue
        held: Any = config
        owner = ""
        for i, part in enumerate(parts):
            held, owner = inside(held, owner)
            if held is None or not isinstance(held, Mapping):
                break
            if part not in held:
                raise ConfigError(no_option(".".join(parts[: i + 1]), owner or ".".join(parts[:i]), (), list(held)))
            held, owner = held[part], ""


def inside(held: Any, owner: str) -> tuple[Any, str]:
    """The options in a value, and the class that has them; None where it has none that can be told."""
    if isinstance(held, list):  # words go to the last of a list
        held = held[-1] if held else None
    if isinstance(held, Namespace) and "class_path" in held:
        arguments = held.get("init_args")
        return (None if arguments is None else vars(arguments)), str(held.class_path)
    if isinstance(held, Namespace):
        return vars(held), owner
    return None, owner  # plain dictionaries take any key
