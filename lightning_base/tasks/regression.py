"""Regression: trains any network that gives one number per sample, by squared or absolute error."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch, Inputs, Lengths, targets
from lightning_base.samples.nested import Nested
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.columns import named_columns
from lightning_base.tasks.given_losses import demand_loss, demand_mean, mean_loss, tried
from lightning_base.tasks.losses import at_least_float32
from lightning_base.tasks.network import outputs_key
from lightning_base.tasks.predictor import Output
from lightning_base.tasks.scores import Determination, ResidualError


class Regression(BaseModule):
    """Mean squared (or absolute, or Huber) error; predictions are values (B,) or (B, K) in the target's unit.

    Metrics: mse, rmse, mae, r2; of K values the means over values of each one's, which stand in the details.

    Args:
        network: gives (B,) or (B, 1) for inputs (B, ...); (B, K) for K values per sample.
        loss: what training minimises, a mean over values; or a module, called with values and targets, (B,) or (B, K)
            each and standardised where these are, that gives their mean, or one of each sample (B,).
        scale_target: train on targets that are standardised by mean and deviation of the fold's training role;
            predictions and metrics are in the target's unit all the same.
        **kwargs: optimizer, scheduler, penalties and the other arguments of BaseModule.

    Raises:
        UserError: where the data has classes, or the network gives another number of values per sample.
    """

    takes: ClassVar[tuple[str, ...]] = ("value", "values")

    def __init__(
        self,
        network: nn.Module,
        loss: Literal["mse", "mae", "huber"] | nn.Module = "mse",
        scale_target: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, **kwargs)
        losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "mse": F.mse_loss,
            "mae": F.l1_loss,
            "huber": F.huber_loss,
        }
        demand_loss(None if isinstance(loss, str) else loss)
        self.loss = None if isinstance(loss, str) else loss
        self.criterion, self.scale_target = losses[loss if isinstance(loss, str) else "mse"], scale_target
        self.names: tuple[str, ...] = ()  # of several values
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", torch.zeros(1, dtype=torch.float64) if scale_target else None)
        self.register_buffer("spread", torch.ones(1, dtype=torch.float64) if scale_target else None)

    @classmethod
    def num_outputs(cls, key: str, data: BaseDataModule, options: Mapping[str, Any]) -> int | None:
        """One per value."""
        pool = data.samples("pool")
        return 1 if pool.targets is None else max(len(pool.targets.names), 1)

    def use(self, data: BaseDataModule) -> None:
        """Takes the names of several values and, to scale by, the training role's mean and deviation."""
        pool = data.samples("pool")
        self.names = () if pool.targets is None else pool.targets.names
        if self.scale_target and self.names and self.centre.shape != (len(self.names),):
            self.centre, self.spread = (t.repeat(len(self.names)) for t in (self.centre, self.spread))
        if self.scale_target and self._trainer is not None and self._trainer.state.fn == "fit":
            y = targets(pool, data.rows("train"))
            assert isinstance(y, Tensor)
            mean, std = y.mean(dim=0).reshape(-1), y.std(dim=0, correction=0).reshape(-1)
            self.centre.copy_(mean)
            self.spread.copy_(torch.where(std > 0, std, 1))

    @property
    def target_names(self) -> tuple[str, ...]:
        """The names of several values."""
        return self.names

    @property
    def width(self) -> int:
        """How many numbers the network gives for each sample."""
        return max(len(self.names), 1)

    def values(self, x: Inputs, lengths: Lengths = None) -> Tensor:
        """What the network gives, (B,) or (B, K), at least float32; standardised, where targets are.

        Raises:
            ConfigError: where it is of another shape.
        """
        y: Tensor = self.outputs(x, lengths)
        n = len(next(iter(x.values()))) if isinstance(x, dict) else len(x)
        k = self.width
        if y.shape not in ((n, k), *(((n,),) if k == 1 and not self.names else ())):
            raise ConfigError(
                f"model.network: {type(self.network).__name__} gives {tuple(y.shape)} where {type(self).__name__} "
                f"needs {(n, k)}; set {outputs_key(self.network)} to {k}"
            )
        return at_least_float32(y.reshape(n) if k == 1 and not self.names else y)

    def forward(self, x: Inputs, lengths: Lengths = None) -> Tensor:
        """Values (B,) or (B, K) float32; float64 where the network gives that, or targets are scaled."""
        return self.unscaled(self.values(x, lengths))

    def scaled(self, y: Tensor) -> Tensor:
        """Targets as the network is to give them."""
        return (y.double() - self.centre) / self.spread if self.scale_target else y

    def unscaled(self, y: Tensor) -> Tensor:
        """The network's values in the target's unit."""
        return y.double() * self.spread + self.centre if self.scale_target else y

    def predictions(self, batch: Batch) -> Tensor:
        """Values (B,) or (B, K)."""
        return self.forward(batch.x, batch.lengths)

    def step(self, batch: Batch) -> Output:
        """The mean error (); values (B,) or (B, K); targets alike."""
        assert isinstance(batch.y, Tensor)
        found = self.values(batch.x, batch.lengths)
        y = self.scaled(batch.y).to(found.dtype) if self.scale_target else batch.y
        loss = self.criterion(found, y) if self.loss is None else mean_loss(self.loss, found, y.to(found.dtype))
        return Output(loss, self.unscaled(found.detach()), batch.y)

    def check(self, batch: Batch) -> None:
        """One forward pass, as BaseModule does it; also that a loss of the user's takes it."""
        super().check(batch)
        if self.loss is not None:
            demand_mean(self.loss, *tried(self, batch))

    def compared(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What a loss of the user's takes: values (B,) or (B, K), and targets alike of their type, standardised too."""
        assert isinstance(batch.y, Tensor)
        found = self.values(batch.x, batch.lengths)
        return found, self.scaled(batch.y).to(found.dtype)

    def trivial(self, train: Nested, n: int) -> tuple[Nested, str] | None:
        """Of several values each one's mean."""
        return (train.mean(dim=0).expand(n, -1), "the training part's mean of each value") if self.names else None

    def metrics(self) -> MetricCollection:
        """mse, rmse, mae and r2, over values (N,) or (N, K) and targets."""
        k = len(self.names)
        return MetricCollection(
            {
                "mse": ResidualError("mse", k),
                "rmse": ResidualError("rmse", k),
                "mae": ResidualError("mae", k),
                "r2": Determination(k),
            }
        )

    def details(self) -> MetricCollection:
        """Of K values rmse, mae and r2 of each (K,)."""
        k = len(self.names)
        each: dict[str, Metric | MetricCollection] = {
            "rmse": ResidualError("rmse", k, each=True),
            "mae": ResidualError("mae", k, each=True),
            "r2": Determination(k, each=True),
        }
        return MetricCollection(each if k else {})

    def columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`pred`, or `pred_<name>` of each of several values."""
        return self._columns("pred", preds)

    def target_columns(self, target: Nested) -> dict[str, npt.NDArray[Any]]:
        """`target`, or `target_<name>` of each of several values."""
        return self._columns("target", target)

    def _columns(self, what: str, values: Nested) -> dict[str, npt.NDArray[Any]]:
        return named_columns(what, values, self.names)
