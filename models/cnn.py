"""CNN: a small convolutional network with batch norm, for small images."""

from collections.abc import Sequence

from torch import Tensor, nn


class CNN(nn.Module):
    """Stages of two 3×3 convolutions (batch norm, ReLU) and 2×2 max pooling, then global average pooling.

    The pattern of stacked 3×3 convolutions is that of Simonyan & Zisserman 2015, the head that of Lin et al. 2014.

    Args:
        in_channels: channels of the images.
        num_outputs: number of logits.
        widths: channels of each stage; each halves height and width.
        dropout: before the last layer.

    Takes images (B, in_channels, H, W) float32 with H, W ≥ 2 ** len(widths), gives logits (B, num_outputs).
    """

    def __init__(
        self, in_channels: int, num_outputs: int, widths: Sequence[int] = (32, 64), dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for width in widths:
            for source in (channels, width):
                layers += [
                    nn.Conv2d(source, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                ]
            layers.append(nn.MaxPool2d(2))
            channels = width
        self.stages = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, num_outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_outputs)."""
        logits: Tensor = self.head(self.stages(x))  # (B, widths[-1], H / 2**n, W / 2**n) -> (B, num_outputs)
        return logits
