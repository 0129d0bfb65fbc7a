"""Writing files whole or not at all, by the main process alone: the JSON, YAML and Parquet that runs leave."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch.utilities import rank_zero_only

from lightning_base.errors import UserError, one_line


@contextmanager
def replace(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder; after the block it is renamed to `path`, on an error it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@rank_zero_only
def write_text(path: Path, text: str) -> None:
    """Writes a text file."""
    with replace(path) as temporary:
        temporary.write_text(text)


@rank_zero_only
def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes an indented JSON file; NaN and infinity, which JSON lacks, become null."""
    write_text(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object that `write_json` wrote."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)}); delete it to have it made again") from error
    return content


@rank_zero_only
def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Writes a table."""
    with replace(path) as temporary:
        table.to_parquet(temporary, index=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
