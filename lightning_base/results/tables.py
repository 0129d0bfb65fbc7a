"""Tables that runs leave as Parquet, read with what is wrong with them on one line."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lightning_base.errors import ArtefactError, one_line


def read_table(path: Path, needs: Sequence[str] = ("id",), mend: str = "delete it, and run again") -> pd.DataFrame:
    """A Parquet file that a run has left, with these columns.

    Raises:
        ArtefactError: where it is not there, cannot be read or lacks a column.
    """
    if not path.is_file():
        raise ArtefactError(f"{path} is not there; run the verb that writes it to its end")
    try:
        found = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path}: cannot be read ({one_line(error)}); {mend}") from error
    if lost := [name for name in needs if name not in found]:
        raise ArtefactError(f"{path}: it has no column {lost[0]!r}; {mend}")
    return found
