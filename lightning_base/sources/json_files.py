"""JSON files: a document or an object a line, in files or all those of a folder, each record with its place."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lightning_base.errors import DataError, near_file, one_line
from lightning_base.sources.form import JSON_LINES
from lightning_base.sources.listing import list_files
from lightning_base.sources.text_files import LINE, decode, read_bytes

ENDINGS = (".json", *JSON_LINES)
SUFFIXES = (*ENDINGS, *(f"{ending}.gz" for ending in ENDINGS))


class Record(NamedTuple):
    """A value that a file holds: the whole of a `.json`, or a line of JSON lines.

    Attributes:
        file: its name.
        place: what messages call it: the file, with the line (from 1) where it is one.
        value: what it holds.
    """

    file: str
    place: str
    value: Any


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's keys and values, each key once.

    Raises:
        ValueError: for a key that stands in it twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def read_json_files(paths: str | Sequence[str], key: str) -> tuple[list[Record], list[tuple[str, str, str]]]:
    """The records of files, in their order, and what was found wrong in folders (id, kind, detail).

    Args:
        paths: files that end in .json, .jsonl or .ndjson, packed by gzip (.gz) or not, and folders, of which all such
            files are read, by name; others are findings.
        key: the configuration key that messages name.

    Raises:
        DataError: for a file that is not there, is no JSON in UTF-8 (or what its byte-order mark says), or has another
            ending; naming file, line and column.
    """
    found, findings = list[Record](), list[tuple[str, str, str]]()
    for name in [paths] if isinstance(paths, str) else paths:
        path = Path(name)
        if path.is_dir():
            files, told = list_files(path, SUFFIXES)
            findings += told.itertuples(index=False, name=None)
            inside = [path / one for one in files["name"]]
            if not inside:
                raise DataError(f"{key}: {path} has no file that ends in {', '.join(ENDINGS)}; mend the path")
        elif path.name.lower().endswith(SUFFIXES):
            inside = [path]
        else:
            raise DataError(f"{key}: {path} is no JSON by its name; give a folder, or {', '.join(ENDINGS)} ({key})")
        for file in inside:
            found += _records(file, key)
    return found, findings


def _records(path: Path, key: str) -> list[Record]:
    """What a file holds."""
    try:
        text = decode(read_bytes(path), "utf-8")
    except OSError as error:
        mend = near_file(str(path)) or "; put it there or mend the path"
        raise DataError(f"{key}: {path} cannot be read ({error.strerror}){mend}") from error
    except ValueError as error:
        raise DataError(f"{key}: {path}: {error}") from error
    if not path.name.lower().removesuffix(".gz").endswith(JSON_LINES):
        return [Record(str(path), str(path), _loaded(text, str(path), key))]
    lines = enumerate(LINE.split(text), start=1)
    places = [(f"{path}: line {number}", line) for number, line in lines if line.strip()]
    return [Record(str(path), place, _loaded(line, place, key)) for place, line in places]


def _loaded(text: str, place: str, key: str) -> Any:
    """The value of a JSON text."""
    try:
        return json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{key}: {place} is no JSON ({one_line(error)}); mend it") from error
