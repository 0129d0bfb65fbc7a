"""Ops that add noise to images or blur them."""

import torch
from torch import Tensor

from lightning_base.augment.base import Augmentation, Context, column, floating, only, within
from lightning_base.augment.draw import Draw
from lightning_base.augment.shift import pad
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch


class GaussianNoise(Augmentation):
    """Adds white Gaussian noise to each value of an image; gives float32 in the input's scale.

    Args:
        std: the noise's standard deviation, in the image's own units (0…255 for uint8, and held to that).
        p: the share of samples it is applied to.
    """

    def __init__(self, std: float = 10.0, p: float = 1.0) -> None:
        super().__init__(p)
        self.std = std
        self.check("std", std, std >= 0, "0 or more")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with noise on the chosen images."""
        self.need(batch, "B, C, H, W")

        def add(x: Tensor, index: Tensor) -> Tensor:
            noise = draw.take(index).normal(tuple(x.shape[1:])).mul_(self.std)
            return within(x + noise.to(floating(x)), x)

        return batch._replace(x=only(draw.chosen(self.p), batch.x, add, floating(batch.x)))


class GaussianBlur(Augmentation):
    """Blurs images with a Gaussian of random width, reflecting them at the edge; gives float32 in the input's scale.

    Args:
        kernel_size: the odd number of pixels, each way, that one output pixel is a mean of.
        sigma: the least and the largest standard deviation, in pixels; uniform (Chen et al. 2020, SimCLR: 0.1 to 2).
        p: the share of samples it is applied to.
    """

    def __init__(self, kernel_size: int = 5, sigma: tuple[float, float] = (0.1, 2.0), p: float = 1.0) -> None:
        super().__init__(p)
        self.kernel_size, self.sigma = kernel_size, sigma
        self.check("kernel_size", kernel_size, kernel_size > 0 and kernel_size % 2 == 1, "odd and above 0")
        self.check_range("sigma", sigma, 0)
        self.check("sigma", sigma, sigma[0] > 0, "above 0")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the chosen images blurred."""
        self.need(batch, "B, C, H, W")
        height, width = batch.x.shape[-2:]
        half = self.kernel_size // 2
        if half >= min(height, width):
            raise ConfigError(
                f"GaussianBlur: `kernel_size` {self.kernel_size} is too large for images of {height} by {width}"
            )
        chosen = draw.chosen(self.p)
        sigma = draw.between(*self.sigma)
        place = torch.arange(-half, half + 1, device=batch.x.device)
        weights = (-0.5 * (place / sigma[:, None]) ** 2).exp()  # (B, kernel_size)
        weights = weights / weights.cumsum(1)[:, -1:]  # one after the other: a sum's order may depend on B

        def blur(x: Tensor, index: Tensor) -> Tensor:
            parts = weights[index].to(floating(x)).unbind(1)
            padded = pad(x.to(floating(x)), half, half, "reflect")
            # a sum of shifted images: a convolution may round differently for another number of samples
            rows, out = torch.zeros_like(padded[..., :height, :]), torch.zeros_like(x, dtype=floating(x))
            for i, part in enumerate(parts):
                rows += column(part, x) * padded[..., i : i + height, :]
            for i, part in enumerate(parts):
                out += column(part, x) * rows[..., i : i + width]
            return within(out, x)

        return batch._replace(x=only(chosen, batch.x, blur, floating(batch.x)))
