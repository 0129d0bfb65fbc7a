"""Splitters over sample tables: roles or folds by ratio, by columns, by files, or by a manifest."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from lightning_base.errors import ConfigError, DataError, one_line
from lightning_base.samples.payload import Rows
from lightning_base.samples.reading import texts
from lightning_base.splitters.base import TableSplitter, share
from lightning_base.splitters.clock import earlier
from lightning_base.splitters.manifest import TEMPORAL, TRAINS_AFTER, TRAITS_KEY, pairs_of, read_manifest

By = Literal["auto", "random", "group", "time"]


class Ratio(TableSplitter):
    """Train, validation and test by ratio: one fold.

    Args:
        val: share of the whole source that is held out for validation.
        test: share of the whole source that is sealed for testing; null leaves the test source to the data.
        by: "time" holds out the latest samples, "group" whole groups, "random" any; "auto" goes by time where the
            data has a `time`, by group where it has a `group`, else at random.
        stratify: keep the classes' shares in each part.

    Raises:
        UserError: for shares that leave nothing to train on.
    """

    def __init__(self, val: float = 0.1, test: float | None = None, by: By = "auto", stratify: bool = True) -> None:
        if val <= 0 or (test is not None and test <= 0) or val + (test or 0) >= 1:
            raise ConfigError(f"data.split: val {val} and test {test} must be positive and add up to less than 1")
        self.val, self.test, self.by, self.stratify = val, test, by, stratify

    def __repr__(self) -> str:
        return f"Ratio(val={self.val}, test={self.test}, by={self.by!r}, stratify={self.stratify})"

    def _by(self, table: pd.DataFrame) -> str:
        """What it goes by: "time", "group" or "random"."""
        if self.by != "auto":
            return self.by
        return "time" if "time" in table else "group" if "group" in table else "random"

    @property
    def seals(self) -> bool:
        """Whether it names test samples."""
        return self.test is not None

    def sealed(self, table: pd.DataFrame, seed: int) -> Rows:
        """(n,) int64 rows of the test share."""
        assert self.test is not None
        return share(table, self.test, self._by(table), self.stratify, seed, "data.split: the test share")

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        """(train, val) rows of the one fold."""
        size = self.val / (1 - (self.test or 0))
        val = share(table, size, self._by(table), self.stratify, seed, "data.split: the validation share")
        train = np.setdiff1d(np.arange(len(table)), val)
        return [(earlier(table, train, val) if self._by(table) == "time" else train, val)]

    def repeats(self, table: pd.DataFrame) -> list[int]:
        """The one fold's."""
        return [0]


class ByColumn(TableSplitter):
    """Roles as a column of the sample table names them: one fold.

    Args:
        column: the column; image folders with `val` beside `train` give it as `role`.
        train: its value for training samples.
        val: … for validation samples.
        test: … for sealed test samples; null where the test source is the data's. Other values are unused.
    """

    def __init__(self, column: str = "role", train: str = "train", val: str = "val", test: str | None = "test") -> None:
        self.column, self.train, self.val, self.test = column, train, val, test

    def __repr__(self) -> str:
        return f"ByColumn(column={self.column!r}, train={self.train!r}, val={self.val!r}, test={self.test!r})"

    def _rows(self, table: pd.DataFrame, value: str | None) -> Rows:
        """(n,) int64 rows with the value in the column."""
        if self.column not in table:
            raise ConfigError(
                f"data.split: the data has no column {self.column!r}, only {', '.join(table.columns)}; name one of them"
            )
        return np.flatnonzero(texts(table[self.column]) == texts([value])[0])

    @property
    def seals(self) -> bool:
        """Whether it names test samples."""
        return self.test is not None

    def sealed(self, table: pd.DataFrame, seed: int) -> Rows:
        """Rows whose value is `test`."""
        rows = self._rows(table, self.test)
        if len(rows) == 0:
            raise ConfigError(
                f"data.split: no sample has {self.column} = {self.test!r}; give test: null where none has"
            )
        return rows

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        """(train, val) rows of the one fold."""
        return [(self._rows(table, self.train), self._rows(table, self.val))]

    def repeats(self, table: pd.DataFrame) -> list[int]:
        """The one fold's."""
        return [0]


