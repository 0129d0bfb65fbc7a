"""MLP: a multilayer perceptron over flattened inputs."""

import warnings
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "silu": nn.SiLU}


class MLP(nn.Module):
    """Hidden layers of (affine, optional batch norm, activation, dropout), then an affine output layer.

    Args:
        num_inputs: numbers in one sample; by default as many as the first batch has.
        num_outputs: number of outputs: logits, or 1 for regression.
        hidden: width of each hidden layer.
        dropout: probability of zeroing a hidden unit in training (Srivastava et al. 2014).
        activation: between the layers.
        batch_norm: normalise before each activation (Ioffe & Szegedy 2015).

    Takes (B, ...) float32 with num_inputs numbers per sample, gives (B, num_outputs).
    """

    def __init__(
        self,
        num_inputs: int | None = None,
        num_outputs: int = 1,
        hidden: Sequence[int] = (128,),
        dropout: float = 0.0,
        activation: Literal["relu", "gelu", "tanh", "silu"] = "relu",
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        width = num_inputs
        for size in hidden:
            layers.append(_affine(width, size))
            if batch_norm:
                layers.append(nn.BatchNorm1d(size))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = size
        self.layers = nn.Sequential(*layers, _affine(width, num_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (B, num_outputs)."""
        y: Tensor = self.layers(x)
        return y


def _affine(width: int | None, size: int) -> nn.Linear:
    """An affine layer; without a width it takes that of what it sees first."""
    if width is not None:
        return nn.Linear(width, size)
    with warnings.catch_warnings():  # torch says of lazy modules, since 1.8, that they may change
        warnings.simplefilter("ignore", UserWarning)
        return nn.LazyLinear(size)
