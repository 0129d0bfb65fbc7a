"""FastResNet: a small residual network for few epochs on two CPU cores, after the ideas of airbench (Jordan 2024)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_base.errors import ConfigError


class Whitening(nn.Module):
    """A convolution that makes the numbers of image patches uncorrelated and of variance 1, and is not trained.

    Its filters are the eigenvectors of the patches' covariance, each divided by the root of its eigenvalue, over
    training images: a task fits it on them before the first step (lightning_base.tasks.fitted). Half of the outputs
    are these filters', half their negatives'.

    Args:
        in_channels: channels of the images.
        size: height and width of the patches.
        eps: added to eigenvalues, which may be 0.

    Takes images (B, in_channels, H, W), gives (B, 2 · in_channels · size², H - size + 1, W - size + 1).
    """

    fitted: Tensor
    weight: Tensor

    def __init__(self, in_channels: int, size: int = 2, eps: float = 5e-4) -> None:
        super().__init__()
        n = in_channels * size * size
        self.size, self.eps = size, eps
        self.register_buffer("fitted", torch.tensor(False))
        self.register_buffer("weight", torch.eye(n).reshape(n, in_channels, size, size))

    @property
    def out_channels(self) -> int:
        """Channels that it gives."""
        return 2 * len(self.weight)

    def fit(self, x: Tensor) -> None:
        """Takes the filters from the patches of images (N, C, H, W)."""
        patches = F.unfold(x.double(), self.size).transpose(1, 2).flatten(0, 1)  # (N · places, C · size²)
        values, vectors = torch.linalg.eigh(torch.cov(patches.T))
        filters = (vectors / (values + self.eps).sqrt()).T.flip(0)  # the largest first
        self.weight.copy_(filters.reshape(self.weight.shape))
        self.fitted.fill_(True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 · C · size², H - size + 1, W - size + 1)."""
        x = F.conv2d(x, self.weight)
        return torch.cat([x, -x], dim=1)


class Stage(nn.Module):
    """3×3 convolution, max pooling, 3×3 convolution beside a shortcut; (B, c_in, H, W) -> (B, width, H / 2, W / 2)."""

    def __init__(self, c_in: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        for conv in (self.conv1, self.conv2):  # at first it hands its channels on; what filters are left are random
            nn.init.dirac_(conv.weight.data[: conv.in_channels])

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, ⌊H / 2⌋, ⌊W / 2⌋)."""
        x = F.gelu(self.bn1(F.max_pool2d(self.conv1(x), 2)))
        return x + F.gelu(self.bn2(self.conv2(x)))


class FastResNet(nn.Module):
    """Whitened patches, one residual stage a width, and the largest value of each channel.

    Takes images of any size from 2^stages + 1 pixels, so that a training may begin with smaller ones.

    Args:
        num_outputs: number of logits.
        in_channels: channels of the images.
        widths: channels of each stage.
        scale: what logits are multiplied with.

    Takes images (B, in_channels, H, W) float32, gives logits (B, num_outputs).

    Raises:
        ConfigError: for no widths.
    """

    def __init__(
        self, num_outputs: int = 10, in_channels: int = 3, widths: Sequence[int] = (32, 64, 128), scale: float = 0.125
    ) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ConfigError(f"network.widths: {list(widths)} are no channels of stages; give a positive number each")
        self.whitening = Whitening(in_channels)
        sizes = [self.whitening.out_channels, *widths]
        self.stages = nn.Sequential(*map(Stage, sizes, widths))
        self.fc = nn.Linear(widths[-1], num_outputs, bias=False)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_outputs)."""
        x = self.stages(F.gelu(self.whitening(x)))
        logits: Tensor = self.fc(x.amax(dim=(2, 3))) * self.scale
        return logits
