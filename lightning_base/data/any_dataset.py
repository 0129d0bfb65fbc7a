"""AnyDataset: a torch Dataset, or a LightningDataModule, that knows nothing of this project, as the pool of folds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch.utils.data import Dataset, default_collate

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.item_loader import ItemLoader
from lightning_base.data.item_targets import Predicted, samples_of
from lightning_base.data.items import Finder, Read, demand_items, is_listed, parted, read_items
from lightning_base.data.pool import Role, Source, source_of
from lightning_base.data.same_items import demand_same, demand_same_targets, places_of
from lightning_base.data.their_module import Theirs, of_datamodule
from lightning_base.distributed.strategies import data_ranks
from lightning_base.errors import ConfigError, DataError, NoSourceError
from lightning_base.preprocess.standardize import Normalize
from lightning_base.samples.batch import Batch
from lightning_base.samples.samples import Samples
from lightning_base.samples.sampling import draws_of
from lightning_base.tools.console import note

TRIED = 32  # items that are collated before any training


@dataclass(kw_only=True, eq=False)
class AnyDataset(BaseDataModule):
    """Items of somebody else's: folds hold some of them out, and they are loaded and collated as they say.

    Each item is read once before anything else: for its target, by which folds are stratified and predictions scored,
    and for a hash, by which equal items on both sides of a split are found. The batches that a LightningModule of
    somebody else's gets are what `collate` makes; a task of ours gets their input alone, and the target.

    Args:
        items: map-style, with a length; or a LightningDataModule, whose training dataset is the pool, whose test
            dataset is the sealed test source, and whose training loader says batch size, collate and processes.
        test: a dataset of test samples.
        new: a dataset of samples that `predict` predicts.
        evaluated: the same items in the same order without what only training is to have, such as augmentation; it is
            read where nothing is trained.
        targets: where an item has what is to be predicted: its place in the item or its key; from Python also a
            function of the item, or (N,) values. By default the last of a tuple, or `target`, `label` or `y`.
        ids: likewise, a name of each item; by default its number.
        groups: likewise, what must stay on one side of a split.
        times: likewise, when it was.
        predicted: what targets are: by default whole numbers and texts are classes, other numbers values.
        class_names: names of the classes, or how many there are; by default the dataset's `classes`, or those met.
        collate: makes a batch of a list of items; by default torch's.
        processes: that read items beside this one.

    Raises:
        UserError: for a dataset without length or places, items that cannot be read, options that belong to data of
            our own.
    """

    items: Dataset | LightningDataModule  # type: ignore[type-arg]  # the parser takes no class for Dataset[Any]
    test: Dataset | None = None  # type: ignore[type-arg]
    new: Dataset | None = None  # type: ignore[type-arg]
    evaluated: Dataset | None = None  # type: ignore[type-arg]
    targets: Any = None
    ids: Any = None
    groups: Any = None
    times: Any = None
    predicted: Predicted = "auto"
    class_names: Any = None
    collate: Callable[[list[Any]], Any] | None = None
    processes: int = 0
    normalize: Normalize = "none"

    unchecked = ("split", "items", "test", "new", "evaluated")  # what has items and a length is a dataset

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, wrong, mend in (
            ("normalize", self.normalize != "none", "the dataset's own transforms do that"),
            ("augment", bool(self.augment), "the dataset's own transforms do that"),
            ("workers", self.workers != 0, "data.processes is how many processes read items"),
        ):
            if wrong:
                raise ConfigError(f"data.{key}: {mend}; leave it out")
        if self.processes < 0:
            raise ConfigError(f"data.processes: {self.processes} is negative; give 0 or more")
        if not isinstance(self.items, LightningDataModule):
            for key in ("items", "test", "new", "evaluated"):
                if getattr(self, key) is not None:
                    demand_items(getattr(self, key), f"data.{key}")

    @cached_property
    def theirs(self) -> Theirs:
        """The datasets and how they are loaded."""
        if isinstance(self.items, LightningDataModule):
            return of_datamodule(self.items)
        collate: Any = self.collate
        return Theirs(
            self.items, self.test, self.new, self.batch_size or 0, collate, self.processes, None, self.drop_last
        )

    @property
    def called(self) -> str:
        """What messages call it."""
        return type(self.items).__name__

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        if self.theirs.test is None:
            return None
        return "data.test" if self.test is not None else f"{self.called}.test_dataloader()"

    def dataset(self, source: Source) -> Samples:
        """The samples of a source: their table, and hashes of their content.

        Raises:
            DataError: for items that cannot be read, or whose targets are of no known kind.
        """
        items = self._dataset(source)
        if items is None:
            mend = "test: not given; name a dataset, or seal a share: data.test_size"
            new = "new: not given; name a dataset of what is to be predicted, or give it to predict(…) from Python"
            raise NoSourceError(f"data.{mend if source == 'test' else new}")
        origin = f"{self.called}{'' if source == 'pool' else f' ({source})'}"
        return self._read(items, origin, source)

    def given(self, x: Any) -> Samples:
        """Samples of further items: a dataset, or a list of items, with or without targets.

        Raises:
            DataError: for what has no items.
        """
        self.new = x
        self.__dict__.pop("theirs", None)
        return self._read(x, "predict", "predict")

    def _dataset(self, source: Source) -> Any:
        given = {"pool": None, "test": self.test, "predict": self.new}[source]
        theirs = {"pool": self.theirs.items, "test": self.theirs.test, "predict": self.theirs.new}[source]
        return theirs if given is None else given

    def _read(self, items: Any, origin: str, source: Source) -> Samples:
        pool = source == "pool"
        beside: dict[str, Finder] = {
            key: value
            for key, value in (("ids", self.ids), ("groups", self.groups), ("times", self.times))
            if pool or callable(value) or isinstance(value, str | int)
        }
        targets = self.targets if pool or not is_listed(self.targets) else None
        read = read_items(items, origin, targets, beside, demanded=source != "predict")
        if pool:
            if self.evaluated is not None and (n := demand_items(self.evaluated, "data.evaluated")) != len(items):
                raise DataError(f"data.evaluated: {n} items for {len(items)}; give the same ones, in the same order")
            if self.evaluated is not None and read.targets is not None:
                demand_same_targets(self.evaluated, read.targets, targets)
            self._tell(read, origin)
        classes = self.class_names
        if classes is None and (named := getattr(items, "classes", None)) and isinstance(named, list | tuple):
            classes = [str(name) for name in named]
        return samples_of(
            None if source == "predict" else read.targets,
            read.named,
            demand_items(items, origin),
            origin,
            self.predicted,
            classes,
            read.hashes,
            read.draws,
            read.changes,
        )

    def _tell(self, read: Read, origin: str) -> None:
        """Says what cannot be promised of these items."""
        notes = list(self.theirs.notes)
        if read.draws and self.evaluated is None:
            notes.append(
                f"{origin}: items are drawn at random, held-out ones too, which are drawn alike each time; "
                "data.evaluated names the same items without that"
            )
        if read.changes:
            notes.append(
                f"{origin}: an item that is read again is another one, by a generator of its own: runs of it cannot be "
                "repeated, nor resumed exactly"
            )
        if read.hashes is None:
            notes.append(
                f"{origin}: items hold what cannot be compared: equal ones on both sides of a split are not found"
            )
        for text in notes:
            note(text)

    def loader(self, role: Role) -> ItemLoader:
        """The loader of a role: shuffled by (seed, epoch) for "train", in row order for the others."""
        self.need_fit()
        source = source_of(role)
        raw, rows, train = self.samples(source), self.rows(role), role == "train"
        size = self.theirs.batch_size or len(self.rows("train"))
        if self.trained_on is not None and role == "val":
            self.trained_on.demand_unseen(raw, rows, "held-out samples")
        ranks = data_ranks(self.trainer)
        sealed = source == "test" and self.seals
        items: Any = self._dataset("pool" if sealed else source)
        if self.evaluated is not None and not train and (source == "pool" or sealed):
            items = self.evaluated
        else:
            demand_same(items, raw, self.targets)
        return ItemLoader(
            items,
            raw,
            rows,
            self.theirs.collate,
            self.theirs.processes,
            self.theirs.worker_init,
            places_of(raw).draws,
            target=self.targets,
            bare=self.for_others and role != "predict" and not self._predicts(),
            batch_size=size if train else self.eval_batch_size or size,
            seed=self.fold_seed,
            train=train,
            drop_last=self.theirs.drop_last,
            rank=ranks.rank,
            world_size=ranks.size,
            drawn=draws_of(self.sampling, raw, rows, self.fold_seed) if train else None,
        )

    def demand_order(self) -> None:
        """Refuses a `collate` that is seen to change the order of some held-out items.

        Raises:
            DataError: naming it.
        """
        if self.theirs.collate not in (None, default_collate) and len(rows := self.rows("val")):
            self.loader("val").gather(rows[:TRIED])

    def handed(self, batch: Batch) -> Batch:
        """A batch as it is trained on: what was collated."""
        return batch

    def _predicts(self) -> bool:
        return self.trainer is not None and self.trainer.predicting

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Lightning's hook: as their data module, or their module, has it; of several batches, of each."""
        if _several(batch):
            return [self.on_before_batch_transfer(one, dataloader_idx) for one in batch]
        return self._hooked("on_before_batch_transfer", batch, dataloader_idx)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Lightning's hook, likewise."""
        if _several(batch):
            return [self.transfer_batch_to_device(one, device, dataloader_idx) for one in batch]
        if isinstance(batch, Batch):
            rest = super().transfer_batch_to_device(batch._replace(x=None), device, dataloader_idx)
            return rest._replace(x=self._moved(batch.x, device, dataloader_idx))
        return self._moved(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Lightning's hook, likewise; a task of ours gets the items' input alone."""
        if _several(batch):
            return [self.on_after_batch_transfer(one, dataloader_idx) for one in batch]
        found = self._hooked("on_after_batch_transfer", batch, dataloader_idx)
        return self.transform(found) if isinstance(found, Batch) else found

    def _owner(self, hook: str) -> Any:
        """Whose hook it is: their data module's or their module's, where either has it; None for nobody's."""
        module = None if self.trainer is None else self.trainer.lightning_module
        module = getattr(module, "trained", module)
        if isinstance(self.items, LightningDataModule) and is_overridden(hook, self.items):
            self.items.trainer = self.trainer
            return self.items
        return module if self.for_others and module is not None and is_overridden(hook, module) else None

    def _hooked(self, hook: str, batch: Any, dataloader_idx: int) -> Any:
        if (owner := self._owner(hook)) is None:
            return batch
        if isinstance(batch, Batch):
            return batch._replace(x=getattr(owner, hook)(batch.x, dataloader_idx))
        return getattr(owner, hook)(batch, dataloader_idx)

    def _moved(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        if (owner := self._owner("transfer_batch_to_device")) is None:
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        return owner.transfer_batch_to_device(batch, device, dataloader_idx)

    def transform(self, batch: Batch, epoch: int | None = None) -> Batch:
        """The batch as a task of ours takes it, with the items' input alone; others' modules get all that there is."""
        if self.for_others or not isinstance(batch, Batch):
            return batch
        return batch._replace(x=parted(batch.x, self.targets if not is_listed(self.targets) else None)[0])


def _several(batch: Any) -> bool:
    """Whether these are the batches of several steps."""
    return isinstance(batch, list) and bool(batch) and isinstance(batch[0], Batch)
