"""Inputs read from a request's body, in a thread: JSON, a form with a file, a file's bytes, or a CSV."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning_base.runtime.answering import Answering, Item
from lightning_base.runtime.errors import InputError
from lightning_base.serving.refused import Refused

VALUES = 1_000_000  # of a JSON body: commas and brackets, counted before it is parsed
QUICK = 4096  # bytes
SURROGATE = re.compile("[\ud800-\udfff]")
FILES = {"image": "image/", "sound": "audio/", "text": "text/plain"}  # by a model's kind, what its files are sent as
ANY = "application/octet-stream"


@dataclass(frozen=True)
class Body:
    """What a request has sent.

    Attributes:
        type: its media type, lower case, without parameters.
        header: the header Content-Type as it came.
    """

    type: str
    header: str
    content: bytes


def file_kind(model: Answering) -> str:
    """ "image", "sound" or "text" where a file is one input of the model; "" where none is."""
    kinds = list(model.kinds.values())
    return kinds[0] if len(kinds) == 1 and kinds[0] in FILES else ""


def takes_rows(model: Answering) -> bool:
    """Whether a CSV holds inputs of the model."""
    kinds = list(model.kinds.values())
    return kinds == ["table"] or (bool(kinds) and all(kind == "text" for kind in kinds))


def check_type(model: Answering, type: str, is_batch: bool) -> None:
    """Refuses a media type before the body is read.

    Raises:
        Refused: 415, naming what the model takes.
    """
    taken = media_types(model, is_batch)
    if not any(type == one or (one.endswith("/*") and type.startswith(one[:-1])) for one in taken):
        raise Refused(415, f"Content-Type {type[:80]!r} is not read here; send {', '.join(taken)}")


def media_types(model: Answering, is_batch: bool) -> list[str]:
    """The media types that a model reads inputs of."""
    if is_batch:
        return ["application/json", *(["text/csv", "multipart/form-data"] if takes_rows(model) else [])]
    kind = file_kind(model)
    if not kind:
        return ["application/json"]
    named = FILES[kind] + "*" if FILES[kind].endswith("/") else FILES[kind]
    return ["application/json", "multipart/form-data", named, ANY]


def is_quick(model: Answering, body: Body) -> bool:
    """Whether reading one input takes less than handing it to a thread: a table's row, or a few numbers."""
    is_small = body.type == "application/json" and len(body.content) <= QUICK
    return is_small and all(kind in ("table", "array") for kind in model.kinds.values())


def read_one(model: Answering, body: Body) -> list[Item]:
    """The one input of a body.

    Raises:
        Refused, InputError: where it holds none.
    """
    if body.type == "application/json":
        return [model.read(parse(body.content))]
    content = form_file(body) if body.type == "multipart/form-data" else body.content
    if not content:
        raise Refused(422, "the file is empty", file_kind(model))
    return [model.read_file(content)]


def read_batch(model: Answering, body: Body, most: int) -> list[Item]:
    """The inputs of a body, in their order; a faulty one refuses them all, and is named.

    Raises:
        Refused, InputError: where there are none, or more than `most`.
    """
    if body.type != "application/json":
        content = form_file(body) if body.type == "multipart/form-data" else body.content
        if content.count(b"\n") > 4 * most + 4:  # quoted line breaks are no rows, and are few
            raise Refused(413, f"a CSV of over {most} rows; send at most {most} at once")
        rows = model.read_rows(content)
        if not rows:
            raise Refused(422, "the CSV has no rows")
        return list(_few(rows, most))
    given = parse(body.content)
    if not isinstance(given, dict) or not isinstance(given.get("inputs"), list):
        raise Refused(422, 'give {"inputs": [ … ]}, a list of inputs', "inputs")
    if stray := [key for key in given if key != "inputs"]:
        raise Refused(422, f'{stray[0][:80]!r} is no key here; give "inputs" alone', stray[0][:200])
    if not given["inputs"]:
        raise Refused(422, "inputs: an empty list; give one input or more", "inputs")
    items = []
    for place, one in enumerate(_few(given["inputs"], most)):
        try:
            items.append(model.read(one))
        except InputError as error:
            inner = error.field if error.field.startswith("[") or not error.field else f".{error.field}"
            raise InputError(f"inputs[{place}]{inner}", error.message) from error
    return items


def _few(inputs: Sequence[Any], most: int) -> Sequence[Any]:
    if len(inputs) > most:
        raise Refused(413, f"{len(inputs)} inputs; send at most {most} at once", "inputs")
    return inputs


def parse(content: bytes) -> object:
    """The value of a JSON text in UTF-8; numbers are finite, and no key stands twice.

    Raises:
        Refused: 400 for what is no such text; 413 for one of too many values.
    """
    if sum(content.count(mark) for mark in b",[{") > VALUES:
        raise Refused(413, f"JSON of over {VALUES} values; send less at once, or a file")
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_constant, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not in UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise Refused(400, "JSON that is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise Refused(400, f"no JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except ValueError as error:  # a whole number of over 4,300 digits
        raise Refused(400, "JSON with a number that is too long") from error
    if b"\\u" in content and _has_surrogate(value):
        raise Refused(400, "JSON with half of a surrogate pair, which is no character")
    return value


def _constant(name: str) -> float:
    raise Refused(400, f"no JSON: {name} is no number; leave it out, or give null")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Refused(400, f"{twice[:80]!r} stands twice in one object", twice[:200])
    return found


def _has_surrogate(value: object) -> bool:
    """Whether a string in a JSON value, a key or a value, has half of a surrogate pair."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str) and SURROGATE.search(one):
            return True
        if isinstance(one, list):
            left += one
        elif isinstance(one, dict):
            left += [*one, *one.values()]
    return False


def form_file(body: Body) -> bytes:
    """The content of a form's one part `file`.

    Raises:
        Refused: 400 for what is no form; 422 where it has no such part, or others.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    _, options = parse_options_header(body.header)
    if not (boundary := options.get(b"boundary")):
        raise Refused(400, "multipart/form-data without a boundary in its Content-Type")
    parts = _Parts(parse_options_header)
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        parser.write(body.content)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, "the form cannot be read: it is no multipart/form-data, or is cut short") from error
    if not parts.is_ended:
        raise Refused(400, "the form is cut short")
    if [name for name, _ in parts.found] != ["file"]:
        names = ", ".join(repr(name[:40]) for name, _ in parts.found[:5]) or "none"
        raise Refused(422, f"a form with one part named 'file' is read; this one has {names}", "file")
    return bytes(parts.found[0][1])


class _Parts:
    """The parts of a form while it is parsed.

    Attributes:
        found: names and contents.
        is_ended: whether the closing boundary has come.
    """

    def __init__(self, options_of: Any) -> None:
        self.found: list[tuple[str, bytearray]] = []
        self.is_ended = False
        self._options_of = options_of
        self._name, self._value = bytearray(), bytearray()

    def callbacks(self) -> dict[str, Any]:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_part_data": lambda data, start, end: self.found[-1][1].extend(data[start:end]),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.found) >= 8:
            raise Refused(422, "a form with one part named 'file' is read; this one has more", "file")
        self.found.append(("", bytearray()))

    def _header(self) -> None:
        if bytes(self._name).lower() == b"content-disposition":
            _, options = self._options_of(bytes(self._value))
            name = options.get(b"name", b"").decode("utf-8", "replace")
            self.found[-1] = name, self.found[-1][1]
        self._name.clear()
        self._value.clear()

    def _end(self) -> None:
        self.is_ended = True
