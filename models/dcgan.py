"""DCGAN: a small generator and discriminator of convolutions, for images of 8 to 64 pixels a side."""

from typing import Literal

from torch import Tensor, nn

from lightning_base.errors import ConfigError


def _halvings(size: int) -> int:
    """How often the side of an image is halved until 2 to 4 pixels are left.

    Raises:
        ConfigError: for a side that cannot be.
    """
    times = 2 if size < 32 else 3 if size < 64 else 4
    if size < 8 or size > 64 or size % 2**times:
        raise ConfigError(f"size: {size} is no side of 8 to 64 pixels that can be halved {times} times; resize images")
    return times


class Generator(nn.Module):
    """Images from noise: a linear layer, then doublings of the side by nearest pixels and 3×3 convolutions.

    After Radford, Metz & Chintala 2016, with resizing and convolution for transposed convolutions (Odena, Dumoulin &
    Olah 2016), which leave a checkered pattern.

    Args:
        latent: numbers of the noise.
        num_outputs: channels of the images.
        size: their side.
        width: channels before the last convolution; twice as many at each halving of the side.
        norm: batch norm, which makes a sample depend on its batch in training.
        output: what bounds the values: a sigmoid (0 to 1), tanh (-1 to 1), or nothing, as standardised images need it.

    Takes noise (B, latent), gives images (B, num_outputs, size, size).
    """

    def __init__(
        self,
        latent: int = 64,
        num_outputs: int = 1,
        size: int = 8,
        width: int = 32,
        norm: bool = True,
        output: Literal["none", "sigmoid", "tanh"] = "none",
    ) -> None:
        super().__init__()
        times = _halvings(size)
        start, wide = size // 2**times, width * 2**times
        layers: list[nn.Module] = [nn.Linear(latent, wide * start**2), nn.Unflatten(1, (wide, start, start))]
        for _ in range(times):
            layers += [
                *([nn.BatchNorm2d(wide)] if norm else []),
                nn.ReLU(),
                nn.Upsample(scale_factor=2),
                nn.Conv2d(wide, wide // 2, 3, padding=1),
            ]
            wide //= 2
        bound = {"none": nn.Identity(), "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh()}[output]
        self.layers = nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(wide, num_outputs, 3, padding=1), bound)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, num_outputs, size, size)."""
        images: Tensor = self.layers(x)
        return images


class Discriminator(nn.Module):
    """A logit from images: 3×3 convolutions of stride 2 with leaky rectifiers, then a linear layer.

    Args:
        in_channels: channels of the images.
        size: their side.
        width: channels of the first convolution; twice as many at each further one.
        dropout: after each.

    Takes images (B, in_channels, size, size), gives logits (B,).
    """

    def __init__(self, in_channels: int = 1, size: int = 8, width: int = 32, dropout: float = 0.0) -> None:
        super().__init__()
        times, layers, before = _halvings(size), list[nn.Module](), in_channels
        for i in range(times):
            wide = width * 2**i
            layers += [nn.Conv2d(before, wide, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
            before = wide
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * (size // 2**times) ** 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,)."""
        logits: Tensor = self.layers(x)
        return logits[:, 0]
