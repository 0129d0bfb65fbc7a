"""Joined: several inputs per sample, each read by a data module of its own, and joined by the samples' ids."""

import copy
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from lightning_base import preprocess
from lightning_base.clean.cleaning import COLUMN_KINDS
from lightning_base.clean.findings import column_name
from lightning_base.data import BaseDataModule, Part, Samples, Several, Source
from lightning_base.data.pool import Pool
from lightning_base.errors import ConfigError, DataError, NoSourceError
from lightning_base.preprocess import Preprocess
from lightning_base.runtime.readers import Reader
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import findings_table
from lightning_base.samples.several import joint_content
from lightning_base.sources.form import PARQUET

OF_PARTS = ("fetch", "normalize")  # of BaseDataModule's settings; the others are those of the whole
CHOSEN = ("target", "group", "time")
FOLLOWS = {"time_end": "time"}


@dataclass(kw_only=True, eq=False)
class Joined(BaseDataModule):
    """Samples of several inputs by name, such as an image and the columns of a table.

    Each part is a data module of its own: it reads its files, and its preprocessing is fitted on the training role
    alone. Samples are joined by their ids, which must be the same, character by character: `ids` of a table, the paths
    of files from their folder on. An id that a part lacks is a finding `unmatched`, none is left out in silence.
    Findings of parts are acted on by `clean` of the whole, in which a column is called `<part>.<column>`; ops of
    `augment` are `lightning_base.augment.Of` with a part's name. Networks take the inputs as keywords.

    Args:
        parts: by the inputs' names, which networks take as keywords, a data module each. What is true of the whole
            (split, test_size, clean, augment, batch_size, …) is given here, and not in parts.
        target: the part that has what is to be predicted; by default the only one that has a target.
        group: … what must stay on one side of a split; likewise.
        time: … when a sample was, beyond which a split must not train; likewise.
        predict: by part the files or folder that `predict` reads, in place of the parts' own `predict`.

    Raises:
        UserError: for no parts, a name that is no part's, a setting of the whole in a part, parts of which several have
            a target, group or time and none is named, or that have no id in common.
    """

    parts: dict[str, BaseDataModule]
    target: str | None = None
    group: str | None = None
    time: str | None = None
    predict: dict[str, str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parts:
            raise ConfigError("data.parts: none are given; name one data module at least, e.g. image and table")
        if self.normalize != "standard":
            raise ConfigError(f"data.normalize: {self.normalize} is for one input; give it in data.parts")
        for name, part in self.parts.items():
            if not name.isidentifier() or name.endswith("lengths"):
                raise ConfigError(f"data.parts: {name!r} is no name of an input; networks take it as a keyword")
            _demand_part(name, part)
        named = [(key, getattr(self, key)) for key in CHOSEN] + [("predict", name) for name in self.predict or {}]
        for key, one in named:
            if one is not None and one not in self.parts:
                raise ConfigError(f"data.{key}: {one!r} is none of the parts {', '.join(self.parts)}; name one")
        self.parts = {name: copy.copy(part) for name, part in self.parts.items()}
        for name, path in (self.predict or {}).items():
            if not hasattr(self.parts[name], "predict"):
                raise ConfigError(f"data.predict: {type(self.parts[name]).__name__} of {name!r} reads no {path}")
            self.parts[name].predict = path  # type: ignore[attr-defined]
        self._read: dict[str, Samples] = {}

    def prepare_data(self) -> None:
        """Fetches what the whole and the parts declare."""
        super().prepare_data()
        for part in self.parts.values():
            part.fetches = self.fetches
            part.prepare_data()

    def make_preprocess(self) -> Preprocess:
        """The parts' own, each for its input."""
        return preprocess.Several({name: part.make_preprocess() for name, part in self.parts.items()})

    def make_target_preprocess(self) -> Preprocess | None:
        """That of the part that has the target."""
        if self.target is not None:
            return self.parts[self.target].make_target_preprocess()
        made = [part.make_target_preprocess() for part in self.parts.values()]
        return next((one for one in made if one is not None), None)

    def readers(self) -> dict[str, Reader]:
        """What reads each part, as the part itself would."""
        self._hold_pool()
        assert isinstance(self.preprocess, preprocess.Several)
        found = {}
        for name, part in self.parts.items():
            part.__dict__["preprocess"] = self.preprocess.parts[name]
            part.__dict__["rows"] = lambda role: self.rows(role)
            (found[name],) = part.readers().values()
        return found

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        return next((own for part in self.parts.values() if (own := part.own_test()) is not None), None)

    def dataset(self, source: Source) -> Samples:
        """The samples of a source that all parts have, in the order of the first one."""
        if source != "pool":
            self._hold_pool()
        lacking, read = dict[str, str](), dict[str, Samples]()
        for name, part in self.parts.items():
            try:
                read[name] = part.dataset(source)
            except NoSourceError as error:
                lacking[name] = str(error)
            except (ConfigError, DataError) as error:
                raise type(error)(re.sub(r"^data\.", f"data.parts.{name}.", str(error))) from error
        if not read:
            raise NoSourceError("; ".join(f"data.parts.{name}: {why}" for name, why in lacking.items()))
        if lacking:
            name, why = next(iter(lacking.items()))
            raise DataError(f"data.parts.{name}: {why}; the part {next(iter(read))} has {source} samples")
        if source == "pool":
            self._read = read
        return self._joined(read, source)

    def _hold_pool(self) -> None:
        """Lets parts read other sources by the columns and classes that the pool is left with."""
        whole = self.samples("pool")
        read = self._read or {name: part.dataset("pool") for name, part in self.parts.items()}
        ids = pd.Index(whole.table["id"])
        for name, part in self.parts.items():
            one = whole.part(name)
            held = read[name].take(_rows_of(read[name], ids))
            held = replace(held, inputs=one.inputs, features=one.features, hashes=None)
            part._classes = None
            part.pool = Pool.of({"pool": held}, None, part.pool)

    def _joined(self, read: Mapping[str, Samples], source: Source) -> Samples:
        """The samples that all parts have, with what each part found."""
        ids, unmatched = _common(read)
        taken = {name: samples.take(_rows_of(samples, ids)) for name, samples in read.items()}
        holder = {key: self._holder(key, read, source) for key in CHOSEN}
        table = pd.DataFrame({"id": ids})
        for name, samples in taken.items():
            for column in samples.table.columns.drop("id"):
                if (key := FOLLOWS.get(column, column)) in CHOSEN and holder[key] != name:
                    continue
                if column in table:
                    raise DataError(
                        f"data.parts: {name} and another part have {column!r}; leave it out of all parts but one"
                    )
                table[column] = samples.table[column].to_numpy()
        of = taken[holder["target"]] if holder["target"] is not None else None
        parts = {
            name: Part(samples.inputs, samples.features, samples.white, samples.schema)
            for name, samples in taken.items()
        }
        found = [_said(name, samples, name == holder["target"]) for name, samples in read.items()]
        return Samples(
            Several(parts),
            table,
            () if of is None else of.classes,
            ", ".join(samples.origin for samples in read.values()),
            targets=None if of is None else of.targets,
            findings=pd.concat([*found, unmatched], ignore_index=True),
            hashes=joint_content({name: samples.content for name, samples in taken.items()}),
        )

    def _holder(self, key: str, read: Mapping[str, Samples], source: Source) -> str | None:
        """The part that has the target, the group or the time; None where none has it.

        Raises:
            DataError: where the part that is named has none, or several have it and none is named.
        """
        having = [
            name
            for name, samples in read.items()
            if key in samples.table or (key == "target" and samples.targets is not None)
        ]
        named: str | None = getattr(self, key)
        if named is not None and named not in having:
            if source == "predict":
                return None
            raise DataError(f"data.{key}: the part {named} ({read[named].origin}) has no {key}; name one that has it")
        if named is None and len(having) > 1:
            raise DataError(f"data.{key}: the parts {', '.join(having)} have a {key} each; say which one counts")
        return named or next(iter(having), None)


def _demand_part(name: str, part: BaseDataModule) -> None:
    """Refuses settings of a part that would count for nothing, and ids that are places in a file.

    Raises:
        ConfigError: naming the setting.
    """
    if isinstance(part, Joined):
        raise ConfigError(f"data.parts.{name}: is Joined itself; give its parts here")
    of_whole = {one.name for one in fields(BaseDataModule)} - {*OF_PARTS}
    for one in (one for one in fields(part) if one.name in of_whole):
        default = one.default if one.default_factory is MISSING else one.default_factory()
        if (given := getattr(part, one.name)) != default and (given or default):
            raise ConfigError(
                f"data.parts.{name}.{one.name}: is a setting of the whole; give it as data.{one.name}"
                + (f", with {name}.COLUMN as a column's name" if one.name == "clean" else "")
            )
    path: Any = getattr(part, "path", None)
    if hasattr(part, "ids") and part.ids is None and not (isinstance(path, str) and path.endswith(PARQUET)):
        raise ConfigError(
            f"data.parts.{name}.ids: not given, so that rows would be joined by their numbers; name the column of ids"
        )


def _common(read: Mapping[str, Samples]) -> tuple[Any, pd.DataFrame]:
    """(N,) ids that all parts have, in the first one's order, and a finding for each that some lack.

    An id that a part lacks because of something it has found of it, such as a damaged file, is not found twice.

    Raises:
        DataError: where they have none in common.
    """
    ids = {name: pd.Index(samples.table["id"].to_numpy(dtype=object)) for name, samples in read.items()}
    common = next(iter(ids.values()))
    for one in ids.values():
        common = common[common.isin(one)]
    if not len(common):
        said = ", ".join(f"{one[0]!r} of {name}" for name, one in ids.items())
        raise DataError(
            f"data.parts: no id is in all parts, whose first are {said}; they must be the same, character by character"
        )
    found = list[tuple[str, str, str]]()
    told = {
        name: set(samples.findings["id"][~samples.findings["kind"].isin(COLUMN_KINDS)])
        for name, samples in read.items()
    }
    every = pd.Index(np.concatenate([one.to_numpy() for one in ids.values()])).unique()
    for id_ in every.difference(common, sort=False):
        without = [name for name, one in ids.items() if id_ not in one]
        if not any(id_ in told[name] for name in without):
            having = [name for name in ids if name not in without]
            found.append((id_, "unmatched", f"is in {', '.join(having)}, and not in {', '.join(without)}"))
    return common.to_numpy(), findings_table(found)


def _rows_of(samples: Samples, ids: Any) -> Rows:
    """(N,) int64 rows of these ids."""
    rows: Rows = pd.Index(samples.table["id"].to_numpy(dtype=object)).get_indexer(ids).astype(np.int64)
    return rows


def _said(name: str, samples: Samples, has_target: bool) -> pd.DataFrame:
    """A part's findings, which name it, and columns by it; without those of targets that count for nothing."""
    found = samples.findings
    if not has_target:
        found = found[(found["kind"] != "target") | ~found["id"].isin(samples.table["id"])]
    named = [
        column_name(name, id_) if kind in COLUMN_KINDS else id_
        for id_, kind in zip(found["id"], found["kind"], strict=True)
    ]
    return findings_table([*zip(named, found["kind"], [f"{name}: {one}" for one in found["detail"]], strict=True)])
