"""Tries what a data module does to its batches, before any training."""

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError, UserError
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
