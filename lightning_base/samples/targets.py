"""Targets that are not one value per sample: several values, label sets, arrays, sequences, spans, boxes."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from lightning_base.errors import DataError
from lightning_base.samples.payload import Payload, Ragged, Rows, blocks, hash_payload, is_ragged, mixed
from lightning_base.samples.several import viewed

Kind: TypeAlias = Literal["values", "labels", "array", "sequence", "spans", "boxes"]


@dataclass(frozen=True)
class Targets:
    """What is to be predicted of N samples, beside their inputs, as a payload that batches are gathered from.

    Args:
        payload: by kind:
            "values": (N, K) float32 or float64, K numbers per sample.
            "labels": (N, C) of 0 and 1, which of C labels a sample has.
            "array": (N, ...) of any type: masks, images.
            "sequence": Ragged whole numbers, or Ragged uint8 bytes of UTF-8 text that a tokenizer is fitted on.
            "spans": (N, 2) whole numbers: where in a text input a part of it begins, and where it ends (exclusive), in
                characters; an empty one at 0 says that no part is right. What preprocessing makes of it are tokens.
            "boxes": Ragged float32 rows (x1, y1, x2, y2, class number) in pixels, x2 and y2 exclusive.
        kind: which.
        names: of the K values or the C labels; of the input that spans are of; those of the other kinds have none.
        texts: of spans, what stands in them, Ragged UTF-8 bytes as `lightning_base.data.answer_values` makes them: the
            texts that are right, the first of them the span's.

    Raises:
        DataError: where the payload is not of the kind.
    """

    payload: Payload
    kind: Kind
    names: tuple[str, ...] = ()
    texts: Payload | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise DataError(f"targets: {self.kind!r} is no kind of them; give one of {', '.join(get_args(Kind))}")
        shape, ragged = self.payload.shape, is_ragged(self.payload)
        if self.kind in ("values", "labels"):
            if ragged or len(shape) != 2 or len(self.names) != shape[1]:
                raise DataError(
                    f"targets: {self.kind} of shape {shape} with {len(self.names)} names; give (N, K) and K names"
                )
            if len(set(self.names)) < len(self.names):
                raise DataError(f"targets: the names {', '.join(self.names)} are not all different; rename one")
        elif self.kind == "spans":
            if shape[1:] != (2,) or self.payload.dtype.kind not in "iu" or len(self.names) != 1:
                raise DataError(
                    f"targets: spans need (N, 2) whole numbers and the name of one input, not {self.payload.dtype} of "
                    f"shape {shape} and {len(self.names)} names"
                )
            if self.texts is None or not is_ragged(self.texts) or len(self.texts) != len(self.payload):
                raise DataError("targets: spans need their texts; give lightning_base.data.answer_values([[…], …])")
        elif ragged != (self.kind in ("sequence", "boxes")):
            form = "Ragged" if self.kind != "array" else "an array (N, …)"
            raise DataError(f"targets: {self.kind} needs {form}, not a {type(self.payload).__name__} of shape {shape}")
        elif self.kind == "boxes" and shape[1:] != (5,):
            raise DataError(f"targets: boxes need rows of 5 (x1, y1, x2, y2, class), not of {shape[1:]}")

    def __len__(self) -> int:
        return len(self.payload)

    @cached_property
    def content(self) -> npt.NDArray[np.uint64]:
        """(N,) uint64 hashes of each sample's target."""
        found = hash_payload(self.payload)
        return found if self.texts is None else mixed(found) ^ hash_payload(self.texts)

    @property
    def form(self) -> str:
        """What they are, in words, for fingerprints and messages."""
        shape = " × ".join(map(str, self.payload.shape[1:]))
        return f"{self.kind}{f' of shape {shape}' if shape else ''}{f' {self.names}' if self.names else ''}"

    def take(self, rows: Rows) -> "Targets":
        """Those of these samples, in this order; nothing is copied but boxes, of which there are few."""
        if self.kind == "boxes":
            base = self.payload
            return replace(self, payload=Ragged.of([base[int(row)] for row in rows], base[0]))
        texts = None if self.texts is None else viewed(self.texts, rows)
        return replace(self, payload=viewed(self.payload, rows), texts=texts)

    def faults(self) -> list[tuple[int, str]]:
        """The rows whose target is none, with what is wrong: values that are not finite, labels beside 0 and 1."""
        found: list[tuple[int, str]] = []
        if self.kind in (
            "boxes",
            "spans",
        ):  # of boxes reading tells it, and of spans `span_faults`, which has the texts
            return found
        for rows, values, lengths in blocks(self.payload, size=256):
            flat = values.reshape(len(rows), -1)
            if values.dtype.kind == "f" and self.kind != "labels":
                bad = ~np.isfinite(flat)
                what = "is not finite"
            elif self.kind == "labels":
                bad, what = (flat != 0) & (flat != 1), "is neither 0 nor 1"
            else:
                bad, what = np.zeros((len(rows), 1), dtype=bool), ""
            for i in np.flatnonzero(bad.any(axis=1)):
                at = int(np.argmax(bad[i]))
                name = f" {self.names[at]!r}" if self.names else ""
                found.append((int(rows[i]), f"target{name} {flat[i, at]} {what}"))
            if lengths is not None:
                found += [(int(rows[i]), "its target is empty") for i in np.flatnonzero(lengths == 0)]
        return found
