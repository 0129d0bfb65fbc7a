"""One pool of samples, its folds and its loaders: what a data module is made of."""

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.pool import Role, Source
from lightning_base.samples.batch import Batch, Boxes
from lightning_base.samples.samples import Samples

__all__ = ["BaseDataModule", "Batch", "Boxes", "Role", "Samples", "Source"]
