"""Values from Python: inputs, targets and what stands beside them as arrays, or refused with the mend."""

import datetime
from collections.abc import Iterator, Mapping, Set
from decimal import Decimal
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from lightning_base.errors import DataError
from lightning_base.sources.tables import to_time

Array = npt.NDArray[Any]
NUMBERS = (int, float, Decimal, np.integer, np.floating)


def demand_values(values: Any, key: str) -> None:
    """Refuses what holds values in a form that is not read here: the message says how to turn it into one that is.

    Raises:
        DataError: naming the argument.
    """
    kind = type(values).__name__
    if isinstance(values, pd.DataFrame | pd.Series | pd.Index | np.ndarray) and not isinstance(
        values, np.ma.MaskedArray
    ):
        return
    mend = None
    if isinstance(values, np.ma.MaskedArray):
        mend = f"a masked array; fill what is masked, e.g. with NaN: {key}.filled(np.nan)"
    elif isinstance(values, str | bytes | PathLike):
        mend = f"{values!r:.60} is given; give the values: read the file first, e.g. by pandas.read_csv"
    elif isinstance(values, torch.Tensor) and values.layout != torch.strided:
        mend = f"a sparse tensor; give {key}.to_dense()"
    elif hasattr(values, "toarray") and hasattr(values, "tocsr"):
        mend = f"a sparse matrix ({kind}); give {key}.toarray()"
    elif hasattr(values, "to_pandas"):
        mend = f"a {type(values).__module__.partition('.')[0]} {kind}; give {key}.to_pandas()"
    elif isinstance(values, Mapping):
        mend = f"a {kind}; give an array or a DataFrame, e.g. pandas.DataFrame({key})"
    elif isinstance(values, Set):
        mend = f"a {kind}, which has no order; give an array or a list"
    elif isinstance(values, Iterator):
        mend = f"a {kind}, which can be read once; give list({key})"
    elif callable(values) or not (hasattr(values, "__len__") or hasattr(values, "__array__")):
        mend = f"{'a function' if callable(values) else f'a {kind}'} is given; give an array, or a DataFrame"
    if mend is not None:
        raise DataError(f"{key}: {mend}")


def as_inputs(values: Any, key: str = "x") -> Array:
    """(N, ...) inputs, one sample per row, as an array of numbers.

    Raises:
        DataError: naming what they are, with the mend.
    """
    found = as_array(values, key)
    if found.dtype.names is not None:
        raise DataError(f"{key}: an array of records; give pandas.DataFrame({key})")
    if found.dtype.kind not in "biuf":
        mend = f"{key}.astype('float32')" if found.ndim > 1 else f"pandas.DataFrame({key})"
        raise DataError(f"{key}: shape {found.shape} and type {found.dtype}; inputs are numbers (N, …): {mend}")
    if found.ndim < 2:
        mend = f"{key}.to_frame()" if isinstance(values, pd.Series) else f"{key}.reshape(-1, 1)"
        raise DataError(f"{key}: shape {found.shape}; inputs are numbers (N, …), one sample per row: {mend}")
    if found.size == 0:
        raise DataError(f"{key}: shape {found.shape}, which holds no values; give samples in rows")
    return found


def as_vector(values: Any, key: str, n: int) -> Array:
    """(n,) values beside the inputs, one per sample: numbers, booleans, text or, but for targets, moments.

    Text is an array of str; objects are what their values are. Numbers may be NaN in targets, for cleaning to find.

    Raises:
        DataError: where they are not as many, of several kinds, or missing.
    """
    if isinstance(values, str):
        raise DataError(f"{key}: {values!r} would name a column, and x is no DataFrame; give the values")
    if isinstance(values, pd.DataFrame):
        column = repr(values.columns[0]) if len(values.columns) else "…"
        raise DataError(f"{key}: a DataFrame of {len(values.columns)} columns; give one of them: {key}[{column}]")
    found = as_array(values, key)
    if found.ndim != 1 or len(found) != n:
        mend = f": {key}.ravel()" if found.size == n and found.ndim > 1 else ""
        raise DataError(f"{key}: shape {found.shape} where x has {n} rows; give one value per row{mend}")
    mixed = isinstance(values, list | tuple) and found.dtype.kind == "U" and not all(isinstance(v, str) for v in values)
    found = of_objects(np.array(values, dtype=object) if mixed else found, key)
    moments = "Mm" if key == "y" else "m"
    if found.dtype.kind in f"{moments}SV":
        what = "bytes" if found.dtype.kind == "S" else str(found.dtype)
        mend = f"np.char.decode({key})" if what == "bytes" else f"{key}.astype(str)"
        raise DataError(f"{key}: {what}; give numbers or text: {mend}")
    if key != "y" and (gone := pd.isna(found)).any():
        raise missing(key, gone)
    if key == "times" and found.dtype.kind == "U":
        return to_time(found.astype(object), "times: it", np.arange(1, n + 1))
    return found


