"""LeNet: the 6-16-120-84-10 convolutional network of LeCun et al. 1998, as commonly trained on 32×32 images."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LeNet(nn.Module):
    """LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document recognition).

    The widths are the paper's. As is common today, ReLU stands for the scaled tanh, max pooling for trainable
    subsampling, a full connection for the partial one between the first two stages, and a linear layer for the
    radial basis functions. With 3 channels and 10 classes it has 62,006 parameters.

    Args:
        in_channels: channels of the images.
        num_outputs: number of logits.

    Takes images (B, in_channels, 32, 32) float32, gives logits (B, num_outputs).
    """

    def __init__(self, in_channels: int = 3, num_outputs: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_outputs)."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (B, 6, 14, 14)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (B, 16, 5, 5)
        x = F.relu(self.fc1(torch.flatten(x, 1)))  # (B, 120)
        logits: Tensor = self.fc3(F.relu(self.fc2(x)))  # (B, num_outputs)
        return logits
