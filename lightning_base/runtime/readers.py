"""Readers: one input of a model, from a JSON value or a file's content, as the samples are that it was trained on."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from .errors import InputError

MOST_TEXT = 200_000  # characters of a text: tokens take some 500 bytes each while they are found
MARKS = (  # of byte order; UTF-32's before UTF-16's, which the former begins with
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


def mark_of(content: bytes) -> tuple[str, int] | None:
    """The encoding that a byte-order mark says, and how many bytes the mark has; None where there is none."""
    return next(((name, len(mark)) for mark, name in MARKS if content.startswith(mark)), None)


class Reader(Protocol):
    """What reads one input.

    Attributes:
        kind: of the input: "table", "image", "sound", "text" or "array".
    """

    kind: ClassVar[str]

    def read(self, given: Any, field: str) -> Any:
        """The input of a JSON value.

        Raises:
            InputError: naming the field.
        """

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of that value."""


@dataclass(frozen=True)
class ArrayReader:
    """Nested lists of numbers.

    Args:
        shape: of one input.
        dtype: "uint8" takes whole numbers from 0 to 255; "float32" and "float64" any.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    kind: ClassVar[str] = "array"

    def read(self, given: Any, field: str) -> np.ndarray[Any, Any]:
        """An array of the shape.

        Raises:
            InputError: for what has another shape, or is no number.
        """
        values = _flat(given, self.shape, field)
        found = np.array(values, dtype=np.float64)
        if not np.isfinite(found).all() or (abs(found) > np.finfo(np.float32).max).any():
            raise InputError(field, "has a number that is not finite, or beyond what 32 bits hold")
        if self.dtype == "uint8" and ((found < 0) | (found > 255) | (found != np.floor(found))).any():
            raise InputError(field, "takes whole numbers from 0 to 255")
        return found.reshape(self.shape).astype(self.dtype)

    def schema(self) -> dict[str, Any]:
        """Nested arrays of these lengths."""
        whole = self.dtype == "uint8"
        found: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 255} if whole else {"type": "number"}
        for n in reversed(self.shape):
            found = {"type": "array", "items": found, "minItems": n, "maxItems": n}
        return found


def _flat(given: Any, shape: tuple[int, ...], field: str) -> list[float]:
    """The numbers of nested lists, one after another."""
    level = [given]
    for n in shape:
        if not all(isinstance(one, list) and len(one) == n for one in level):
            raise InputError(field, f"takes nested lists of numbers of shape {'×'.join(map(str, shape))}")
        level = [value for one in level for value in one]
    for value in level:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(field, f"takes numbers, not {type(value).__name__}")
    try:
        return [float(value) for value in level]
    except OverflowError as error:
        raise InputError(field, "has a number beyond what 32 bits hold") from error


@dataclass(frozen=True)
class TextReader:
    """A text.

    Args:
        lower: of words: take capital letters as small ones.
        token: of words: the regular expression of one; None for texts that a tokenizer takes as they are.
        blank: whether a text of blanks alone is one.
    """

    lower: bool = False
    token: str | None = None
    blank: bool = False
    kind: ClassVar[str] = "text"

    def read(self, given: Any, field: str) -> Any:
        """The text, or its words (a list).

        Raises:
            InputError: for what is no text, or has nothing that the model could take.
        """
        if not isinstance(given, str):
            raise InputError(field, f"takes a text, not {_name(given)}")
        if len(given) > MOST_TEXT:
            raise InputError(field, f"has {len(given)} characters, where {MOST_TEXT} are the most")
        if "\0" in given:
            raise InputError(field, "has a NUL character, which no text has")
        if any("\ud800" <= c <= "\udfff" for c in given):
            raise InputError(field, "has half of a character (a lone surrogate)")
        if not given or (not self.blank and not given.strip()):
            raise InputError(field, "has no text; give some")
        if self.token is None:
            return given
        words = re.findall(self.token, given.lower() if self.lower else given)
        if not words:
            raise InputError(field, "has no words; give some")
        return words

    def read_file(self, content: bytes, field: str) -> Any:
        """The text of a file's content: by its byte-order mark, else UTF-8."""
        name, skip = mark_of(content) or ("utf-8", 0)
        try:
            return self.read(content[skip:].decode(name), field)
        except UnicodeDecodeError as error:
            raise InputError(field, f"is no text in {name} (byte {error.start}); give UTF-8") from error

    def schema(self) -> dict[str, Any]:
        """A string with something in it."""
        return {"type": "string", "minLength": 1, "maxLength": MOST_TEXT, "pattern": r"\S"}


def in_base64(given: Any, field: str, what: str) -> bytes:
    """The bytes of a file in base64, with `data:…;base64,` in front or not.

    Raises:
        InputError: for what is none.
    """
    if not isinstance(given, str):
        raise InputError(field, f"takes {what} in base64, not {_name(given)}")
    text = given.partition(",")[2] if given.startswith("data:") else given
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(field, f"is no base64; give {what} in it") from error
    if not found:
        raise InputError(field, f"is empty; give {what}")
    return found


def _name(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
