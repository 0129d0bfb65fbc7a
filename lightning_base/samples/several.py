"""Several inputs per sample, by name: an image and a table's row, a source text and what was translated so far."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import DataError
from lightning_base.samples.feature import Feature
from lightning_base.samples.payload import Payload, Rows, View, hash_payload, mixed


@dataclass(frozen=True)
class Part:
    """One of several inputs.

    Args:
        payload: N samples, as `Samples.inputs` has them.
        features: a table's columns, or one for a text's words; empty for others.
        white: as in `Samples`, of images.
        schema: as in `Samples`, of tables.
    """

    payload: Payload
    features: tuple[Feature, ...] = ()
    white: float | None = None
    schema: pd.DataFrame | None = None


class Several:
    """Inputs by name, each of the same N samples; a payload itself.

    Args:
        parts: payloads, or `Part`s where features go with them. Networks take them as keywords of these names.

    Raises:
        DataError: for names that are no keywords, parts of different lengths, or none.
    """

    def __init__(self, parts: Mapping[str, Part | Payload]) -> None:
        self.parts = {name: part if isinstance(part, Part) else Part(part) for name, part in parts.items()}
        if not self.parts:
            raise DataError("inputs: no parts are given; name one at least")
        for name in self.parts:
            if not name.isidentifier() or name.endswith("lengths"):
                raise DataError(f"inputs: {name!r} is no name of an input; networks take it as a keyword, e.g. image")
        if len({len(part.payload) for part in self.parts.values()}) > 1:
            said = ", ".join(f"{len(part.payload)} of {name}" for name, part in self.parts.items())
            raise DataError(f"inputs: {said}; each sample needs one of each")

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,): what a sample is has no shape of its own."""
        return (len(self),)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of objects: parts have types of their own."""
        return np.dtype(object)

    @property
    def form(self) -> str:
        """Names, shapes, types and features of the parts, as text for fingerprints."""
        said = []
        for name, part in self.parts.items():
            kind = "float" if part.payload.dtype.kind == "f" else part.payload.dtype
            said.append(f"{name} {part.payload.shape[1:]} {kind} {part.features}")
        return "; ".join(said)

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())).payload)

    def __getitem__(self, rows: Any) -> dict[str, Any]:
        """Each part's samples of these rows."""
        return {name: part.payload[rows] for name, part in self.parts.items()}

    def content(self) -> npt.NDArray[np.uint64]:
        """(N,) uint64 hashes of each sample's inputs together."""
        return joint_content({name: hash_payload(part.payload) for name, part in self.parts.items()})


def joint_content(hashes: Mapping[str, npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    """(N,) uint64 hashes of several inputs together, of those (N,) uint64 of each by name."""
    total = np.zeros(len(next(iter(hashes.values()))), dtype=np.uint64)
    for name in sorted(hashes):
        total = mixed(total + np.uint64(0x9E3779B97F4A7C15)) ^ hashes[name]
    return total


def content_of(inputs: Payload) -> npt.NDArray[np.uint64]:
    """(N,) uint64 hashes of each sample's inputs: equal for exact duplicates."""
    return inputs.content() if isinstance(inputs, Several) else hash_payload(inputs)


def with_payloads(
    inputs: Payload, payloads: Mapping[str, Payload], features: Mapping[str, tuple[Feature, ...]] | None = None
) -> Payload:
    """The inputs with other payloads, and features, for those of these names; "" is the name where there is one."""
    if not isinstance(inputs, Several):
        return payloads.get("", inputs)
    parts = {
        name: replace(
            part, payload=payloads.get(name, part.payload), features=(features or {}).get(name, part.features)
        )
        for name, part in inputs.parts.items()
    }
    return Several(parts)


def viewed(inputs: Payload, rows: Rows) -> Payload:
    """These rows of a payload, in this order; nothing is copied, and there is no view of a view."""
    if len(rows) == len(inputs) and (rows == np.arange(len(inputs))).all():
        return inputs
    if isinstance(inputs, Several):
        return with_payloads(inputs, {name: viewed(part.payload, rows) for name, part in inputs.parts.items()})
    return View(inputs.base, inputs.index[rows]) if isinstance(inputs, View) else View(inputs, rows)
