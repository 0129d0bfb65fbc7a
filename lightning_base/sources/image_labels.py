"""What is said of image files: classes, groups, times and roles, by folder, by name, or in a table beside them."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_base.errors import DataError
from lightning_base.samples.reading import read_groups, read_times
from lightning_base.sources.form import Format
from lightning_base.sources.listing import check_inside, leaves
from lightning_base.sources.records import Records

NAMES = ("metadata.csv", "metadata.parquet")
PATHS = ("path", "file_name")
COLUMNS = ("target", "group", "time", "role")
WHOLE = re.compile(r"([+-]?\d+)(?:\.0*)?")


@dataclass
class Labels:
    """What is known of files.

    Attributes:
        table: by file (index `file`), what there is of the columns target (a class's name), group, time, role.
        findings: (id, kind, detail).
        read: the files that it was read from.
    """

    table: pd.DataFrame
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    read: list[Path] = field(default_factory=list)


def by_pattern(folder: Path, files: Sequence[str], pattern: re.Pattern[str], given: str) -> Labels:
    """What the names of files say.

    Raises:
        UserError: for one that the pattern does not fit.
    """
    rows = []
    for name in files:
        if (match := pattern.fullmatch(name)) is None:
            raise DataError(f"{folder / name}: it does not fit data.pattern {given!r}; mend the name or the pattern")
        rows.append({key: value for key, value in match.groupdict().items() if key in ("target", "group")})
    return Labels(pd.DataFrame(rows, index=pd.Index(files, name="file"), dtype=str))


def find_tables(root: Path, parts: Sequence[str], given: str | None) -> list[Path]:
    """The tables beside images: the one that is given, else those in the parts' folders, else that in the root.

    Only one that has a column of paths is taken for one.
    """
    if given is not None:
        path = check_inside(root, root / given)
        if not path.is_file():
            raise DataError(f"data.metadata: no file {path}; name a CSV or Parquet file, as a path from data.root")
        _path_column(Records(Format(path, key="data.metadata")), path)
        return [path]
    found = [root / part / name for part in parts for name in NAMES if _has_paths(root / part / name)]
    return found or [root / name for name in NAMES if _has_paths(root / name)]


def read_labels(paths: Sequence[Path], folder: Path, files: Sequence[str], root: Path) -> Labels:
    """What tables say of files: one row each, whose path starts from the table's folder.

    Args:
        paths: the tables.
        folder: where the files' names start.
        files: those that were listed.
        root: the data's folder; a table in it may name files of another part, which are left alone.

    Returns:
        Findings: "target" for a file without a row, with two, or without a target where there is a column; "escape" and
        "unreadable" for a row whose file is outside the root, or not there.

    Raises:
        UserError: where a table cannot be read, has no path in a row, or a time or group that is none.
    """
    out, rows, listed = Labels(pd.DataFrame(), read=list(paths)), dict[str, tuple[str, dict[str, Any]]](), set(files)
    twice: dict[str, list[str]] = {}
    for path in paths:
        for where, given, row in _rows(path, out):
            name = os.path.relpath(path.parent / given, folder)
            if given.startswith("/") or leaves(os.path.relpath(path.parent / given, root)):
                out.findings.append((where, "escape", f"names {given!r}, which leaves {path.parent.name}"))
            elif name in rows:
                twice.setdefault(name, [rows[name][0]]).append(where)
            elif name in listed:
                rows[name] = (where, row)
            elif not (folder / name).is_file() or not leaves(name):
                out.findings.append((where, "unreadable", f"names {given!r}, which is no image there"))
    shown = ", ".join(path.name for path in paths)
    out.findings += [(name, "target", f"has no row in {shown}") for name in files if name not in rows]
    out.findings += [(name, "target", f"has several rows: {', '.join(where)}") for name, where in twice.items()]
    good = {name: found for name, found in rows.items() if name not in twice}
    out.findings += [
        (name, "target", f"{where} has no target") for name, (where, row) in good.items() if not row.get("target", True)
    ]
    good = {name: found for name, found in good.items() if found[1].get("target", True)}
    out.table = _typed(good, shown)
    return out


def class_names(found: "pd.Series[str]") -> list[str]:
    """The classes, in the order of their names; where all are whole numbers, in theirs."""
    names = sorted(set(found))
    whole = {name: int(match[1]) for name in names if (match := WHOLE.fullmatch(name))}
    return sorted(names, key=lambda name: (whole[name], name)) if len(whole) == len(names) else names


def _rows(path: Path, out: Labels) -> list[tuple[str, str, dict[str, Any]]]:
    """(where it stands, the path it names, what it says) of each row of a table."""
    records = Records(Format(path, key="data.metadata"))
    column, known = _path_column(records, path), [name for name in COLUMNS if name in records.names]
    rows = []
    for chunk in records.chunks(text=[column, *known]):
        for i, line in enumerate(chunk.lines):
            given = chunk.columns[column][i]
            if given is None:
                raise DataError(f"{path}: line {line} names no file; fill in the column {column!r}, or take it out")
            rows.append((f"{path.name} line {line}", given, {name: chunk.columns[name][i] for name in known}))
    out.findings += [(f"{path.name} {where}", kind, detail) for where, kind, detail in records.findings]
    return rows


def _typed(rows: dict[str, tuple[str, dict[str, Any]]], shown: str) -> pd.DataFrame:
    """The rows as a table by file: classes as text, times and groups as `read_times` and `read_groups` have them."""
    index = pd.Index(list(rows), name="file", dtype=object)
    table = pd.DataFrame([row for _, row in rows.values()], index=index, dtype=object)
    where = [place for place, _ in rows.values()]
    for name, read in (("time", read_times), ("group", read_groups)):
        if name in table and len(table):
            values, bad = read(table[name].to_numpy(dtype=object))
            if bad.any():
                at = int(np.argmax(bad))
                mend = "write 2024-12-31T23:59 or a number" if name == "time" else "fill it in"
                raise DataError(f"{shown}: {where[at]} has {table[name].iloc[at]!r} as {name}; {mend}")
            table[name] = values
    if "target" in table:
        whole = [match[1] for name in table["target"] if (match := WHOLE.fullmatch(name))]
        table["target"] = whole if len(whole) == len(table) else table["target"]  # 1.0 of Parquet is 1 of a CSV
    if "role" in table:
        table["role"] = [role or "" for role in table["role"]]
    return table


def _has_paths(path: Path) -> bool:
    """Whether a file is there, and is a table with a column of paths."""
    return path.is_file() and any(name in Records(Format(path, key="data.metadata")).names for name in PATHS)


def _path_column(records: Records, path: Path) -> str:
    """The column that names files."""
    found = next((name for name in PATHS if name in records.names), None)
    if found is None:
        raise DataError(f"{path}: has no column path or file_name, only {', '.join(records.names[:20])}")
    return found
