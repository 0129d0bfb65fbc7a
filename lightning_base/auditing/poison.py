"""Samples whose rows outside a set have other values: what is fitted on the set alone does not change with them."""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_base.samples.payload import Derived, Payload, Ragged, Rows, View, gather
from lightning_base.samples.samples import Samples
from lightning_base.samples.several import Several, with_payloads
from lightning_base.samples.targets import Targets

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
FAR = 1e6
SMALL = 2**26  # bytes: below, a poisoned array is an array, as the code that fits may expect one


def spoil(values: Array, codes: Array | None) -> Array:
    """Other values than these, far from the data; where `codes` (…, F) is not NaN it takes a value's place."""
    kind = values.dtype.kind
    spoiled = values
    if kind == "f":
        far = min(FAR, float(np.finfo(values.dtype).max) / 8)
        spoiled = np.where(np.isfinite(values) & (abs(values) < far), 2 * values + far, far).astype(values.dtype)
    elif kind in "iu":
        info = np.iinfo(values.dtype)
        middle = 0 if kind == "i" else info.max // 2 + 1
        spoiled = np.where(values < middle, info.max, info.min).astype(values.dtype)
    elif kind == "b":
        spoiled = ~values
    return spoiled if codes is None else np.where(np.isnan(codes), spoiled, codes).astype(values.dtype)


class Poisoned(Derived):
    """A payload with some rows spoiled as they are read; nothing is copied until the whole is asked for.

    Args:
        base: the payload.
        keep: (N,) bool, the rows left as they are.
        codes: (F,), what takes a value's place where it is not NaN; None: nothing does.
    """

    def __init__(self, base: Payload, keep: Mask, codes: Array | None) -> None:
        super().__init__(base)
        self.keep, self.codes = keep, codes

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, tuple) or rows is Ellipsis or rows is None:
            return np.asarray(self)[rows]
        values, bad = np.array(self.base[rows]), ~self.keep[rows]
        if np.ndim(bad) == 0:
            return spoil(values, self.codes) if bad else values
        values[bad] = spoil(values[bad], self.codes)
        return values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[np.arange(len(self))], dtype=dtype)

    def __getattr__(self, name: str) -> Any:
        """What else the base has: an array's methods see the spoiled values."""
        if name.startswith("__") or name in ("base", "keep", "codes"):  # those NumPy and copying ask for
            raise AttributeError(name)
        return getattr(np.asarray(self) if isinstance(self.base, np.ndarray) else self.base, name)


class PoisonedRagged(Ragged):
    """Ragged samples, some of them spoiled as they are read; their lengths stay."""

    def __init__(self, base: Ragged, keep: Mask, codes: Array | None) -> None:
        self.base, self.keep, self.codes, self.offsets = base, keep, codes, base.offsets

    @cached_property
    def values(self) -> Array:  # type: ignore[override]
        """All values: a copy."""
        values = np.array(self.base.values)
        bad = np.repeat(~self.keep, np.diff(self.offsets))
        values[bad] = spoil(values[bad], self.codes)
        return values

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...) without the axis of unequal length."""
        return self.base.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The values' type."""
        return self.base.dtype

    def padded(self, rows: Rows, longest: int | None = None, fixed: bool = False) -> tuple[Array, Rows]:
        """The samples (B, L, ...), some of them spoiled, padded with 0, and their lengths (B,)."""
        values, lengths = self.base.padded(rows, longest, fixed)
        bad = ~self.keep[rows][:, None] & (np.arange(values.shape[1]) < lengths[:, None])
        values[bad] = spoil(values[bad], self.codes)
        return values, lengths

    def __getitem__(self, rows: Any) -> Any:
        """One sample (T, ...) for a number, else padded samples (B, L, ...)."""
        if isinstance(rows, int | np.integer):
            values = np.array(self.base[rows])
            return values if self.keep[rows] else spoil(values, self.codes)
        return self.padded(np.asarray(rows))[0]


def poison(samples: Samples, keep: Mask, codes: Any) -> Samples:
    """The samples with inputs, targets, boxes and hashes of all rows but those of `keep` changed.

    Args:
        samples: left as they are.
        keep: (N,) bool.
        codes: (F,) or (1,), what takes the place of categories and words, as `known_codes` gives it; by name of several
            inputs.
    """
    table = samples.table.copy()
    if samples.target is not None:
        other = (samples.target + 1) % len(samples.classes) if samples.classes else spoil(samples.target, None)
        table["target"] = np.where(keep, samples.target, other)
    return replace(
        samples,
        inputs=_viewed(samples.inputs, keep, codes),
        table=table,
        targets=None if samples.targets is None else _targets(samples.targets, keep),
        hashes=np.where(keep, samples.content, ~samples.content),
    )


def _targets(targets: Targets, keep: Mask) -> Targets:
    """The targets of all rows but those of `keep` changed; labels are turned round, so that they stay labels."""
    payload = targets.payload
    if targets.kind == "labels":
        values = np.array(gather(payload, np.arange(len(payload)))[0])
        values[~keep] = 1 - values[~keep]
        return replace(targets, payload=values)
    return replace(targets, payload=_viewed(payload, keep, None))


def _viewed(inputs: Payload, keep: Mask, codes: Any) -> Payload:
    """The payload with all rows but those of `keep` spoiled; of a view also the base's rows that are not in view."""
    if isinstance(inputs, Several):
        parts = inputs.parts.items()
        return with_payloads(inputs, {n: _viewed(part.payload, keep, (codes or {}).get(n)) for n, part in parts})
    if not isinstance(inputs, View):
        return _payload(inputs, keep, codes)
    below = np.zeros(len(inputs.base), dtype=bool)
    below[inputs.index[keep]] = True
    return View(_payload(inputs.base, below, codes), inputs.index)


def _payload(base: Payload, keep: Mask, codes: Array | None) -> Payload:
    """The payload with all rows but those of `keep` spoiled; a small array as an array."""
    if isinstance(base, Ragged):
        return PoisonedRagged(base, keep, codes)
    poisoned = Poisoned(base, keep, codes)
    return np.asarray(poisoned) if isinstance(base, np.ndarray) and base.nbytes <= SMALL else poisoned


def known_codes(samples: Samples, train: Rows) -> Any:
    """A category of each column (F,), or a word (1,), that the training rows have; NaN for numbers; None without any.

    In a known category's place nothing new is learnt, and what only held-out rows have is gone. By name of several
    inputs.
    """
    if isinstance(samples.inputs, Several):
        return {name: known_codes(samples.part(name), train) for name in samples.inputs.parts}
    if not any(feature.categories for feature in samples.features):
        return None
    values, lengths = gather(samples.inputs, train[:1000])
    if lengths is not None:
        words = values[np.arange(values.shape[1]) < lengths[:, None]]
        return words[:1].astype(np.float64) if len(words) else None
    codes = np.full(len(samples.features), np.nan)
    for i, feature in enumerate(samples.features):
        if feature.categories:
            known = values[:, i][~np.isnan(values[:, i])]
            codes[i] = known[0] if len(known) else 0
    return codes
