"""Quantile regression: trains any network that gives numbers to bound a value by, each with its own chance."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch, Inputs, Lengths
from lightning_base.samples.nested import Nested
from lightning_base.tasks.columns import named_columns
from lightning_base.tasks.predictor import Output
from lightning_base.tasks.regression import Regression


class Quantiles(Regression):
    """Pinball loss (Koenker & Bassett 1978); predictions are quantiles (B, Q) in the target's unit.

    A share `level` of targets is to lie at or below the quantile of that level. What the network gives is put in
    ascending order (Chernozhukov, Fernández-Val & Galichon 2010), so that no quantile is below one of a lower level. An
    ensemble's quantiles are the means of its members', level by level.

    Metrics: pinball, the mean loss; of the interval from the lowest to the highest quantile its coverage, the share of
    targets that lie in it, which is to be the highest level minus the lowest, and its mean width. In the details the
    share of targets at or below each quantile, beside the levels.

    Args:
        network: gives (B, Q) for inputs (B, ...).
        levels: Q levels between 0 and 1, ascending.
        scale_target: as in `Regression`.
        **kwargs: optimizer, scheduler, penalties and the other arguments of BaseModule.

    Raises:
        UserError: for levels that are none, where the data has no single value to predict, or the network gives
            another number of values per sample.
    """

    takes = ("value",)

    def __init__(
        self,
        network: nn.Module,
        levels: Sequence[float] = (0.05, 0.5, 0.95),
        scale_target: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, loss="mae", scale_target=scale_target, **kwargs)
        ascending = all(low < high for low, high in pairwise(levels))
        if not levels or not ascending or not 0 < min(levels) <= max(levels) < 1:
            raise ConfigError(f"model.levels: {list(levels)} are no ascending levels between 0 and 1; give some")
        self.levels = tuple(map(float, levels))

    @property
    def width(self) -> int:
        """How many numbers the network gives for each sample."""
        return len(self.levels)

    def values(self, x: Inputs, lengths: Lengths = None) -> Tensor:
        """What the network gives, (B, Q), at least float32; in any order."""
        y = super().values(x, lengths)
        return y.reshape(len(y), self.width)

    def forward(self, x: Inputs, lengths: Lengths = None) -> Tensor:
        """Quantiles (B, Q), ascending."""
        return super().forward(x, lengths).sort(dim=1).values

    def step(self, batch: Batch) -> Output:
        """The mean pinball loss () over levels; quantiles (B, Q); targets (B,)."""
        assert isinstance(batch.y, Tensor)
        found = self.values(batch.x, batch.lengths)
        loss = pinball(found, self.scaled(batch.y).to(found.dtype), self.levels).mean()
        return Output(loss, self.unscaled(found.detach()).sort(dim=1).values, batch.y)

    def trivial(self, train: Nested, n: int) -> tuple[Nested, str] | None:
        """The training part's quantiles of the target."""
        assert isinstance(train, Tensor)
        found = torch.from_numpy(np.quantile(train.double().numpy(), self.levels))  # torch's takes 16 million at most
        return found.expand(n, -1), "the training part's quantiles of the target"

    def metrics(self) -> MetricCollection:
        """pinball; coverage and width of the outermost interval, where there are two levels or more."""
        found: dict[str, Metric | MetricCollection] = {"pinball": Pinball(self.levels)}
        if self.width > 1:
            found |= {"coverage": Interval("coverage"), "width": Interval("width")}
        return MetricCollection(found, compute_groups=False)

    def details(self) -> MetricCollection:
        """`levels` (Q,), and the shares of targets at or below their quantiles, `below` (Q,)."""
        return MetricCollection({"levels": Levels(self.levels), "below": Below(self.width)}, compute_groups=False)

    def columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`pred_<level>` of each."""
        assert isinstance(preds, Tensor)
        return named_columns("pred", preds, [f"{level:g}" for level in self.levels])


def pinball(quantiles: Tensor, target: Tensor, levels: Sequence[float]) -> Tensor:
    """(B, Q) losses: level · (y - q) where targets (B,) are above quantiles (B, Q), else (1 - level) · (q - y)."""
    above = target[:, None] - quantiles
    share = torch.tensor(levels, dtype=quantiles.dtype, device=quantiles.device)
    return torch.maximum(share * above, (share - 1) * above)


class _Mean(Metric):
    """A mean over samples, of what a subclass gives of each, as float32."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def of(self, preds: Tensor, target: Tensor) -> Tensor:
        """(B, ...) what is averaged, of quantiles (B, Q) and targets (B,) float64."""
        raise NotImplementedError

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch: quantiles (B, Q) and targets (B,)."""
        self.total += self.of(preds.double(), target.double()).sum(dim=0)
        self.count += len(target)

    def compute(self) -> Tensor:
        """The mean."""
        return (self.total / self.count).float()


class Pinball(_Mean):
    """The mean pinball loss over samples and levels, in the target's unit, as scikit-learn's `mean_pinball_loss`.

    Args:
        levels: of the quantiles.
    """

    higher_is_better = False

    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__()
        self.levels = tuple(levels)

    def of(self, preds: Tensor, target: Tensor) -> Tensor:
        """(B,) the mean over levels."""
        return pinball(preds, target, self.levels).mean(dim=1)


class Interval(_Mean):
    """Of the interval from the first to the last quantile the share of targets in it, or its mean width.

    Args:
        what: "coverage" or "width".
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def of(self, preds: Tensor, target: Tensor) -> Tensor:
        """(B,) whether the target is in it, ends included, or how wide it is."""
        low, high = preds[:, 0], preds[:, -1]
        return ((low <= target) & (target <= high)).double() if self.what == "coverage" else high - low


class Below(_Mean):
    """(Q,) the shares of targets at or below each quantile.

    Args:
        width: Q.
    """

    def __init__(self, width: int) -> None:
        super().__init__((width,))

    def of(self, preds: Tensor, target: Tensor) -> Tensor:
        """(B, Q)."""
        return (target[:, None] <= preds).double()


class Levels(Metric):
    """The levels themselves (Q,), so that they stand beside what is measured of them.

    Args:
        levels: of the quantiles.
    """

    full_state_update = False

    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__()
        self.levels = tuple(levels)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Nothing."""

    def compute(self) -> Tensor:
        """(Q,) float32."""
        return torch.tensor(self.levels)
