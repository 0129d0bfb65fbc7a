"""Pool: a data module's samples, read, cleaned, sealed and split once per process, and handed to every run."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from lightning_base.clean.cleaning import Cleaning, clean
from lightning_base.clean.corrections import as_read, correct
from lightning_base.errors import ConfigError, DataError
from lightning_base.samples.payload import Payload, Ragged, Rows, View, frozen
from lightning_base.samples.reading import typed
from lightning_base.samples.samples import Samples
from lightning_base.samples.several import Several, with_payloads
from lightning_base.splitters.base import TableSplitter
from lightning_base.splitters.clock import earlier
from lightning_base.splitters.split import Split, Splitter, default_splitter, make_split, seal
from lightning_base.tools.console import console

Source: TypeAlias = Literal["pool", "test", "predict"]
Role: TypeAlias = Literal["train", "inner", "val", "test", "predict"]
Value = TypeVar("Value")
# settings that folds depend on and reading does not, and those that neither does: such runs share what is read
DIVIDING = ("split", "test_size", "test_seed", "per_class")
NEITHER = ("inner_val", "augment", "sampling", "batch_size", "eval_batch_size", "drop_last", "workers")
SOURCES, POOLS = 4, 16  # kept at a time: a search may try other data, and has a pool per outer fold


class Sources:
    """The sources of a data module as they are read: each once, corrected, cleaned, its inputs and targets read-only.

    Args:
        dataset: reads a source.
        policy: what is done about each kind of finding.
        labels: a file that corrects targets in the pool; None for none.
        own_test: what names test samples of the data's own, in words; None for nothing.

    Attributes:
        findings: what cleaning found in the sources read so far.
        uncorrected: the pool's table with the targets that the source itself gave, where labels correct them.
    """

    def __init__(
        self,
        dataset: Callable[[Source], Samples],
        policy: Cleaning,
        labels: str | None,
        own_test: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.dataset, self.policy, self.labels, self.own_test = dataset, policy, labels, own_test
        self.findings: dict[Source, pd.DataFrame] = {}
        self.uncorrected: pd.DataFrame | None = None
        self._samples: dict[Source, Samples] = {}
        self._told = False

    def samples(self, source: Source) -> Samples:
        """All samples of a source.

        Raises:
            UserError: where it cannot be read, or a finding's policy is `fail`.
        """
        if source not in self._samples:
            read = self.dataset(source)
            read = replace(read, table=typed(read.table, read.origin))
            if source == "pool" and self.labels is not None:
                self.uncorrected, read = read.table, correct(read, self.labels)
            cleaned, self.findings[source] = clean(read, self.policy, pool=source == "pool")
            self._samples[source] = shared(cleaned)
        return self._samples[source]

    def uncorrect(self, sealed: Samples) -> Samples:
        """Sealed test samples with the targets that the source itself gave: what is tested is not corrected."""
        if self.uncorrected is None:
            return sealed
        table = as_read(sealed, self.uncorrected)
        changed = table["target"].to_numpy() != sealed.table["target"].to_numpy()
        if changed.any() and not self._told:
            self._told = True
            first = sealed.table["id"].to_numpy()[changed][0]
            console().print(
                f"data.labels: {changed.sum()} of its targets are of sealed test samples, first {first!r}, and count "
                f"for nothing: {self.labels} corrects the pool alone",
                soft_wrap=True,
            )
        return replace(sealed, table=table)


def shared(samples: Samples) -> Samples:
    """The samples with inputs and targets that an assignment in place refuses."""
    targets = samples.targets
    if targets is not None:
        targets = replace(targets, payload=read_only(targets.payload))
    return replace(samples, inputs=read_only(samples.inputs), targets=targets)


def read_only(inputs: Payload) -> Payload:
    """The same values, which an assignment in place refuses: what one fold did to them would reach the others."""
    if isinstance(inputs, np.ndarray):
        return frozen(inputs)
    if type(inputs) is View:
        return View(read_only(inputs.base), inputs.index)
    if isinstance(inputs, Several):
        return with_payloads(inputs, {name: read_only(part.payload) for name, part in inputs.parts.items()})
    if type(inputs) is Ragged and isinstance(inputs.values, np.ndarray):
        return Ragged(frozen(inputs.values), inputs.offsets)
    return inputs


@dataclass(frozen=True)
class Division:
    """How a pool comes from its source, and folds from the pool.

    Args:
        splitter: what makes the folds; None for the default.
        test_size: share of the source that is sealed first; None where the test samples are a source of their own, or
            the splitter names them.
        test_seed: what the sealed share is drawn from.
        seed: what the folds are drawn from.
        only: ids that the pool is restricted to, where it is that of an inner cross-validation; None for all.
        per_class: so many samples of each class are the pool; None for all.
    """

    splitter: Splitter | TableSplitter | None = None
    test_size: float | None = None
    test_seed: int = 0
    seed: int = 0
    only: frozenset[str] | None = None
    per_class: int | None = None

    @property
    def seals(self) -> bool:
        """Whether the test samples are a share of the source, taken out of it."""
        return self.test_size is not None or (isinstance(self.splitter, TableSplitter) and self.splitter.seals)


class Pool:
    """The samples that folds are made of, those that are sealed or asked about, and the folds.

    Args:
        sources: what is read.
        division: what is sealed, and how the rest is split.
    """

    def __init__(self, sources: Sources, division: Division) -> None:
        self.sources, self.division = sources, division
        self._samples: dict[Source, Samples] = {}

    @staticmethod
    def of(samples: Mapping[Source, Samples], folds: Split | None, read: "Pool") -> "Pool":
        """A pool of samples that are given, and of folds where they are; what else it is asked for `read` has."""
        pool = Pool(read.sources, read.division)
        pool._samples = dict(samples)
        if folds is not None:
            pool.__dict__["folds"] = folds
        return pool

    def give(self, asked: Samples) -> None:
        """Takes samples for the source "predict" in place of those that are read; they are cleaned as these are."""
        asked = replace(asked, table=typed(asked.table, asked.origin))
        cleaned, self.sources.findings["predict"] = clean(asked, self.sources.policy, pool=False)
        self._samples["predict"] = shared(cleaned)

    def samples(self, source: Source) -> Samples:
        """The samples of a source: "pool" without those that are sealed, "test" with them, or "predict".

        Raises:
            UserError: where it cannot be read or divided.
        """
        if source not in self._samples:
            whole = self.sources.samples("pool" if source == "test" and self.division.seals else source)
            if source == "predict" or (source == "test" and not self.division.seals):
                self._samples[source] = whole
            elif self.division.seals:
                rest, sealed = self._seal(whole)
                test = self.sources.uncorrect(whole.take(sealed))
                self._samples |= {"pool": self._within(whole.take(rest)), "test": test}
            else:
                self._samples["pool"] = self._within(whole)
        return self._samples[source]

    def _seal(self, whole: Samples) -> tuple[Rows, Rows]:
        """The rows that stay, and those that are sealed."""
        splitter, size, uncorrected = self.division.splitter, self.division.test_size, self.sources.uncorrected
        if (named := self.sources.own_test()) is not None:
            key = "data.split" if size is None else "data.test_size"
            raise ConfigError(
                f"{key} seals test samples, and {named} has others: one of them would be ignored; leave one out"
            )
        table = whole.table if uncorrected is None else as_read(whole, uncorrected)
        if isinstance(splitter, TableSplitter) and splitter.seals:
            if size is not None:
                raise ConfigError("data.test_size: data.split names the test samples already; leave test_size out")
            sealed = splitter.sealed(table, self.division.test_seed)
        else:
            assert size is not None
            sealed = seal(table, size, self.division.test_seed, f"data.test_size: {whole.origin}")
        return earlier(table, np.setdiff1d(np.arange(len(whole)), sealed), sealed), sealed

    @property
    def sealed_fingerprint(self) -> str | None:
        """SHA-256 over the content of the sealed test samples; None where none are, or the pool is an inner one."""
        return self.samples("test").fingerprint if self.division.seals and self.division.only is None else None

    def _within(self, pool: Samples) -> Samples:
        """The pool: so many of each class, none that an outer fold holds out where it is its inner cross-validation."""
        only, most = self.division.only, self.division.per_class
        if most is not None:
            pool = pool.take(of_each_class(pool, most, self.division.test_seed))
        if only is None:
            return pool
        rows = np.flatnonzero(pool.table["id"].isin(only))
        if len(rows) < len(only):
            raise DataError(f"{pool.origin}: {len(only) - len(rows)} samples of the outer fold are not there")
        return pool.take(rows)

    @property
    def is_split(self) -> bool:
        """Whether the folds are made already."""
        return "folds" in self.__dict__

    @cached_property
    def folds(self) -> Split:
        """Every fold of the pool."""
        pool, given = self.samples("pool"), self.division.splitter
        splitter = given or default_splitter(pool.table, bool(pool.classes) and "target" in pool.table)
        sealed = self.samples("test").table["id"].to_numpy(dtype=object) if self.division.seals else None
        fingerprint = pool.fingerprint if isinstance(splitter, TableSplitter) else ""  # no others look at it
        return make_split(pool.table, splitter, self.division.seed, fingerprint, sealed, pool.classes)


def of_each_class(pool: Samples, most: int, seed: int) -> Rows:
    """The rows of so many samples of each class, drawn from a seed by ids: whatever the order of rows is.

    Raises:
        ConfigError: for samples without classes, or a class that has fewer.
    """
    if pool.kind != "class" or pool.target is None:
        raise ConfigError(f"data.per_class: {pool.origin} has no classes to take {most} samples of; leave it out")
    order = np.argsort(pool.table["id"].to_numpy(dtype=object), kind="stable")
    taken = []
    for number, name in enumerate(pool.classes):
        rows = order[pool.target[order] == number]
        if len(rows) < most:
            raise ConfigError(
                f"data.per_class: class {name!r} has {len(rows)} samples, fewer than {most}; give {len(rows)}"
            )
        taken.append(np.random.default_rng([seed, number]).permutation(rows)[:most])
    return np.sort(np.concatenate(taken))


class Pools:
    """What one process has read: sources and pools, each shared by all runs whose settings give the same one.

    Of each the latest are kept, and no pool of sources that are not: a search over many variants of the data does not
    hold them all.
    """

    def __init__(self) -> None:
        self._sources: OrderedDict[Hashable, Sources] = OrderedDict()
        self._pools: OrderedDict[Hashable, Pool] = OrderedDict()

    def find(self, read_by: str, divided_by: Hashable, sources: Sources, division: Division) -> Pool:
        """The pool of these settings: one that is there, or a new one over sources that are there, or over these.

        Args:
            read_by: every setting that reading and cleaning depend on, as text.
            divided_by: every setting that sealing and splitting depend on.
            sources: what to read where nothing of `read_by` is there.
            division: how to divide it.
        """
        sources = _latest(self._sources, read_by, sources, SOURCES)
        for key in [key for key, pool in self._pools.items() if pool.sources not in self._sources.values()]:
            del self._pools[key]  # it would hold what it was made of
        return _latest(self._pools, (read_by, divided_by), Pool(sources, division), POOLS)


def _latest(kept: OrderedDict[Hashable, Value], key: Hashable, new: Value, most: int) -> Value:
    """What is kept under a key, else the new one, which is kept; the key asked for longest ago goes."""
    value = kept.setdefault(key, new)
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
    return value


def source_of(role: Role) -> Source:
    """The source a role's samples come from: train, inner and val are views of the pool."""
    return role if role == "test" or role == "predict" else "pool"
