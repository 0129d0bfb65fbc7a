"""Texts: folders of .txt files, files with one text per line, or a column of a CSV or Parquet file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import ConfigError, DataError, NoSourceError, one_line
from lightning_base.preprocess import Preprocess, Vocabulary
from lightning_base.samples.payload import Ragged, content_hash
from lightning_base.samples.samples import Feature, findings_table
from lightning_base.sources.columns import row_id
from lightning_base.sources.csv_file import mend
from lightning_base.sources.form import NA_VALUES, PARQUET, Format
from lightning_base.sources.listing import list_files
from lightning_base.sources.records import Records

TABLES = (*PARQUET, ".csv", ".tsv")


@dataclass
class Corpus:
    """Texts as they are read: ids, texts, names of classes (None: none known), groups, and findings."""

    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    targets: list[str | None] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    findings: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, id_: str, text: str, target: str | None) -> None:
        """Takes a text."""
        self.ids.append(id_)
        self.texts.append(text)
        self.targets.append(target)


@dataclass(kw_only=True, eq=False)
class Text(BaseDataModule):
    """Texts as numbers of words (B, T) int64, padded with 0; 1 is a word that the training role does not know.

    Give either `path` or `files`. Words are what `token` matches, in lower case unless `lower` is false; texts that
    agree in them are duplicates. The vocabulary is fitted on the fold's training role.

    Args:
        path: a folder with one subfolder of .txt files per class (or such folders `train` and `test` in it), or a CSV
            (.csv, .tsv) or Parquet file.
        files: one file per class, with one text per line: {neg: a.txt, pos: b.txt}.
        text: the column of texts, where the path is a table.
        target: … of class names.
        ids: … of unique names for the rows; by default their numbers.
        group: … whose equal values must stay on one side of a split.
        class_names: the classes in the order of their numbers; by default those found, in alphabetical order.
        test_path: what `path` is, with sealed test texts.
        test_files: what `files` is, with sealed test texts.
        predict: a folder of .txt files, a file with one text per line, or a table, which `predict` reads.
        separator: between the fields of a CSV; "whitespace" for runs of it; by default the most frequent of tab, comma,
            semicolon and bar in the first line.
        encoding: of the files.
        lower: take capital letters as small ones.
        token: the regular expression of a word.
        max_words: the vocabulary's most words, the numbers 0 and 1 included.
        min_count: words rarer than this in the training role are unknown.
        max_length: texts are cut after so many words.

    Raises:
        UserError: for a file or column that is not there, a pattern that is none, or no test texts.
    """

    path: str | None = None
    files: dict[str, str] | None = None
    text: str = "text"
    target: str = "target"
    ids: str | None = None
    group: str | None = None
    class_names: list[str] | None = None
    test_path: str | None = None
    test_files: dict[str, str] | None = None
    predict: str | None = None
    separator: str | None = None
    encoding: str = "utf-8"
    lower: bool = True
    token: str = r"\w+(?:'\w+)*|[^\w\s]"
    max_words: int = 20_000
    min_count: int = 1
    max_length: int | None = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.path is None) == (self.files is None):
            raise ConfigError("data.path: give either data.path or data.files (a file for each class)")
        try:
            self._token = re.compile(self.token)
        except re.error as error:
            raise ConfigError(f"data.token: {self.token!r} is no regular expression ({error})") from error
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise ConfigError(
                f"data.encoding: {self.encoding!r} is not an encoding; give e.g. utf-8 or latin-1"
            ) from error

    def make_preprocess(self) -> Preprocess:
        """A vocabulary of the training role's words."""
        return Vocabulary(self.max_words, self.min_count, self.max_length)

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        if self.test_files is not None:
            return "data.test_files"
        if self.test_path is not None:
            return f"data.test_path ({self.test_path})"
        return None if (part := self._part("test")) is None else f"{part}"

    def dataset(self, source: Source) -> Samples:
        """The texts of a source as codes of words: Ragged int32."""
        path, files = {
            "pool": (self._part("train") or self.path, self.files),
            "test": (self.test_path or self._part("test"), self.test_files),
            "predict": (self.predict, None),
        }[source]
        if path is None and files is None:
            if source == "predict":
                raise NoSourceError("data.predict: not given; name a folder or file of texts")
            raise NoSourceError(
                "data: no test texts; seal a share with data.test_size, e.g. 0.2, or give data.test_path or test_files"
            )
        corpus, key = Corpus(), {"pool": "data.path", "test": "data.test_path", "predict": "data.predict"}[source]
        if files is not None:
            for name, file in files.items():
                self._lines(corpus, Path(file), f"data.{'test_' if source == 'test' else ''}files.{name}", name)
        else:
            assert path is not None
            self._path(corpus, Path(path), key, source)
        origin = path or ", ".join((files or {}).values())
        classes: Sequence[str] = ()
        if source != "predict":
            found = sorted({*(files or ()), *(name for name in corpus.targets if name is not None)})
            classes = self.classes if source == "test" else self.class_names or found
        return self._samples_of(corpus, tuple(classes), origin)

    def _part(self, name: str) -> str | None:
        """The folder `train` or `test` in the path, where it has both a folder `train` and that one."""
        if self.path is None or not (Path(self.path) / "train").is_dir():
            return None
        return str(Path(self.path) / name) if (Path(self.path) / name).is_dir() else None

    def _path(self, corpus: Corpus, path: Path, key: str, source: Source) -> None:
        """Takes the texts of a folder, a table or, to predict, a file of lines."""
        if path.is_dir():
            self._folder(corpus, path, classes=source != "predict")
        elif path.suffix.lower() in TABLES:
            self._records(corpus, path, key, with_target=source != "predict")
        elif source == "predict":
            self._lines(corpus, path, key, None)
        else:
            raise DataError(f"{key}: {path} is neither a folder nor a table ({', '.join(TABLES)}); mend the path")

    def _decode(self, corpus: Corpus, raw: bytes, id_: str, place: str) -> str | None:
        """The text, or None and a finding."""
        try:
            return raw.decode(self.encoding)
        except UnicodeDecodeError as error:
            where = f"{place} has byte 0x{raw[error.start]:02x} at column {error.start + 1}"
            corpus.findings.append((id_, "encoding", f"{where}, {mend(self.encoding)}"))
            return None

    def _lines(self, corpus: Corpus, path: Path, key: str, target: str | None) -> None:
        """Takes one text per line; ids are the class and the line's number from 1."""
        try:
            lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
        except OSError as error:
            raise DataError(
                f"{key}: {path} cannot be read ({error.strerror}); put it there or mend the path"
            ) from error
        for number, line in enumerate(lines, start=1):
            id_ = ("" if target is None else f"{target}/") + row_id(number, len(lines) + 1)
            if (text := self._decode(corpus, line, id_, f"{path} line {number}")) is not None:
                corpus.add(id_, text, target)

    def _folder(self, corpus: Corpus, root: Path, classes: bool) -> None:
        """Takes one text per file; ids are paths from the root."""
        found, findings = list_files(root, (".txt",))
        corpus.findings += findings.itertuples(index=False, name=None)
        for name in found["name"]:
            if classes and "/" not in name:
                raise DataError(f"{root / name}: it is in no class's folder; move it into one")
            try:
                raw = (root / name).read_bytes()
            except OSError as error:
                corpus.findings.append((name, "unreadable", one_line(error.strerror)))
                continue
            parts = raw.split(b"\n")
            for number, line in enumerate(parts, start=1):
                if self._decode(corpus, line, name, f"line {number}") is None:
                    break
            else:
                corpus.add(name, raw.decode(self.encoding), name.split("/")[0] if classes else None)

    def _records(self, corpus: Corpus, path: Path, key: str, with_target: bool) -> None:
        """Takes one text per record."""
        records = Records(Format(path, self.separator, True, self.encoding, NA_VALUES, key))
        target, group = (self.target, self.group) if with_target else (None, None)
        for name, argument in ((self.text, "text"), (target, "target"), (self.ids, "ids"), (group, "group")):
            records.require([name], f"data.{argument}")
        wanted = list(dict.fromkeys(n for n in (self.text, target, self.ids, group) if n is not None))
        for chunk in records.chunks(wanted):
            for i, text in enumerate(chunk.columns[self.text]):
                id_ = chunk.columns[self.ids][i] if self.ids else f"{len(corpus.ids):08d}"
                corpus.add(id_, text or "", None if target is None else chunk.columns[target][i])
                if group is not None:
                    if chunk.columns[group][i] is None:
                        raise DataError(
                            f"{path}: line {chunk.lines[i]} has no {group!r} (data.group); give every row one"
                        )
                    corpus.groups.append(chunk.columns[group][i])
        corpus.findings += records.findings

    def _samples_of(self, corpus: Corpus, classes: tuple[str, ...], origin: str) -> Samples:
        """The corpus as codes of words; texts without a word are findings and no samples."""
        tokens = [self._token.findall(text.lower() if self.lower else text) for text in corpus.texts]
        keep = [i for i, words in enumerate(tokens) if words]
        findings = corpus.findings + [
            (id_, "empty", "it has no words") for id_, words in zip(corpus.ids, tokens, strict=True) if not words
        ]
        words = sorted({word for text in tokens for word in text})
        number = {word: code for code, word in enumerate(words)}
        codes = [np.array([number[word] for word in tokens[i]], dtype=np.int32) for i in keep]
        hashes = [content_hash("\n".join(tokens[i]).encode(errors="surrogatepass")) for i in keep]
        columns: dict[str, Any] = {"id": [corpus.ids[i] for i in keep]}
        if classes:
            place = {name: c for c, name in enumerate(classes)}
            columns["target"] = np.array([place.get(corpus.targets[i] or "", -1) for i in keep], dtype=np.int64)
            for id_, i, target in zip(columns["id"], keep, columns["target"], strict=True):
                if target < 0:
                    known = f"none of the classes {', '.join(classes[:10])}"
                    findings.append((id_, "target", f"target {corpus.targets[i] or 'missing'}: {known}"))
        if corpus.groups:
            columns["group"] = [corpus.groups[i] for i in keep]
        return Samples(
            inputs=Ragged.of(codes, np.zeros(0, dtype=np.int32)),
            table=pd.DataFrame(columns),
            classes=classes,
            origin=origin,
            features=(Feature("text", tuple(words)),),
            findings=findings_table(findings),
            hashes=np.array(hashes, dtype=np.uint64),
        )
