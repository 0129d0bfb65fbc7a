"""A network of your own, named in configs/mine.yaml as models.mine.MyNet; any nn.Module will do."""

from torch import Tensor, nn


class MyNet(nn.Module):
    """One hidden layer.

    Args:
        num_inputs: numbers in a sample.
        num_outputs: logits, one per class.
        width: units of the hidden layer.

    Takes (B, num_inputs) float32, gives logits (B, num_outputs).
    """

    def __init__(self, num_inputs: int, num_outputs: int, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(num_inputs, width), nn.ReLU(), nn.Linear(width, num_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_outputs)."""
        logits: Tensor = self.layers(x)
        return logits
