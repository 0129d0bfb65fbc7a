"""Regression: trains any network that gives one number per sample, by squared or absolute error."""

from collections.abc import Callable
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch
from lightning_base.tasks.base import BaseModule, Output
from lightning_base.tasks.losses import at_least_float32
from lightning_base.tasks.scores import Determination, ResidualError


class Regression(BaseModule):
    """Mean squared (or absolute, or Huber) error; predictions are values (B,) in the target's unit.

    Metrics: mse, rmse, mae, r2.

    Args:
        network: gives (B,) or (B, 1) for inputs (B, ...).
        loss: what training minimises.
        **kwargs: optimizer, scheduler, penalties and the other arguments of BaseModule.

    Raises:
        UserError: where the data has classes, or the network gives more than one number per sample.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Literal["mse", "mae", "huber"] = "mse",
        **kwargs: Any,
    ) -> None:
        super().__init__(network, **kwargs)
        losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "mse": F.mse_loss,
            "mae": F.l1_loss,
            "huber": F.huber_loss,
        }
        self.criterion = losses[loss]

    def use(self, data: BaseDataModule) -> None:
        """Checks that the target is continuous."""
        if data.classes:
            raise ConfigError(
                f"{type(data).__name__} has {len(data.classes)} classes; Regression needs a continuous target, "
                "take lightning_base.tasks.Classification, or, for a table's whole numbers, data.task: regression"
            )

    def forward(self, x: Tensor) -> Tensor:
        """Values (B,) float32; float64 where the network gives that."""
        y: Tensor = self.network(self.inputs(x))
        if y.shape not in ((len(x),), (len(x), 1)):
            raise ValueError(f"it gives {tuple(y.shape)} where regression needs {(len(x), 1)}")
        return at_least_float32(y.reshape(len(x)))

    def step(self, batch: Batch) -> Output:
        """The mean error (); values (B,); targets (B,)."""
        assert isinstance(batch.y, Tensor)
        preds = self(batch.x)
        return Output(self.criterion(preds, batch.y), preds.detach(), batch.y)

    def metrics(self) -> MetricCollection:
        """mse, rmse, mae and r2, over values (N,) and targets (N,)."""
        return MetricCollection(
            {
                "mse": ResidualError("mse"),
                "rmse": ResidualError("rmse"),
                "mae": ResidualError("mae"),
                "r2": Determination(),
            }
        )
