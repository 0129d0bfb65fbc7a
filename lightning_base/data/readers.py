"""Readers of new inputs, one by one, as a source's samples are: what an exported model reads with."""

from collections.abc import Mapping, Sequence

import numpy as np

from lightning_base.errors import ConfigError
from lightning_base.preprocess.base import Preprocess
from lightning_base.preprocess.table import TablePreprocess
from lightning_base.runtime.notation import PLAIN, Notation, written
from lightning_base.runtime.readers import ArrayReader, Reader, TextReader
from lightning_base.runtime.rows import Column, RowReader
from lightning_base.samples.payload import Rows, is_ragged
from lightning_base.samples.samples import Samples

MOST_NUMBERS = 100_000  # of an input that is given as nested lists


def array_reader(samples: Samples) -> ArrayReader:
    """What reads nested lists of numbers, of the shape and type that samples (N, ...) have.

    Raises:
        ConfigError: for inputs that are no numbers of one shape.
    """
    inputs = samples.inputs
    if is_ragged(inputs) or inputs.dtype.kind not in "uif" or len(inputs.shape) < 2:
        raise ConfigError(
            f"export: {samples.origin} has inputs of {inputs.dtype} {inputs.shape[1:]}, and nothing says how a new one "
            "is read; implement `readers` of the data module"
        )
    if np.prod(inputs.shape[1:]) > MOST_NUMBERS:
        raise ConfigError(
            f"export: {samples.origin} has inputs of {inputs.shape[1:]}, too many numbers for nested lists; implement "
            "`readers` of the data module"
        )
    kept = {np.dtype(np.uint8): "uint8", np.dtype(np.float32): "float32"}.get(inputs.dtype, "float64")
    return ArrayReader(tuple(inputs.shape[1:]), kept)


def row_reader(
    samples: Samples,
    rows: Rows,
    preprocess: Preprocess,
    na_values: Sequence[str] = ("",),
    needed: Sequence[str] = (),
    notation: Notation = PLAIN,
    truths: Mapping[str, str] | None = None,
) -> RowReader:
    """What reads rows of a table.

    Args:
        samples: of the pool, a table's.
        rows: (N,) its training role, whose ranges and categories are told.
        preprocess: fitted on it.
        na_values: texts of a CSV that mean "missing".
        needed: columns that each row must have.
        notation: how texts write numbers, of columns that have no notation of their own.
        truths: texts that are booleans beside "true" and "false", by what they are.
    """
    assert isinstance(preprocess, TablePreprocess)
    declared = "" if notation == PLAIN else written(notation)
    state, at = preprocess.state(), {feature.name: i for i, feature in enumerate(samples.features)}
    x = np.asarray(samples.inputs[rows])
    columns = []
    for feature in preprocess.features:
        values = x[:, at[feature.name]]
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (None, None)
        if feature.categories is not None:
            names, seen = state["categories"][feature.name], state["seen"][feature.name]
            some = tuple(name for name, has in zip(names, seen, strict=True) if has)
            columns.append(Column(feature.name, "category", "", some, feature.name in needed))
        elif feature.is_date:
            columns.append(Column(feature.name, "date", feature.written, (), feature.name in needed))
        else:
            own = feature.written or declared  # predict reads plain numbers, too, where a file's are declared otherwise
            plain_too = bool(declared) and not feature.written
            columns.append(Column(feature.name, "number", own, (), feature.name in needed, low, high, plain_too))
    return RowReader(tuple(columns), tuple(na_values), tuple((truths or {}).items()))


def default_readers(samples: Samples, rows: Rows, preprocess: Preprocess) -> dict[str, Reader]:
    """By input what reads new ones, by what samples are: tables, texts, else arrays.

    Raises:
        ConfigError: where nothing says how.
    """
    if isinstance(preprocess, TablePreprocess):
        return {"row": row_reader(samples, rows, preprocess)}
    if is_ragged(samples.inputs) and samples.inputs.dtype == np.uint8:
        return {"text": TextReader()}
    return {"x": array_reader(samples)}
