"""What a step gets: Batch, the Boxes of detection, Sequences, Texts, Spans, and targets gathered for rows."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_base.samples.payload import Rows, gather
from lightning_base.samples.samples import Samples


class Boxes(NamedTuple):
    """The targets of detection, padded to the batch's largest number of boxes.

    Attributes:
        boxes: (B, M, 4) float32 as (x1, y1, x2, y2) in pixels, x2 and y2 exclusive; padding is 0.
        labels: (B, M) int64 class numbers; padding is -1.
    """

    boxes: Tensor
    labels: Tensor


class Sequences(NamedTuple):
    """Targets or predictions of unequal length, padded with 0 to the longest.

    Attributes:
        values: (B, T, ...).
        lengths: (B,) int64 true lengths.
    """

    values: Tensor
    lengths: Tensor

    @property
    def inside(self) -> Tensor:
        """(B, T) bool, which values are no padding."""
        return torch.arange(self.values.shape[1], device=self.values.device) < self.lengths[:, None]


Inputs: TypeAlias = Any  # Tensor (B, ...), or dict[str, Tensor] where a sample has several inputs
Lengths: TypeAlias = Any  # Tensor (B,) or None; by the inputs' names where there are several


class Texts(Sequences):
    """Texts as their UTF-8 bytes, (B, T) uint8 padded with 0: what tables show as text."""

    @staticmethod
    def of(texts: Iterable[str]) -> "Texts":
        """The bytes of texts."""
        parts = [text.encode("utf-8", errors="replace") for text in texts]
        lengths = torch.tensor([len(part) for part in parts], dtype=torch.int64)
        values = torch.zeros(len(parts), max(1, *map(len, parts), 1), dtype=torch.uint8)
        for row, part in zip(values, parts, strict=True):
            if part:
                row[: len(part)] = torch.frombuffer(bytearray(part), dtype=torch.uint8)
        return Texts(values, lengths)

    @staticmethod
    def cut(text: Tensor, places: Tensor, first: Tensor, last: Tensor) -> "Texts":
        """Parts of texts, from where one token begins to where one ends; empty where that is before.

        Args:
            text: (B, L) uint8, their bytes.
            places: (B, T, 2), where tokens begin and end among them.
            first: (B,), the tokens they begin with.
            last: (B,), the tokens they end with.
        """
        rows = torch.arange(len(first), device=first.device)
        begin, end = places[rows, first, 0].long(), places[rows, last, 1].long()
        lengths = (end - begin).clamp_min(0)
        place = torch.arange(max(int(lengths.max()), 1), device=text.device)
        values = text.gather(1, (begin[:, None] + place).clamp_max(text.shape[1] - 1))
        return Texts(torch.where(place < lengths[:, None], values, 0), lengths)

    def strings(self) -> list[str]:
        """The texts; what is no UTF-8 is a replacement character."""
        rows = self.values.cpu().to(torch.uint8).numpy()
        return [
            row[:n].tobytes().decode("utf-8", "replace") for row, n in zip(rows, self.lengths.tolist(), strict=True)
        ]


class Spans(NamedTuple):
    """Parts of an input's texts that are to be found.

    Attributes:
        places: (B, 2) int64, the first and the last of its tokens; both 0, a begin, where no part is right; both -100
            where the text was cut before it. Before preprocessing characters, the last exclusive.
        answers: the texts that are right, with U+001F between several.
    """

    places: Tensor
    answers: Texts


class Batch(NamedTuple):
    """What a step gets.

    Attributes:
        x: (B, ...) inputs, in the source's dtype until the data module preprocesses them; samples of different lengths
            are padded with 0 to (B, T, ...). A dictionary of such tensors by name where a sample has several inputs.
        y: (B,) int64 class numbers or float32 values, (B, C) float32 probabilities where augmentation mixed classes;
            (B, K) float32 values or labels, (B, ...) arrays in the source's dtype; Sequences; Spans; Boxes for
            detection; None where the data has no target.
        rows: (B,) int64, each sample's row in its source's sample table.
        key: (B,) int64, a hash of each sample's id, which augmentation draws from.
        lengths: (B,) int64, the true lengths of padded samples along axis 1; None where nothing is padded. Of several
            inputs by name.
        partner: in training with mixing augmentations, another training sample for each one.
        total: samples of the global batch, over all ranks; None stands for B.
        share: what a mean over this rank's samples counts in the mean over ranks, ranks · B / total, so that the latter
            is the global batch's. 0 where the batch has no sample for this rank, which then has another's as a
            stand-in.
        real: how many of the B are samples, where copies of them fill the batch up to its full size; None for all.
    """

    x: Inputs
    y: "Target | None"
    rows: Tensor
    key: Tensor | None = None
    lengths: Lengths = None
    partner: "Batch | None" = None
    total: int | None = None
    share: float = 1.0
    real: int | None = None

    def part(self, name: str) -> "Batch":
        """The same batch with one of several inputs alone."""
        partner = None if self.partner is None else self.partner.part(name)
        return self._replace(x=self.x[name], lengths=(self.lengths or {}).get(name), partner=partner)

    def having(self, name: str, part: "Batch") -> "Batch":
        """The batch with one of several inputs, and the target, as a part of it has them."""
        lengths = {**(self.lengths or {}), name: part.lengths}
        kept = {key: value for key, value in lengths.items() if value is not None}
        return self._replace(x={**self.x, name: part.x}, lengths=kept or None, y=part.y)


Target: TypeAlias = Tensor | Boxes | Sequences | Spans


def targets(samples: Samples, rows: Rows) -> Target | None:
    """The targets of rows (B,), as `Batch.y` has them, but values float64 and labels int64; None without any."""
    if samples.targets is None:
        return None if samples.target is None else torch.from_numpy(samples.target[rows])
    found, lengths = gather(samples.targets.payload, rows)
    if samples.targets.texts is not None:
        raw, ends = gather(samples.targets.texts, rows)
        assert ends is not None
        return Spans(
            torch.from_numpy(found.astype(np.int64)), Texts(torch.from_numpy(np.array(raw)), torch.from_numpy(ends))
        )
    if samples.boxes is not None:
        assert lengths is not None
        labels = np.where(np.arange(found.shape[1]) < lengths[:, None], found[:, :, 4], -1)
        return Boxes(torch.from_numpy(found[:, :, :4].copy()), torch.from_numpy(labels.astype(np.int64)))
    if lengths is not None:
        whole = found.astype(np.int64) if found.dtype.kind in "iu" else np.array(found)
        return Sequences(torch.from_numpy(whole), torch.from_numpy(lengths))
    if samples.targets.kind == "values":
        return torch.from_numpy(found.astype(np.float64))
    return torch.from_numpy(found.astype(np.int64) if samples.targets.kind == "labels" else np.array(found))


Encoder: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
