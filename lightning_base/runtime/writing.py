"""Writes: models that write texts: translations by beam search, continuations by drawing."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .decoding import Writer, beam_search, uniforms, written
from .encoders import Encoder, Pieces
from .errors import InputError
from .folder import inside
from .hashing import hashed
from .tokens import BEGIN, END, PADDING, UNKNOWN, Tokens

MOST_NEW = 4096
Feeds = Callable[[Sequence[Any]], dict[str, npt.NDArray[Any]]]


class WritingOptions:
    """What a language model's input may say beside its text.

    Args:
        settings: of manifest.json's `answer`, whose values are the defaults.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings

    @property
    def schemas(self) -> dict[str, Any]:
        """The options of a language model's input, as JSON Schemas."""
        s = self.settings
        return {
            "id": {
                "type": "string",
                "maxLength": 1000,
                "description": "what is drawn is drawn by it; the text by default",
            },
            "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1, "default": s["draw_seed"]},
            "new": {"type": "integer", "minimum": 1, "maximum": MOST_NEW, "default": s["new"]},
            "temperature": {"type": "number", "minimum": 0, "maximum": 100, "default": s["temperature"]},
            "top_k": {"type": ["integer", "null"], "minimum": 1, "default": s["top_k"]},
        }

    def take(self, given: dict[str, Any]) -> dict[str, Any]:
        """Takes the options out of an input.

        Raises:
            InputError: naming one that is out of its range.
        """
        found: dict[str, Any] = {}
        for name, schema in self.schemas.items():
            value = given.pop(name, schema.get("default"))
            if value is None and (name == "id" or "null" in schema["type"]):
                found[name] = None
                continue
            if name == "id":
                if not isinstance(value, str) or len(value) > schema["maxLength"]:
                    raise InputError(name, f"takes a text of at most {schema['maxLength']} characters")
            elif isinstance(value, bool) or not isinstance(value, int if "integer" in schema["type"] else int | float):
                raise InputError(name, f"takes a {'whole number' if 'integer' in schema['type'] else 'number'}")
            elif not schema["minimum"] <= value <= schema.get("maximum", math.inf):
                raise InputError(name, f"is not from {schema['minimum']} to {schema.get('maximum', 'any')}")
            found[name] = value
        return found


class Writes:
    """What writes a text for each input.

    Args:
        settings: of manifest.json's `answer`.
        graphs: "start" and "next"; of language models that keep no state "start" alone.
        folder: the exported one.
        encoders: of the only member's inputs.
    """

    def __init__(
        self, settings: Mapping[str, Any], graphs: Mapping[str, Any], folder: Path, encoders: Mapping[str, Encoder]
    ) -> None:
        self.settings = settings
        self.writer = Writer(graphs["start"], graphs.get("next"))
        if settings["kind"] == "translation":
            from tokenizers import Tokenizer

            kept = dict(settings["tokenizer"])
            self.tokens = Tokens(Tokenizer.from_file(str(folder / inside(kept.pop("file"), folder))), **kept)
        else:
            (pieces,) = encoders.values()
            assert isinstance(pieces, Pieces)
            self.tokens = pieces.tokens

    def run(self, items: Sequence[Any], feeds: Feeds) -> list[dict[str, Any]]:
        """The texts, as `pred`."""
        if self.settings["kind"] == "language_model":
            return [{"pred": self.tokens.decode(self._drawn(item))} for item in items]
        _, state = self.writer.start(feeds(items))
        s = self.settings
        rows = beam_search(
            self.writer, state, len(items), s["beam"], s["length_penalty"], s["longest"], self.tokens.size
        )
        return [{"pred": self.tokens.decode(row)} for row in rows]

    def _drawn(self, item: Any) -> Iterator[int]:
        """The new tokens behind a prompt."""
        s, options = self.settings, item.options
        (tokens,) = (array for name, array in item.arrays.items() if not name.endswith("_lengths"))
        (text,) = item.raw.values()
        ends = self.tokens.end
        known = tokens.tolist()
        if ends and known and known[-1] == END:
            known = known[:-1]
        never = [PADDING, BEGIN, UNKNOWN, *([] if ends else [END])]
        key = hashed(text if options["id"] is None else options["id"])
        return written(
            self.writer,
            [BEGIN, *known],
            uniforms(key, options["new"], options["seed"]),
            options["temperature"],
            options["top_k"],
            never,
            END if ends else None,
            s["context"],
            self.tokens.size,
        )

    def stream(self, item: Any) -> Iterator[str]:
        """The text behind an item, piece by piece: characters that are whole."""
        ids, said = list[int](), ""
        for one in self._drawn(item):
            ids.append(one)
            text = self.tokens.decode(ids)
            if text.startswith(said) and not text.endswith("\ufffd") and len(text) > len(said):
                yield text[len(said) :]
                said = text
        text = self.tokens.decode(ids)
        if text.startswith(said) and len(text) > len(said):
            yield text[len(said) :]
