"""What whoever asks a model relies on: inputs are read one by one, and answered together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

Item: TypeAlias = Mapping[str, Any]
Answer: TypeAlias = dict[str, Any]


class Answering(Protocol):
    """A model that answers.

    Attributes:
        folder: the exported folder.
        name: of the experiment.
        version: a short hash of what the folder holds.
        task: "classification", "binary", "multi_label", "regression", "quantiles", "detection", "translation",
            "language_model" or "other".
        kinds: by input its kind: "table", "image", "sound", "text" or "array". One input mostly; its name is then
            that of its kind ("image", "sound", "text"), "row" of a table and "x" of an array.
        schema: the JSON Schema (2020-12) of one input, an object: a table's columns by name; `image` and `sound` in
            base64; `text`; `x`, nested lists; of several inputs these by their names.
        answer_schema: that of an answer.
        streams: whether `stream` writes on, a piece at a time.
        manifest: manifest.json.
    """

    folder: Path
    name: str
    version: str
    task: str
    kinds: Mapping[str, str]
    schema: Mapping[str, Any]
    answer_schema: Mapping[str, Any]
    streams: bool
    manifest: Mapping[str, Any]

    def read(self, given: object) -> Item:
        """One input, of a JSON value that fits the schema.

        Raises:
            InputError: naming the field that does not fit.
        """

    def read_file(self, content: bytes) -> Item:
        """One input, of a file's content: an image, a sound, or a text; of models with one such input alone.

        Raises:
            InputError: where it is none, or too large once decoded.
        """

    def read_rows(self, content: bytes) -> list[Item]:
        """Inputs of a CSV with a header, a row each; of tables, and of models all of whose inputs are texts.

        Raises:
            InputError: naming the line and the column.
        """

    def run(self, items: Sequence[Item]) -> list[Answer]:
        """The answers, JSON values: what one item gets does not depend on those beside it. Threads may call it at once.

        `pred`, and by task: classification `prob` {class: probability}, binary also `threshold`; multi_label `pred`, a
        list of labels, and `prob` {label: probability}; regression one number, or {name: number}; quantiles
        {level: number}; detection `boxes` [[x1, y1, x2, y2]] in the given image's pixels, `scores`, `labels`, and
        `size` [height, width] of that image; translation and language_model a text.
        """

    def stream(self, item: Item) -> Iterator[str]:
        """The text that a language model writes behind an item, piece by piece; together they are `run`'s `pred`."""
