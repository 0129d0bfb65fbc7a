"""ResNet: the residual networks of He et al. 2016, for CIFAR and for ImageNet, with torchvision's weights."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_base.errors import ConfigError, one_line

IMAGENET_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
CIFAR_DEPTHS = (20, 32, 44, 56, 110)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut; (B, c_in, H, W) -> (B, width, H / stride, W / stride)."""

    expansion = 1

    def __init__(self, c_in: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, ⌈H / stride⌉, ⌈W / stride⌉)."""
        shortcut: Tensor = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(nn.Module):
    """1×1, 3×3 (with the stride), 1×1 convolutions beside a shortcut; gives 4·width channels."""

    expansion = 4

    def __init__(self, c_in: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(B, 4 · width, ⌈H / stride⌉, ⌈W / stride⌉)."""
        shortcut: Tensor = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


class PadShortcut(nn.Module):
    """Shortcut A of the paper: every second pixel, and zeros for the new channels; no parameters."""

    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C + extra, H / 2, W / 2)."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))


class ResNet(nn.Module):
    """Deep residual learning for image recognition (He, Zhang, Ren & Sun, CVPR 2016).

    Depths 20, 32, 44, 56, 110 are the paper's CIFAR networks: three stages of 16, 32, 64 channels (section 4.2;
    depth 20 has 0.27 M parameters). Depths 18, 34, 50, 101, 152 are its ImageNet networks; the "cifar" stem gives
    them a 3×3 convolution of stride 1 without pooling, for small images. The stride of a bottleneck is on its 3×3
    convolution, as in torchvision, whose weights these networks take.

    Args:
        depth: number of weighted layers.
        num_outputs: number of logits.
        in_channels: channels of the images.
        stem: "cifar" or "imagenet" (7×7 convolution of stride 2, and max pooling).
        shortcut: of the CIFAR networks where channels grow: "A" pads with zeros, "B" projects.
        pretrained: name of torchvision weights such as IMAGENET1K_V1, from torch's cache or downloaded into it; for
            ImageNet depths with the imagenet stem and 3 channels. The last layer is new where num_outputs ≠ 1000.

    Takes images (B, in_channels, H, W) float32, gives logits (B, num_outputs).

    Raises:
        UserError: for a depth, stem or weights that do not exist or do not go together, or weights that are
            neither in the cache nor to be downloaded.
    """

    def __init__(
        self,
        depth: int = 20,
        num_outputs: int = 10,
        in_channels: int = 3,
        stem: Literal["cifar", "imagenet"] = "cifar",
        shortcut: Literal["A", "B"] = "A",
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        small = depth in CIFAR_DEPTHS
        if not small and depth not in IMAGENET_BLOCKS:
            known = ", ".join(map(str, sorted((*CIFAR_DEPTHS, *IMAGENET_BLOCKS))))
            raise ConfigError(f"network.depth: no ResNet of depth {depth}; take one of {known}")
        if small and stem == "imagenet":
            raise ConfigError(f"network.stem: imagenet does not go with the CIFAR depth {depth}; take stem cifar")
        if pretrained is not None and (small or stem != "imagenet" or in_channels != 3):
            raise ConfigError(
                "network.pretrained: weights exist for depths 18, 34, 50, 101, 152 with stem imagenet and 3 channels"
            )
        widths = (16, 32, 64) if small else (64, 128, 256, 512)
        blocks = ((depth - 2) // 6,) * 3 if small else IMAGENET_BLOCKS[depth]
        self.block: type[BasicBlock | Bottleneck] = Bottleneck if depth in (50, 101, 152) else BasicBlock
        self.pad = small and shortcut == "A"
        self.channels = widths[0]
        kernel, stride = (3, 1) if stem == "cifar" else (7, 2)
        self.conv1 = nn.Conv2d(in_channels, widths[0], kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.Identity() if stem == "cifar" else nn.MaxPool2d(3, 2, padding=1)
        for i, (width, n) in enumerate(zip(widths, blocks, strict=True), start=1):
            self.add_module(f"layer{i}", self._stage(width, n, stride=1 if i == 1 else 2))
        self.stages = len(widths)
        self.fc = nn.Linear(self.channels, num_outputs)
        for module in self.modules():  # He et al. 2015, as the paper
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if pretrained is not None:
            self._load(depth, pretrained, num_outputs)

    def _stage(self, width: int, n: int, stride: int) -> nn.Sequential:
        """n blocks, the first of which has the stride."""
        blocks: list[nn.Module] = []
        c_out = width * self.block.expansion
        for i in range(n):
            downsample: nn.Module | None = None
            if i == 0 and (stride != 1 or self.channels != c_out):
                if self.pad:
                    downsample = PadShortcut(c_out - self.channels)
                else:
                    conv = nn.Conv2d(self.channels, c_out, 1, stride, bias=False)
                    downsample = nn.Sequential(conv, nn.BatchNorm2d(c_out))
            blocks.append(self.block(self.channels, width, stride if i == 0 else 1, downsample))
            self.channels = c_out
        return nn.Sequential(*blocks)

    def _load(self, depth: int, name: str, num_outputs: int) -> None:
        """Takes torchvision's weights, but for the last layer where the classes differ in number."""
        from torchvision import models  # imported where it is used: it takes a while

        known = models.get_model_weights(f"resnet{depth}")
        if name not in known.__members__:
            raise ConfigError(
                f"network.pretrained: resnet{depth} has no weights {name!r}; take one of {', '.join(known.__members__)}"
            )
        weights = known[name]
        try:
            state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except OSError as error:  # URLError is one
            file = f"{torch.hub.get_dir()}/checkpoints/{weights.url.rsplit('/', 1)[-1]}"
            raise ConfigError(
                f"network.pretrained: {name} is not at {file} and cannot be downloaded ({one_line(error)}); put the "
                "file there, or train from random weights with pretrained: null"
            ) from error
        if num_outputs != 1000:
            state["fc.weight"], state["fc.bias"] = self.fc.weight.data, self.fc.bias.data
        self.load_state_dict(state)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_outputs)."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for i in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{i}")(x)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))  # (B, C, h, w) -> (B, C) -> (B, num_outputs)
        return logits
