"""Dataclasses as JSON files: one writer and one reader, which names what a file lacks."""

from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lightning_base.errors import UserError
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
        UserError: where it cannot be read, or lacks a field.
    """
    return made_of(kind, read_json(path, mend), path, mend)


def made_of(kind: type[Record], content: dict[str, Any], path: Path, mend: str) -> Record:
    """The dataclass that a JSON object's fields make; unknown fields are left out.

    Args:
        kind: the dataclass.
        content: the object.
        path: the file it comes from.
        mend: what to do where it lacks a field.

    Raises:
        UserError: where it lacks a field.
    """
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in needed if name not in content]:
        raise UserError(f"{path}: it lacks {missing[0]!r}; {mend}")
    return kind(**{f.name: content[f.name] for f in fields(kind) if f.name in content})
