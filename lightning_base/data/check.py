"""Tries what a data module does to its batches, before any training."""

from lightning_base.augment import Context
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.loading import transformed
from lightning_base.errors import ConfigError, UserError
from lightning_base.samples.batch import Batch
from lightning_base.tools.imports import fault


def try_augmentations(data: BaseDataModule) -> None:
    """Lets two training samples through the whole path.

    Raises:
        ConfigError: where an augmentation does not fit the data.
    """
    if not data.augment:
        return
    try:
        data.transform(data.loader("train").gather(data.rows("train")[:2]), epoch=0)
    except UserError:
        raise
    except Exception as error:  # whatever the user's own augmentation does
        names = ", ".join(type(op).__name__ for op in data.augment)
        raise ConfigError(f"data.augment: {names} do not fit: {fault(error)}; mend data.augment") from error


def first_training_batch(data: BaseDataModule, n: int = 2) -> Batch:
    """The first n training samples as the network takes them in a training's first step, augmented."""
    batch = data.loader("train").gather(data.rows("train")[:n])
    context = Context(len(data.classes), data.preprocess.numeric, data.preprocess.numeric_parts, progress=0.0)
    return transformed(batch, data.preprocess, data.augment, data.fold_seed, 0, context)
