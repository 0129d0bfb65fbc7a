"""Readers as JSON keeps them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .dialogue import DialogueReader
from .readers import ArrayReader, Reader, TextReader
from .rows import Column, RowReader


def reader_of(settings: Mapping[str, Any]) -> Reader:
    """The reader that `settings_of` wrote.

    Raises:
        ValueError: for settings of none.
    """
    given = {key: value for key, value in settings.items() if key != "kind"}
    kind = settings.get("kind")
    if kind == "array":
        return ArrayReader(tuple(given["shape"]), given["dtype"])
    if kind == "text" and "speakers" in given:
        return DialogueReader(tuple(given["speakers"]), given["turns"], given.get("several", False))
    if kind == "text":
        return TextReader(**given)
    if kind == "image":
        from .files import ImageReader  # these import libraries that a table's model needs not

        pairs: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
        }
        return ImageReader(**pairs)
    if kind == "sound":
        from .files import SoundReader

        return SoundReader(**given)
    if kind == "table":
        columns = tuple(Column(**{**one, "known": tuple(one["known"])}) for one in given["columns"])
        truths = tuple((text, truth) for text, truth in given["truths"])
        return RowReader(columns, tuple(given["na_values"]), truths)
    raise ValueError(f"no kind of input {kind!r}")


def settings_of(reader: Any) -> dict[str, Any]:
    """A reader as JSON keeps it."""
    return {"kind": reader.kind, **asdict(reader)}
