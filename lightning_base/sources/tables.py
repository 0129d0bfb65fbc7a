"""Tables: the records of a CSV or Parquet file as Samples, in memory or as a memory-mapped pack."""

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import DataError
from lightning_base.runtime.notation import PLAIN, from_written, number
from lightning_base.runtime.spelling import TRUTHS
from lightning_base.samples.payload import content_hash, mixed, narrowed
from lightning_base.samples.reading import read_times, texts
from lightning_base.samples.samples import Feature, Samples, findings_table
from lightning_base.sources.arrays import within_float32
from lightning_base.sources.before import as_held
from lightning_base.sources.columns import Layout, as_numbers, row_ids, spelt
from lightning_base.sources.dates import to_days
from lightning_base.sources.form import Values
from lightning_base.sources.numbers import distinct, to_numbers
from lightning_base.sources.plan import Plan, plan
from lightning_base.sources.records import Chunk, Records, is_code
from lightning_base.sources.schema import taken_for
from lightning_base.tools.cache import kept_folder
from lightning_base.tools.files import read_json
from lightning_base.tools.threads import in_order

IN_MEMORY = 200_000_000  # bytes: larger files are packed
VERSION = 7  # of what is packed
STEP = 0x9E3779B97F4A7C15
MISSING = int(np.float64(np.nan).view(np.uint64))  # the content hash of a gap, as of a number


class Encoded(NamedTuple):
    """A chunk of samples: the sample table's columns, content hashes (n,) uint64, findings."""

    table: pd.DataFrame
    hashes: npt.NDArray[np.uint64]
    findings: list[tuple[str, str, str]]


def encode(layout: Layout, records: Records, made: Plan, out: npt.NDArray[np.float64]) -> Iterator[Encoded]:
    """The encoded samples, chunk by chunk: the second pass. Their inputs go into `out` (N, F).

    Raises:
        UserError: for a row without an id, a group, a time or a role, or a time that is none.
    """
    made = replace(made, features=tuple(as_held(feature, records) for feature in made.features))
    text = [f.name for f in made.features if f.categories is not None or f.written]
    text += [name for name in layout.special if name not in text]
    numbers = [f.name for f in made.features if f.name not in text]

    def placed() -> Iterator[tuple[Chunk, int]]:
        start = 0
        for chunk in records.chunks(text, numbers):
            yield chunk, start
            start += len(chunk)

    yield from in_order(lambda given: _encoded(layout, made, *given, out), placed())


def _encoded(layout: Layout, made: Plan, chunk: Chunk, start: int, out: npt.NDArray[np.float64]) -> Encoded:
    """A chunk's samples, the first of them at row `start`; their inputs go into these rows of `out` (N, F)."""
    x = out[start : start + len(chunk)]
    hashes, odd = np.zeros(len(chunk), dtype=np.uint64), list[tuple[str, str, str]]()
    for i, feature in enumerate(made.features):
        values = chunk.columns[feature.name]
        if feature.categories is None:
            held = within_float32(values_of(feature, values))
            x[:, i] = held
            if feature.written:
                odd += _odd(feature, values, held, chunk)
            # canonical bits, so that equal rows hash alike in every file
            hashes = _mix(hashes, _canonical(held).view(np.uint64))
        else:
            codes, found = distinct(values)
            known = {name: k for k, name in enumerate(feature.categories)}
            place = np.array([*(known.get(one, -1) for one in spelt(np.array(found, dtype=object))), -1])
            codes = place[codes]
            x[:, i] = np.where(codes < 0, np.nan, codes)
            hashed = [_hash(name) for name in feature.categories]
            hashes = _mix(hashes, np.array([*hashed, MISSING], dtype=np.uint64)[codes])
    return _table(layout, made, chunk, start, hashes, odd)


def values_of(feature: Feature, values: Values) -> npt.NDArray[np.float64]:
    """(n,) numbers, or days since 1970-01-01, as a column writes them; NaN for what is missing or none."""
    if feature.is_date:
        return to_days(values, feature.written.removeprefix("date "))
    if feature.written:
        return to_numbers(values, from_written(feature.written))
    return as_numbers(values)


