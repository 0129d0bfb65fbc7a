"""Targets of several values or labels per sample, from arrays, columns of a table, lists in a cell, rows of pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import ConfigError, DataError
from lightning_base.samples.payload import Derived, Payload, blocks, fitting
from lightning_base.samples.samples import Samples, findings_table
from lightning_base.samples.targets import Targets
from lightning_base.sources.form import NA_VALUES, Format
from lightning_base.sources.records import Records


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
    kind = known.kind if known is not None else _kind(y, task)
    schema = samples.schema
    if schema is not None:
        mine = schema["name"].isin(names)
        becomes = schema["becomes"].where(~mine, f"target, one of {len(names)} {kind}")
        schema = schema.assign(
            becomes=becomes, kind=schema["kind"].where(~mine, "target"), input=schema["input"] & ~mine
        )
    return replace(
        samples,
        inputs=picked(samples.inputs, rest),
        features=tuple(samples.features[i] for i in rest),
        targets=Targets(y, kind, tuple(names)),
        hashes=None,
        schema=schema,
    )


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
    cells = samples.table[column]
    listed = [
        [] if pd.isna(cell) else [one.strip() for one in str(cell).split(separator) if one.strip()] for cell in cells
    ]
    labels = tuple(names) if names is not None else tuple(sorted({one for some in listed for one in some}))
    if not labels:
        raise DataError(f"{samples.origin}: no row of {column!r} ({key}) lists a label; name another column")
    place, ids = {name: i for i, name in enumerate(labels)}, samples.table["id"].to_numpy(dtype=object)
    y, findings = np.zeros((len(listed), len(labels)), dtype=np.uint8), []
    for row, some in enumerate(listed):
        for one in some:
            if one in place:
                y[row, place[one]] = 1
            else:
                findings.append((str(ids[row]), "target", f"label {one!r}, none of {', '.join(labels[:10])}"))
    return replace(
        samples,
        table=samples.table.drop(columns=column),
        targets=Targets(y, "labels", labels),
        findings=pd.concat([samples.findings, findings_table(findings)], ignore_index=True),
    )


@dataclass(frozen=True)
class Pairs:
    """Files of labels beside samples, with a row for each label of each sample.

    Args:
        path: that of the pool; None for none.
        test_path: that of the test samples.
        columns: those of ids and of labels; None where a file has these two alone, in this order.
        unlabelled: whether a sample that no row names is one without labels.
        encoding: of the files.

    Raises:
        ConfigError: for a test file without one of the pool.
    """

    path: str | None
    test_path: str | None = None
    columns: tuple[str, str] | None = None
    unlabelled: bool = False
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.path is None and (self.test_path is not None or self.columns is not None or self.unlabelled):
            raise ConfigError("data.label_pairs: not given; test_label_pairs, pair_columns and unlabelled need it")

    @property
    def files(self) -> list[Path]:
        """Those that are given."""
        return [Path(path) for path in (self.path, self.test_path) if path is not None]

    def on(self, samples: Samples, known: Targets | None = None, names: Sequence[str] | None = None) -> Samples:
        """The samples with their labels as targets; as they are where no file is given.

        A row without a label says that its sample has none; the same pair counts once.

        Args:
            samples: of the pool, or test samples.
            known: the pool's targets, of test samples.
            names: the pool's labels, in their order; by default those that are found, by alphabet.

        Returns:
            Findings: "target" for a sample that no row names, unless such have no labels, for one with a row without a
            label beside others, and for a label that is none of the names; "unmatched" for an id that is no sample's,
            and of which nothing else was found.

        Raises:
            UserError: where a file is not given, cannot be read or has other columns or a row without an id, where it
                names no sample or gives no label, and where the samples have other targets.
        """
        if self.path is None:
            return samples
        key, path = ("label_pairs", self.path) if known is None else ("test_label_pairs", self.test_path)
        if path is None or samples.kind is not None:
            why = "not given, and there are test samples" if path is None else "beside it something tells classes"
            raise ConfigError(f"data.{key}: {why}; give one target, from one file")
        form = Format(Path(path), encoding=self.encoding, na_values=NA_VALUES[:1], key=f"data.{key}")
        read, findings = _read_pairs(form, self.columns)
        targets, found = _labels(samples, read, names if known is None else known.names, path, self.unlabelled)
        said = pd.concat([samples.findings, findings_table([*findings, *found])], ignore_index=True)
        return replace(samples, targets=targets, findings=said)


Read: TypeAlias = dict[str, dict[str | None, str]]  # by id its labels, None for a row without one, with their lines
Findings: TypeAlias = list[tuple[str, str, str]]


def _labels(
    samples: Samples, read: Read, names: Sequence[str] | None, path: str, unlabelled: bool
) -> tuple[Targets, Findings]:
    """The labels of samples, and what was found."""
    ids: list[str] = samples.table["id"].tolist()
    if not read.keys() & set(ids):
        raise DataError(f"{path}: names no sample; its first id is {next(iter(read), None)!r}, and theirs {ids[0]!r}")
    labels = tuple(names or sorted({one for id_ in ids for one in read.get(id_, ()) if one is not None}))
    if not labels:
        raise DataError(f"{path}: gives no sample a label; name other columns, or another file")
    place, y, findings = {name: i for i, name in enumerate(labels)}, np.zeros((len(ids), len(labels)), np.uint8), []
    for row, id_ in enumerate(ids):
        some = read.get(id_)
        if some is None:
            if not unlabelled:
                mend = "give it one without a label, or set data.unlabelled: true, where it has none"
                findings.append((id_, "target", f"has no row in {path}; {mend}"))
            continue
        if None in some and len(some) > 1:
            findings.append((id_, "target", f"has labels, and in {some[None]} of {path} none"))
        for one in (one for one in some if one is not None):
            if one in place:
                y[row, place[one]] = 1
            else:
                findings.append((id_, "target", f"label {one!r}, none of {', '.join(labels[:10])}"))
    told = {*ids, *samples.findings["id"]}
    for id_, some in read.items():
        if id_ not in told:
            findings.append((id_, "unmatched", f"is named in {next(iter(some.values()))} of {path}, and no sample"))
    return Targets(y, "labels", labels), findings


def _read_pairs(form: Format, columns: tuple[str, str] | None) -> tuple[Read, Findings]:
    """The rows of a file, and what was found."""
    records = Records(form)
    if columns is None and len(records.names) != 2:
        named = ", ".join(records.names[:20])
        raise ConfigError(f"data.pair_columns: {form.path} has the columns {named}; name those of ids and labels")
    of_id, of_label = columns or records.names
    records.require([of_id, of_label], "data.pair_columns")
    read: Read = {}
    for chunk in records.chunks(text=[of_id, of_label]):
        for i, number in enumerate(chunk.lines):
            if (id_ := chunk.columns[of_id][i]) is None:
                raise DataError(f"{form.path}: line {number} has no {of_id!r} (data.pair_columns); give every row one")
            read.setdefault(id_, {}).setdefault(chunk.columns[of_label][i], f"line {number}")
    return read, [(f"{form.path} {at}", kind, detail) for at, kind, detail in records.findings]
