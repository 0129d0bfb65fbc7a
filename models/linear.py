"""Linear: one affine map; logistic regression under Classification, least squares under Regression."""

import warnings

from torch import Tensor, nn


class Linear(nn.Module):
    """Flattens each sample and applies one affine map.

    Under `lightning_base.tasks.Classification` this is multinomial logistic regression, under
    `lightning_base.tasks.Regression` linear regression.

    Args:
        in_features: numbers in one sample; by default as many as the first batch has.
        out_features: number of outputs: one logit per class, or 1.
        bias: with an intercept.
        zero_init: begin at zero, which is no handicap to a convex problem and leaves nothing to chance.

    Takes (B, ...) float32 with in_features numbers per sample, gives (B, out_features).
    """

    def __init__(
        self, in_features: int | None = None, out_features: int = 1, bias: bool = True, zero_init: bool = True
    ) -> None:
        super().__init__()
        if in_features is None:
            with warnings.catch_warnings():  # torch says of lazy modules, since 1.8, that they may change
                warnings.simplefilter("ignore", UserWarning)
                self.affine: nn.Linear = (_LazyZero if zero_init else nn.LazyLinear)(out_features, bias=bias)
        else:
            self.affine = nn.Linear(in_features, out_features, bias=bias)
            if zero_init:
                _zero(self.affine)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (B, out_features)."""
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