class FoldColumn(TableSplitter):
    """Folds as columns of the sample table name them: a sample is held out in the fold that its value names.

    Args:
        columns: a column, or one for each repeat; its values in order, of numbers or of text, are the folds.
        train: the value of samples that train in every fold.
    """

    def __init__(self, columns: str | list[str] = "fold", train: str | int = -1) -> None:
        self.columns, self.train = [columns] if isinstance(columns, str) else columns, str(train)

    def __repr__(self) -> str:
        return f"FoldColumn(columns={self.columns!r}, train={self.train!r})"

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        """(train, val) rows per value of each column."""
        return [pair for pairs in self._folds(table) for pair in pairs]

    def repeats(self, table: pd.DataFrame) -> list[int]:
        """A repeat per column."""
        return [repeat for repeat, pairs in enumerate(self._folds(table)) for _ in pairs]

    def _folds(self, table: pd.DataFrame) -> list[list[tuple[Rows, Rows]]]:
        """The folds of each column."""
        found = []
        for column in self.columns:
            if column not in table:
                known = ", ".join(table.columns)
                raise ConfigError(f"data.split: the data has no column {column!r}, only {known}; name one of them")
            if (gone := table[column].isna()).any():
                raise ConfigError(
                    f"data.split: sample {table['id'][gone].iloc[0]!r} has no {column!r}; give each a fold"
                )
            numbers = pd.to_numeric(table[column], errors="coerce")
            whole = bool((numbers % 1 == 0).all())
            values = (numbers.astype(np.int64) if whole else table[column].astype(str)).to_numpy()
            names = [name for name in np.unique(values) if str(name) != self.train]
            found.append([(np.flatnonzero(values != name), np.flatnonzero(values == name)) for name in names])
        return found


class ByFiles(TableSplitter):
    """Roles as text files list them, one id per line: one fold.

    Args:
        val: file with the ids of the validation samples.
        train: file with the ids of the training samples; null takes every sample that no other file lists.
        test: file with the ids of the sealed test samples; null leaves the test source to the data.
    """

    def __init__(self, val: str, train: str | None = None, test: str | None = None) -> None:
        self.val, self.train, self.test = val, train, test

    def __repr__(self) -> str:
        return f"ByFiles(val={self.val!r}, train={self.train!r}, test={self.test!r})"

    @staticmethod
    def _rows(table: pd.DataFrame, path: str) -> Rows:
        """(n,) int64 rows whose ids a file lists."""
        try:
            ids = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"data.split: {path} cannot be read ({one_line(error)}); give a file of ids") from error
        if unknown := sorted(set(ids) - set(table["id"])):
            raise ConfigError(f"data.split: {path} lists {unknown[0]!r}, which is no sample's id; mend the file")
        return np.flatnonzero(table["id"].isin(ids))

    @property
    def seals(self) -> bool:
        """Whether it names test samples."""
        return self.test is not None

    def sealed(self, table: pd.DataFrame, seed: int) -> Rows:
        """Rows that the file lists."""
        assert self.test is not None
        return self._rows(table, self.test)

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        """(train, val) rows of the one fold."""
        val = self._rows(table, self.val)
        train = np.setdiff1d(np.arange(len(table)), val) if self.train is None else self._rows(table, self.train)
        return [(train, val)]

    def repeats(self, table: pd.DataFrame) -> list[int]:
        """The one fold's."""
        return [0]


class Manifest(TableSplitter):
    """The folds and the sealed test samples of an earlier run's `split.parquet`, verified against its signature.

    Args:
        path: the file.
        same_content: also refuse data whose content has changed since.
    """

    def __init__(self, path: str, same_content: bool = True) -> None:
        self.path, self.same_content = path, same_content
        self.table, self.signed = read_manifest(Path(path))
        self.pairs = pairs_of(self.table)
        traits = self.signed[TRAITS_KEY].split()
        self.temporal, self.trains_after = TEMPORAL in traits, TRAINS_AFTER in traits

    def __repr__(self) -> str:
        return f"Manifest({self.signed['split_hash'][:12]})"

    @property
    def seals(self) -> bool:
        """Whether it names test samples."""
        return bool((self.table["role"] == "test").any())

    def _rows(self, table: pd.DataFrame, ids: pd.Series) -> Rows:
        """(n,) int64 rows of these ids, which must all be there."""
        rows = pd.Index(table["id"]).get_indexer(pd.Index(ids))
        if (rows < 0).any():
            missing = ids.to_numpy()[rows < 0]
            raise DataError(f"{self.path}: {len(missing)} of its samples are not in the data, first {missing[0]!r}")
        return np.sort(rows)

    def sealed(self, table: pd.DataFrame, seed: int) -> Rows:
        """Rows of the earlier run's test samples."""
        return self._rows(table, self.table.loc[self.table["role"] == "test", "id"])

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        """(train, val) rows of the earlier run's folds."""
        if self.same_content and fingerprint != self.signed["data_fingerprint"]:
            raise DataError(
                f"{self.path} was made on data {self.signed['data_fingerprint'][:12]}, this is {fingerprint[:12]}; "
                "give the same data and cleaning, or data.split.same_content: false to compare ids alone"
            )
        parts = self.table[self.table["role"] != "test"]
        found = []
        for _, part in parts.groupby("fold"):
            train, val = (self._rows(table, part.loc[part["role"] == role, "id"]) for role in ("train", "val"))
            found.append((train, val))
        return found

    def repeats(self, table: pd.DataFrame) -> list[int] | None:
        """As the manifest has them; None where it has none."""
        folds = self.table[self.table["role"] == "val"].drop_duplicates("fold").sort_values("fold")
        if "repeat" not in folds:
            return None
        return [
            int(repeat) for fold, repeat in zip(folds["fold"], folds["repeat"], strict=True) if fold not in self.pairs
        ]
