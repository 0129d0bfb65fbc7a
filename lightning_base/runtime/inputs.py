"""Inputs: what a model is asked, read, and encoded as its graphs take it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from .encoders import Encoder, collated, encoder_of
from .errors import InputError
from .kept import reader_of
from .readers import Reader
from .rows import RowReader, csv_rows


@dataclass(frozen=True)
class Encoded:
    """One input as graphs take it.

    Attributes:
        raw: by input, as it was read.
        arrays: by the graph's input, an array without the batch's axis.
        notes: what is to be said of it.
        size: of an image that was given, height and width.
        options: of what is written.
    """

    raw: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]
    notes: Sequence[str] = ()
    size: tuple[int, int] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.raw[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)


class Options(Protocol):
    """What an input may say beside itself, of models that write."""

    @property
    def schemas(self) -> dict[str, Any]:
        """By option its JSON Schema."""

    def take(self, given: dict[str, Any]) -> dict[str, Any]:
        """Takes the options out of an input.

        Raises:
            InputError: naming one that is out of its range.
        """


class Inputs:
    """What reads and encodes inputs.

    Args:
        readers: by input.
        members: of each member by input what its preprocessing applies first.
        shared: the inputs that all members' preprocessing encodes alike.
        options: of models that write.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader],
        members: Sequence[Mapping[str, Encoder]],
        shared: Sequence[str],
        options: Options | None = None,
    ) -> None:
        self.readers, self.members, self.shared = dict(readers), [dict(one) for one in members], set(shared)
        self.options = options
        self._forms = {
            self.named(m, name): (encoder.ragged, encoder.longest)
            for m, member in enumerate(self.members)
            for name, encoder in member.items()
        }

    @staticmethod
    def of(kept: Mapping[str, Any], folder: Path, options: Options | None = None) -> "Inputs":
        """What preprocessing.json describes."""
        readers = {name: reader_of(one) for name, one in kept["inputs"].items()}
        members = [{name: encoder_of(one, folder) for name, one in member.items()} for member in kept["members"]]
        return Inputs(readers, members, kept["shared"], options)

    @property
    def kinds(self) -> dict[str, str]:
        """By input its kind."""
        return {name: reader.kind for name, reader in self.readers.items()}

    @property
    def ragged(self) -> list[str]:
        """What the graph calls inputs that have lengths of their own and are not padded to one."""
        return [name for name, (ragged, longest) in self._forms.items() if ragged and longest is None]

    def named(self, member: int, name: str) -> str:
        """What the graph calls a member's input."""
        return name if name in self.shared else f"m{member}_{name}"

    @property
    def alone(self) -> str | None:
        """The name of the only input; None where there are several."""
        return next(iter(self.readers)) if len(self.readers) == 1 else None

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of one input."""
        if self.alone is not None and self.kinds[self.alone] == "table":
            found = self.readers[self.alone].schema()
        else:
            parts = {name: reader.schema() for name, reader in self.readers.items()}
            found = {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}
        if self.options is not None:
            found["properties"] |= self.options.schemas
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}

    def read(self, given: object) -> Encoded:
        """One input, of a JSON value that fits the schema.

        Raises:
            InputError: naming the field.
        """
        if not isinstance(given, dict):
            raise InputError("", f"takes an object with {', '.join(list(self.readers)[:20])}")
        if self.alone is not None and self.kinds[self.alone] == "table":
            return self.encoded({self.alone: self.readers[self.alone].read(given, "")})
        given = dict(given)
        options = {} if self.options is None else self.options.take(given)
        for name in given:
            if name not in self.readers:
                raise InputError(str(name)[:100], f"is no input of the model; its inputs are {', '.join(self.readers)}")
        for name in self.readers:
            if name not in given:
                raise InputError(name, "is missing")
        raw = {name: reader.read(given[name], name) for name, reader in self.readers.items()}
        return self.encoded(raw, options)

    def read_file(self, content: bytes) -> Encoded:
        """One input, of a file's content.

        Raises:
            InputError: where the model takes no one file, or this is none that it takes.
        """
        reader: Any = self.readers.get(self.alone or "")
        if reader is None or not hasattr(reader, "read_file"):
            raise InputError("", f"the model takes no file alone; give JSON with {', '.join(list(self.readers)[:20])}")
        if not content:
            raise InputError(self.alone or "", "the file is empty")
        options = {} if self.options is None else self.options.take({})
        return self.encoded({str(self.alone): reader.read_file(content, str(self.alone))}, options)

    def read_rows(self, content: bytes) -> list[Encoded]:
        """Inputs of a CSV with a header, a row each.

        Raises:
            InputError: naming the line and the column.
        """
        reader = self.readers.get(self.alone or "")
        if isinstance(reader, RowReader):
            return [self.encoded({str(self.alone): row}) for row in reader.rows(content)]
        if set(self.kinds.values()) != {"text"}:
            raise InputError("", "a CSV has neither images, sounds nor arrays; give JSON")
        found = []
        for line, cells in csv_rows(content, list(self.readers)):
            try:
                found.append(self.read({name: cells[name] for name in self.readers}))
            except InputError as error:
                raise InputError(f"line {line}.{error.field}", error.message) from error
        return found

    def encoded(self, raw: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Encoded:
        """One input as graphs take it, of what was read by input.

        Raises:
            InputError: where preprocessing cannot take it.
        """
        arrays: dict[str, npt.NDArray[Any]] = {}
        notes: list[str] = []
        for m, member in enumerate(self.members):
            for name, encoder in member.items():
                if name in self.shared and m:
                    continue
                for ending, array in encoder.encode(raw[name], name).items():
                    arrays[self.named(m, name) + ending] = array
                notes += encoder.notes(raw[name])
        size = next((one.size for one in raw.values() if hasattr(one, "pixels")), None)
        return Encoded(raw, arrays, list(dict.fromkeys(notes)), size, dict(options or {}))

    def feeds(self, items: Sequence[Encoded]) -> dict[str, npt.NDArray[Any]]:
        """What the graph takes of B inputs: (B, ...) each, and the lengths (B,) of padded ones."""
        found: dict[str, npt.NDArray[Any]] = {}
        for name in items[0].arrays:
            ragged, longest = self._forms.get(name, (True, None))
            x, lengths = collated([item.arrays[name] for item in items], ragged, longest)
            found[name] = x
            if lengths is not None:
                found[f"{name}_lengths"] = lengths
        return found
