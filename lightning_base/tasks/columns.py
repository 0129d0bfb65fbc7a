"""The columns of prediction tables: values, lists, sequences and arrays, from predictions or targets of any kind."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lightning_base.samples.batch import Sequences, Spans, Texts
from lightning_base.samples.nested import Nested
from lightning_base.samples.spans import UNIT

Column = npt.NDArray[Any]


def table_columns(name: str, values: Nested) -> dict[str, Column]:
    """Columns of N rows: `name` of one tensor or of Sequences, `name_<key>` of several.

    Args:
        name: of the column.
        values: Texts become a column of texts; Spans one of lists of those that are right, called `<name>s`; (N,)
            becomes a column of values; (N, K) and Sequences one of arrays (K,); (N, ...) one of arrays.
    """
    if isinstance(values, Spans):
        return {f"{name}s": objects(some.split(UNIT) for some in values.answers.strings())}
    if isinstance(values, Texts):
        return {name: objects(values.strings())}
    if isinstance(values, Sequences):
        lengths = values.lengths.tolist()
        return {name: objects(row[:n] for row, n in zip(values.values.numpy(), lengths, strict=True))}
    if isinstance(values, Tensor):
        return {name: values.numpy() if values.ndim == 1 else objects(values.numpy())}
    columns: dict[str, Column] = {}
    for own, part in (values if isinstance(values, dict) else values._asdict()).items():
        columns |= table_columns(f"{name}_{own}", part)
    return columns


def named_columns(what: str, values: Tensor, names: Sequence[str]) -> dict[str, Column]:
    """`what` of (N,) values; `<what>_<name>` of (N, K) values or labels that have names."""
    if not names:
        return {what: values.numpy()}
    return {f"{what}_{name}": values[:, i].numpy() for i, name in enumerate(names)}


def objects(rows: Iterable[Any]) -> Column:
    """(N,) objects, one per row, whatever shapes they have."""
    listed = list(rows)
    column = np.empty(len(listed), dtype=object)
    for i, row in enumerate(listed):
        column[i] = row
    return column
