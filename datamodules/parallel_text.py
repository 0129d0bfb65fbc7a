"""Parallel texts: pairs of a source and a target text, from two files of lines or two columns of a table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source, Targets, text_values
from lightning_base.errors import ConfigError, DataError, NoSourceError, near_file
from lightning_base.preprocess import Preprocess, Tokenizer
from lightning_base.preprocess.tokenizer import Model
from lightning_base.runtime.readers import Reader, TextReader
from lightning_base.samples.samples import findings_table
from lightning_base.sources.columns import row_id
from lightning_base.sources.form import EXCEL, JSON_LINES, NA_VALUES, PARQUET, Format
from lightning_base.sources.records import Records
from lightning_base.sources.text_files import Line, decode_lines, read_bytes

TABLES = (*PARQUET, *EXCEL, *JSON_LINES, ".csv", ".tsv")


@dataclass
class Pairs:
    """Pairs as they are read: ids, both texts (targets are none to predict), groups, and findings."""

    ids: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    findings: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, id_: str, source: str, target: str | None) -> bool:
        """Takes a pair; one whose source or target is blank is a finding."""
        for what, text in (("source", source), ("target", target)):
            if text is not None and not text.strip():
                self.findings.append((id_, "empty", f"its {what} has no text"))
                return False
        self.ids.append(id_)
        self.sources.append(source)
        self.targets += [] if target is None else [target]
        return True

    def samples(self, origin: str) -> Samples:
        """The pairs as texts: Ragged uint8 of their UTF-8 bytes."""
        columns: dict[str, Any] = {"id": self.ids}
        if self.groups:
            columns["group"] = self.groups
        return Samples(
            text_values(self.sources),
            pd.DataFrame(columns),
            targets=Targets(text_values(self.targets), "sequence") if self.targets else None,
            origin=origin,
            findings=findings_table(self.findings),
        )


@dataclass(kw_only=True, eq=False)
class ParallelText(BaseDataModule):
    """Source texts as token numbers (B, S) int64, padded with 0, and target texts as sequences of tokens.

    Give two files with one text per line, the lines of both being pairs, or a table. Each side has a tokenizer of its
    own, fitted on the training role. Long sources are cut, and how many is said; targets are not, so that what is
    scored is whole. A pair that lacks a side is a finding.

    Args:
        source_file: a file of source texts, packed by gzip or not.
        target_file: … of their targets.
        path: a table (CSV, Parquet, Excel, JSON lines) with both, in place of files.
        source: the table's column of source texts.
        target: … of target texts.
        ids: … of unique names for the rows; by default their numbers, as of lines.
        group: … whose equal values must stay on one side of a split.
        test_source_file: what `source_file` is, with sealed test texts.
        test_target_file: … of their targets.
        test_path: what `path` is, with sealed test texts.
        predict: a file of source texts, or a table with a column of them, which `predict` reads.
        separator: between the fields of a CSV; by default the most frequent of tab, comma, semicolon and bar.
        encoding: of files without a byte-order mark.
        model: what makes tokens, as `lightning_base.preprocess.Tokenizer` has it.
        source_size: most tokens of the source's vocabulary, four special ones included.
        target_size: … of the target's.
        lower: take capital letters as small ones, in tokens; scores are of the targets as they stand.
        min_count: what is rarer than this in the training role makes no token.
        max_length: sources are cut after so many tokens.

    Raises:
        UserError: for files that are not there or have unequal numbers of lines, a column that is not there, or an id
            that is missing or there twice.
    """

    source_file: str | None = None
    target_file: str | None = None
    path: str | None = None
    source: str = "source"
    target: str = "target"
    ids: str | None = None
    group: str | None = None
    test_source_file: str | None = None
    test_target_file: str | None = None
    test_path: str | None = None
    predict: str | None = None
    separator: str | None = None
    encoding: str = "utf-8"
    model: Model = "bpe"
    source_size: int = 8000
    target_size: int = 8000
    lower: bool = False
    min_count: int = 1
    max_length: int | None = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("", "test_"):
            files = [getattr(self, f"{name}{side}_file") for side in ("source", "target")]
            if (files[0] is None) != (files[1] is None):
                raise ConfigError(f"data.{name}source_file: give both {name}source_file and {name}target_file, or none")
            if files[0] is not None and getattr(self, f"{name}path") is not None:
                raise ConfigError(f"data.{name}path: give either it or {name}source_file and {name}target_file")
        if self.path is None and self.source_file is None:
            raise ConfigError("data.path: give a table (data.path), or data.source_file and data.target_file")
        self.make_preprocess()
        self.make_target_preprocess()

    def make_preprocess(self) -> Preprocess:
        """A tokenizer of the training role's sources."""
        return Tokenizer(self.model, self.source_size, self.lower, self.min_count, longest=self.max_length)

    def make_target_preprocess(self) -> Preprocess:
        """A tokenizer of the training role's targets."""
        return Tokenizer(self.model, self.target_size, self.lower, self.min_count)

    def readers(self) -> dict[str, Reader]:
        """Texts."""
        return {"text": TextReader()}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        given = ("test_source_file", "test_path")
        return next((f"data.{name}" for name in given if getattr(self, name) is not None), None)

    def dataset(self, source: Source) -> Samples:
        """The pairs of a source; the source texts to predict."""
        pairs = Pairs()
        if source == "predict":
            if self.predict is None:
                raise NoSourceError("there are no texts to predict; name a file with data.predict")
            if Format(Path(self.predict)).suffix in TABLES:
                self._records(pairs, self.predict, "data.predict", with_target=False)
            else:
                self._lines(pairs, self.predict, None, "data.predict", "")
            return pairs.samples(self.predict)
        name = "" if source == "pool" else "test_"
        first, second, path = (getattr(self, f"{name}{one}") for one in ("source_file", "target_file", "path"))
        if first is not None:
            self._lines(pairs, first, second, f"data.{name}source_file", f"data.{name}target_file")
        elif path is not None:
            self._records(pairs, path, f"data.{name}path", with_target=True)
        else:
            raise NoSourceError("there are no test texts; give data.test_source_file and data.test_target_file")
        return pairs.samples(first or path)

    def _lines(self, pairs: Pairs, first: str, second: str | None, key: str, second_key: str) -> None:
        """Takes the lines of one file, or of two side by side; ids are their numbers from 1."""
        sources = self._read(first, key)
        targets: list[Line | None] = [None] * len(sources) if second is None else [*self._read(second, second_key)]
        if len(targets) != len(sources):
            raise DataError(
                f"{second_key}: {second} has {len(targets)} lines and {first} {len(sources)}; line by line they must "
                "be pairs"
            )
        for number, (source, target) in enumerate(zip(sources, targets, strict=True), start=1):
            id_ = row_id(number, len(sources) + 1)
            wrong = [f"{path} {one.wrong}" for path, one in ((first, source), (second, target)) if one and one.wrong]
            if wrong:
                pairs.findings.append((id_, "encoding", wrong[0]))
            else:
                pairs.add(id_, source.text or "", None if target is None else target.text or "")

    def _read(self, path: str, key: str) -> list[Line]:
        """The lines of a file."""
        try:
            return decode_lines(read_bytes(Path(path)), self.encoding)
        except OSError as error:
            mend = near_file(path) or "; put it there or mend the path"
            raise DataError(f"{key}: {path} cannot be read ({error.strerror}){mend}") from error
        except ValueError as error:
            raise DataError(f"{key}: {path}: {error}") from error
        except LookupError as error:
            raise ConfigError(
                f"data.encoding: {self.encoding!r} is not an encoding; give e.g. utf-8 or latin-1"
            ) from error

    def _records(self, pairs: Pairs, path: str, key: str, with_target: bool) -> None:
        """Takes the rows of a table."""
        records = Records(Format(Path(path), self.separator, True, self.encoding, NA_VALUES, key))
        target, group = (self.target, self.group) if with_target else (None, None)
        for name, argument in ((self.source, "source"), (target, "target"), (self.ids, "ids"), (group, "group")):
            records.require([name], f"data.{argument}")
        wanted = list(dict.fromkeys(n for n in (self.source, target, self.ids, group) if n is not None))
        seen, count = dict[str, int](), 0
        for chunk in records.chunks(wanted):
            for i, line in enumerate(chunk.lines.tolist()):
                id_, count = f"{count:08d}", count + 1
                if self.ids is not None:
                    id_ = _named(path, self.ids, chunk.columns[self.ids][i], line, seen)
                own = None if target is None else chunk.columns[target][i] or ""
                if not pairs.add(id_, chunk.columns[self.source][i] or "", own) or group is None:
                    continue
                if chunk.columns[group][i] is None:
                    raise DataError(f"{path}: line {line} has no {group!r} (data.group); give every row one")
                pairs.groups.append(chunk.columns[group][i])
        pairs.findings += records.findings


def _named(path: str, column: str, id_: str | None, line: int, seen: dict[str, int]) -> str:
    """The id of a line, which must be there, and there alone."""
    if id_ is None:
        raise DataError(f"{path}: line {line} has no {column!r} (data.ids); give every row one")
    if seen.setdefault(id_, line) != line:
        raise DataError(
            f"{path}: lines {seen[id_]} and {line} have the same {column!r}, {id_!r} (data.ids); give every row its own"
        )
    return id_
