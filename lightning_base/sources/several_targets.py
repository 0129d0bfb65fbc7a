"""Targets of several values or labels per sample, from arrays, from columns of a table, lists in a cell."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import ConfigError, DataError
from lightning_base.samples.payload import Derived, Payload, blocks, fitting
from lightning_base.samples.samples import Samples, findings_table
from lightning_base.samples.targets import Targets


class Picked(Derived):
    """Some columns of a payload (N, F)."""

    def __init__(self, base: Payload, columns: npt.NDArray[np.int64]) -> None:
        super().__init__(base)
        self.columns = columns

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, number of columns)."""
        return (self.base.shape[0], len(self.columns))

    def __getitem__(self, rows: Any) -> Any:
        return np.asarray(self.base[rows])[..., self.columns]


def picked(base: Payload, columns: Sequence[int]) -> Payload:
    """Some columns of a payload; of an array in memory as an array."""
    index = np.asarray(columns, dtype=np.int64)
    return base[:, index] if type(base) is np.ndarray else Picked(base, index)


def from_array(y: npt.NDArray[Any], key: str, origin: str, names: Sequence[str] | None = None) -> Targets:
    """The targets of an array of two or more axes.

    Args:
        y: (N, C) whole numbers or booleans, 0 or 1, are labels; (N, K) floating-point numbers are values; (N, ...) of
            more axes arrays, such as masks.
        key: what messages call it.
        origin: likewise, what it comes from.
        names: of its columns; by default their numbers.

    Raises:
        DataError: for what is none of these.
    """
    if y.dtype.kind not in "biuf" or y.size == 0:
        raise DataError(f"{origin}: {key} has shape {y.shape} and type {y.dtype}; give numbers, one row per sample")
    if y.ndim > 2:
        return Targets(y, "array")
    given = tuple(map(str, range(y.shape[1]) if names is None else names))
    if y.dtype.kind == "f":
        return Targets(y.astype(np.float64, copy=False), "values", given)
    if not np.isin(y, (0, 1)).all():
        row = int(np.argmax(~np.isin(y, (0, 1)).all(axis=1)))
        raise DataError(
            f"{origin}: {key} has whole numbers beside 0 and 1, first in row {row}: {y[row].tolist()[:8]}; give 0 and "
            f"1 for labels, or {key}.astype('float64') for values"
        )
    return Targets(y.astype(np.uint8), "labels", given)


def from_columns(samples: Samples, names: Sequence[str], task: str, known: Targets | None = None) -> Samples:
    """The samples of a table with some of its columns of numbers as targets, and no inputs.

    Args:
        samples: which have the columns among their inputs.
        names: of the columns.
        task: "auto" takes columns that hold nothing but 0 and 1 as labels; "regression" takes any as values.
        known: targets of the pool, which others are read like.

    Raises:
        DataError: where nothing is left as an input.
    """
    place = {feature.name: i for i, feature in enumerate(samples.features)}
    wanted = [place[name] for name in names]
    rest = [i for i in range(len(samples.features)) if i not in wanted]
    if not rest:
        raise DataError(f"{samples.origin}: no column is left as an input; name some in data.columns")
    y = picked(samples.inputs, wanted)
    targets = targets_of(y, names, task, known)
    schema = samples.schema
    if schema is not None:
        mine = schema["name"].isin(names)
        becomes = schema["becomes"].where(~mine, f"target, one of {len(names)} {targets.kind}")
        schema = schema.assign(
            becomes=becomes, kind=schema["kind"].where(~mine, "target"), input=schema["input"] & ~mine
        )
    return replace(
        samples,
        inputs=picked(samples.inputs, rest),
        features=tuple(samples.features[i] for i in rest),
        targets=targets,
        hashes=None,
        schema=schema,
    )


