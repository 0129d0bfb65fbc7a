"""Ops that mix each sample, and its target, with another training sample: mixup, cutmix."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lightning_base.augment.base import Augmentation, Context, Stage, column
from lightning_base.augment.draw import Draw
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch, Boxes, Target


def padded_alike(x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both (B, ...), the shorter padded with 0 at the end of each axis to the longer's size."""

    def padded(t: Tensor, like: Tensor) -> Tensor:
        margins = [m for a, b in zip(t.shape[:0:-1], like.shape[:0:-1], strict=True) for m in (0, max(b - a, 0))]
        return functional.pad(t, margins) if any(margins) else t

    return padded(x, other), padded(other, x)


class Mix(Augmentation):
    """An op that mixes each sample with its partner, and leaves none.

    A share of each sample is its own, drawn from Beta(alpha, alpha); the rest is its partner's. Targets are mixed in
    the same shares: classes become (B, num_classes) float32 probabilities, values float32 values.
    """

    stage: ClassVar[Stage] = "ready"
    mixes: ClassVar[bool] = True

    def __init__(self, alpha: float, p: float) -> None:
        super().__init__(p)
        self.alpha = alpha
        self.check("alpha", alpha, alpha > 0, "above 0")

    @abstractmethod
    def mix(self, x: Tensor, other: Tensor, share: Tensor, extent: Tensor | None, draw: Draw) -> tuple[Tensor, Tensor]:
        """The mixed inputs (B, ...), and the share (B,) of each that is its own.

        Args:
            x: (B, ...) inputs.
            other: (B, ...) the partners', as long.
            share: (B,) the share that was drawn.
            extent: (B,) the longer of the two lengths along the time axis; None where nothing is padded.
            draw: for what else is random.
        """

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with each chosen sample mixed with its partner."""
        partner = batch.partner
        if partner is None:
            raise ConfigError(f"{type(self).__name__} needs batch.partner")
        chosen = draw.chosen(self.p)
        x, other = padded_alike(batch.x, partner.x)
        lengths = batch.lengths
        if lengths is not None and partner.lengths is not None:
            lengths = torch.maximum(lengths, partner.lengths)
        mixed, share = self.mix(x, other, draw.beta(self.alpha), lengths, draw)
        share = torch.where(chosen, share, 1.0)
        own, others = (self.target(part.y, context.num_classes) for part in (batch, partner))
        return batch._replace(
            x=torch.where(column(chosen, x), mixed, x),
            y=own * column(share, own) + others * column(1 - share, own),
            lengths=lengths if lengths is None or batch.lengths is None else lengths.where(chosen, batch.lengths),
            partner=None,
        )

    def target(self, y: Target | None, num_classes: int) -> Tensor:
        """The targets as float32: probabilities (B, num_classes) of classes, values and labels as they are."""
        if not isinstance(y, Tensor) or y.ndim > 2:
            what = "boxes" if isinstance(y, Boxes) else "no targets" if y is None else "arrays or sequences"
            raise ConfigError(
                f"{type(self).__name__} mixes targets that are classes or values, but this data has {what}"
            )
        if num_classes and not y.is_floating_point():
            return functional.one_hot(y, num_classes).float()
        return y.float()


class MixUp(Mix):
    """Each sample becomes a weighted mean of itself and another (Zhang et al. 2018).

    Args:
        alpha: the weights are drawn from Beta(alpha, alpha): small gives mostly one of the two, 1 any mixture alike.
        p: the share of samples it is applied to.
    """

    def __init__(self, alpha: float = 0.2, p: float = 1.0) -> None:
        super().__init__(alpha, p)

    def mix(self, x: Tensor, other: Tensor, share: Tensor, extent: Tensor | None, draw: Draw) -> tuple[Tensor, Tensor]:
        """The weighted mean of both (B, ...), and the shares (B,) as they were drawn."""
        if not x.is_floating_point():
            raise ConfigError(
                f"MixUp needs inputs of floating-point numbers, but these are {x.dtype}, "
                "which have no mean: CutMix can mix them"
            )
        weight = column(share, x).to(x.dtype)
        return x * weight + other * (1 - weight), share


class CutMix(Mix):
    """A rectangle of each image, or a span of each sequence, is replaced by the other's (Yun et al. 2019).

    Inputs (B, C, H, W) get a rectangle of the image's shape, others a span along axis 1.

    Args:
        alpha: the share that is kept is drawn from Beta(alpha, alpha), before the rectangle is clipped at the edges.
        p: the share of samples it is applied to.
    """

    def __init__(self, alpha: float = 1.0, p: float = 1.0) -> None:
        super().__init__(alpha, p)

    def mix(self, x: Tensor, other: Tensor, share: Tensor, extent: Tensor | None, draw: Draw) -> tuple[Tensor, Tensor]:
        """The samples (B, ...) with a part of the other, and the share (B,) of places that are still their own."""
        axes = (2, 3) if x.ndim == 4 else (1,)
        side = (1 - share).sqrt() if x.ndim == 4 else 1 - share  # of the part, as a share of the whole's side
        inside = torch.ones([], dtype=torch.bool, device=x.device)
        cut = torch.ones_like(share)
        for axis in axes:
            size = torch.full_like(share, x.shape[axis], dtype=torch.int64)
            if axis == axes[-1] and extent is not None:
                size = extent.clamp(1, x.shape[axis])
            half = (side * size).long() // 2
            centre = draw.integers(size)[:, 0]
            start, stop = (centre - half).clamp(min=0), torch.minimum(centre + half, size)
            cut = cut * (stop - start) / size
            place = torch.arange(x.shape[axis], device=x.device).reshape(-1, *[1] * (x.ndim - 1 - axis))
            inside = inside & (place >= column(start, x)) & (place < column(stop, x))
        return torch.where(inside, other, x), 1 - cut
