"""What somebody else's LightningDataModule says: its training dataset, and how that is loaded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

from lightning_base.data.items import same_states, seed_item
from lightning_base.errors import ConfigError, UserError
from lightning_base.tools.imports import told

PLAIN = (RandomSampler, SequentialSampler)


@dataclass(frozen=True)
class Theirs:
    """Datasets, how they are loaded, and what of it is not taken.

    Attributes:
        items: the dataset that its training loader reads.
        test: that of its test loader; None without one.
        new: that of its predict loader; None without one.
        batch_size: of its training loader.
        collate: that of the training loader.
        processes: that its training loader reads items with.
        worker_init: what each of these calls first.
        drop_last: whether its training loader leaves an incomplete last batch out.
        notes: what a reader of the scores should know of it, a line each.
    """

    items: Any
    test: Any
    new: Any
    batch_size: int
    collate: Callable[[list[Any]], Any]
    processes: int
    worker_init: Callable[[int], None] | None
    drop_last: bool
    notes: list[str] = field(default_factory=list)


def of_datamodule(module: LightningDataModule) -> Theirs:
    """What a LightningDataModule gives after `prepare_data` and `setup`.

    Raises:
        ConfigError: where its training loader is no DataLoader of a dataset.
    """
    name = type(module).__name__
    try:
        module.prepare_data()
        _set_up(module, "fit")
        train = _loader(module, "train_dataloader")
    except UserError:
        raise
    except Exception as error:  # whatever the user's own data module does
        raise ConfigError(f"data: {name} fails: {told(error)}") from error
    if train is None or train.batch_size is None:
        raise ConfigError(
            f"data: {name}.train_dataloader() is no DataLoader with a batch_size; give its dataset itself, and "
            "data.batch_size and data.collate"
        )
    notes = []
    if type(train.sampler) not in PLAIN:
        notes.append(
            f"{name}: its {type(train.sampler).__name__} is not used: each fold's order is drawn from its seed"
        )
    if is_overridden("val_dataloader", module) and (held := _loader(module, "val_dataloader")) is not None:
        notes.append(
            f"{name}: its {len(held.dataset):,} validation samples are not read: folds hold out some of its "  # type: ignore[arg-type]
            f"{len(train.dataset):,} training samples"  # type: ignore[arg-type]
        )
    others = dict[str, Any]()
    for key, stage in (("test", "test"), ("predict", "predict")):
        if is_overridden(f"{key}_dataloader", module):
            try:
                _set_up(module, stage)
                loader = _loader(module, f"{key}_dataloader")
            except Exception as error:  # it may serve no such stage
                notes.append(f"{name}: it gives no {key} samples: {told(error)}")
                continue
            others[key] = None if loader is None else loader.dataset
    return Theirs(
        train.dataset,
        others.get("test"),
        others.get("predict"),
        train.batch_size,
        train.collate_fn,
        train.num_workers,
        train.worker_init_fn,
        train.drop_last,
        notes,
    )


def _set_up(module: LightningDataModule, stage: str) -> None:
    """Sets it up for a stage; one that divides its data at random does so alike for each fold and stage."""
    with same_states():
        seed_item(0)
        module.setup(stage)


def _loader(module: LightningDataModule, name: str) -> DataLoader[Any] | None:
    found = getattr(module, name)()
    if isinstance(found, list | tuple) and len(found) == 1:
        found = found[0]
    return found if isinstance(found, DataLoader) else None
