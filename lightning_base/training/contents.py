"""What arrays, tensors and tables hold, as bytes and plain values that identify them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

DATA = (np.ndarray, torch.Tensor, pd.DataFrame, pd.Series, pd.Index)
REPEATABLE = (str, int, float, bool, type(None), type(pd.NA))  # repr tells these types, and their values, apart


class Unidentified(Exception):
    """Of a value it cannot be told whether another is the same."""


class ToldByContent(ABC):
    """A function that hands on data which is told by its content when that is read, not by the object that holds it."""

    @abstractmethod
    def told(self) -> Any:
        """What it is beside that."""


def contents(value: Any) -> Iterator[Any]:
    """What an array, a tensor or a table holds: bytes, and values that are to be identified in turn.

    Raises:
        Unidentified: for what is neither dense nor of a class of NumPy's, torch's or pandas'.
    """
    if isinstance(value, torch.Tensor):
        yield from _tensor(value)
    elif isinstance(value, np.ndarray):
        yield from _array(value)
    else:
        yield from _table(value)


def _tensor(value: torch.Tensor) -> Iterator[Any]:
    try:
        held = value.detach().cpu()
        found = held.view(torch.int16).numpy() if held.dtype == torch.bfloat16 else held.numpy()
    except Exception as error:  # sparse, quantised, uninitialised: torch raises many kinds
        raise Unidentified(f"{value.layout} tensor that is not dense") from error
    yield f"{value.dtype} {value.requires_grad}".encode()
    yield from _array(found)
    yield dict(sorted(vars(value).items()))
    if not type(value).__module__.startswith("torch"):
        yield type(value)


def _array(value: npt.NDArray[Any]) -> Iterator[Any]:
    if isinstance(value, np.ma.MaskedArray):
        yield from _array(np.ma.getmaskarray(value))
        yield value.fill_value
    elif type(value).__module__.partition(".")[0] != "numpy":
        raise Unidentified(f"{type(value).__module__}.{type(value).__qualname__}")
    plain = np.asarray(value)
    yield f"{plain.dtype} {plain.shape}".encode()
    if plain.dtype.hasobject or plain.dtype.kind == "T":
        yield from objects(plain.ravel().tolist())
    else:
        yield np.ascontiguousarray(plain).tobytes()


def objects(values: list[Any]) -> Iterator[Any]:
    """Values of any type, in order; plain ones at once, since there may be many."""
    yield repr(values).encode() if {*map(type, values)} <= {*REPEATABLE} else values


def _table(value: Any) -> Iterator[Any]:
    """A table, a column or an index: what it holds, its names, and what a user has put beside that."""
    if type(value).__module__.partition(".")[0] != "pandas":
        raise Unidentified(f"{type(value).__module__}.{type(value).__qualname__}")
    if isinstance(value, pd.DataFrame):
        yield value.columns
        for place in range(value.shape[1]):
            yield from _column(value.iloc[:, place])
    elif isinstance(value, pd.MultiIndex):
        for level in range(value.nlevels):
            yield from _column(value.get_level_values(level))
    else:
        yield from _column(value)
    if isinstance(value, pd.Index):
        yield list(value.names)
    else:
        yield value.index
        yield (getattr(value, "name", None), dict(value.attrs))
        yield {key: item for key, item in sorted(vars(value).items()) if not key.startswith("_")}


def _column(value: Any) -> Iterator[Any]:
    """The values of a column or an index, with their type."""
    yield f"{value.dtype!r}".encode()
    if isinstance(value.dtype, pd.CategoricalDtype):
        held = value.cat if isinstance(value, pd.Series) else value
        yield held.categories
        yield bool(held.ordered)
        yield from _array(np.asarray(held.codes))
    elif isinstance(value.dtype, np.dtype):
        yield from _array(value.to_numpy())
    else:
        yield from objects(list(value.to_numpy(dtype=object)))
