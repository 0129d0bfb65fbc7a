"""How samples become batches: Lightning's hooks for loaders, and what is done to a batch before a network sees it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningDataModule, Trainer

from lightning_base.augment import Augmentation, Context, Of, augment
from lightning_base.data.pool import Role, Source
from lightning_base.data.readers import default_readers
from lightning_base.data.steps import total_steps
from lightning_base.data.trained import TrainedOn
from lightning_base.distributed.tpu import on_tpu
from lightning_base.errors import ConfigError
from lightning_base.preprocess.base import Preprocess
from lightning_base.runtime.readers import Reader
from lightning_base.samples.batch import Batch
from lightning_base.samples.loader import BatchLoader
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples


class Loading(LightningDataModule, ABC):
    """Lightning's hooks of a data module whose roles have loaders.

    Attributes:
        inner_val: share of the training role that validation during training sees; None for the held-out samples.
        predict_role: the role that Lightning's predict reads.
        inherited: what the weights were trained on that a run begins with.
        for_others: whether batches are for a LightningModule of somebody else's, which gets pairs (x, y).
    """

    unchecked: ClassVar[tuple[str, ...]] = ("split",)  # arguments whose types the parser alone looks at
    augment: Sequence[Augmentation]
    inner_val: float | None
    predict_role: Role
    preprocess: Any  # fitted
    inherited: TrainedOn | None = None
    for_others: bool
    _total: tuple[Trainer, int] | None = None  # whose steps were counted, and how many they are
    _ahead: int = 0  # steps that are taken before that of the batch in hand
    together: int = 1  # batches that are trained on in one call

    @abstractmethod
    def loader(self, role: Role) -> BatchLoader:
        """The loader of a role."""

    @abstractmethod
    def samples(self, source: Source) -> Samples:
        """The samples of a source."""

    @abstractmethod
    def rows(self, role: Role) -> Rows:
        """The rows of a role."""

    @abstractmethod
    def transform(self, batch: Batch, epoch: int | None = None) -> Batch:
        """The batch as the network takes it; augmented where an epoch (from 0) is given."""

    def train_dataloader(self) -> BatchLoader:
        """The training role's batches (Lightning's hook); lists of them where several steps are taken at once."""
        loader = self.loader("train")
        loader.together = self.together
        return loader

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Lightning's hook; what is on the CPU already is not gone through."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def val_dataloader(self) -> BatchLoader:
        """Lightning's hook: the held-out samples, or the slice of the training part that `inner_val` names."""
        return self.loader("val" if self.inner_val is None else "inner")

    def test_dataloader(self) -> BatchLoader:
        """Lightning's hook; the only one that reads the sealed test source."""
        return self.loader("test")

    def predict_dataloader(self) -> BatchLoader:
        """Lightning's hook: the role that `predict_role` names."""
        return self.loader(self.predict_role)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Lightning's hook: for a TPU batches are made ready on the host, so that each has one shape there."""
        return self._ready(batch) if on_tpu(self.trainer) else batch

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Lightning's hook: for other devices batches are made ready there."""
        if isinstance(batch, list):
            return [self._ready(one, ahead) for ahead, one in enumerate(batch)]
        return batch if on_tpu(self.trainer) else self._ready(batch)

    def _ready(self, batch: Batch, ahead: int = 0) -> Any:
        """Augments a training batch, and preprocesses any; so many steps will be taken before its own."""
        self._ahead = ahead
        training = self.trainer is not None and self.trainer.training
        ready = self.handed(self.transform(batch, self.trainer.current_epoch if training and self.trainer else None))
        return ready.x if self.for_others and self.trainer is not None and not self.trainer.predicting else ready

    def readers(self) -> dict[str, Reader]:
        """By input what reads a new one where an exported model is asked; by default as its samples are.

        Raises:
            ConfigError: where nothing says how.
        """
        return default_readers(self.samples("pool"), self.rows("train"), self.preprocess)

    def progress(self) -> float | None:
        """The share of the training's optimizer steps that are done; None where no op asks, or nothing is trained."""
        trainer, op = self.trainer, next((op for op in self.augment if op.paced), None)
        if op is None or trainer is None or not trainer.training:
            return None
        task: Any = trainer.lightning_module
        if self._total is None or self._total[0] is not trainer:
            self._total = trainer, total_steps(trainer, getattr(task, "steps_per_batch", 1), paced(op))
        return (trainer.global_step + self._ahead) / self._total[1]

    def handed(self, batch: Batch) -> Batch:
        """A batch as it is trained on; for a LightningModule of somebody else's with the pair (x, y) as its input.

        Raises:
            ConfigError: for samples of unequal length, whose lengths such a pair would lose.
        """
        if not self.for_others:
            return batch
        if batch.lengths is not None:
            raise ConfigError(
                "data: samples differ in length, and a LightningModule of your own is given pairs (x, y), which say "
                "nothing of that; give it a Dataset of your own (lightning_base.data.AnyDataset), with its collate"
            )
        return batch._replace(x=(batch.x, batch.y))


def paced(op: Augmentation) -> str:
    """What is laid over the steps of a training, for messages."""
    return f"data.augment: {type(op).__name__}"


def transformed(
    batch: Batch, preprocess: Preprocess, ops: Sequence[Augmentation], seed: int, epoch: int | None, context: Context
) -> Batch:
    """The batch as the network takes it.

    Args:
        batch: as it was gathered.
        preprocess: fitted.
        ops: what changes training batches.
        seed: of the order and of what is drawn.
        epoch: from 0, of a training batch; None for others, which are not changed at random.
        context: what the operations need to know of the data.

    Raises:
        ConfigError: for an operation on one input where samples have several.
    """
    if epoch is None or not ops:
        return preprocess.apply(batch._replace(partner=None))
    if isinstance(batch.x, dict) and (whole := [op for op in ops if not isinstance(op, Of)]):
        raise ConfigError(
            f"data.augment: samples have several inputs ({', '.join(batch.x)}), and {type(whole[0]).__name__} is for "
            "one; say which: lightning_base.augment.Of, with its name and the op"
        )
    batch = augment(batch, ops, "raw", seed, epoch, context)
    partner = batch.partner
    batch = preprocess.apply(batch)._replace(partner=partner and preprocess.apply(partner))
    return augment(batch, ops, "ready", seed, epoch, context)
