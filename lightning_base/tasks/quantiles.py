"""Quantile regression: trains any network that gives numbers to bound a value by, each with its own chance."""

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch, Inputs, Lengths
from lightning_base.samples.nested import Nested
from lightning_base.tasks.columns import named_columns
from lightning_base.tasks.given import Change
from lightning_base.tasks.predictor import Output
from lightning_base.tasks.regression import Regression
from lightning_base.tasks.sums import Sums, ratio, ratios


class Quantiles(Regression):
    """Pinball loss (Koenker & Bassett 1978); predictions are quantiles (B, Q) in the target's unit.

    A share `level` of targets is to lie at or below the quantile of that level. What the network gives is put in
    ascending order (Chernozhukov, Fernández-Val & Galichon 2010), so that no quantile is below one of a lower level. An
    ensemble's quantiles are the means of its members', level by level.

    Metrics: pinball, the mean loss; of the interval from the lowest to the highest quantile its coverage, the share of
    targets that lie in it, which is to be the highest level minus the lowest, and its mean width. In the details the
    share of targets at or below each quantile, beside the levels. Metrics of others that are given take the median.

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

    @classmethod
    def num_outputs(cls, key: str, data: BaseDataModule, options: Mapping[str, Any]) -> int | None:
        """One per level."""
        default = inspect.signature(cls).parameters.get("levels")
        levels = options.get("levels") or (() if default is None else default.default)
        return len(levels) or None

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

    @property
    def for_given(self) -> Change | None:
        """Metrics of others take the median (N,).

        Raises:
            ConfigError: where there are some, and no median.
        """
        if not self.given_metrics:
            return None
        if 0.5 not in self.levels:
            raise ConfigError("model.metrics: take one value per sample, the median; put 0.5 among model.levels")
        return partial(_median, self.levels.index(0.5))

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


def _median(at: int, preds: Nested, target: Nested) -> tuple[Tensor, Tensor]:
    """Quantiles (N,) of one level, and the targets (N,)."""
    return preds[:, at], target


def _counted(values: Tensor) -> Tensor:
    """(B, S + 1): what each sample adds (B, S) or (B,), and 1 for itself."""
    values = values.reshape(len(values), -1).double()
    return torch.cat([values, torch.ones_like(values[:, :1])], dim=1)


def _pinball_rows(levels: Sequence[float], preds: Nested, target: Nested) -> Tensor:
    """(B, 2): a sample's mean loss over levels, and 1."""
    return _counted(pinball(preds.double(), target.double(), levels).mean(dim=1))


def _interval_rows(what: str, preds: Nested, target: Nested) -> Tensor:
    """(B, 2): whether a sample's target is in its interval, ends included, or how wide that is, and 1."""
    low, high = preds[:, 0].double(), preds[:, -1].double()
    return _counted((low <= target) & (target <= high) if what == "coverage" else high - low)


def _below_rows(preds: Nested, target: Nested) -> Tensor:
    """(B, Q + 1): whether a sample's target is at or below each of its quantiles, and 1."""
    return _counted(target[:, None].double() <= preds.double())


class Pinball(Sums):
    """The mean pinball loss over samples and levels, in the target's unit, as scikit-learn's `mean_pinball_loss`.

    Args:
        levels: of the quantiles.
    """

    higher_is_better = False

    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__("pinball", 2, partial(_pinball_rows, tuple(levels)), ratio)


class Interval(Sums):
    """Of the interval from the first to the last quantile the share of targets in it, or its mean width.

    Args:
        what: "coverage" or "width".
    """

    def __init__(self, what: str) -> None:
        super().__init__(what, 2, partial(_interval_rows, what), ratio)


class Below(Sums):
    """(Q,) the shares of targets at or below each quantile.

    Args:
        width: Q.
    """

    def __init__(self, width: int) -> None:
        super().__init__("below", width + 1, _below_rows, ratios)


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
