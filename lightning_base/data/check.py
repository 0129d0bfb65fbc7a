"""Tries what a data module does to its batches, before any training."""

from collections.abc import Callable

from lightning.pytorch import Trainer

from lightning_base.augment import Context
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.loading import paced, transformed
from lightning_base.data.steps import demand_counted
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


def try_first_step(data: BaseDataModule, trainer: Trainer, check: Callable[[Batch], object]) -> None:
    """Lets a network take two samples as they are in a training's first step, where an augmentation follows the steps.

    Args:
        data: fitted.
        trainer: of the training.
        check: passes a batch through the network.

    Raises:
        ConfigError: for a training whose number of steps is not known, or a network that does not take them.
    """
    if (op := next((op for op in data.augment if op.paced), None)) is None:
        return
    demand_counted(trainer, paced(op))
    batch = data.loader("train").gather(data.rows("train")[:2])
    context = Context(len(data.classes), data.preprocess.numeric, data.preprocess.numeric_parts, progress=0.0)
    try:
        check(transformed(batch, data.preprocess, data.augment, data.fold_seed, 0, context))
    except ConfigError as error:
        raise ConfigError(f"{paced(op)}: the network does not take what it makes: {error}") from error
