"""The exported folder: its manifest, and whether its files are those that were exported."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import ExportError

MANIFEST, FORMAT = "manifest.json", 1
MOST_BYTES = 100_000_000  # of a JSON file


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ExportError: where it is not there, or is none.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ExportError(f"{path}: has over {MOST_BYTES} bytes; export again")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExportError(f"{path}: cannot be read ({error.strerror}); is it an exported folder?") from error
    except ValueError as error:
        raise ExportError(f"{path}: is no JSON ({error}); export again") from error


def read_manifest(folder: Path, verify: bool = True) -> dict[str, Any]:
    """The manifest of an exported folder.

    Args:
        folder: exported.
        verify: hold every file against its hash.

    Raises:
        ExportError: for a folder that is none, is of a later version, or has been changed; the message names the file.
    """
    found = read_json(folder / MANIFEST)
    keys = {"format", "name", "version", "files", "answer"}
    if not isinstance(found, dict) or not keys <= found.keys() or not isinstance(found["files"], dict):
        raise ExportError(f"{folder / MANIFEST}: is no manifest of an exported folder")
    if found["format"] != FORMAT:
        raise ExportError(f"{folder}: of format {found['format']}, and this version reads {FORMAT}; export again")
    if not verify:
        return found
    if found["version"] != version_of(found):
        raise ExportError(f"{folder / MANIFEST}: is not as it was exported; export again")
    for name in found.get("graphs", {}).values():
        if name not in found["files"]:
            raise ExportError(f"{folder / MANIFEST}: has no hash of {name!r}; export again")
    for name, digest in found["files"].items():
        path = folder / inside(name, folder / MANIFEST)
        if not path.is_file():
            raise ExportError(f"{path}: is not there; export again")
        if file_digest(path) != digest:
            raise ExportError(f"{path}: is not as it was exported; export again")
    return found


def version_of(manifest: Mapping[str, Any]) -> str:
    """The version of a model: a hash of what the manifest says, the files' hashes included."""
    told = {key: value for key, value in manifest.items() if key not in ("created", "version", "files")}
    text = json.dumps([manifest["files"], told], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def inside(name: str, said: Path) -> str:
    """A file's name, where it is one of the folder's own.

    Args:
        name: relative to the folder.
        said: the file that names it.

    Raises:
        ExportError: for one that leads outside.
    """
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise ExportError(f"{said}: names {name!r}, which is outside the folder")
    return name


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
