"""Model: an exported folder that answers; numpy and onnxruntime, and what its inputs' files need."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .answering import Answer
from .answers import answers_of, schema_of
from .encoders import Encoder, collated, encoder_of
from .errors import ExportError, InputError
from .folder import read_json, read_manifest
from .graphs import Graph
from .kept import reader_of
from .readers import Reader
from .rows import RowReader, csv_rows

PREPROCESSING = "preprocessing.json"


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


class Model:
    """A model that answers, as `answering.Answering` says.

    Args:
        folder: exported.
        manifest: what it holds, as `read_manifest` gives it.
        threads: that one run takes; None for all cores.
        device: "cpu" or "cuda".
    """

    def __init__(
        self, folder: Path, manifest: Mapping[str, Any], threads: int | None = None, device: str = "cpu"
    ) -> None:
        self.folder, self.manifest = folder, manifest
        self.name, self.version, self.task = manifest["name"], manifest["version"], manifest["answer"]["kind"]
        kept = read_json(folder / PREPROCESSING)
        self.readers: dict[str, Reader] = {name: reader_of(one) for name, one in kept["inputs"].items()}
        self.members: list[dict[str, Encoder]] = [
            {name: encoder_of(one, folder) for name, one in member.items()} for member in kept["members"]
        ]
        self.shared = set(kept["shared"])
        self.kinds = {name: reader.kind for name, reader in self.readers.items()}
        self.graphs = {name: Graph(folder / file, threads, device) for name, file in manifest["graphs"].items()}
        self.answer_schema = schema_of(manifest["answer"])
        self.streams = self.task == "language_model"
        self._writes = self.task in ("language_model", "translation")
        self._form = {
            self._named(m, name): (encoder.ragged, encoder.longest)
            for m, member in enumerate(self.members)
            for name, encoder in member.items()
        }
        if self._writes:
            from .writing import Writes

            (encoders,) = self.members
            self._writer = Writes(manifest["answer"], self.graphs, folder, encoders)

    def _named(self, member: int, name: str) -> str:
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
        if self.streams:
            found["properties"] |= self._writer.option_schemas
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}

    def read(self, given: object) -> Encoded:
        """One input, of a JSON value that fits the schema.

        Raises:
            InputError: naming the field.
        """
        if not isinstance(given, dict):
            raise InputError("", f"takes an object with {', '.join(list(self.readers)[:20])}")
        if self.alone is not None and self.kinds[self.alone] == "table":
            return self._encoded({self.alone: self.readers[self.alone].read(given, "")})
        options = {}
        if self.streams:
            given = dict(given)
            options = self._writer.options(given)
        for name in given:
            if name not in self.readers:
                raise InputError(str(name)[:100], f"is no input of the model; its inputs are {', '.join(self.readers)}")
        for name in self.readers:
            if name not in given:
                raise InputError(name, "is missing")
        raw = {name: reader.read(given[name], name) for name, reader in self.readers.items()}
        return self._encoded(raw, options)

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
        options = self._writer.options({}) if self.streams else {}
        return self._encoded({str(self.alone): reader.read_file(content, str(self.alone))}, options)

    def read_rows(self, content: bytes) -> list[Encoded]:
        """Inputs of a CSV with a header, a row each.

        Raises:
            InputError: naming the line and the column.
        """
        reader = self.readers.get(self.alone or "")
        if isinstance(reader, RowReader):
            return [self._encoded({str(self.alone): row}) for row in reader.rows(content)]
        if set(self.kinds.values()) != {"text"}:
            raise InputError("", "a CSV has neither images, sounds nor arrays; give JSON")
        found = []
        for line, cells in csv_rows(content, list(self.readers), all_of=True):
            try:
                found.append(self.read({name: cells[name] for name in self.readers}))
            except InputError as error:
                raise InputError(f"line {line}.{error.field}", error.message) from error
        return found

    def _encoded(self, raw: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Encoded:
        arrays: dict[str, npt.NDArray[Any]] = {}
        notes: list[str] = []
        for m, member in enumerate(self.members):
            for name, encoder in member.items():
                if name in self.shared and m:
                    continue
                for ending, array in encoder.encode(raw[name], name).items():
                    arrays[self._named(m, name) + ending] = array
                notes += encoder.notes(raw[name])
        size = next((one.size for one in raw.values() if hasattr(one, "pixels")), None)
        return Encoded(raw, arrays, list(dict.fromkeys(notes)), size, dict(options or {}))

    def feeds(self, items: Sequence[Encoded]) -> dict[str, npt.NDArray[Any]]:
        """What the graph takes of B inputs: (B, ...) each, and the lengths (B,) of padded ones."""
        found: dict[str, npt.NDArray[Any]] = {}
        for name in items[0].arrays:
            ragged, longest = self._form.get(name, (True, None))
            x, lengths = collated([item.arrays[name] for item in items], ragged, longest)
            found[name] = x
            if lengths is not None:
                found[f"{name}_lengths"] = lengths
        return found

    def run(self, items: Sequence[Encoded]) -> list[Answer]:
        """The answers; what one item gets does not depend on those beside it."""
        if not items:
            return []
        if self._writes:
            found = self._writer.run(items, self.feeds)
        else:
            outputs = self.graphs["model"].run(self.feeds(items))
            found = answers_of(self.manifest["answer"], outputs, [item.size for item in items])
        return [
            {**answer, "notes": list(item.notes)} if item.notes else answer
            for answer, item in zip(found, items, strict=True)
        ]

    def stream(self, item: Encoded) -> Iterator[str]:
        """The text that is written behind an item, piece by piece.

        Raises:
            InputError: where the model writes none.
        """
        if not self.streams:
            raise InputError("", "the model writes no text; ask for an answer")
        return self._writer.stream(item)


def load(folder: Path, threads: int | None = None, device: str = "cpu", verify: bool = True) -> Model:
    """The model of an exported folder.

    Args:
        folder: exported.
        threads: that one run takes; None for all cores.
        device: "cpu" or "cuda".
        verify: hold every file against its hash.

    Raises:
        ExportError: where it holds none, or has been changed.
    """
    manifest = read_manifest(folder, verify)
    if "graphs" not in manifest:
        raise ExportError(
            f"{folder}: was exported as {manifest.get('precision')}, without an ONNX graph to answer with"
        )
    return Model(folder, manifest, threads, device)
