"""Choices: fields of a dataclass that take one of a few words, or values of some types, and nothing else."""

import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from lightning_base.errors import ConfigError, suggest

WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
NUMBERS: dict[Any, tuple[type, ...]] = {int: (int, np.integer), float: (int, float, np.integer, np.floating)}


def demand_choices(made: Any, prefix: str, but: Collection[str] = ()) -> None:
    """Refuses a field that is none of its choices; what YAML gives is checked by the parser, what Python gives is not.

    Args:
        made: an instance of a dataclass; a field's default always fits.
        prefix: what stands before a field's name in messages, as "data".
        but: fields that are looked at elsewhere.

    Raises:
        ConfigError: naming the field.
    """
    hints = get_type_hints(type(made))
    for one in (one for one in fields(made) if one.name not in but):
        hint, value = hints[one.name], getattr(made, one.name)
        if value is one.default and one.default is not MISSING:
            continue
        if get_origin(hint) is Literal and value not in get_args(hint):
            known = [str(choice) for choice in get_args(hint)]
            raise ConfigError(
                f"{prefix}.{one.name}: {value!r} is none of {', '.join(known)}{suggest(str(value), known)}"
            )
        if hint is bool and not isinstance(value, bool):
            raise ConfigError(f"{prefix}.{one.name}: {value!r} is neither true nor false")
        if not fits(hint, value):
            raise ConfigError(f"{prefix}.{one.name}: {shown(value)} is given; give {wanted(hint)}")


def fits(hint: Any, value: Any) -> bool:
    """Whether a value is of a type; one of which that cannot be told is taken to fit."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is Any:
        return True
    if kind in (Union, types.UnionType):
        return any(fits(one, value) for one in inner)
    if kind is Literal:
        return value in inner
    if kind in NUMBERS:
        return isinstance(value, NUMBERS[kind]) and not isinstance(value, bool)
    if kind in (list, tuple, Sequence):
        if isinstance(value, str | bytes | Mapping | type) or not hasattr(value, "__iter__"):
            return False
        return kind is tuple or not inner or all(fits(inner[0], item) for item in value)
    if kind is dict or kind is Mapping:
        return isinstance(value, Mapping)
    return value is None if hint in (None, type(None)) else not isinstance(kind, type) or isinstance(value, kind)


def shown(value: Any) -> str:
    """A value as messages name it: plain ones as they are, others by their type."""
    plain = isinstance(value, bool | int | float | str | None)
    return repr(value)[:60] if plain else f"a {type(value).__name__}" if not isinstance(value, type) else "a class"


def wanted(hint: Any) -> str:
    """What a type wants, in words."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(wanted(one) for one in inner))
    if kind is Literal:
        return " or ".join(map(repr, inner))
    if kind in (list, tuple, Sequence):
        return f"a list, each {wanted(inner[0])}" if inner else "a list"
    if kind in (dict, Mapping):
        return "a mapping"
    return WORDS.get(kind) or f"{kind.__module__}.{kind.__qualname__}(…)"
