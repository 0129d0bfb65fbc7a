"""Samples: one table of ids, targets, groups and times, beside a payload that batches are gathered from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lightning_base.errors import DataError
from lightning_base.samples.feature import Feature as Feature
from lightning_base.samples.payload import Payload, Ragged, Rows, frozen, is_ragged
from lightning_base.samples.several import Part, Several, content_of, viewed
from lightning_base.samples.targets import Kind, Targets


def findings_table(rows: Sequence[tuple[str, str, str]] = ()) -> pd.DataFrame:
    """What reading a source came upon, as a table for `Samples`: id, kind, detail; nothing by default."""
    return pd.DataFrame(list(rows), columns=["id", "kind", "detail"], dtype=str)


def rising(ids: "pd.Series[str]") -> bool:
    """Whether each text is greater than that before it, as row numbers are: then none comes twice."""
    if not isinstance(ids.dtype, pd.StringDtype) or len(ids) < 2:
        return False
    held = pa.array(ids)
    return bool(pc.all(pc.greater(held.slice(1), held.slice(0, len(held) - 1))).as_py())


@dataclass(frozen=True)
class Samples:
    """A sample table and its payload.

    Args:
        inputs: N samples. Images: (N, C, H, W) uint8, or float32 where 8 bits are too few. Tables: (N, F) float64, or
            float32 where it holds them, categories as codes, NaN where missing.
            Sound: Ragged int16. Text: Ragged int32 codes of words, or Ragged uint8 bytes of UTF-8. `Several` of these
            by name, where a sample has several inputs.
        table: N rows with `id` (unique strings) and, where known, `target` (int64 class numbers; values as float64, or
            as float32 where it holds each of them exactly),
            `group`, `time`, `time_end`, `role`, and columns that splitters name.
        classes: names of the classes, in the order of their numbers; empty for regression.
        origin: the file, folder or data set that messages name.
        features: a table's columns, or one for a text's words; empty for other payloads.
        targets: what is to be predicted, where that is not one value per sample: several values, label sets, arrays,
            sequences, spans, boxes. The table then has no column `target`.
        findings: what reading the source came upon (id, kind, detail), for `clean` to act on.
        hashes: (N,) uint64 of each sample's content, where the source keeps them.
        looks: (N,) uint64 perceptual hashes of images, where the source keeps them.
        schema: a table's columns, in the file's order: name, kind, distinct and missing (-1: not counted), examples,
            becomes, written, input.
        files: N rows on image files as they were before they were decoded, where the source keeps them: mode, width,
            height, type (the ending of the name).

    Raises:
        UserError: where tables and inputs do not fit, or an id comes twice; the message names it.
    """

    inputs: Payload
    table: pd.DataFrame
    classes: tuple[str, ...] = ()
    origin: str = "data"
    features: tuple[Feature, ...] = ()
    targets: Targets | None = None
    findings: pd.DataFrame = field(default_factory=findings_table)
    hashes: npt.NDArray[np.uint64] | None = None
    looks: npt.NDArray[np.uint64] | None = None
    files: pd.DataFrame | None = None
    schema: pd.DataFrame | None = None
    white: float | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) == 0:
            raise DataError(f"{self.origin}: no samples")
        if "id" not in self.table:
            raise DataError(f"{self.origin}: the sample table has no column `id`; give each sample a name of its own")
        if len(self.table) != len(self.inputs):
            raise DataError(f"{self.origin}: {len(self.inputs)} inputs but {len(self.table)} rows of targets")
        if self.targets is not None and len(self.targets) != len(self.table):
            raise DataError(f"{self.origin}: {len(self.table)} inputs but {len(self.targets)} targets")
        if self.targets is not None and self.targets.kind == "spans" and isinstance(self.inputs, Several):
            text = self.inputs.parts.get(self.targets.names[0])
            if text is None or not is_ragged(text.payload):
                there = ", ".join(self.inputs.parts)
                raise DataError(
                    f"{self.origin}: spans are of {self.targets.names[0]!r}, which is no text among {there}"
                )
        if self.targets is not None and "target" in self.table:
            raise DataError(f"{self.origin}: targets beside a column `target`; give one of them")
        if not rising(self.table["id"]) and (twice := self.table["id"].duplicated()).any():
            name = self.table["id"][twice].iloc[0]
            first, second = np.flatnonzero(self.table["id"] == name)[:2] + 1
            raise DataError(
                f"{self.origin}: id {name!r} stands in two rows, samples {first} and {second} ({int(twice.sum())} such "
                "rows); give each sample a name of its own (data.ids), or leave data.ids out"
            )

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def target(self) -> npt.NDArray[Any] | None:
        """(N,) int64 class numbers, float64 values, or None where samples have no target of one value."""
        if "target" not in self.table:
            return None
        return frozen(self.table["target"].to_numpy(dtype=np.int64 if self.classes else np.float64))

    @property
    def kind(self) -> Kind | Literal["class", "value"] | None:
        """What is to be predicted of a sample: a class, a value, or what `targets` holds; None for nothing."""
        if self.targets is not None:
            return self.targets.kind
        return None if "target" not in self.table else "class" if self.classes else "value"

    @property
    def boxes(self) -> Ragged | None:
        """Rows (x1, y1, x2, y2, class number) of each sample, where the targets are boxes."""
        found = None if self.targets is None or self.targets.kind != "boxes" else self.targets.payload
        return found if isinstance(found, Ragged) else None

    @cached_property
    def parts(self) -> dict[str, "Samples"]:
        """By name the same samples with one of several inputs alone; where they have one, these by the name ""."""
        return {name: self.part(name) for name in self.inputs.parts} if isinstance(self.inputs, Several) else {"": self}

    def part(self, name: str) -> "Samples":
        """The same samples with one of several inputs alone."""
        if "parts" in self.__dict__:
            return self.parts[name]
        assert isinstance(self.inputs, Several)
        one: Part = self.inputs.parts[name]
        return replace(
            self,
            inputs=one.payload,
            features=one.features,
            white=one.white,
            origin=f"{self.origin} ({name})",
            findings=findings_table(),
            hashes=None,
            looks=None,
            files=None,
            schema=one.schema,
        )

    def of_targets(self) -> "Samples":
        """The same samples with their targets as inputs, for what is fitted on targets."""
        assert self.targets is not None
        return replace(
            self, inputs=self.targets.payload, targets=None, features=(), hashes=None, looks=None, files=None
        )

    @cached_property
    def keys(self) -> npt.NDArray[np.int64]:
        """(N,) int64 hashes of the ids, which augmentation draws from; the same on every machine."""
        hashed: npt.NDArray[np.uint64] = pd.util.hash_array(self.table["id"].to_numpy(dtype=object), categorize=False)
        return frozen(hashed.astype(np.int64))

    @cached_property
    def content(self) -> npt.NDArray[np.uint64]:
        """(N,) uint64 hashes of each sample's inputs: equal for exact duplicates."""
        if self.hashes is not None:
            return self.hashes
        return content_of(self.inputs)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the content, whatever the order of the rows: every input, the table, the classes, targets."""
        dtype = self.inputs.dtype
        kind = "float" if dtype in (np.float32, np.float64) else dtype  # a value has one content in both
        form = f"{self.inputs.shape} {kind} {self.classes} {self.features}"
        if isinstance(self.inputs, Several):
            form += self.inputs.form
        if dates := [feature.name for feature in self.features if feature.is_date]:
            form += f" {dates}"
        digest = hashlib.sha256(form.encode())
        order = np.argsort(self.table["id"].to_numpy(dtype=object), kind="stable")
        digest.update(self.content[order].tobytes())
        digest.update(self.table.iloc[order].to_csv(index=False).encode())
        if self.targets is not None:
            digest.update(self.targets.form.encode())
            digest.update(self.targets.content[order].tobytes())
        return digest.hexdigest()

    def take(self, rows: Rows) -> "Samples":
        """These samples only, in this order; the payload is not copied."""
        return replace(
            self,
            inputs=viewed(self.inputs, rows),
            table=self.table.iloc[rows].reset_index(drop=True),
            targets=None if self.targets is None else self.targets.take(rows),
            findings=findings_table(),
            hashes=None if self.hashes is None and "content" not in self.__dict__ else self.content[rows],
            looks=None if self.looks is None else self.looks[rows],
            files=None if self.files is None else self.files.iloc[rows].reset_index(drop=True),
        )
