"""Ops on sound: shift, gain and noise of waveforms, masks on spectrograms."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from lightning_base.augment.base import Augmentation, Context, Stage, column, floating, only, total, within
from lightning_base.augment.draw import Draw
from lightning_base.samples.batch import Batch


def lengths_of(batch: Batch) -> Tensor:
    """(B,) int64: the true lengths along the last axis; all of it where nothing is padded."""
    size = batch.x.shape[-1]
    lengths: Tensor | None = batch.lengths
    if lengths is not None:
        return lengths.clamp(max=size)
    return torch.full((len(batch.x),), size, device=batch.x.device)


class TimeShift(Augmentation):
    """Moves waveforms (B, T) earlier or later within their true length.

    Args:
        fraction: the farthest, as a share of each one's length.
        mode: "circular" brings in at one end what left at the other; "zero" brings in silence.
        p: the share of samples it is applied to.
    """

    def __init__(self, fraction: float = 0.1, mode: Literal["circular", "zero"] = "zero", p: float = 1.0) -> None:
        super().__init__(p)
        self.fraction, self.mode = fraction, mode
        self.check("fraction", fraction, 0 <= fraction <= 1, "from 0 to 1")
        self.check("mode", mode, mode in ("circular", "zero"), "circular or zero")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the chosen waveforms moved."""
        self.need(batch, "B, T")
        lengths = lengths_of(batch)
        chosen = draw.chosen(self.p)
        most = (lengths * self.fraction).long()
        later = draw.integers(2 * most + 1)[:, 0] - most

        def shift(x: Tensor, index: Tensor) -> Tensor:
            place, length = torch.arange(x.shape[1], device=x.device), lengths[index][:, None]
            source = place - later[index][:, None]  # (n, T)
            inside = (place < length) & (source >= 0) & (source < length)
            around = torch.where(place < length, source % length.clamp(min=1), place)
            moved = x.gather(1, around)
            return moved if self.mode == "circular" else moved.masked_fill(~inside, 0)

        return batch._replace(x=only(chosen, batch.x, shift))


class Gain(Augmentation):
    """Makes waveforms louder or quieter; gives float32 in the input's scale (int16 clipped to its range).

    Args:
        db: the least and the greatest gain, in decibels; uniform.
        p: the share of samples it is applied to.
    """

    def __init__(self, db: tuple[float, float] = (-6.0, 6.0), p: float = 1.0) -> None:
        super().__init__(p)
        self.db = db
        self.check_range("db", db)

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the chosen waveforms' amplitude changed."""
        self.need(batch, "B, T")
        chosen = draw.chosen(self.p)
        factor = (draw.between(*self.db) * (math.log(10) / 20)).exp()

        def louder(x: Tensor, index: Tensor) -> Tensor:
            return within(x * column(factor[index], x).to(floating(x)), x)

        return batch._replace(x=only(chosen, batch.x, louder, floating(batch.x)))


class AddNoise(Augmentation):
    """Adds white noise to waveforms, at a random ratio of the signal's power to the noise's.

    Gives float32 in the input's scale (int16 clipped to its range).

    Args:
        snr_db: the least and the greatest signal-to-noise ratio, in decibels; uniform.
        p: the share of samples it is applied to.
    """

    def __init__(self, snr_db: tuple[float, float] = (10.0, 30.0), p: float = 1.0) -> None:
        super().__init__(p)
        self.snr_db = snr_db
        self.check_range("snr_db", snr_db)

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with noise on the chosen waveforms, within their true length."""
        self.need(batch, "B, T")
        lengths = lengths_of(batch)
        chosen = draw.chosen(self.p)
        ratio = (draw.between(*self.snr_db) * (-math.log(10) / 20)).exp()  # of amplitudes, noise to signal

        def noisy(x: Tensor, index: Tensor) -> Tensor:
            values, length = x.to(floating(x)), lengths[index]
            inside = torch.arange(x.shape[1], device=x.device) < length[:, None]
            power = total(values.float() ** 2 * inside) / length.clamp(min=1)
            noise = draw.take(index).normal((x.shape[1],)) * (power.sqrt() * ratio[index])[:, None]
            return within(values + (noise * inside).to(values.dtype), x)

        return batch._replace(x=only(chosen, batch.x, noisy, floating(batch.x)))


class SpecAugment(Augmentation):
    """Masks spans of time and bands of frequency of spectrograms (B, 1, M, T) with 0 (Park et al. 2019).

    0 is the mean of what has been normalised. Each mask's width is uniform from 0 to its largest, then its place
    uniform among those where it fits; masks of time lie within the true length, in frames, where lengths are known.

    Args:
        time_masks: how many spans of time.
        time_width: the longest, in frames.
        freq_masks: how many bands of frequency.
        freq_width: the widest, in rows.
        p: the share of samples it is applied to.
    """

    stage: ClassVar[Stage] = "ready"

    def __init__(
        self, time_masks: int = 2, time_width: int = 20, freq_masks: int = 2, freq_width: int = 10, p: float = 1.0
    ) -> None:
        super().__init__(p)
        self.time_masks, self.time_width = time_masks, time_width
        self.freq_masks, self.freq_width = freq_masks, freq_width
        for name in ("time_masks", "time_width", "freq_masks", "freq_width"):
            self.check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the chosen spectrograms masked."""
        self.need(batch, "B, C, M, T", floating=True)
        bands = torch.full((len(batch.x),), batch.x.shape[2], device=batch.x.device)
        chosen = draw.chosen(self.p)
        in_time = masked(draw, self.time_masks, self.time_width, lengths_of(batch), batch.x.shape[3])
        in_frequency = masked(draw, self.freq_masks, self.freq_width, bands, batch.x.shape[2])
        hidden = in_time[:, None, :] | in_frequency[:, :, None]  # (B, M, T)
        return batch._replace(x=batch.x.masked_fill((hidden & chosen[:, None, None])[:, None], 0))


def masked(draw: Draw, count: int, widest: int, lengths: Tensor, size: int) -> Tensor:
    """(B, size) bool: where `count` random spans, of 0 to `widest` each, lie inside lengths (B,)."""
    place = torch.arange(size, device=lengths.device)
    hidden = torch.zeros(len(lengths), size, dtype=torch.bool, device=lengths.device)
    for _ in range(count):
        width = draw.integers(lengths.clamp(max=widest) + 1)  # (B, 1)
        start = draw.integers(lengths[:, None] - width + 1)
        hidden |= (place >= start) & (place < start + width)
    return hidden
