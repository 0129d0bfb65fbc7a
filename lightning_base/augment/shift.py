"""Ops that move images by whole pixels, and so keep every pixel as it was: crop, flip, translate."""

from typing import Literal

import torch
from torch import Tensor

from lightning_base.augment.arrays import moved
from lightning_base.augment.base import Augmentation, Context, only
from lightning_base.augment.boxes import affine
from lightning_base.augment.draw import Draw
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch

Mode = Literal["zero", "reflect", "edge"]


def pad(x: Tensor, vertical: int, horizontal: int, mode: Mode) -> Tensor:
    """(B, C, H + 2·vertical, W + 2·horizontal): the images with margins. torch's own padding has no uint8."""
    height, width = x.shape[-2:]
    v, h = vertical, horizontal
    out = x.new_zeros(*x.shape[:-2], height + 2 * v, width + 2 * h)
    middle = out[..., v : v + height, :]
    middle[..., h : h + width] = x
    if mode == "reflect":
        middle[..., :h] = x[..., 1 : h + 1].flip(-1)
        middle[..., h + width :] = x[..., width - h - 1 : width - 1].flip(-1)
        out[..., :v, :] = middle[..., 1 : v + 1, :].flip(-2)
        out[..., v + height :, :] = middle[..., height - v - 1 : height - 1, :].flip(-2)
    elif mode == "edge":
        middle[..., :h] = x[..., :1]
        middle[..., h + width :] = x[..., -1:]
        out[..., :v, :] = middle[..., :1, :]
        out[..., v + height :, :] = middle[..., -1:, :]
    return out


def windows(padded: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """(B, C, height, width): from each image the window whose first row and column are top and left, (B,) int64.

    Every run of `width` neighbours in memory is a row of an overlapping view; selecting rows of that copies whole
    image rows, ten times faster than gathering pixels.
    """
    count, channels, stride_h, stride_w = padded.shape
    planes = torch.arange(count * channels, device=padded.device).reshape(count, channels, 1) * (stride_h * stride_w)
    rows = (top[:, None] + torch.arange(height, device=padded.device)) * stride_w + left[:, None]  # (B, height)
    runs = padded.as_strided((padded.numel() - width + 1, width), (1, 1))
    return runs.index_select(0, (planes + rows[:, None]).flatten()).reshape(count, channels, height, width)


def shifted(batch: Batch, chosen: Tensor, down: Tensor, right: Tensor, most: tuple[int, int], mode: Mode) -> Batch:
    """The batch with the chosen samples' images, and boxes, moved by whole pixels.

    Args:
        batch: of images.
        chosen: (B,) bool.
        down: (B,) int64, pixels to move down by.
        right: (B,) int64, pixels to move right by.
        most: the largest number of pixels down or up, and right or left.
        mode: what comes in at the edges.
    """
    height, width = batch.x.shape[-2:]
    down, right = down * chosen, right * chosen

    def change(values: Tensor) -> Tensor:
        return windows(pad(values, *most, mode), most[0] - down, most[1] - right, height, width)

    one, zero = torch.ones_like(down, dtype=torch.float32), torch.zeros_like(down, dtype=torch.float32)
    matrix = affine(one, zero, right.float(), zero, one, down.float())
    return batch._replace(x=change(batch.x), y=moved(batch.y, batch.x, matrix, chosen, change))


class Crop(Augmentation):
    """Pads images and crops them to their old size at a random place (Krizhevsky 2009; He et al. 2016).

    Args:
        padding: pixels added at each edge.
        mode: what the added pixels are: 0, the image reflected about its edge, or its edge repeated.
        p: the share of samples it is applied to.
    """

    def __init__(self, padding: int = 4, mode: Mode = "zero", p: float = 1.0) -> None:
        super().__init__(p)
        self.padding, self.mode = padding, mode
        self.check("padding", padding, padding >= 0, "0 or more pixels")
        self.check("mode", mode, mode in ("zero", "reflect", "edge"), "zero, reflect or edge")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the chosen images moved by up to `padding` pixels."""
        self.need(batch, "B, C, H, W")
        if self.mode == "reflect" and self.padding >= min(batch.x.shape[-2:]):
            size = " by ".join(str(n) for n in batch.x.shape[-2:])
            raise ConfigError(
                f"Crop: `padding` {self.padding} is too much to reflect about the edge of images of {size}"
            )
        chosen = draw.chosen(self.p)
        down, right = (self.padding - draw.integers(2 * self.padding + 1, 2)).unbind(1)
        return shifted(batch, chosen, down, right, (self.padding, self.padding), self.mode)


class Translate(Augmentation):
    """Moves images by a random number of whole pixels; 0 comes in at the edge.

    Args:
        fraction: the farthest, as a share of the image's height and width.
        p: the share of samples it is applied to.
    """

    def __init__(self, fraction: float = 0.1, p: float = 1.0) -> None:
        super().__init__(p)
        self.fraction = fraction
        self.check("fraction", fraction, 0 <= fraction <= 1, "from 0 to 1")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the chosen images moved."""
        self.need(batch, "B, C, H, W")
        chosen = draw.chosen(self.p)
        most = int(self.fraction * batch.x.shape[-2]), int(self.fraction * batch.x.shape[-1])
        down, right = (draw.integers(2 * n + 1)[:, 0] - n for n in most)
        return shifted(batch, chosen, down, right, most, "zero")


class Flip(Augmentation):
    """Mirrors images.

    Args:
        direction: "horizontal" swaps left and right, "vertical" swaps top and bottom.
        p: the share of samples it is applied to.
        alternating: mirror a share p in the first epoch and the others in the second, and so on in turn: each sample is
            seen as it is in one of any two epochs, and mirrored in the other (Jordan 2024, airbench).
    """

    def __init__(
        self, direction: Literal["horizontal", "vertical"] = "horizontal", p: float = 0.5, alternating: bool = False
    ) -> None:
        super().__init__(p)
        self.direction, self.alternating = direction, alternating
        self.check("direction", direction, direction in ("horizontal", "vertical"), "horizontal or vertical")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the chosen images mirrored."""
        self.need(batch, "B, C, H, W")
        chosen = draw.once().chosen(self.p) ^ bool(draw.epoch % 2) if self.alternating else draw.chosen(self.p)
        axis = -1 if self.direction == "horizontal" else -2
        # nothing is computed on the way, so there is nothing to keep in the cache
        x = only(chosen, batch.x, lambda x, index: x.flip(axis), chunk=batch.x.numel())
        height, width = x.shape[-2:]
        rows = [[-1.0, 0.0, width], [0.0, 1.0, 0.0]] if axis == -1 else [[1.0, 0.0, 0.0], [0.0, -1.0, height]]
        matrix = torch.tensor(rows, device=x.device).expand(len(x), 2, 3)

        def change(y: Tensor) -> Tensor:
            return only(chosen, y, lambda part, index: part.flip(axis), chunk=y.numel())

        return batch._replace(x=x, y=moved(batch.y, x, matrix, chosen, change))
