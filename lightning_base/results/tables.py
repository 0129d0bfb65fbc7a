"""Tables that runs leave as Parquet, read with what is wrong with them on one line."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lightning_base.errors import ArtefactError
from lightning_base.results.arrays import with_arrays
from lightning_base.tools.checksums import read_frame


def read_table(path: Path, needs: Sequence[str] = ("id",), mend: str = "delete it, and run again") -> pd.DataFrame:
    """A Parquet file that a run has left, with these columns.

    Raises:
        ArtefactError: where it is not there, cannot be read, is not as it was written, or lacks a column.
    """
    if not path.is_file():
        raise ArtefactError(f"{path} is not there; run the verb that writes it to its end")
    found = with_arrays(read_frame(path, mend), path, mend)
    if lost := [name for name in needs if name not in found]:
        raise ArtefactError(f"{path}: it has no column {lost[0]!r}; {mend}")
    return found
