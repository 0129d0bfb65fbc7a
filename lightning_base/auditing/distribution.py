"""How samples are distributed, measured as whoever watches an exported model measures what it is asked."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.items import Places
from lightning_base.runtime.columns import Categories, Column, Numbers
from lightning_base.runtime.drift import column_name
from lightning_base.runtime.known import Known, hashed
from lightning_base.runtime.measured import Part, Values, words_of
from lightning_base.samples.payload import Rows, base_of, blocks, fitting, is_ragged
from lightning_base.samples.samples import Samples
from lightning_base.samples.texts import texts_of

MOST = 100_000  # rows of tables that are measured, evenly drawn
DECODED = 20_000  # of images, sounds and texts
LOUDEST = 32_768.0  # what full scale of sounds is kept as


def kind_of(samples: Samples) -> str | None:
    """The kind of one input: "table", "image", "sound", "text" or "array"; None of items of somebody's own dataset.

    Args:
        samples: with one input.
    """
    base, shape = base_of(samples.inputs), samples.inputs.shape
    if isinstance(base, Places):
        return None
    if is_ragged(samples.inputs):
        if len(shape) > 1:
            return "array"
        return "text" if samples.features or samples.inputs.dtype == np.uint8 else "sound"
    if samples.features and len(shape) == 2:
        return "table"
    return "image" if len(shape) == 4 and shape[1] in (1, 3, 4) else "array"


def drawn(samples: Samples, rows: Rows) -> Rows:
    """The rows, or so many of them, evenly drawn, the same each time."""
    most = MOST if all(kind_of(part) in ("table", None) for part in samples.parts.values()) else DECODED
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def parts_of(data: BaseDataModule, samples: Samples, rows: Rows, only: str | None = None) -> dict[str, Part]:
    """How each input is measured, by its name.

    Args:
        data: whose samples they are.
        samples: the pool's.
        rows: (N,) of the training role, whose words are known.
        only: what the only input is called; by default as its kind is ("row" of a table, "x" of an array).
    """
    found = {}
    for name, one in samples.parts.items():
        kind = kind_of(one)
        if kind is None:
            continue
        columns = {f.name: f.categories is None for f in one.features} if kind == "table" else None
        known = Known(map(hashed, _documents(one, rows))) if kind == "text" else None
        full, rate = 1.0, 1.0
        if kind == "image":
            full = 255.0 if one.inputs.dtype == np.uint8 else one.white or 1.0
        if kind == "sound":
            full = LOUDEST
            of = getattr(data, "parts", {}).get(name, data) if name else data
            rate = float(getattr(of, "sample_rate", 1.0))
        found[name or only or own_name(kind)] = Part(kind, columns, known, full, rate)
    return found


def own_name(kind: str) -> str:
    """What an input is called that is the only one."""
    return {"table": "row", "array": "x"}.get(kind, kind)


def measured(samples: Samples, rows: Rows, parts: dict[str, Part], alone: bool = False) -> dict[str, Values]:
    """What is measured of samples (N,), by the names of columns, as `Reference.measured` has them.

    Args:
        samples: of any source.
        rows: (N,) of these.
        parts: how inputs are measured.
        alone: count a word as known only where another of these texts has it, as it is for a new one: so the words of
            training are measured.
    """
    found: dict[str, Values] = {}
    for name, one in samples.parts.items():
        kind = kind_of(one)
        if kind is None:
            continue
        name = name or next(iter(parts))
        part = parts[name]
        for measure, values in _measures(one, rows, part, alone).items():
            plain = kind == "table" and len(samples.parts) == 1
            found[measure if plain else column_name(name, measure)] = values
    return found


def _measures(samples: Samples, rows: Rows, part: Part, alone: bool) -> dict[str, Values]:
    if part.kind == "table":
        return _table(samples, rows)
    if part.kind == "text" and alone:
        documents = _documents(samples, rows)
        part = Part("text", known=Known(hashed(word) for word, n in documents.items() if n > 1))
    pieces = [part.values(some) for some in _given(samples, rows, part.kind)]
    return {name: np.concatenate([np.asarray(piece[name], dtype=np.float64) for piece in pieces]) for name in pieces[0]}


def _table(samples: Samples, rows: Rows) -> dict[str, Values]:
    values = np.concatenate([block.values for block in blocks(samples.inputs, rows, 4096)])
    found: dict[str, Values] = {}
    for i, feature in enumerate(samples.features):
        column = values[:, i].astype(np.float64)
        if feature.categories is None:
            found[feature.name] = column
        else:
            names = np.array([*feature.categories, None], dtype=object)
            found[feature.name] = names[np.where(np.isnan(column), -1, column).astype(np.int64)].tolist()
    return found


def _given(samples: Samples, rows: Rows, kind: str) -> Iterator[list[Any]]:
    """The inputs of rows as `Part.values` takes them, some at a time."""
    if kind == "text":
        texts = list(_texts(samples, rows))
        yield from (texts[start : start + 1024] for start in range(0, len(texts), 1024))
        return
    for block in blocks(samples.inputs, rows, min(fitting(samples.inputs), 1024)):
        if block.lengths is None:
            yield list(block.values)
        else:
            yield [value[:n] for value, n in zip(block.values, block.lengths, strict=True)]


def _texts(samples: Samples, rows: Rows) -> Iterator[str]:
    """The texts of rows; of codes of words their words, put together by blanks."""
    if not samples.features:
        yield from texts_of(samples.inputs, rows)
        return
    known: npt.NDArray[Any] = np.array(samples.features[0].categories or (), dtype=object)
    for block in blocks(samples.inputs, rows, 256):
        assert block.lengths is not None
        for value, n in zip(block.values, block.lengths, strict=True):
            yield " ".join(known[value[:n]])


def _documents(samples: Samples, rows: Rows) -> Counter[str]:
    """By word in how many of the texts it stands."""
    found: Counter[str] = Counter()
    for text in _texts(samples, rows):
        found.update(set(words_of(text)))
    return found


def columns_of(values: dict[str, Values]) -> dict[str, Column]:
    """The distribution of each column."""
    return {
        name: Numbers.of(given) if isinstance(given, np.ndarray) else Categories.of(given)
        for name, given in values.items()
    }
