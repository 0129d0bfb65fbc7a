"""Model: an exported folder that answers; numpy and onnxruntime, and what its inputs' files need."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .answering import Answer
from .answers import answers_of, schema_of
from .errors import ExportError, InputError
from .folder import read_json, read_manifest
from .inputs import Encoded, Inputs
from .writing import Writes, WritingOptions

PREPROCESSING = "preprocessing.json"
WRITE = ("language_model", "translation")


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
        self.folder, self.manifest, self.threads = folder, manifest, threads
        settings = manifest["answer"]
        self.name, self.version, self.task = manifest["name"], manifest["version"], settings["kind"]
        self.streams = self.task == "language_model"
        options = WritingOptions(settings) if self.streams else None
        self.inputs = Inputs.of(read_json(folder / PREPROCESSING), folder, options)
        self.kinds, self.schema, self.answer_schema = self.inputs.kinds, self.inputs.schema, schema_of(settings)
        self.graphs = {name: _opened(folder / file, threads, device) for name, file in manifest["graphs"].items()}
        self._writer = Writes(settings, self.graphs, folder, self.inputs.members[0]) if self.task in WRITE else None

    def read(self, given: object) -> Encoded:
        """One input, of a JSON value that fits the schema.

        Raises:
            InputError: naming the field.
        """
        return self.inputs.read(given)

    def read_file(self, content: bytes) -> Encoded:
        """One input, of a file's content.

        Raises:
            InputError: where the model takes no one file, or this is none that it takes.
        """
        return self.inputs.read_file(content)

    def read_rows(self, content: bytes) -> list[Encoded]:
        """Inputs of a CSV with a header, a row each.

        Raises:
            InputError: naming the line and the column.
        """
        return self.inputs.read_rows(content)

    def run(self, items: Sequence[Encoded]) -> list[Answer]:
        """The answers; what one item gets does not depend on those beside it.

        Raises:
            InputError: where an answer is no finite number, naming the item's place among several.
        """
        if not items:
            return []
        if self._writer is not None:
            found = self._writer.run(items, self.inputs.feeds)
        else:
            outputs = self.graphs["model"].run(self.inputs.feeds(items))
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
        if not self.streams or self._writer is None:
            raise InputError("", "the model writes no text; ask for an answer")
        return self._writer.stream(item)


def _opened(path: Path, threads: int | None, device: str) -> Any:
    """A graph of onnxruntime's, or a program of torch's."""
    if path.suffix == ".pt2":
        try:
            from .program import Program
        except ModuleNotFoundError as error:
            raise ExportError(f"{path}: is torch's to run; install torch, as requirements.txt says") from error

        return Program(path, threads)
    from .graphs import Graph

    return Graph(path, threads, device)


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
    if not manifest.get("graphs"):
        raise ExportError(f"{folder}: has weights alone, and nothing to answer with; export it with --format onnx")
    return Model(folder, manifest, threads, device)
