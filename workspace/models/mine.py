"""A network of your own, named in configs/mine.yaml as models.mine.MyNet; any nn.Module will do."""

from torch import Tensor, nn


class MyNet(nn.Module):
    """One hidden layer.

    Args:
        in_features: numbers in a sample.
        num_classes: logits, one per class.
        width: units of the hidden layer.

    Takes (B, in_features) float32, gives logits (B, num_classes).
    """

    def __init__(self, in_features: int, num_classes: int, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_features, width), nn.ReLU(), nn.Linear(width, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes)."""
        logits: Tensor = self.layers(x)
        return logits
