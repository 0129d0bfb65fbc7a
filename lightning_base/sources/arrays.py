"""Arrays in memory or memory-mapped, with what stands beside them, as Samples."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import DataError, one_line
from lightning_base.runtime.spelling import TRUTHS
from lightning_base.samples.moments import far, moments
from lightning_base.samples.payload import hash_payload, narrowed
from lightning_base.samples.reading import texts
from lightning_base.samples.samples import Samples, findings_table
from lightning_base.sources.columns import is_whole, spelt
from lightning_base.sources.form import NA_VALUES
from lightning_base.sources.several_targets import from_array
from lightning_base.tools.cache import kept_folder

MOST_FLOAT32 = float(np.finfo(np.float32).max)
WHOLE = 2**53  # up to which float64 holds every whole number


def need(arrays: dict[str, npt.NDArray[Any]], key: str, path: str) -> npt.NDArray[Any]:
    """The array of that key, which must be there."""
    if key not in arrays:
        raise DataError(f"{path} has no array {key!r}, only {', '.join(sorted(arrays)) or 'nothing'}")
    return arrays[key]


def numeric(x: npt.NDArray[Any], key: str, path: str) -> npt.NDArray[Any]:
    """The inputs as uint8 or float32 where they are or float32 holds them, else as float64.

    Of images and the like (N, C, ...) float32 is enough where no channel's mean is far from what varies about it.
    """
    if x.ndim < 2 or x.dtype.kind not in "biuf" or 0 in x.shape[1:]:
        raise DataError(f"{path}: {key} has shape {x.shape} and type {x.dtype}; inputs are numbers (N, …)")
    if x.dtype in (np.uint8, np.float32):
        return x
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8 and x.size and max(-int(x.min()), int(x.max())) > WHOLE:
        raise DataError(
            f"{path}: {key} has whole numbers beyond ±2⁵³, which inputs do not hold; scale them, or leave out such "
            "columns as hold names or moments"
        )
    with np.errstate(over="ignore"):  # of longer types, whose values beyond float64 cleaning finds as infinite
        exact = narrowed(within_float32(x.astype(np.float64, copy=False)))
    if exact.dtype == np.float32 or x.ndim == 2:
        return exact
    with np.errstate(invalid="ignore", over="ignore"):  # infinite values, which cleaning finds
        parts = (exact[start : start + 1024] for start in range(0, len(exact), 1024))
        return exact if far(*moments(parts)).any() else exact.astype(np.float32)


def within_float32(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The values, those beyond float32 infinite, which cleaning finds."""
    if x.size and abs(x.min()) <= MOST_FLOAT32 and abs(x.max()) <= MOST_FLOAT32:  # neither so without a gap
        return x
    beyond = abs(x) > MOST_FLOAT32
    return np.where(beyond, np.copysign(np.inf, x), x) if beyond.any() else x


def inputs_alone(x: Any, key: str, origin: str, ids: npt.NDArray[Any] | None = None, ids_key: str = "id") -> Samples:
    """The samples of inputs (N, ...) that have no target, with their names (N,) where they have some.

    Raises:
        DataError: for inputs that are no numbers, or of fewer than two dimensions, and ids that do not fit them.
    """
    x = numeric(x if isinstance(x, np.ndarray) else np.asarray(x), key, origin)
    table = pd.DataFrame({"id": row_ids(len(x)) if ids is None else _named(ids, len(x), ids_key, key, origin)})
    return Samples(x, table, hashes=stored_hashes(x), origin=origin)


def _named(ids: npt.NDArray[Any], n: int, key: str, inputs: str, origin: str) -> npt.NDArray[Any]:
    """(n,) ids as texts."""
    _demand_rows(ids, n, key, inputs, origin)
    named = texts(ids)
    if (gone := pd.isna(named)).any():
        raise DataError(f"{origin}: {key} is missing or blank in row {int(gone.argmax())}; name every sample")
    return named


def _demand_rows(values: npt.NDArray[Any], n: int, key: str, inputs: str, origin: str) -> None:
    """Refuses what does not stand beside the inputs, one value a sample."""
    if np.shape(values) != (n,):
        raise DataError(
            f"{origin}: {key} has shape {np.shape(values)} where {inputs} has {n} rows; give one value each"
        )


def row_ids(n: int) -> list[str]:
    """Row numbers as strings of one length, so that their order is the rows'."""
    return [f"{i:0{len(str(max(n - 1, 0)))}d}" for i in range(n)]


