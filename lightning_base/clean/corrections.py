"""Corrections of targets: a file of ids and class names, and a source's samples with the targets it gives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from lightning_base.errors import ConfigError, DataError, one_line, suggest
from lightning_base.samples.reading import texts
from lightning_base.samples.samples import Samples


def read_labels(path: str) -> list[tuple[str, str]]:
    """The rows (id, class name) of a CSV or Parquet file.

    Raises:
        UserError: for a file that cannot be read or lacks a column.
    """
    try:
        table = pd.read_parquet(path) if path.endswith(".parquet") else pd.read_csv(path, dtype=str, na_filter=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ConfigError(
            f"data.labels: {path} cannot be read ({one_line(error)}); give a CSV or Parquet file"
        ) from error
    if missing := {"id", "target"} - set(table.columns):
        raise ConfigError(
            f"data.labels: {path} has no column {min(missing)!r}, only {', '.join(map(str, table.columns))}; give id "
            "and target"
        )
    return list(zip(texts(table["id"]), table["target"].astype(str), strict=True))


def correct(samples: Samples, path: str) -> Samples:
    """The samples with targets as the file gives them; other samples keep theirs.

    A finding that a target is missing or impossible goes where the file gives one. Ids of samples that could not be
    read are known, and change nothing.

    Args:
        samples: a source as it was read, not yet cleaned.
        path: a CSV or Parquet file with columns id and target, the class's name.

    Raises:
        UserError: for samples without classes, an id that no sample has, a target that is no class, or two for one id.
    """
    if not samples.classes or "target" not in samples.table:
        raise ConfigError(
            f"data.labels: {samples.origin} has no class for each sample to correct; leave data.labels out"
        )
    number, found = {name: i for i, name in enumerate(samples.classes)}, samples.findings
    known = {*samples.table["id"], *found["id"]}
    what = "image" if len(samples.inputs.shape) == 4 else "sample"
    targets: dict[str, int] = {}
    for row, (name, target) in enumerate(read_labels(path), start=1):
        where = f"{path}: row {row} (id {name!r})"
        if name not in known:
            raise DataError(f"{where}: no such {what} in {samples.origin}; mend the row")
        if target not in number:
            raise DataError(
                f"{where}: target {target!r} is none of the classes {', '.join(number)}{suggest(target, number)}; "
                "mend the row"
            )
        if targets.setdefault(name, number[target]) != number[target]:
            raise DataError(f"{where}: another row gives this id another target; remove one")
    pairs = zip(samples.table["id"], samples.table["target"], strict=True)
    corrected = pd.Series([targets.get(name, old) for name, old in pairs], index=samples.table.index)
    mended = (found["kind"] == "target") & found["id"].isin(targets.keys())
    return replace(samples, table=samples.table.assign(target=corrected), findings=found[~mended])


def as_read(samples: Samples, read: pd.DataFrame) -> pd.DataFrame:
    """The table of corrected samples with the classes that the source itself gave, wherever it gave one.

    Args:
        samples: what is left of the source after correction and cleaning.
        read: the source's table before, with `id` and `target`.
    """
    told = pd.to_numeric(read.set_index("id")["target"], errors="coerce").reindex(samples.table["id"])
    values = told.to_numpy(dtype=np.float64)
    given = (values >= 0) & (values < len(samples.classes))  # NaN is neither
    return samples.table.assign(target=np.where(given, values, samples.table["target"].to_numpy()).astype(np.int64))