def targets_of(y: Payload, names: Sequence[str], task: str, known: Targets | None = None) -> Targets:
    """The targets that columns of numbers are.

    Args:
        y: (N, K) numbers, NaN where one is missing.
        names: of the columns.
        task: as in `from_columns`.
        known: likewise.
    """
    return Targets(y, known.kind if known is not None else _kind(y, task), tuple(names))


def demand_targets(target: str | list[str] | None, separator: str | None) -> None:
    """Refuses target columns that are none, or twice the same, and a separator of labels beside several columns.

    Raises:
        ConfigError: naming the key.
    """
    if isinstance(target, list) and (not target or len(set(target)) < len(target)):
        raise ConfigError("data.target: an empty list, or a name twice in it; name each column to predict once")
    if separator is not None and (not isinstance(target, str) or not separator):
        raise ConfigError("data.label_separator: is for one target column, and not empty; give e.g. ';'")


def _kind(y: Payload, task: str) -> Literal["values", "labels"]:
    """Whether columns are labels: nothing but 0, 1 and gaps."""
    if task == "regression":
        return "values"
    for _, block, _ in blocks(y, size=fitting(y)):
        if not (np.isin(block, (0, 1)) | np.isnan(block)).all():
            return "values"
    return "labels"


def from_lists(samples: Samples, column: str, separator: str, key: str, names: Sequence[str] | None = None) -> Samples:
    """The samples with the labels that a cell of each lists as targets; an empty cell is no label.

    Args:
        samples: whose table has the column of texts.
        column: its name; it leaves the table.
        separator: what stands between labels.
        key: what messages call the column.
        names: the labels, in their order; by default those that are found, by alphabet. Others are findings.

    Raises:
        DataError: where no cell has a label.
    """
    ids = samples.table["id"].astype(str).tolist()
    targets, findings = listed_targets(samples.table[column], ids, column, separator, key, samples.origin, names)
    return replace(
        samples,
        table=samples.table.drop(columns=column),
        targets=targets,
        findings=pd.concat([samples.findings, findings_table(findings)], ignore_index=True),
    )


def listed_targets(
    cells: Iterable[Any],
    ids: Sequence[str],
    column: str,
    separator: str,
    key: str,
    origin: str,
    names: Sequence[str] | None = None,
) -> tuple[Targets, list[tuple[str, str, str]]]:
    """The labels that cells list as targets, and findings (id, kind, detail) of those that are none of `names`.

    Args:
        cells: (N,) texts; one that is missing or empty is no label.
        ids: (N,) names of the samples, for findings.
        column: what messages call the column.
        separator: what stands between labels.
        key: what messages call the option that names the column.
        origin: likewise, the file.
        names: the labels, in their order; by default those that are found, by alphabet.

    Raises:
        DataError: where no cell has a label.
    """
    listed = [
        [] if pd.isna(cell) else [one.strip() for one in str(cell).split(separator) if one.strip()] for cell in cells
    ]
    labels = tuple(names) if names is not None else tuple(sorted({one for some in listed for one in some}))
    if not labels:
        raise DataError(f"{origin}: no row of {column!r} ({key}) lists a label; name another column")
    return label_sets(listed, ids, labels)


def label_sets(
    listed: Sequence[Sequence[str]], ids: Sequence[str], labels: tuple[str, ...]
) -> tuple[Targets, list[tuple[str, str, str]]]:
    """Targets (N, C) uint8 of which labels each sample has, and findings of those that are none of `labels`.

    Args:
        listed: (N,) the labels of each sample.
        ids: (N,) names of the samples, for findings.
        labels: (C,) all there are, in their order.
    """
    place = {name: i for i, name in enumerate(labels)}
    y, findings = np.zeros((len(listed), len(labels)), dtype=np.uint8), []
    for row, some in enumerate(listed):
        for one in some:
            if one in place:
                y[row, place[one]] = 1
            else:
                findings.append((ids[row], "target", f"label {one!r}, none of {', '.join(labels[:10])}"))
    return Targets(y, "labels", labels), findings
