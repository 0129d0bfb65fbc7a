"""Ops on the colours of images: jitter of brightness, contrast, saturation and hue."""

import torch
from torch import Tensor

from lightning_base.augment.base import Augmentation, Context, column, floating, only, total, within
from lightning_base.augment.draw import Draw
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch


def grey(x: Tensor) -> Tensor:
    """(B, 1, H, W): the luma of RGB images (ITU-R BT.601, weights as in torchvision), the mean of other channels."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    red, green, blue = x.unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)


def brightened(x: Tensor, factor: Tensor) -> Tensor:
    """Floating-point images times their factors (B,)."""
    return x * column(factor, x).to(x.dtype)


def contrasted(x: Tensor, factor: Tensor) -> Tensor:
    """Floating-point images with their distance from their mean grey times their factors (B,)."""
    tone = grey(x)
    return blend(x, column(total(tone) / tone[0].numel(), x), factor)


def saturated(x: Tensor, factor: Tensor) -> Tensor:
    """Floating-point images with their distance from their own grey times their factors (B,)."""
    return blend(x, grey(x), factor)


def blend(x: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """factor·x + (1 - factor)·other."""
    factor = column(factor, x).to(x.dtype)
    return x * factor + other * (1 - factor)


def hue_turned(x: Tensor, turn: Tensor) -> Tensor:
    """Floating-point RGB images with their hue turned by `turn` (B,), in turns from -0.5 to 0.5.

    Largest value and chroma (largest less smallest) stay, so the formula holds whatever the range of values is.
    """
    largest, chroma = x.amax(1), x.amax(1) - x.amin(1)  # (B, H, W)
    red, green, blue = x.unbind(1)
    safe = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    hue = torch.where(
        largest == red,
        (green - blue) / safe,
        torch.where(largest == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )  # in sixths of a turn; grey has none, and its chroma of 0 makes any do
    hue = hue + 6 * turn[:, None, None].to(x.dtype)
    sixths = (hue[:, None] + hue.new_tensor([5.0, 3.0, 1.0])[:, None, None]) % 6  # (B, 3, H, W)
    return largest[:, None] - chroma[:, None] * torch.minimum(sixths, 4 - sixths).clamp(0, 1)


class ColorJitter(Augmentation):
    """Changes brightness, then contrast, then saturation, then hue, each by a factor of the sample's own.

    Gives float32 in the input's scale; that of whole-numbered images is held to it (0…255 for uint8) after each step.
    Images of one channel have no saturation and no hue, and keep what they have.

    Args:
        brightness: factors are uniform from 1 - brightness (at least 0) to 1 + brightness.
        contrast: likewise, of the distance from the image's mean grey.
        saturation: likewise, of the distance from each pixel's grey.
        hue: hues are turned by up to this share of a full turn, either way; at most 0.5.
        p: the share of samples it is applied to.
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        p: float = 1.0,
    ) -> None:
        super().__init__(p)
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        for name in ("brightness", "contrast", "saturation"):
            self.check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        self.check("hue", hue, 0 <= hue <= 0.5, "from 0 to 0.5")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the chosen images' colours changed."""
        self.need(batch, "B, C, H, W")
        channels = batch.x.shape[1]
        if channels not in (1, 3) and (self.saturation or self.hue):
            raise ConfigError(
                f"ColorJitter: `saturation` and `hue` need images of 1 or 3 channels, but these have {channels}"
            )
        chosen = draw.chosen(self.p)
        brightness, contrast, saturation = (
            draw.between(max(0.0, 1 - most), 1 + most) for most in (self.brightness, self.contrast, self.saturation)
        )
        hue = draw.between(-self.hue, self.hue)

        def jitter(x: Tensor, index: Tensor) -> Tensor:
            out = x.to(floating(x))
            if self.brightness:
                out = within(brightened(out, brightness[index]), x)
            if self.contrast:
                out = within(contrasted(out, contrast[index]), x)
            if self.saturation and channels == 3:
                out = within(saturated(out, saturation[index]), x)
            if self.hue and channels == 3:
                out = within(hue_turned(out, hue[index]), x)
            return out

        return batch._replace(x=only(chosen, batch.x, jitter, floating(batch.x)))
