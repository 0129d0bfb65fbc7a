"""The index of litdata shards, read and checked by ourselves before litdata acts on it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_base.errors import DataError, one_line

FORMATS = {"numpy", "no_header_numpy", "int", "float", "str", "bool", "boolean"}  # these are read without unpickling
CONTAINERS = {"builtins.dict", "builtins.list", "builtins.tuple"}
LARGEST, MOST, DEEPEST = 1 << 28, 1 << 30, 16  # bytes of an index, items, and containers within containers
_PLAIN = re.compile(r"[\w][\w.-]*\Z", re.ASCII)


@dataclass(frozen=True)
class ShardIndex:
    """What an index says of a data set.

    Attributes:
        sizes: (chunks,) int64, how many items each chunk has.
        content: the whole index, to tell data sets apart.
    """

    sizes: npt.NDArray[np.int64]
    content: Mapping[str, Any]


def read_shard_index(file: Path, origin: str) -> ShardIndex:
    """The index of a folder of shards.

    litdata imports the module that a node of `data_spec` names (its default factories and named tuples), and joins a
    chunk's `filename` to its folder as it is: only containers and names that are plain get by.

    Args:
        file: index.json.
        origin: the folder or URL, for messages.

    Raises:
        DataError: where it is no index, or one that has more than plain containers, formats and file names.
    """
    try:
        if file.stat().st_size > LARGEST:
            raise _refused(origin, f"its index has more than {LARGEST >> 20} MiB")
        index = json.loads(file.read_text(encoding="utf-8"))
        chunks, config = index["chunks"], index["config"]
        formats, spec = [str(f) for f in config["data_format"]], config["data_spec"]
        sizes = np.array([_size(chunk["chunk_size"]) for chunk in chunks], dtype=np.int64)
        names = [chunk["filename"] for chunk in chunks]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(
            f"data.shards: {origin} cannot be read as litdata shards ({type(error).__name__}: {one_line(error)[:200]}"
            "); write them with litdata.optimize"
        ) from error
    if unsafe := sorted({f.split(":")[0] for f in formats} - FORMATS):
        raise _refused(origin, f"it stores {', '.join(unsafe)}, which is not read safely")
    if wrong := next((name for name in names if not _is_plain(name)), None):
        raise _refused(origin, f"chunk {str(wrong)[:80]!r} is no plain file name")
    if len(set(names)) < len(names):
        raise _refused(origin, f"chunk {max(names, key=names.count)!r} comes twice")
    if sum(map(int, sizes)) > MOST:
        raise _refused(origin, f"its index counts more than {MOST} items")
    if wrong := _odd_node(spec):
        raise _refused(origin, f"its items are made of {wrong}")
    if config.get("encryption") is not None or not _is_plain(config.get("compression") or "none"):
        raise _refused(origin, "it names an encryption, or a compression that is none")
    return ShardIndex(sizes, index)


def _refused(origin: str, why: str) -> DataError:
    return DataError(f"data.shards: {origin}: {why}; write items as dicts of NumPy arrays, numbers and strings")


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"chunk_size {value!r}")
    return value


def _is_plain(name: Any) -> bool:
    """Whether a name leads nowhere else: ASCII letters, digits, dots, dashes and underscores, no dot first."""
    return isinstance(name, str) and _PLAIN.match(name) is not None


def _odd_node(spec: Any) -> str | None:
    """What in a serialised tree is neither a leaf nor a plain container; None where nothing is."""
    if not isinstance(spec, str):
        return "no tree"
    try:
        version, root = json.loads(spec)
    except (ValueError, TypeError, RecursionError):
        return "a tree that cannot be read"
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        if version != 1 or not isinstance(node, dict) or depth > DEEPEST:
            return "a tree of another kind"
        kind, children = node.get("type"), node.get("children_spec")
        if not isinstance(children, list) or (kind is None and (children or node.get("context") is not None)):
            return "a tree of another kind"
        if kind is not None and kind not in CONTAINERS:
            return one_line(kind)[:80]
        waiting += [(child, depth + 1) for child in children]
    return None
