"""Linear: one affine map; logistic regression under Classification, least squares under Regression."""

from torch import Tensor, nn


class Linear(nn.Module):
    """Flattens each sample and applies one affine map.

    Under `lightning_base.tasks.Classification` this is multinomial logistic regression, under
    `lightning_base.tasks.Regression` linear regression.

    Args:
        in_features: numbers in one sample.
        out_features: number of outputs: one logit per class, or 1.
        bias: with an intercept.
        zero_init: begin at zero, which is no handicap to a convex problem and leaves nothing to chance.

    Takes (B, ...) float32 with in_features numbers per sample, gives (B, out_features).
    """

    def __init__(self, in_features: int, out_features: int = 1, bias: bool = True, zero_init: bool = True) -> None:
        super().__init__()
        self.affine = nn.Linear(in_features, out_features, bias=bias)
        if zero_init:
            for parameter in self.affine.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (B, out_features)."""
        y: Tensor = self.affine(x.flatten(1))
        return y
