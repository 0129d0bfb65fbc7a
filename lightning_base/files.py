"""Writing files whole or not at all, by the main process alone: the JSON, YAML and Parquet that runs leave."""

from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch.utilities import rank_zero_only

from lightning_base.plain import read_json, replace, to_json

__all__ = ["read_json", "replace", "write_json", "write_parquet", "write_text"]


@rank_zero_only
def write_text(path: Path, text: str) -> None:
    """Writes a text file."""
    with replace(path) as temporary:
        temporary.write_text(text)


@rank_zero_only
def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes an indented JSON file; NaN and infinity, which JSON lacks, become null."""
    write_text(path, to_json(content))


@rank_zero_only
def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Writes a table."""
    with replace(path) as temporary:
        table.to_parquet(temporary, index=False)
