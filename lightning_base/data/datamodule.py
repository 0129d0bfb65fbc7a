"""BaseDataModule: one abstract `dataset(source)`; train and validation are two views of one pool."""

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from lightning_base.augment import Augmentation, Context
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data.demands import demand_sizes
from lightning_base.data.loading import Loading, transformed
from lightning_base.data.pool import DIVIDING, NEITHER, Division, Pool, Pools, Role, Source, Sources, source_of
from lightning_base.data.trained import SEALED, TrainedOn, form_of
from lightning_base.distributed.strategies import data_ranks
from lightning_base.distributed.tpu import on_tpu
from lightning_base.errors import CheckpointError, DataError
from lightning_base.preprocess.base import Preprocess, recoded
from lightning_base.preprocess.standardize import Normalize, Standardize
from lightning_base.samples.batch import Batch
from lightning_base.samples.loader import BatchLoader
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples
from lightning_base.samples.sampling import How, draws_of
from lightning_base.sources.fetch import Resource, demand_fetched, fetch
from lightning_base.splitters.base import TableSplitter
from lightning_base.splitters.clock import earlier
from lightning_base.splitters.split import WHOLE, Split, Splitter, demand_splitter, seal
from lightning_base.tools.choices import demand_choices


@dataclass(kw_only=True, eq=False)
class BaseDataModule(Loading):
    """Collecting, cleaning, splitting, fitted preprocessing, augmentation and exact loaders over any source.

    A subclass implements `dataset` alone; as a dataclass it only names what it needs beside the arguments here.
    `fold` (from 0, or WHOLE), `seed` (the split's), `fold_seed` (the order's), `only` (the ids that an inner pool is
    restricted to), `for_others` (True where somebody else's LightningModule is trained) and `fetches` (False where a
    configuration that may be another's is scored) are set by whoever builds the run; holdout is fold 0 of the splitter.

    Args:
        split: any scikit-learn splitter, or one of lightning_base.splitters: ratios, columns, files, a manifest,
            windows over time. Default: five folds; over time where the data has a time, with whole groups where it
            has groups, else shuffled, and stratified where there are classes. `fit` takes the first: 80 % train,
            20 % validate.
        test_size: share of the source that is sealed as the test source before anything else is done: the latest
            samples where the data has a time, whole groups where it has groups, else stratified by class.
        test_seed: draws the sealed share; its own, so that another experiment seed cannot move samples out of it.
        per_class: samples of each class in the pool, drawn from test_seed.
        inner_val: share of each fold's training part that validation during training sees in place of the held-out
            samples, so that what stops training or picks a checkpoint does not score it; taken as `test_size` is.
            Preprocessing is fitted without it.
        fetch: what `prepare` downloads or unpacks first.
        labels: a CSV or Parquet file with columns id and target (a class name) that corrects targets in the pool. What
            is sealed is drawn from the uncorrected ones, and keeps them, so that corrections change no test score, and
            move no sample into the share or out of it, unless they change which samples `clean` drops.
        clean: what is done about each kind of finding.
        augment: operations on training batches, in order.
        sampling: how often an epoch draws each training sample, where that is not once: "balanced", classes equally
            often; "weighted", by the sample table's column `weight`; or a `Sampling`. An epoch stays as long as the
            training role. Evaluation, and what is fitted, know nothing of it.
        batch_size: samples of one training step, over all processes, among which it must divide: so neither the
            learning rate nor the number of steps changes with their number. null takes the whole training role.
        eval_batch_size: samples of one evaluation step; by default four times batch_size.
        normalize: "standard" fits mean and standard deviation on the fold's training role; "imagenet", "unit"
            and "none" are fixed.
        drop_last: leave an incomplete last training batch out.
        workers: threads that gather batches ahead; useful where samples are decoded on demand.

    Raises:
        UserError: for a batch size below 1, a share that is none, or a negative number of workers.
    """

    split: Splitter | TableSplitter | None = None
    test_size: float | None = None
    test_seed: int = 0
    per_class: int | None = None
    inner_val: float | None = None
    fetch: Sequence[Resource] = ()
    labels: str | None = None
    clean: Cleaning = field(default_factory=Cleaning)
    augment: Sequence[Augmentation] = ()
    sampling: How = None
    batch_size: int | None = 64
    eval_batch_size: int | None = None
    normalize: Normalize = "standard"
    drop_last: bool = False
    workers: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        demand_choices(self, "data", but=self.unchecked)
        demand_splitter(self.split)
        sizes = {"batch_size": self.batch_size, "eval_batch_size": self.eval_batch_size, "per_class": self.per_class}
        demand_sizes(sizes, {"test_size": self.test_size, "inner_val": self.inner_val}, self.test_seed, self.workers)
        self.fold = self.seed = self.fold_seed = 0
        self.only: frozenset[str] | None = None
        self.predict_role: Role = "predict"
        self.fetches, self.for_others = True, False
        self._pool: Pool | None = None
        self.trained_on: TrainedOn | None = None  # what the loaded checkpoint says
        self._classes: tuple[str, ...] | None = None
        self._encoded: dict[Source, tuple[Samples, Samples]] = {}

    @abstractmethod
    def dataset(self, source: Source) -> Samples:
        """The samples of a source: "pool" (train and validation together), the sealed "test", or "predict".

        Raises:
            NoSourceError: where the data has no such source; the audit then looks for no leak into it.
            UserError: where it cannot be read.
        """

    def given(self, x: Any) -> Samples:
        """Samples that are in memory, to be predicted: what `predict(x)` hands over.

        Args:
            x: what a subclass takes, as an array or a DataFrame.

        Raises:
            DataError: where this data module takes none.
        """
        raise DataError(
            f"predict: {type(self).__name__} takes no {type(x).__name__} from memory; name files in its configuration "
            "(overrides), or implement `given`"
        )

    def make_preprocess(self) -> Preprocess:
        """What a subclass fits on a fold's training role: by default mean and standard deviation."""
        return Standardize(self.normalize)

    @cached_property
    def preprocess(self) -> Preprocess:
        """What the fold has fitted, or the checkpoint brought."""
        return self.make_preprocess()

    def make_target_preprocess(self) -> Preprocess | None:
        """What a subclass fits on the targets of a fold's training role, such as a `Tokenizer`; nothing by default."""
        return None

    @cached_property
    def target_preprocess(self) -> Preprocess | None:
        """What the fold has fitted on targets, or the checkpoint brought; None where nothing is fitted on them."""
        return self.make_target_preprocess()

    def encoded(self, source: Source) -> Samples:
        """The samples of a source with inputs and targets as the fold's preprocessing recodes them as a whole.

        Raises:
            UserError: where the preprocessing is not fitted.
        """
        self.need_fit()
        raw = self.samples(source)
        if source not in self._encoded or self._encoded[source][0] is not raw:
            self._encoded[source] = raw, recoded(raw, self.preprocess, self.target_preprocess)
        return self._encoded[source][1]

    def trivial_key(self) -> Any:
        """(N,) what the trivial model that scores are set beside takes means by, of the pool; None for that of all."""
        return None

    def prepare_data(self) -> None:
        """Fetches what the YAML declares and is not there yet; refuses to go on without it where `fetches` is False."""
        for resource in self.fetch:
            (fetch if self.fetches else demand_fetched)(resource)

    @property
    def pool(self) -> Pool:
        """What is read and split: handed over by whoever builds the run, else this data module's own."""
        if self._pool is None:
            self._pool = Pool(Sources(self.dataset, self.clean, self.labels, self.own_test), self._division())
        return self._pool

    @pool.setter
    def pool(self, pool: Pool) -> None:
        self._pool = pool

    def join(self, pools: Pools, settings: Mapping[str, Any]) -> None:
        """Takes what this process has read already for the same settings, so that no run reads anew.

        Args:
            pools: what has been read; what this data module will read comes to it.
            settings: its class and arguments as the configuration has them.
        """
        reading = {key: value for key, value in settings.items() if key not in (*DIVIDING, *NEITHER)}
        dividing = {key: settings.get(key) for key in DIVIDING}
        divided_by = (repr(sorted(dividing.items())), self.seed, self.only)
        reader = copy.copy(self)  # what is read outlives this run; its trainer and network need not
        reader.trainer, reader._pool, reader._encoded = None, None, {}
        sources = Sources(reader.dataset, self.clean, self.labels, reader.own_test)
        self.pool = pools.find(repr(sorted(reading.items())), divided_by, sources, self._division())

    def own_test(self) -> str | None:
        """What names test samples of the data's own, in words: a share is not sealed beside them; None for nothing."""
        return None

    def _division(self) -> Division:
        return Division(self.split, self.test_size, self.test_seed, self.seed, self.only, self.per_class)

    def samples(self, source: Source) -> Samples:
        """The samples of a source, cleaned: "pool" without those that are sealed, "test" or "predict".

        Raises:
            UserError: where it cannot be read or divided.
        """
        return self.pool.samples(source)

    @property
    def findings(self) -> dict[Source, pd.DataFrame]:
        """What cleaning found in the sources read so far: id, kind, detail, action."""
        return self.pool.sources.findings

    @property
    def seals(self) -> bool:
        """Whether the test samples are a share of the source, taken out here."""
        return self.pool.division.seals

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for regression. From the checkpoint where one was loaded, else the pool."""
        if self._classes is None:
            self._classes = self.samples("pool").classes
        return self._classes

    @property
    def folds(self) -> Split:
        """Every fold of the pool.

        Raises:
            UserError: where the pool cannot be split, or the loaded checkpoint saw another split or other data.
        """
        split = self.pool.folds
        if self.trained_on is not None:
            self.trained_on.demand_split(split, self.fold, self.samples("pool"))
        return split

    def setup(self, stage: str) -> None:
        """Splits the pool and fits the preprocessing on this fold's training role, where the stage reads the pool."""
        if stage in ("fit", "validate") and not self.preprocess.fitted:
            pool, rows = self.samples("pool"), self.rows("train")
            self.preprocess.fit(pool, rows)
            if self.target_preprocess is not None:
                self.target_preprocess.fit(pool.of_targets(), rows)

    def rows(self, role: Role) -> Rows:
        """(N,) int64 rows, in the source's sample table, of a role in this fold."""
        if source_of(role) == "pool":
            if self.fold != WHOLE and not 0 <= self.fold < len(self.folds.folds):
                raise DataError(f"fold {self.fold} does not exist: data.split has {len(self.folds.folds)} folds")
            fold = self.folds.whole if self.fold == WHOLE else self.folds.folds[self.fold]
            if role == "val":
                return fold.val
            return fold.train if self.inner_val is None else self.inner_rows[role == "inner"]
        return np.arange(len(self.samples(source_of(role))), dtype=np.int64)

    @cached_property
    def inner_rows(self) -> tuple[Rows, Rows]:
        """Rows of the fold's training part that train, and that validation during training sees."""
        assert self.inner_val is not None
        train = self.folds.folds[self.fold].train
        table = self.samples("pool").table.iloc[train].reset_index(drop=True)
        inner = seal(table, self.inner_val, self.fold_seed, "data.inner_val: the training part")
        return train[earlier(table, np.delete(np.arange(len(train)), inner), inner)], train[inner]

    def loader(self, role: Role) -> BatchLoader:
        """The loader of a role: shuffled by (seed, epoch) for "train", in row order and exact for the others."""
        rows, train, raw = self.rows(role), role == "train", self.samples(source_of(role))
        size = self.batch_size or len(self.rows("train") if self.pool.is_split else rows)
        if not train:
            size = self.eval_batch_size or (4 * size if on_tpu(self.trainer) else min(4 * size, max(len(rows), 1)))
        self.need_fit()
        if self.trained_on is not None:
            self.trained_on.demand_shape(raw)
            if what := {"val": "held-out samples", "test": SEALED if self.seals else ""}.get(role):
                self.trained_on.demand_unseen(raw, rows, what)
        ranks = data_ranks(self.trainer)
        if role == "predict" or (role == "test" and not self.seals):
            self.preprocess.unseen(raw, rows)  # refuses a column that is spelt otherwise throughout
        samples = self.encoded(source_of(role))
        return BatchLoader(
            samples=samples,
            rows=rows,
            batch_size=size,
            seed=self.fold_seed,
            train=train,
            drop_last=self.drop_last,
            rank=ranks.rank,
            world_size=ranks.size,
            feeds=self.preprocess.feeds(samples, fixed=on_tpu(self.trainer)),
            partners=any(op.mixes for op in self.augment),
            workers=self.workers,
            fill=on_tpu(self.trainer),
            drawn=draws_of(self.sampling, raw, rows, self.fold_seed) if train else None,
        )

    def need_fit(self) -> None:
        """Refuses to go on without fitted preprocessing.

        Raises:
            CheckpointError: where nothing was fitted, and no checkpoint brought it.
        """
        if not self.preprocess.fitted or (self.target_preprocess is not None and not self.target_preprocess.fitted):
            raise CheckpointError("the data's preprocessing is not fitted: fit, or give a trained run's checkpoint")

    def transform(self, batch: Batch, epoch: int | None = None) -> Batch:
        """The batch as the network takes it; augmented where an epoch (from 0) is given.

        Raises:
            UserError: where the preprocessing is not fitted.
        """
        self.need_fit()
        context = Context(len(self.classes), self.preprocess.numeric, self.preprocess.numeric_parts, self.progress())
        return transformed(batch, self.preprocess, self.augment, self.fold_seed, epoch, context)

    def forget_checkpoint(self) -> None:
        """Lets the preprocessing be fitted anew, on any split."""
        self.trained_on = None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the fitted preprocessing, the classes, and which samples of which fold it saw."""
        if not self.preprocess.fitted:
            return {}
        return {
            "preprocess": self.preprocess.state(),
            **({} if self.target_preprocess is None else {"targets": self.target_preprocess.state()}),
            "classes": list(self.classes),
            "fold": self.fold,
            "fold_hash": self.folds.fold_hash(self.fold),
            "fingerprint": self.samples("pool").fingerprint,
            **form_of(self.samples("pool")),
            "sealed": self.pool.sealed_fingerprint,
            **self._seen,
        }

    @cached_property
    def _seen(self) -> dict[str, Tensor]:
        """Hashes of the samples that train, and of those that validation in training sees in their place."""
        fold = self.folds.whole if self.fold == WHOLE else self.folds.folds[self.fold]
        return TrainedOn.samples(self.samples("pool"), fold.train, self.inherited)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a checkpoint's preprocessing and classes; refuses the checkpoint of another split, fold or content.

        Raises:
            UserError: when the pool is split here, and the checkpoint saw another split, another fold of it or other
                data; else the split, when it is made, raises it.
        """
        self.trained_on = TrainedOn.of(state_dict)
        if self.pool.is_split:
            self.trained_on.demand_split(self.pool.folds, self.fold, self.samples("pool"))
        self.preprocess.load(state_dict["preprocess"])
        if self.target_preprocess is not None:
            self.target_preprocess.load(state_dict["targets"])
        self._encoded = {}
        self._classes = tuple(state_dict["classes"])
