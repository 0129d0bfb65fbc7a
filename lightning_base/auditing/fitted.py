"""Statistics of more than the training role: preprocessing that moves with held-out samples, or data scaled before."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch

from lightning_base.auditing.poison import known_codes, poison
from lightning_base.auditing.report import Leak
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.pool import Source
from lightning_base.data.twin import twin_of
from lightning_base.errors import one_line
from lightning_base.preprocess.base import inputs_of
from lightning_base.preprocess.standardize import Standardize
from lightning_base.samples.moments import moments
from lightning_base.samples.payload import Rows, is_ragged
from lightning_base.samples.samples import Samples


def statistics_leaks(data: BaseDataModule, pool: Samples, test: Samples | None) -> list[Leak]:
    """Leaks where the preprocessing of data.fold, or scaling before it, knows samples outside the training role.

    Fits the data's preprocessing where it is not fitted.
    """
    moved = fitted_on_more(data, pool, test)
    scaled = [
        scaled_before(part, test.parts.get(name) if test is not None and data.seals else None, data.rows("train"))
        for name, part in pool.parts.items()
    ]
    return [*([moved] if moved else []), *chain.from_iterable(scaled)]


def fitted_on_more(data: BaseDataModule, pool: Samples, test: Samples | None) -> Leak | None:
    """A leak where a twin whose samples outside the training role have other values is fitted otherwise.

    Where no twin can be fitted, what was not looked at.
    """
    data.setup("fit")
    given = data.preprocess
    plain = type(data).setup is BaseDataModule.setup and data.target_preprocess is None
    if plain and type(given) is Standardize and given.normalize != "standard":
        return None  # nothing is fitted
    train = data.rows("train")
    codes = known_codes(pool, train)
    keep = np.zeros(len(pool), dtype=bool)
    keep[train] = True
    read: dict[Source, Samples] = {"pool": pool}
    spoiled: dict[Source, Samples] = {"pool": poison(pool, keep, codes)}
    if test is not None:
        read["test"] = test
        spoiled["test"] = poison(test, np.zeros(len(test), dtype=bool), codes)
    honest = _fit(_twin(data, read, None)) if data.trained_on is not None else _state(data)
    trained_ids = pool.table["id"].to_numpy(dtype=object)[train]
    try:
        state = _fit(_twin(data, spoiled, (trained_ids, codes)))
    except Exception as error:  # any: it is the user's code
        # what never reads held-out samples cannot fail on their values; what fails on a wrapper alone shows nothing
        unchanged = poison(pool, np.ones(len(pool), dtype=bool), codes)
        try:
            _fit(_twin(data, {**read, "pool": unchanged}, None))
        except Exception as refused:
            said = f"{type(refused).__name__}: {one_line(refused)}"
            return Leak(
                "unchecked",
                None,
                f"statistics: not looked at, since {type(data).__name__} fits {type(given).__name__} on no wrapped "
                f"samples ({said}); read them as samples.inputs[rows]",
            )
        reason = f"fitting fails with {type(error).__name__} when they change"
    else:
        key = difference(honest, state)
        if key is None:
            return None
        reason = f"{key} changes with them"
        if difference(honest["inputs"], state["inputs"]) is None and data.target_preprocess is not None:
            given = data.target_preprocess
    return Leak(
        "statistics",
        None,
        f"{type(given).__name__} of {type(data).__name__} is fitted on samples outside the training role ({reason}); "
        'fit it on the rows of data.rows("train") alone',
    )


def _twin(data: BaseDataModule, sources: Mapping[Source, Samples], spoiling: tuple[Any, Any] | None) -> BaseDataModule:
    """The data module anew, with the same folds and these samples; what it reads itself is spoiled by id likewise."""
    twin = twin_of(data, sources)
    if spoiling is not None:
        ids, codes = spoiling

        def dataset(source: Source) -> Samples:
            samples = data.dataset(source)
            if source == "predict":
                return samples
            known = samples.table["id"].isin(ids).to_numpy() & (source == "pool")
            return poison(samples, known, codes)

        twin.dataset = dataset  # type: ignore[method-assign]
    return twin


def _fit(data: BaseDataModule) -> dict[str, Any]:
    """The state of the data's preprocessing, fitted."""
    data.setup("fit")
    return _state(data)


def _state(data: BaseDataModule) -> dict[str, Any]:
    """What is fitted on inputs, and on targets."""
    targets = data.target_preprocess
    return {"inputs": data.preprocess.state(), "targets": None if targets is None else targets.state()}


def difference(one: Any, other: Any, key: str = "its state") -> str | None:
    """The key at which two states differ, by more than rounding; None where they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return key
        return next((k for name in one if (k := difference(one[name], other[name], f"`{name}`"))), None)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return key
        return next((key for a, b in zip(one, other, strict=True) if difference(a, b, key)), None)
    if isinstance(one, torch.Tensor | np.ndarray | int | float) and isinstance(other, type(one)):
        a, b = np.asarray(one), np.asarray(other)
        if a.shape != b.shape:
            return key
        number = a.dtype.kind in "fc"
        same = np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True) if number else np.array_equal(a, b)
        return None if same else key
    return None if type(one) is type(other) and one == other else key


def scaled_before(pool: Samples, sealed: Samples | None, train: Rows) -> list[Leak]:
    """One leak where inputs have mean 0 and deviation 1 over the whole source, yet not over the training role."""
    if is_ragged(pool.inputs) or len(pool.inputs.shape) < 2 or pool.inputs.dtype.kind != "f" or len(pool) < 50:
        return []
    some = np.arange(0, len(pool), max(len(pool) // 2048, 1))
    mean, std = moments(inputs_of(pool, some))
    if (abs(mean[std != 1]) > 0.5).any():  # a few thousand rows of scaled inputs have no such mean
        return []
    whole = [(pool, np.arange(len(pool)))]
    wholes = [whole] if sealed is None else [whole, [*whole, (sealed, np.arange(len(sealed)))]]
    for parts in wholes:
        if _scaled(parts) and not _scaled([(pool, train)]):
            detail = (
                f"{pool.origin}: inputs have mean 0 and deviation 1 over all {sum(len(rows) for _, rows in parts)} "
                f"samples, held-out ones included, and not over the {len(train)} of training; give them as they were "
                "before, and leave scaling to data.normalize"
            )
            return [Leak("statistics", None, detail)]
    return []


def _scaled(parts: list[tuple[Samples, Rows]]) -> bool:
    """Whether every column that is not constant has mean 0 and population or sample deviation 1."""
    mean, std = moments(block for samples, rows in parts for block in inputs_of(samples, rows))
    n = sum(len(rows) for _, rows in parts)
    varies = std != 1  # that of a constant is exactly 1
    unit = np.minimum(abs(std - 1), abs(std * np.sqrt(n / (n - 1)) - 1)) < 1e-3
    return bool(varies.any() and ((abs(mean) < 1e-5) & unit)[varies].all())
