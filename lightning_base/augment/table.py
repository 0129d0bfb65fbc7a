"""Ops on rows of tables (B, F)."""

from typing import ClassVar

import torch

from lightning_base.augment.base import Augmentation, Context, Stage
from lightning_base.augment.draw import Draw
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch


class TableNoise(Augmentation):
    """Adds Gaussian noise to the continuous columns of preprocessed rows.

    Args:
        std: the noise's standard deviation; of standardised columns, a share of each one's own.
        p: the share of samples it is applied to.
    """

    stage: ClassVar[Stage] = "ready"

    def __init__(self, std: float = 0.1, p: float = 1.0) -> None:
        super().__init__(p)
        self.std = std
        self.check("std", std, std >= 0, "0 or more")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with noise on the chosen rows' continuous columns."""
        self.need(batch, "B, F", floating=True)
        numeric = batch.x.shape[1] if context.numeric is None else context.numeric
        chosen = draw.chosen(self.p)
        noisy = batch.x[:, :numeric] + (self.std * draw.normal((numeric,))).to(batch.x.dtype)
        columns = torch.where(chosen[:, None], noisy, batch.x[:, :numeric])
        return batch._replace(x=torch.cat([columns, batch.x[:, numeric:]], dim=1))


class SwapNoise(Augmentation):
    """Replaces values by those that another row has in the same column; the target stays.

    It keeps each column's distribution, whatever the column's kind (M. Jahrer's solution of the Porto Seguro
    competition, 2017). The other row is left for a later mixing op.

    Args:
        ratio: the share of values replaced.
        p: the share of samples it is applied to.
    """

    mixes: ClassVar[bool] = True

    def __init__(self, ratio: float = 0.1, p: float = 1.0) -> None:
        super().__init__(p)
        self.ratio = ratio
        self.check("ratio", ratio, 0 <= ratio <= 1, "from 0 to 1")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with values of the chosen rows replaced."""
        self.need(batch, "B, F")
        if batch.partner is None:
            raise ConfigError("SwapNoise needs batch.partner")
        swapped = draw.chosen(self.p)[:, None] & (draw.uniform(batch.x.shape[1]) < self.ratio)
        return batch._replace(x=torch.where(swapped, batch.partner.x, batch.x))
