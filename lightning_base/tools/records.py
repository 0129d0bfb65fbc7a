"""Dataclasses as JSON files: one writer and one reader, which names what a file lacks and what does not fit."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from lightning_base.errors import ArtefactError
from lightning_base.tools.files import read_json, write_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")


def write_record(path: Path, record: "DataclassInstance") -> None:
    """Writes a dataclass as a JSON object, in the main process; NaN and infinity become null."""
    write_json(path, asdict(record))


def read_record(kind: type[Record], path: Path, mend: str) -> Record:
    """What `write_record` wrote.

    Args:
        kind: the dataclass.
        path: the file.
        mend: what to do where it cannot be read.

    Raises:
        UserError: where it cannot be read, lacks a field, or has a value of another type than the field's.
    """
    content = read_json(path, mend)
    try:
        return made_of(kind, content, "")
    except Misfit as error:
        raise ArtefactError(f"{path}: {error}; {mend}") from error


class Misfit(ValueError):
    """What is wrong with a value, and where it stands."""


def made_of(kind: type[Record], content: Mapping[str, Any], where: str) -> Record:
    """The dataclass that a JSON object's fields make; unknown fields are left out.

    Args:
        kind: the dataclass.
        content: the object.
        where: what stands before its keys in a message.

    Raises:
        Misfit: where it lacks a field, or has a value of another type than the field's.
    """
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in needed if name not in content]:
        raise Misfit(f"it lacks {where + missing[0]!r}")
    hints = get_type_hints(kind)
    return kind(
        **{f.name: fitting(hints[f.name], content[f.name], where + f.name) for f in fields(kind) if f.name in content}
    )


def fitting(hint: Any, value: Any, where: str) -> Any:
    """A JSON value as a type has it: arrays as tuples where it says so, null as NaN where a number belongs.

    Args:
        hint: Any, None, a scalar, a dataclass, a union, or a dict, list or tuple of these.
        value: what JSON gave.
        where: the keys that lead to it.

    Raises:
        Misfit: where the value is of another type.
    """
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is Any:
        return value
    if kind in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return fitting(next(one for one in inner if one is not type(None)), value, where)
    if kind is float and value is None:
        return nan
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return made_of(kind, value, f"{where}.")
    if kind is dict and isinstance(value, dict):
        return {key: fitting(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind in (list, tuple) and isinstance(value, list):
        hints = [inner[0]] * len(value) if kind is list or inner[-1] is ... else list(inner)
        if len(hints) == len(value):
            return kind(
                fitting(one, item, f"{where}[{i}]") for i, (one, item) in enumerate(zip(hints, value, strict=True))
            )
    elif kind in (bool, str, int, float):
        of = (int, float) if kind is float else kind
        if isinstance(value, of) and (kind is bool or not isinstance(value, bool)):
            return value
    raise Misfit(f"{where} is {str(value)[:40]!r}, no {getattr(hint, '__name__', hint)}")
