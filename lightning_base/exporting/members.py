"""Members: what a run's checkpoints have learned, loaded and ready to be exported."""

from dataclasses import dataclass

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.preprocess.base import Preprocess
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples
from lightning_base.tasks.base import BaseModule
from lightning_base.training.evaluate import Predictions


@dataclass(frozen=True)
class Member:
    """A checkpoint's network and preprocessing, with its own predictions of some real samples.

    Attributes:
        task: with the checkpoint's weights, in evaluation mode.
        data: with its preprocessing.
        predictions: of the samples that the export is held against, as `predict` gives them.
        rows: (N,) of the pool, those that it has not trained on: held out; none of a refit.
    """

    task: BaseModule
    data: BaseDataModule
    predictions: Predictions
    rows: Rows

    @property
    def preprocess(self) -> Preprocess:
        """As it was fitted."""
        return self.data.preprocess

    @property
    def pool(self) -> Samples:
        """The samples that its fold is of."""
        return self.data.samples("pool")