def are_several(values: Any) -> bool:
    """Whether targets are several of each sample: two or more columns, or more axes."""
    shape: tuple[int, ...] = np.shape(values) if not isinstance(values, str) else ()
    return len(shape) > 2 or (len(shape) == 2 and shape[1] > 1)


def as_rows(values: Any, key: str, n: int) -> Array:
    """(n, ...) targets of several values, or arrays, one row per sample.

    Raises:
        DataError: where they are not as many, or no numbers.
    """
    found = as_array(values, key)
    if len(found) != n:
        raise DataError(f"{key}: shape {found.shape} where x has {n} rows; give one row per sample")
    if found.dtype.kind not in "biuf":
        raise DataError(f"{key}: shape {found.shape} and type {found.dtype}; several targets per sample are numbers")
    return found


def of_objects(found: Array, key: str) -> Array:
    """Objects of one kind as an array of that kind; others as they are.

    Raises:
        DataError: for objects of several kinds, or of none that is known.
    """
    if found.dtype.kind != "O":
        return found
    if (gone := pd.isna(found)).any():
        raise missing(key, gone)
    if all(isinstance(value, str) for value in found):
        return found.astype(str)
    if all(isinstance(value, bool | np.bool_) for value in found):
        return found.astype(bool)
    if all(isinstance(value, NUMBERS) and not isinstance(value, bool) for value in found):
        whole = all(isinstance(value, int | np.integer) for value in found)
        try:
            return found.astype(np.int64 if whole else np.float64)
        except OverflowError as error:
            raise DataError(f"{key}: {error}; give numbers of at most 64 bits, or text: {key}.astype(str)") from error
    if key != "y" and all(isinstance(value, datetime.date) for value in found):
        return np.asarray(pd.to_datetime(list(found), utc=True).tz_localize(None).to_numpy())
    kinds = sorted({type(value).__name__ for value in found})
    mend = "decode them to text" if kinds == ["bytes"] else f"give numbers or text, e.g. [str(v) for v in {key}]"
    raise DataError(f"{key}: values of type {', '.join(kinds[:4])}; {mend}")


def missing(key: str, gone: Array) -> DataError:
    """What is said of a value that is missing."""
    count, of = int(np.sum(gone)), len(gone)
    return DataError(
        f"{key}: {count} of {of} values {'is' if count == 1 else 'are'} missing, the first at {int(np.argmax(gone))}; "
        "give each sample one, or leave such samples out"
    )


def beside(frame: pd.DataFrame, values: Any, key: str) -> Array:
    """(N,) values beside a DataFrame, in the order of its rows: by index where they have one that names the rows.

    Raises:
        DataError: where they are not as many, or their index is another.
    """
    found = as_vector(values, key, len(frame))
    if isinstance(values, pd.Series) and not values.index.equals(frame.index):
        raise DataError(f"{key}: its index is not that of x; align them: {key}.loc[x.index], or give {key}.to_numpy()")
    return found


def as_array(values: Any, key: str) -> Array:
    """The values as an array.

    Raises:
        DataError: for values that make none, such as rows of different lengths, and for complex numbers.
    """
    demand_values(values, key)
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values
    try:
        found = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DataError(f"{key}: no array can be made of it ({error})") from error
    if found.dtype.kind == "c":
        raise DataError(f"{key}: complex numbers; give real ones, e.g. {key}.real")
    return found
