"""Labels of samples from a file with a row for each: pairs of an id and a label."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from lightning_base.errors import ConfigError, DataError
from lightning_base.samples.samples import Samples, findings_table
from lightning_base.samples.targets import Targets
from lightning_base.sources.form import NA_VALUES, Format
from lightning_base.sources.records import Records


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
        read, findings = _read_pairs(form, self.columns, set(samples.table["id"]))
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


def _read_pairs(form: Format, columns: tuple[str, str] | None, ids: set[str]) -> tuple[Read, Findings]:
    """The rows of a file, and what was found."""
    records = Records(form)
    if columns is None and len(records.names) != 2:
        named = ", ".join(records.names[:20])
        raise ConfigError(f"data.pair_columns: {form.path} has the columns {named}; name those of ids and labels")
    of_id, of_label = columns or records.names
    records.require([of_id, of_label], "data.pair_columns")
    if columns is None and of_id in ids:
        raise DataError(
            f"{form.path}: its first line is to name the columns, and {of_id!r} is a sample; write id,label above it"
        )
    read: Read = {}
    for chunk in records.chunks(text=[of_id, of_label]):
        for i, number in enumerate(chunk.lines):
            if (id_ := chunk.columns[of_id][i]) is None:
                raise DataError(f"{form.path}: line {number} has no {of_id!r} (data.pair_columns); give every row one")
            read.setdefault(id_, {}).setdefault(chunk.columns[of_label][i], f"line {number}")
    return read, [(f"{form.path} {at}", kind, detail) for at, kind, detail in records.findings]
