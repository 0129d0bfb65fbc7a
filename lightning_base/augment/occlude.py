"""Ops that hide a part of each image: random erasing, cutout."""

from typing import Literal

import torch
from torch import Tensor

from lightning_base.augment.affine import rectangles
from lightning_base.augment.base import Augmentation, Context, column, only, rounded, total
from lightning_base.augment.draw import Draw
from lightning_base.samples.batch import Batch


def region(x: Tensor, top: Tensor, left: Tensor, bottom: Tensor, right: Tensor) -> Tensor:
    """(B, 1, H, W) bool: where row and column lie from top and left up to, not including, bottom and right, (B,)."""
    rows = torch.arange(x.shape[-2], device=x.device)[:, None]
    columns = torch.arange(x.shape[-1], device=x.device)
    inside_rows = (rows >= column(top, x)) & (rows < column(bottom, x))
    return inside_rows & (columns >= column(left, x)) & (columns < column(right, x))


def random_pixels(x: Tensor, draw: Draw) -> Tensor:
    """Values of x's shape and dtype: 0…255 for uint8, normal with each sample's own mean and deviation otherwise."""
    count = x[0].numel()
    if x.dtype == torch.uint8:
        return draw.integers(256, count).to(torch.uint8).reshape(x.shape)
    values = x.float()
    mean = column(total(values) / count, x)
    std = column(total((values - mean) ** 2) / count, x).sqrt()
    return rounded(mean + std * draw.normal(tuple(x.shape[1:])), x)


class Erase(Augmentation):
    """Replaces a random rectangle of each image (Zhong et al. 2020, "Random erasing data augmentation").

    An image in which ten tries find no rectangle that fits stays as it is.

    Args:
        area: the least and the largest area, as shares of the image's; uniform.
        ratio: the least and the largest ratio of width to height; uniform on a logarithmic scale.
        fill: the value put there, in the image's own units, or "random" for a random value at every pixel.
        p: the share of samples it is applied to.
    """

    def __init__(
        self,
        area: tuple[float, float] = (0.02, 0.4),
        ratio: tuple[float, float] = (0.3, 1 / 0.3),
        fill: float | Literal["random"] = "random",
        p: float = 0.5,
    ) -> None:
        super().__init__(p)
        self.area, self.ratio, self.fill = area, ratio, fill
        self.check_range("area", area, 0, 1)
        self.check_range("ratio", ratio, 0)
        self.check("ratio", ratio, ratio[0] > 0, "above 0")
        self.check("fill", fill, fill == "random" or isinstance(fill, int | float), 'a number or "random"')

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with a rectangle of each chosen image replaced."""
        self.need(batch, "B, C, H, W")
        height, width = batch.x.shape[-2:]
        chosen = draw.chosen(self.p)
        h, w, found = rectangles(draw, self.area, self.ratio, height, width)
        h, w = h.round().long().clamp(1), w.round().long().clamp(1)
        top, left = draw.integers(height - h + 1)[:, 0], draw.integers(width - w + 1)[:, 0]

        def erase(x: Tensor, index: Tensor) -> Tensor:
            hidden = region(x, top[index], left[index], (top + h)[index], (left + w)[index])
            if self.fill == "random":
                return torch.where(hidden, random_pixels(x, draw.take(index)), x)
            return x.masked_fill(hidden, self.fill)

        return batch._replace(x=only(chosen & found, batch.x, erase))


class Cutout(Augmentation):
    """Hides a square of each image, whose centre may be any pixel (DeVries & Taylor 2017).

    Args:
        size: the square's side in pixels; near an edge, part of it falls outside.
        fill: the value put there, in the image's own units.
        p: the share of samples it is applied to.
    """

    def __init__(self, size: int = 8, fill: float = 0.0, p: float = 1.0) -> None:
        super().__init__(p)
        self.size, self.fill = size, fill
        self.check("size", size, size > 0, "above 0")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with a square of each chosen image hidden."""
        self.need(batch, "B, C, H, W")
        chosen = draw.chosen(self.p)
        top = draw.integers(batch.x.shape[-2])[:, 0] - self.size // 2
        left = draw.integers(batch.x.shape[-1])[:, 0] - self.size // 2
        hidden = region(batch.x, top, left, top + self.size, left + self.size) & column(chosen, batch.x)
        return batch._replace(x=batch.x.masked_fill(hidden, self.fill))
