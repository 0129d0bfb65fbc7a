"""What cleaning finds in samples by itself: tables of id, kind, detail. What is done about it is for cleaning.py."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import ConfigError, DataError, suggest
from lightning_base.samples.payload import Rows, blocks, fitting, gather, is_ragged
from lightning_base.samples.samples import Samples, findings_table
from lightning_base.samples.several import Several
from lightning_base.samples.spans import span_faults
from lightning_base.tools.cache import kept

Bound: TypeAlias = tuple[float | None, float | None]
Limits: TypeAlias = dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]  # by the input's name, "" of one
LARGE = 1 << 28  # bytes of inputs from which findings are kept in the cache
QUARTILE_ROWS = 1_000_000


def listed(samples: Samples, rows: Rows, kind: str, details: list[str]) -> pd.DataFrame:
    """Findings of one kind, a row each."""
    ids = samples.table["id"].to_numpy(dtype=object)[rows]
    return pd.DataFrame({"id": ids, "kind": kind, "detail": details}, dtype=str)


def is_table(samples: Samples) -> bool:
    """Whether the samples are rows of named columns."""
    return len(samples.features) > 0 and samples.inputs.shape[1:] == (len(samples.features),)


def targets(samples: Samples) -> pd.DataFrame:
    """Targets that are missing, no number, or none of the classes' numbers; payloads of which a part is that."""
    if samples.targets is not None:
        faults = samples.targets.faults()
        if samples.targets.kind == "spans":
            if not isinstance(samples.inputs, Several):
                raise DataError(
                    f"{samples.origin}: spans are of one of several inputs by name; give "
                    f"Several({{{samples.targets.names[0]!r}: …}})"
                )
            faults = span_faults(samples.targets, samples.part(samples.targets.names[0]).inputs)
        return listed(samples, np.array([row for row, _ in faults], np.int64), "target", [why for _, why in faults])
    if "target" not in samples.table:
        return findings_table()
    raw = samples.table["target"]
    value = pd.to_numeric(raw, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad, ending = ~np.isfinite(value), ""
    if n := len(samples.classes):
        bad |= ~((value >= 0) & (value < n) & (np.floor(value) == value))
        ending = f", out of range for {n} classes (0 to {n - 1})"
    rows = np.flatnonzero(bad)
    return listed(samples, rows, "target", [f"target {raw.iloc[row]}{ending}" for row in rows])


def non_finite(samples: Samples) -> pd.DataFrame:
    """Inputs that are NaN or infinite; in tables, where NaN is a missing value, infinite ones."""
    return joined({name: _part_non_finite(part) for name, part in samples.parts.items()})


def joined(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Findings of several inputs, by name, as one table; of a sample that more than one has, the first counts."""
    if found.keys() == {""}:
        return found[""]
    told = [table.assign(detail=table["detail"] + f" ({name})") for name, table in found.items() if len(table)]
    return pd.concat([findings_table(), *told]).drop_duplicates("id", ignore_index=True)


def _part_non_finite(samples: Samples) -> pd.DataFrame:
    """What `non_finite` finds in one input."""
    inputs = samples.inputs
    if not np.issubdtype(inputs.dtype, np.floating):
        return findings_table()
    if samples.hashes is None or int(np.prod(inputs.shape)) * inputs.dtype.itemsize < LARGE:
        return _non_finite(samples)
    return kept("non_finite", samples.fingerprint, lambda: _non_finite(samples))


def _non_finite(samples: Samples) -> pd.DataFrame:
    """What `non_finite` finds, block by block."""
    table, rows, details = is_table(samples), list[int](), list[str]()
    for places, block, _ in blocks(samples.inputs, size=fitting(samples.inputs)):
        bad = np.isinf(block) if table else ~np.isfinite(block)
        for i in np.flatnonzero(bad.reshape(len(block), -1).any(axis=1)):
            rows.append(int(places[i]))
            name = samples.features[int(np.argmax(bad[i]))].name if table else ""
            details.append(f"an infinite value in column {name!r}" if table else "NaN or infinite inputs")
    return listed(samples, np.array(rows, dtype=np.int64), "non_finite", details)


def bounds(samples: Samples, ranges: Mapping[str, Bound], iqr: float | None) -> Limits:
    """(F,) lowest and highest values of each column of numbers, by input; -inf and inf where there is none.

    Args:
        samples: a table, or an array (N, F) whose columns are called 0, 1, …; of several inputs those that are such,
            whose columns are called `<input>.<column>`.
        ranges: declared ones, by column; a column that has one has no other.
        iqr: so many interquartile ranges beyond the quartiles are the bounds of other columns; None sets none. Of more
            than a million samples, a million evenly spaced give the quartiles.

    Raises:
        UserError: for samples without columns of floating-point numbers, or a range of a column that is none.
    """
    parts = {name: part for name, part in samples.parts.items() if _has_numbers(part)}
    if not parts:
        raise ConfigError(
            f"data.clean: the samples of {samples.origin} are no table of numbers; leave ranges and iqr out"
        )
    found, places = {}, dict[str, tuple[str, int]]()
    for name, part in parts.items():
        found[name] = _quartile_bounds(part, iqr)
        places |= {column_name(name, column): (name, i) for i, column in enumerate(_columns(part))}
    words = {at for at in places.values() if _is_words(parts[at[0]], at[1])}
    for name, (lowest, highest) in ranges.items():
        if name not in places or places[name] in words:
            why = "is no number" if name in places else f"is no column of {samples.origin}{suggest(name, places)}"
            raise ConfigError(f"data.clean.ranges: {name!r} {why}; name a column of numbers")
        part_name, i = places[name]
        low, high = found[part_name]
        low[i], high[i] = -np.inf if lowest is None else lowest, np.inf if highest is None else highest
    return found


def column_name(part: str, column: str) -> str:
    """What a column is called: by the input's name too, where samples have several."""
    return f"{part}.{column}" if part else column


def _has_numbers(samples: Samples) -> bool:
    return (
        not is_ragged(samples.inputs)
        and len(samples.inputs.shape) == 2
        and np.issubdtype(samples.inputs.dtype, np.floating)
    )


def _columns(samples: Samples) -> list[str]:
    """The names of a table's columns, or 0, 1, … of an array's (N, F)."""
    return [f.name for f in samples.features] if is_table(samples) else [str(i) for i in range(samples.inputs.shape[1])]


def _is_words(samples: Samples, column: int) -> bool:
    return is_table(samples) and samples.features[column].categories is not None


def _quartile_bounds(samples: Samples, iqr: float | None) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(F,) bounds so many interquartile ranges beyond the quartiles, of columns of numbers."""
    n = samples.inputs.shape[1]
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    if iqr is None:
        return low, high
    rows = np.arange(len(samples))
    if len(rows) > QUARTILE_ROWS:
        rows = np.linspace(0, len(rows) - 1, QUARTILE_ROWS).astype(np.int64)
    x = gather(samples.inputs, rows)[0]
    for i in range(n):
        column = x[:, i][np.isfinite(x[:, i])]
        if len(column) and not _is_words(samples, i):
            q1, q3 = np.quantile(column.astype(np.float64), [0.25, 0.75])
            low[i], high[i] = q1 - iqr * (q3 - q1), q3 + iqr * (q3 - q1)
    return low, high


def outliers(samples: Samples, limits: Limits) -> pd.DataFrame:
    """Samples with a number outside (F,) bounds; the detail names the first."""
    return joined({name: _outliers(samples.parts[name], *limit) for name, limit in limits.items()})


def _outliers(samples: Samples, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> pd.DataFrame:
    """What `outliers` finds in one input."""
    names = _columns(samples)
    rows, details = list[int](), list[str]()
    for places, block, _ in blocks(samples.inputs, size=fitting(samples.inputs)):
        outside = (block < low.astype(block.dtype)) | (block > high.astype(block.dtype))  # NaN is neither
        for i in np.flatnonzero(outside.any(axis=1)):
            j = int(np.argmax(outside[i]))
            more = f" and {outside[i].sum() - 1} more" if outside[i].sum() > 1 else ""
            rows.append(int(places[i]))
            details.append(f"{block[i, j]:g} in column {names[j]!r}, outside {low[j]:g} to {high[j]:g}{more}")
    return listed(samples, np.array(rows, dtype=np.int64), "outlier", details)


def _leaders(samples: Samples) -> Rows:
    """(N,) the row of the first id, in sorted order, that has the same content."""
    by_id = np.argsort(samples.table["id"].to_numpy(dtype=object), kind="stable")
    _, first, inverse = np.unique(samples.content[by_id], return_index=True, return_inverse=True)
    leaders = np.empty(len(samples), dtype=np.int64)
    leaders[by_id] = by_id[first[inverse]]
    return leaders


def duplicates(samples: Samples) -> pd.DataFrame:
    """Samples with the content of another, but for the first id of each content."""
    leaders, ids = _leaders(samples), samples.table["id"].to_numpy(dtype=object)
    rows = np.flatnonzero(leaders != np.arange(len(samples)))
    return listed(samples, rows, "duplicate", [f"the same content as {ids[leaders[row]]!r}" for row in rows])


def conflicts(samples: Samples) -> pd.DataFrame:
    """All samples of a content that has more than one target."""
    leaders = _leaders(samples)
    target = samples.target if samples.targets is None else samples.targets.content
    if target is None or (samples.targets is not None and samples.targets.kind == "boxes"):
        return findings_table()
    other = target != target[leaders]
    # of each first, one with another target
    rivals = {int(leaders[row]): int(row) for row in np.flatnonzero(other)[::-1]}
    rows = np.flatnonzero(np.isin(leaders, list(rivals)))
    ids, details = samples.table["id"].to_numpy(dtype=object), []
    for row in rows:
        rival = int(leaders[row]) if other[row] else rivals[int(leaders[row])]
        if samples.targets is not None:
            details.append(f"another target than {ids[rival]!r} of the same content")
            continue
        mine, its = (samples.classes[int(t)] if samples.classes else f"{t:g}" for t in (target[row], target[rival]))
        details.append(f"target {mine}, and {ids[rival]!r} of the same content has {its}")
    return listed(samples, rows, "conflict", details)


def look_alikes(samples: Samples) -> pd.DataFrame:
    """Samples that are nearly another one: going through ids in order, those near one that is not in this list."""
    from lightning_base.clean.near_duplicates import near_duplicates

    pairs = near_duplicates(samples)  # id < other
    earlier: dict[str, list[str]] = {}
    for name, other in zip(pairs["id"], pairs["other"], strict=True):
        earlier.setdefault(other, []).append(name)
    nearest: dict[str, str] = {}
    for name in sorted(earlier):
        if first := next((i for i in sorted(earlier[name]) if i not in nearest), None):
            nearest[name] = first
    ids = samples.table["id"].to_numpy(dtype=object)
    rows = np.flatnonzero(samples.table["id"].isin(nearest).to_numpy())
    return listed(samples, rows, "near_duplicate", [f"nearly the content of {nearest[ids[row]]!r}" for row in rows])


def constants(samples: Samples) -> pd.DataFrame:
    """Columns of a table that have one value in all samples; the ids are the columns' names."""
    found = [_constants(part, name) for name, part in samples.parts.items() if is_table(part)]
    return pd.concat(found, ignore_index=True) if found else findings_table()


def _constants(samples: Samples, part: str) -> pd.DataFrame:
    """What `constants` finds in one input."""
    first = np.asarray(samples.inputs[np.zeros(1, dtype=np.int64)])[0]
    same = np.ones(len(first), dtype=bool)
    for _, block, _ in blocks(samples.inputs, size=fitting(samples.inputs)):
        same &= ((block == first) | (np.isnan(block) & np.isnan(first))).all(axis=0)
        if not same.any():
            break
    found = []
    for i in np.flatnonzero(same):
        feature, value = samples.features[i], first[i]
        shown = f"{value:g}" if feature.categories is None or np.isnan(value) else repr(feature.categories[int(value)])
        detail = "missing values only" if np.isnan(value) else f"one value only: {shown}"
        found.append((column_name(part, feature.name), "constant", detail))
    return pd.DataFrame(found, columns=["id", "kind", "detail"], dtype=str)