def to_samples(
    arrays: dict[str, npt.NDArray[Any]], suffix: str, origin: str, classes: tuple[str, ...] | None = None
) -> Samples:
    """The samples of `x<suffix>`, `y<suffix>` and the optional arrays beside them.

    Without declared classes, those found in `y` are the classes, unless `classes` (the pool's) are given.
    """
    x = numeric(need(arrays, f"x{suffix}", origin), f"x{suffix}", origin)
    y = need(arrays, f"y{suffix}", origin)
    several = y.ndim > 1 and len(y) == len(x) and y.shape[1:] != (1,)
    if not several:
        _demand_rows(y, len(x), f"y{suffix}", f"x{suffix}", origin)
    columns: dict[str, Any] = {"id": row_ids(len(x))}
    if f"id{suffix}" in arrays:
        columns["id"] = _named(arrays[f"id{suffix}"], len(x), f"id{suffix}", f"x{suffix}", origin)
    declared = None if "classes" not in arrays else _declared(arrays["classes"], origin)
    targets = from_array(y, f"y{suffix}", origin, _names_of(declared, y)) if several else None
    if targets is None:
        columns["target"], named = _targets(y, f"y{suffix}", declared, classes, origin)
    more = [key for key in arrays if (key.startswith("fold") or key == "weight") and not suffix]
    for key in ("group", "time", "time_end", *more):
        if f"{key}{suffix}" in arrays:
            values = arrays[f"{key}{suffix}"]
            _demand_rows(values, len(x), f"{key}{suffix}", f"x{suffix}", origin)
            columns[key] = _column(values, f"{key}{suffix}", origin)
    table = pd.DataFrame(columns)
    if targets is not None:
        return Samples(x, table, (), origin, targets=targets, hashes=stored_hashes(x))
    gone = table["id"][table["target"].isna()] if y.dtype.kind in "US" else ()
    findings = findings_table([(str(name), "target", "no target") for name in gone])
    if len(findings):
        table["target"] = table["target"].fillna(-1).astype(np.int64)
    return Samples(x, table, named, origin, hashes=stored_hashes(x), findings=findings)


def _names_of(declared: tuple[str, ...] | None, y: npt.NDArray[Any]) -> tuple[str, ...] | None:
    """The declared names, where they are those of the columns of y."""
    return declared if declared is not None and y.ndim == 2 and len(declared) == y.shape[1] else None


def _column(values: npt.NDArray[Any], key: str, origin: str) -> "pd.Series[Any]":
    """The values as a column."""
    try:
        return pd.Series(values)
    except (ValueError, OverflowError) as error:  # moments beyond what 64 bits of pandas' units hold
        raise DataError(f"{origin}: {key} cannot be a column ({one_line(error)}); give other moments") from error


def _declared(names: npt.NDArray[Any], origin: str) -> tuple[str, ...]:
    """The declared names of the classes."""
    classes = tuple(map(str, names.ravel()))
    if names.ndim != 1 or len(_spelt(classes)) < len(classes):
        raise DataError(f"{origin}: classes has shape {names.shape} or a name twice; give each class (C,) a name")
    return classes


def _targets(
    y: npt.NDArray[Any], key: str, declared: tuple[str, ...] | None, pool: tuple[str, ...] | None, origin: str
) -> tuple[Any, tuple[str, ...]]:
    """(N,) class numbers, or values, and the classes' names: declared ones, else the pool's, else those found.

    Text that means "missing" in a table means that here, unless it is a class's declared name; then numbers are NaN.
    """
    if y.dtype.kind not in "biufUS":
        raise DataError(f"{origin}: {key} is of type {y.dtype}; give numbers, or text for classes")
    known = pool if declared is None else declared
    if declared is not None and (y.dtype.kind in "iuf" or (y.dtype.kind == "b" and not _spelt(declared) <= {*TRUTHS})):
        return y.astype(np.int64) if y.dtype.kind == "b" else y, declared
    if known == () or (known is None and y.dtype.kind == "f"):
        if y.dtype.kind not in "iuf":
            raise DataError(f"{origin}: {key} is of type {y.dtype} where y is numbers; give numbers")
        return y.astype(np.float64) if known == () else y, ()
    named = spelt(y.astype(object))
    if y.dtype.kind in "US":
        named[pd.Index(named).isin(NA_VALUES) & ~pd.Index(named).isin(declared or ())] = None
    found = {name for name in named if name is not None}
    classes = known or tuple(sorted(found, key=_by_value if all(map(_short, found)) else None))
    number = {name: i for i, name in enumerate(spelt(np.array(classes, dtype=object)))}
    if unknown := sorted(found - number.keys()):
        raise DataError(f"{origin}: {key} has {unknown[0]!r}, which is none of the classes {', '.join(classes)}")
    target = np.array([np.nan if name is None else number[name] for name in named])
    return target if np.isnan(target).any() else target.astype(np.int64), classes


def _spelt(names: tuple[str, ...]) -> set[str]:
    """The names in the spelling in which they are compared."""
    return set(spelt(np.array(names, dtype=object)))


def _short(name: str) -> bool:
    """Whether a name is a whole number of up to 18 digits."""
    return is_whole(name) and len(name) < 20


def _by_value(name: str) -> tuple[int, str]:
    """What classes that are whole numbers are put in order by."""
    return int(name), name


def stored_hashes(x: npt.NDArray[Any]) -> npt.NDArray[np.uint64] | None:
    """The content hashes of a memory-mapped array, kept in the cache folder by its file's path, size and time."""
    if not isinstance(x, np.memmap) or x.filename is None:
        return None
    file = Path(x.filename)
    status = file.stat()
    settings = f"{file.resolve()} {status.st_size} {status.st_mtime_ns}"
    folder = kept_folder("arrays", settings, lambda folder: np.save(folder / "hashes.npy", hash_payload(x)))
    hashes: npt.NDArray[np.uint64] = np.load(folder / "hashes.npy", allow_pickle=False)
    return hashes
