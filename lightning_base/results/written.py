"""Predictions written where a user says: CSV, Parquet or JSON lines, whole, and never over a file unasked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_base.errors import ConfigError
from lightning_base.results.arrays import write_predictions
from lightning_base.tools.files import replace
from lightning_base.tools.process import is_main

ENDINGS = (".csv", ".parquet", ".jsonl")


def demand_out(path: Path, overwrite: bool) -> None:
    """Refuses a file that predictions cannot go to, before anything is predicted.

    Raises:
        ConfigError: for another ending, a folder that is not there, or a file that is there and may not be replaced.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"--out: {path} ends in none of {', '.join(ENDINGS)}; name a file of one of these kinds")
    if not path.parent.is_dir():
        raise ConfigError(f"--out: no folder {path.parent}; make it, or name another file")
    if path.is_dir():
        raise ConfigError(f"--out: {path} is a folder; name a file")
    if path.exists() and not overwrite:
        raise ConfigError(f"--out: {path} is there already; name another file, or give --overwrite true")


def write_out(path: Path, table: pd.DataFrame) -> None:
    """Writes predictions in the main process, whole or not at all.

    In CSV a list is JSON text in its cell; in JSON lines each row is an object. Arrays of two or more axes stand in
    `.npy` files beside Parquet, and are lists of lists in the other two.
    """
    if not is_main():
        return
    if path.suffix.lower() == ".parquet":
        write_predictions(path, table)
        return
    lists = [name for name in table.columns if table[name].dtype == object and len(table)]
    table = table.copy()
    if path.suffix.lower() == ".csv":
        for name in lists:
            table[name] = [_cell(value) for value in table[name]]
        with replace(path) as temporary:
            table.to_csv(temporary, index=False)
        return
    with replace(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row in table.itertuples(index=False, name=None):
            values = {str(name): _plain(cell) for name, cell in zip(table.columns, row, strict=True)}
            file.write(json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")


def _cell(value: Any) -> str | None:
    """What a cell of a CSV says: a text as it is, a list as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(_plain(value))


def _plain(value: Any) -> Any:
    """A value as JSON has it; what is missing or not finite as null."""
    if isinstance(value, np.ndarray):
        return [_plain(one) for one in value]
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)) else value
