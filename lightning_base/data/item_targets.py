"""What a dataset's own targets are: classes, values, labels or arrays, and the sample table that holds them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from torch import Tensor

from lightning_base.data.items import Places
from lightning_base.errors import ConfigError, DataError
from lightning_base.samples.reading import texts
from lightning_base.samples.samples import Samples, findings_table
from lightning_base.samples.targets import Targets
from lightning_base.sources.arrays import row_ids
from lightning_base.sources.several_targets import from_array
from lightning_base.tools.console import note_once

MOST = 1 << 30  # bytes of targets that are arrays
SHOWN = 6  # classes that a line names
Predicted = Literal["auto", "classes", "values", "none"]


def samples_of(
    targets: Sequence[Any] | None,
    named: Mapping[str, Sequence[Any]],
    n: int,
    origin: str,
    predicted: Predicted,
    classes: Sequence[str] | int | None,
    hashes: Any,
    draws: bool,
    changes: bool,
) -> Samples:
    """The samples of a dataset: their inputs are the items' places, (N,) int64.

    Args:
        targets: (N,) as the items have them; None for none.
        named: `ids`, `groups` and `times`, (N,) each, where they are known.
        n: how many items there are.
        origin: what messages call the dataset.
        predicted: what targets are taken for; "auto" takes whole numbers and texts for classes, other numbers for
            values, rows of 0 and 1 for labels, and arrays of two and more axes for arrays.
        classes: their names, or how many there are; by default those that are met, from 0.
        hashes: (N,) uint64 of the items; None where they are not known.
        draws: whether items are drawn at random.
        changes: whether an item that is read again is another one.

    Raises:
        DataError: for targets that are none of these.
    """
    table = pd.DataFrame({"id": texts(named["ids"]) if "ids" in named else row_ids(n)})
    if (lacking := table["id"].isna()).any():
        raise DataError(f"{origin}: item {int(np.flatnonzero(lacking)[0])} has no id; give each one of its own")
    for key, name in (("groups", "group"), ("times", "time")):
        if key in named:
            table[name] = [plain_value(value) for value in named[key]]
    found: Targets | None = None
    names: tuple[str, ...] = ()
    findings = findings_table()
    if targets is not None and predicted != "none":
        plain = [plain_value(value) for value in targets]
        if any(isinstance(value, np.ndarray) for value in plain):
            found = _arrays(plain, origin, predicted)
        elif all(isinstance(value, str) for value in plain) and predicted != "values":
            names = tuple(map(str, classes)) if isinstance(classes, Sequence) else tuple(sorted({*plain}))
            if classes is None:
                _tell_order(origin, names)
            place = {name: i for i, name in enumerate(names)}
            if strange := [value for value in plain if value not in place]:
                raise DataError(f"{origin}: {strange[0]!r} is none of data.class_names; add it")
            table["target"] = np.array([place[value] for value in plain], dtype=np.int64)
        elif all(isinstance(value, bool | int) for value in plain) and predicted != "values":
            table["target"] = np.array(plain, dtype=np.int64)
            names = _class_names(table["target"].to_numpy(), classes, origin)
        elif all(isinstance(value, bool | int | float) for value in plain):
            y = np.array(plain, dtype=np.float64)
            if predicted == "classes":
                raise DataError(f"{origin}: targets such as {plain[0]!r} are no class numbers; give whole ones, from 0")
            table["target"] = y
            gone = table["id"][~np.isfinite(y)]
            findings = findings_table([(str(name), "target", "no finite target") for name in gone])
        else:
            raise DataError(
                f"{origin}: targets such as a {type(targets[0]).__name__} are not scored here: give data.targets, a "
                "function of an item that gives a number, a text or an array, or data.predicted: none"
            )
    return Samples(Places(n, draws, changes), table, names, origin, targets=found, hashes=hashes, findings=findings)


def _tell_order(origin: str, names: tuple[str, ...]) -> None:
    told = ", ".join(f"{i} {name}" for i, name in enumerate(names[:SHOWN])) + ", …" * (len(names) > SHOWN)
    note_once(f"{origin}: classes are numbered by their names: {told}; data.class_names gives another order")


def plain_value(value: Any) -> Any:
    """A target as a number, a text, a moment, or an array of one axis and more."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    elif hasattr(value, "getbands"):  # a mask of Pillow's
        value = np.asarray(value)
    if isinstance(value, list | tuple) and value and not isinstance(value[0], str):
        value = np.asarray(value)
    if isinstance(value, np.ndarray | np.generic) and value.ndim < 2 and value.size == 1:
        return value.item() if value.dtype.kind in "biufSU" else value
    return value


def _arrays(values: list[Any], origin: str, predicted: Predicted) -> Targets:
    shapes = {np.shape(value) for value in values}
    if len(shapes) > 1 or predicted == "classes":
        raise DataError(
            f"{origin}: targets have shapes such as {', '.join(map(str, sorted(shapes)[:2]))}, which are not scored "
            "here; give data.targets, a function of an item, or data.predicted: none"
        )
    size = len(values) * np.asarray(values[0]).nbytes
    if size > MOST:
        raise DataError(
            f"{origin}: its targets would take {size / 2**30:.1f} GiB in memory; give data.targets, a function of an "
            "item that gives what is to be scored, or data.predicted: none"
        )
    y = np.stack(values)
    if y.ndim == 2 and y.dtype.kind == "f" and predicted == "auto" and np.isin(y, (0, 1)).all():
        y = y.astype(np.int64)  # what a binary cross-entropy takes as numbers are labels
    if y.ndim == 2 and y.dtype.kind in "iu" and not np.isin(y, (0, 1)).all():
        raise DataError(
            f"{origin}: targets are rows of whole numbers such as {y[0].tolist()[:6]}, of which no score is known; "
            "give data.targets, a function of an item that gives what to score, or data.predicted: none, and what the "
            "module logs is all that is told"
        )
    return from_array(y[:, None] if y.ndim == 1 else y, "the target", origin)


def _class_names(y: Any, classes: Sequence[str] | int | None, origin: str) -> tuple[str, ...]:
    """Names of the classes 0, 1, ….

    Raises:
        DataError: for a number that is none of them.
    """
    most = int(y.max()) + 1
    if y.min() < 0:
        raise DataError(f"{origin}: class number {int(y.min())} is below 0; number the classes from 0")
    if classes is None:
        if most > 10 * len(y):
            raise ConfigError(
                f"{origin}: the target {most - 1} is taken for a class number; set data.predicted: values"
            )
        return tuple(map(str, range(most)))
    names = tuple(map(str, range(classes) if isinstance(classes, int) else classes))
    if most > len(names):
        raise ConfigError(f"data.class_names: {len(names)} are given, and {origin} has class number {most - 1}; add it")
    return names
