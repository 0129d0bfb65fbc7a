"""CentreNet: a small fully convolutional network that gives dense maps at a quarter of the images' resolution."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_base.errors import ConfigError

from .resnet import BasicBlock


class CentreNet(nn.Module):
    """Maps for finding objects as points (Zhou, Wang & Krähenbühl 2019, arXiv:1904.07850), small enough for CPUs.

    A convolution of stride 2, then stages of residual blocks (He et al. 2016) that each halve the resolution; their
    shortcuts average before they project (He et al. 2019, arXiv:1812.01187, ResNet-D). The stages are added up from the
    coarsest to the finest, as a feature pyramid does it (Lin et al. 2017), and a head of 3×3 and 1×1 convolutions gives
    the maps.

    Args:
        num_outputs: C.
        in_channels: channels of the images.
        widths: channels of the stages, at strides 4, 8, 16, …
        blocks: residual blocks of a stage.
        head: channels of the pyramid and the head.

    Takes images (B, in_channels, H, W) float32, gives maps (B, C + 4, ⌈H / 4⌉, ⌈W / 4⌉): a logit per class, then the
    offset of the centre within its cell (x, y) and the logarithm of the box's width and height in cells.

    Raises:
        UserError: for a number below 1, or no widths.
    """

    def __init__(
        self,
        num_outputs: int,
        in_channels: int = 3,
        widths: Sequence[int] = (32, 64, 128),
        blocks: int = 1,
        head: int = 64,
    ) -> None:
        super().__init__()
        if not widths or min(num_outputs, in_channels, *widths, blocks, head) < 1:
            raise ConfigError("model.network: num_outputs, in_channels, widths, blocks and head must be 1 or more")
        stem = max(widths[0] // 2, 1)
        self.stem = nn.Sequential(*_convolution(in_channels, stem, stride=2))
        stages, channels = [], stem
        for width in widths:
            pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
            shortcut = nn.Sequential(pool, nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))
            more = [BasicBlock(width, width, 1, None) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(BasicBlock(channels, width, 2, shortcut), *more))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.laterals = nn.ModuleList(nn.Conv2d(width, head, 1) for width in widths)
        last = nn.Conv2d(head, num_outputs + 4, 1)
        self.head = nn.Sequential(*_convolution(head, head), last)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(last.weight, std=0.001)
        chance = torch.tensor([-2.19] * num_outputs + [0.0] * 4)  # a probability of 0.1: Law & Deng 2018, section 4.1
        last.bias = nn.Parameter(chance)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C + 4, ⌈H / 4⌉, ⌈W / 4⌉)."""
        x, levels = self.stem(x), []  # (B, widths[0] / 2, H / 2, W / 2)
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        total: Tensor | None = None
        for level, lateral in zip(reversed(levels), reversed(list(self.laterals)), strict=True):
            here = lateral(level)  # (B, head, h, w)
            total = here if total is None else here + F.interpolate(total, size=here.shape[-2:], mode="nearest")
        maps: Tensor = self.head(total)
        return maps


def _convolution(c_in: int, c_out: int, stride: int = 1) -> list[nn.Module]:
    """A 3×3 convolution with batch norm and ReLU."""
    return [nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
