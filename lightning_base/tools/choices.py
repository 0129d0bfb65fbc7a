"""Choices: fields of a dataclass that take one of a few words, or true and false, and nothing else."""

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lightning_base.errors import ConfigError, suggest


def demand_choices(made: Any, prefix: str) -> None:
    """Refuses a field that is none of its choices; what YAML gives is checked by the parser, what Python gives is not.

    Args:
        made: an instance of a dataclass.
        prefix: what stands before a field's name in messages, as "data".

    Raises:
        ConfigError: naming the field.
    """
    hints = get_type_hints(type(made))
    for one in fields(made):
        hint, value = hints[one.name], getattr(made, one.name)
        if get_origin(hint) is Literal and value not in get_args(hint):
            known = [str(choice) for choice in get_args(hint)]
            raise ConfigError(
                f"{prefix}.{one.name}: {value!r} is none of {', '.join(known)}{suggest(str(value), known)}"
            )
        if hint is bool and not isinstance(value, bool):
            raise ConfigError(f"{prefix}.{one.name}: {value!r} is neither true nor false")