def _canonical(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The numbers with one zero and one NaN, in memory of their own."""
    found = x + 0.0
    if (gone := np.isnan(found)).any():
        found[gone] = np.nan
    return found


def _odd(feature: Feature, values: Values, found: npt.NDArray[np.float64], chunk: Chunk) -> list[tuple[str, str, str]]:
    """A finding for each value that is there and is no number, or no date, as the column writes them."""
    gone = np.flatnonzero(np.isnan(found) & ~pd.isna(values))
    if len(gone) == 0:
        return []
    kind, lines = "date" if feature.is_date else "number", chunk.lines
    return [
        (feature.name, "type", f"{values[at]!r} in line {lines[at]}, which is no {kind} as others are") for at in gone
    ]


def _table(
    layout: Layout,
    made: Plan,
    chunk: Chunk,
    start: int,
    hashes: npt.NDArray[np.uint64],
    findings: list[tuple[str, str, str]],
) -> Encoded:
    """An encoded chunk with its sample table; `start` is the first record's number."""
    columns: dict[str, Any] = {}
    for option, name in layout.needed.items():
        _demand_there(layout, chunk, name, option)
    roles = [(key, getattr(layout, key), key) for key in ("ids", "group", "time", "time_end", "role")]
    for key, name, option in (*roles, *((name, name, "split_columns") for name in layout.split_columns)):
        if name is not None:
            columns[key] = _demand_there(layout, chunk, name, option)
    columns = {"id": texts(columns.pop("ids")) if layout.ids else row_ids(start, len(chunk), made.rows), **columns}
    for key in ("time", "time_end"):
        if key in columns:
            where = f"data.{key}: {layout.form.path}: column {getattr(layout, key)!r}"
            columns[key] = to_time(columns[key], where, chunk.lines)
    for name in layout.texts:
        columns[name] = chunk.columns[name]
    if layout.target is not None:
        values = chunk.columns[layout.target]
        if made.classes:
            number = {name: k for k, name in enumerate(spelt(np.array(made.classes, dtype=object)))}
            target: Any = np.array([number.get(one, -1) for one in spelt(values)], dtype=np.int64)
            bad, want = target < 0, f"none of the classes {', '.join(made.classes[:10])}"
        else:
            target = to_numbers(values, made.target) if made.target != PLAIN else as_numbers(values)
            target = within_float32(target)  # what a network could be trained on; others are findings
            bad, want = np.isnan(target), "no number"
            if layout.target_range is not None:
                low, high = layout.target_range
                bad, want = ~((target >= low) & (target <= high)), f"not a number from {low:g} to {high:g}"
                target[bad] = np.nan
        columns["target"] = target
        for at in np.flatnonzero(bad):
            value = "no target" if pd.isna(values[at]) else f"target {values[at]}, {want}"
            findings.append((str(columns["id"][at]), "target", f"line {chunk.lines[at]} has {value}"))
    return Encoded(pd.DataFrame(columns), hashes, findings)


def _demand_there(layout: Layout, chunk: Chunk, name: str, option: str) -> Values:
    """The values of a column that every row has.

    Raises:
        DataError: naming the first line without one.
    """
    values = chunk.columns[name]
    if (gone := pd.isna(values)).any():
        line = chunk.lines[int(np.argmax(gone))]
        raise DataError(f"{layout.form.path}: line {line} has no {name!r} (data.{option}); give every row one")
    return values


def to_time(values: Values, where: str, lines: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """(n,) int64 or float64 where the times are numbers, else datetime64.

    Raises:
        UserError: for one that is neither; `where` begins the message.
    """
    found, bad = read_times(values)
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"{where} has {values[at]!r} in line {lines[at]}, which is no time; write 2024-12-31T23:59 or a number"
        )
    return found


def _hash(text: str) -> int:
    """A category's content hash: that of the number which it is, as booleans are 0 and 1, so that files compare."""
    value = TRUTHS.get(text, number(text))
    return content_hash(text.encode()) if math.isnan(value) or is_code(text) else _bits(value)


def _bits(value: float) -> int:
    """A number's content hash."""
    return int(np.float64(value + 0.0).view(np.uint64))


def _mix(hashes: npt.NDArray[np.uint64], content: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Hashes with one more column taken in. SplitMix64's increment, Steele, Lea & Flood 2014."""
    return mixed(hashes * np.uint64(STEP) + content + np.uint64(STEP))


def read_table(layout: Layout) -> Samples:
    """The samples of a file of records.

    A file larger than `IN_MEMORY` is encoded once, in chunks, into a memory-mapped array (N, F) float64 in the cache
    folder; the pack is used again for as long as the file's path, size, time of change and the layout are the same.
    """
    records = Records(layout.form)
    layout = _named_by_index(layout, records)
    if records.bytes() > IN_MEMORY:
        return _packed(layout, records)
    return read_records(layout, records)


def _named_by_index(layout: Layout, records: Records) -> Layout:
    """The layout with the index that pandas wrote into a Parquet file as ids, where each row has its own name there."""
    if layout.ids is not None or len(records.index) != 1:
        return layout
    values = pd.Index(np.concatenate([chunk.columns[records.index[0]] for chunk in records.chunks(records.index)]))
    return layout if values.has_duplicates or values.isna().any() else replace(layout, ids=records.index[0])


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The chunks' sample tables as one, values of a target as float32 where it holds each of them exactly."""
    table = pd.concat(tables, ignore_index=True)
    values = "target" in table and table["target"].dtype == np.float64
    return table.assign(target=narrowed(table["target"].to_numpy())) if values else table


def read_records(layout: Layout, records: Records) -> Samples:
    """The samples of records, in memory.

    Raises:
        DataError: for columns that are not there, or values that do not fit.
    """
    made = plan(layout, records)
    x = np.empty((made.rows, len(made.features)))
    parts = list(encode(layout, records, made, x))
    return Samples(
        inputs=narrowed(x),
        table=_joined([part.table for part in parts]),
        classes=made.classes,
        origin=str(layout.form.path),
        features=made.features,
        findings=findings_table(made.findings + [finding for part in parts for finding in part.findings]),
        hashes=np.concatenate([part.hashes for part in parts]),
        schema=taken_for(made),
    )


def _packed(layout: Layout, records: Records) -> Samples:
    """The samples of a large file, memory-mapped from the cache folder; packed there first where they are not."""
    path = layout.form.path.resolve()
    status = path.stat()
    # the time of change is the file system's own, which no copying tool sets back
    settings = repr((str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, VERSION, layout))
    folder = kept_folder("tables", settings, lambda folder: _pack(layout, records, folder))
    meta = read_json(folder / "meta.json")
    return Samples(
        inputs=np.load(folder / "x.npy", mmap_mode="r", allow_pickle=False),
        table=pd.read_parquet(folder / "table.parquet"),
        classes=tuple(meta["classes"]),
        origin=str(layout.form.path),
        features=tuple(
            Feature(name, None if found is None else tuple(found), written) for name, found, written in meta["features"]
        ),
        findings=pd.read_parquet(folder / "findings.parquet"),
        hashes=np.load(folder / "hashes.npy", allow_pickle=False),
        schema=pd.read_parquet(folder / "schema.parquet"),
    )


def _pack(layout: Layout, records: Records, folder: Path) -> None:
    """Encodes a file into a folder: x.npy, hashes.npy, table.parquet, findings.parquet, meta.json."""
    made = plan(layout, records)
    shape = (made.rows, len(made.features))
    if (room := shutil.disk_usage(folder).free) < 8 * shape[0] * (shape[1] + 1):
        raise DataError(
            f"{layout.form.path}: its {shape[0]} × {shape[1]} numbers do not fit into {folder} ({room >> 20} MB free); "
            "make room, or set the environment variable LIGHTNING_BASE_CACHE to a folder that has it"
        )
    x = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype=np.float64, shape=shape)
    tables, hashes, findings = [], [], made.findings
    for part in encode(layout, records, made, x):
        tables.append(part.table)
        hashes.append(part.hashes)
        findings = findings + part.findings
    x.flush()
    np.save(folder / "hashes.npy", np.concatenate(hashes))
    _joined(tables).to_parquet(folder / "table.parquet", index=False)
    findings_table(findings).to_parquet(folder / "findings.parquet", index=False)
    taken_for(made).to_parquet(folder / "schema.parquet", index=False)
    meta = {"classes": made.classes, "features": [[f.name, f.categories, f.written] for f in made.features]}
    (folder / "meta.json").write_text(json.dumps(meta))
