"""Ops that resample images under an affine map: rotate, scale, random resized crop."""

import math
from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from lightning_base.augment.arrays import moved
from lightning_base.augment.base import Augmentation, Context, only, rounded
from lightning_base.augment.boxes import affine
from lightning_base.augment.draw import Draw
from lightning_base.samples.batch import Batch

Outside = Literal["zeros", "border"]
How = Literal["bilinear", "nearest"]


def centred(a: Tensor, b: Tensor, d: Tensor, e: Tensor, height: int, width: int) -> Tensor:
    """(B, 2, 3): the linear map of rows (a, b) and (d, e), each (B,), about the image's centre."""
    x, y = width / 2, height / 2
    return affine(a, b, x - a * x - b * y, d, e, y - d * x - e * y)


def warp(x: Tensor, matrix: Tensor, outside: Outside = "zeros", how: How = "bilinear") -> Tensor:
    """(B, C, H, W) images with their pixels moved by the matrix, in x's dtype.

    Args:
        x: (B, C, H, W).
        matrix: (B, 2, 3) from old to new pixel coordinates, in which pixel i covers [i, i + 1).
        outside: what lies outside an image: 0, or its border repeated.
        how: "nearest" mixes no values, as masks need it.
    """
    height, width = x.shape[-2:]
    a, b, c, d, e, f = (part[:, None, None] for part in matrix.flatten(1).unbind(1))
    to_x = (torch.arange(width, device=x.device) + 0.5) - c  # (B, 1, W)
    to_y = (torch.arange(height, device=x.device) + 0.5)[:, None] - f  # (B, H, 1)
    determinant = a * e - b * d
    from_x = (e * to_x - b * to_y) / determinant  # (B, H, W): the inverse map, from new pixels to old
    from_y = (a * to_y - d * to_x) / determinant
    grid = torch.stack([from_x * (2 / width) - 1, from_y * (2 / height) - 1], dim=-1)
    values = x if x.dtype in (torch.float32, torch.float64) else x.float()
    moved = functional.grid_sample(values, grid.to(values.dtype), how, outside, align_corners=False)
    return rounded(moved, x)


class Affine(Augmentation):
    """An op that moves the pixels of each sample by a matrix of its own. Whole-numbered images stay so, rounded."""

    outside: ClassVar[Outside] = "zeros"

    @abstractmethod
    def matrix(self, draw: Draw, height: int, width: int) -> Tensor:
        """(B, 2, 3) from old to new pixel coordinates, in which pixel i covers [i, i + 1)."""

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the chosen images, and their boxes, moved by their matrices."""
        self.need(batch, "B, C, H, W")
        height, width = batch.x.shape[-2:]
        chosen = draw.chosen(self.p)
        matrix = self.matrix(draw, height, width)
        x = only(chosen, batch.x, lambda x, index: warp(x, matrix[index], self.outside))
        y = moved(batch.y, batch.x, matrix, chosen, lambda y: self._like(y, chosen, matrix))
        return batch._replace(x=x, y=y)

    def _like(self, y: Tensor, chosen: Tensor, matrix: Tensor) -> Tensor:
        """Targets (B, C, H, W) moved as the images; whole numbers are classes, and are not mixed."""
        how: How = "bilinear" if y.is_floating_point() else "nearest"
        return only(chosen, y, lambda part, index: warp(part, matrix[index], self.outside, how))


class Rotate(Affine):
    """Rotates images about their centre, by an angle uniform between its limits; corners that come in are 0.

    Args:
        degrees: the largest angle, either way.
        p: the share of samples it is applied to.
    """

    def __init__(self, degrees: float = 15.0, p: float = 1.0) -> None:
        super().__init__(p)
        self.degrees = degrees
        self.check("degrees", degrees, 0 <= degrees <= 180, "from 0 to 180")

    def matrix(self, draw: Draw, height: int, width: int) -> Tensor:
        """(B, 2, 3) rotations; a positive angle is counter-clockwise as seen."""
        angle = draw.between(-self.degrees, self.degrees) * (math.pi / 180)
        return centred(angle.cos(), angle.sin(), -angle.sin(), angle.cos(), height, width)


class Scale(Affine):
    """Makes images smaller or larger about their centre, keeping their size; what comes in at the edge is 0.

    Args:
        low: the smallest factor; below 0.5 bilinear sampling begins to skip pixels.
        high: the largest factor. Factors are uniform on a logarithmic scale.
        p: the share of samples it is applied to.
    """

    def __init__(self, low: float = 0.8, high: float = 1.2, p: float = 1.0) -> None:
        super().__init__(p)
        self.low, self.high = low, high
        self.check("low", low, low > 0, "above 0")
        self.check("high", high, high >= low, f"at least `low` ({low})")

    def matrix(self, draw: Draw, height: int, width: int) -> Tensor:
        """(B, 2, 3) scalings about the centre."""
        factor = draw.between(math.log(self.low), math.log(self.high)).exp()
        zero = torch.zeros_like(factor)
        return centred(factor, zero, zero, factor, height, width)


def rectangles(
    draw: Draw, area: tuple[float, float], ratio: tuple[float, float], height: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Heights and widths (B,) of random rectangles inside an image, in pixels, and whether one was found (B,) bool.

    The area is uniform, as a share of the image's, and the ratio of width to height is uniform on a logarithmic
    scale; of ten tries, the first that fits inside the image (Szegedy et al. 2015, as torchvision does it).
    """
    size = (area[0] + (area[1] - area[0]) * draw.uniform(10)) * (height * width)  # (B, 10)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    half_log = (low + (high - low) * draw.uniform(10)) / 2
    h, w = size.sqrt() * (-half_log).exp(), size.sqrt() * half_log.exp()
    fits = (h <= height) & (w <= width)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    return h.gather(1, first)[:, 0], w.gather(1, first)[:, 0], fits.any(1)


class RandomResizedCrop(Affine):
    """Enlarges a random part of each image to the image's size (Szegedy et al. 2015).

    Args:
        scale: the least and the largest area of the part, as shares of the image's; uniform.
        ratio: the least and the largest ratio of the part's width to its height; uniform on a logarithmic scale.
        p: the share of samples it is applied to.
    """

    outside = "border"  # the part lies inside the image; only half a pixel beyond its border is asked for

    def __init__(
        self, scale: tuple[float, float] = (0.08, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3), p: float = 1.0
    ) -> None:
        super().__init__(p)
        self.scale, self.ratio = scale, ratio
        self.check_range("scale", scale, 0, 1)
        self.check("scale", scale, scale[1] > 0, "above 0 in its second number")
        self.check_range("ratio", ratio, 0)
        self.check("ratio", ratio, ratio[0] > 0, "above 0")

    def matrix(self, draw: Draw, height: int, width: int) -> Tensor:
        """(B, 2, 3) maps of a part of the image onto the whole; of a whole image where no part of that shape fits."""
        h, w, found = rectangles(draw, self.scale, self.ratio, height, width)
        h, w = torch.where(found, h, height).clamp(min=1), torch.where(found, w, width).clamp(min=1)
        place = draw.uniform(2)
        top, left = place[:, 0] * (height - h), place[:, 1] * (width - w)
        zero = torch.zeros_like(h)
        return affine(width / w, zero, -left * width / w, zero, height / h, -top * height / h)
