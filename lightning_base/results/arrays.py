"""Prediction tables that hold arrays: a Parquet file, and a memory-mapped `.npy` beside it for each column of them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import ArtefactError
from lightning_base.samples.payload import content_hash
from lightning_base.tools.files import replace, write_parquet
from lightning_base.tools.process import is_main

HASH = "_array_hash"  # what the Parquet file has in a column's place: a hash of each array's bytes


def write_predictions(path: Path, table: pd.DataFrame) -> None:
    """Writes a table as Parquet, in the main process; columns of arrays of two or more axes as files beside it.

    Args:
        path: of the Parquet file; a column `pred` of arrays goes to `<stem>.pred.npy`, row by row, in the same order.
        table: its columns hold values, texts, arrays of one axis (lists), or arrays of one shape.

    Raises:
        ArtefactError: for arrays of different shapes in one column.
    """
    if not is_main():
        return
    kept = table
    for name in table.columns:
        if not _is_arrays(table[name]):
            continue
        hashes = _write_array(array_file(path, str(name)), table[name].to_numpy(), str(name))
        kept = kept.drop(columns=name).assign(**{f"{name}{HASH}": hashes})
    write_parquet(path, kept)


def array_file(path: Path, column: str) -> Path:
    """Where the arrays of a table's column stand."""
    return path.with_name(f"{path.stem}.{column}.npy")


def _is_arrays(column: "pd.Series[Any]") -> bool:
    """Whether a column holds arrays of two or more axes."""
    return column.dtype == object and len(column) > 0 and np.ndim(column.iloc[0]) > 1 and _plain(column.iloc[0])


def _plain(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype != object


def _write_array(file: Path, rows: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint64]:
    """Writes arrays as one, a row at a time; (N,) uint64 hashes of each."""
    first, hashes = rows[0], np.zeros(len(rows), dtype=np.uint64)
    with replace(file) as temporary:
        held = np.lib.format.open_memmap(temporary, mode="w+", dtype=first.dtype, shape=(len(rows), *first.shape))
        for i, row in enumerate(rows):
            if np.shape(row) != first.shape:
                raise ArtefactError(f"{file}: {name} has arrays of {first.shape} and {np.shape(row)}; give one shape")
            held[i] = row
            hashes[i] = content_hash(np.ascontiguousarray(row).tobytes())
        held.flush()
        del held
    return hashes


def with_arrays(table: pd.DataFrame, path: Path, mend: str) -> pd.DataFrame:
    """A table as it was written, its arrays memory-mapped.

    Args:
        table: as Parquet has it.
        path: where it was read.
        mend: what to do where arrays are not those that were written.

    Raises:
        ArtefactError: where they are not there, or others than those that were written with the table.
    """
    for column in [name for name in table.columns if str(name).endswith(HASH)]:
        name = str(column).removesuffix(HASH)
        file = array_file(path, name)
        try:
            held = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ArtefactError(f"{file}: cannot be read ({error}); {mend}") from error
        hashes = table[column].to_numpy(dtype=np.uint64)
        if len(held) != len(table) or any(
            content_hash(np.ascontiguousarray(row).tobytes()) != told for row, told in zip(held, hashes, strict=True)
        ):
            raise ArtefactError(f"{file}: it is not the one that {path.name} was written with; {mend}")
        rows = np.empty(len(held), dtype=object)
        for i, row in enumerate(held):
            rows[i] = row
        place = table.columns.get_loc(column)
        assert isinstance(place, int)
        table = table.drop(columns=column)
        table.insert(place, name, rows)
    return table
