"""Linear: one affine map; logistic regression under Classification, least squares under Regression."""

import warnings

from torch import Tensor, nn


class Linear(nn.Module):
    """Flattens each sample and applies one affine map.

    Under `lightning_base.tasks.Classification` this is multinomial logistic regression, under
    `lightning_base.tasks.Regression` linear regression.

    Args:
        num_inputs: numbers in one sample; by default as many as the first batch has.
        num_outputs: number of outputs: one logit per class, or 1.
        bias: with an intercept.
        zero_init: begin at zero, which is no handicap to a convex problem and leaves nothing to chance.

    Takes (B, ...) float32 with num_inputs numbers per sample, gives (B, num_outputs).
    """

    def __init__(
        self, num_inputs: int | None = None, num_outputs: int = 1, bias: bool = True, zero_init: bool = True
    ) -> None:
        super().__init__()
        if num_inputs is None:
            with warnings.catch_warnings():  # torch says of lazy modules, since 1.8, that they may change
                warnings.simplefilter("ignore", UserWarning)
                self.affine: nn.Linear = (_LazyZero if zero_init else nn.LazyLinear)(num_outputs, bias=bias)
        else:
            self.affine = nn.Linear(num_inputs, num_outputs, bias=bias)
            if zero_init:
                _zero(self.affine)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (B, num_outputs)."""
        y: Tensor = self.affine(x.flatten(1))
        return y


class _LazyZero(nn.LazyLinear):
    """A lazy layer that begins at zero once it has its width."""

    def reset_parameters(self) -> None:
        """Zeros; nothing before the width is known."""
        if not self.has_uninitialized_params():
            _zero(self)


def _zero(layer: nn.Linear) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
