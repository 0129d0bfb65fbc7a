"""Texts: folders of text files, files with one text per line, or a column of a CSV or Parquet file."""

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
from lightning_base.samples.reading import texts
from lightning_base.samples.samples import Feature, findings_table
from lightning_base.sources.class_folders import (
    Listed,
    by_folder,
    demand_left,
    list_all,
    list_pool,
    list_test,
    silent_folders,
    test_folder,
)
from lightning_base.sources.columns import row_id, spelt
from lightning_base.sources.form import EXCEL, JSON_LINES, NA_VALUES, PARQUET, Format
from lightning_base.sources.records import Records
from lightning_base.sources.text_files import SUFFIXES, decode, decode_lines, read_bytes

TABLES = (*PARQUET, *EXCEL, *JSON_LINES, ".csv", ".tsv")
KEYS = {"pool": "data.path", "test": "data.test_path", "predict": "data.predict"}


@dataclass
class Corpus:
    """Texts as they are read: ids, texts, names of classes (None: none known), groups, roles, and findings."""

    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    targets: list[str | None] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
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

    Text files end in .txt or .text, or these and .gz; folders' other files are findings. A file is decoded as a whole,
    by its byte-order mark where it has one, else by `encoding`. Lines end at a line feed, a carriage return, or both,
    and nowhere else. A line that is not in the encoding is a finding; where lines cannot be told apart in bytes, as in
    UTF-16, the file is refused. A file that is one text is a finding as a whole.

    Args:
        path: a folder with one subfolder of text files per class (or such folders `train`, `val` and `test` in it;
            train and val, by `role`, are the pool), or a CSV (.csv, .tsv) or Parquet file.
        files: one file per class, with one text per line: {neg: a.txt, pos: b.txt}.
        text: the column of texts, where the path is a table.
        target: … of class names.
        ids: … of unique names for the rows; by default their numbers.
        group: … whose equal values must stay on one side of a split.
        class_names: the classes in the order of their numbers; by default those found, in alphabetical order.
        test_path: what `path` is, with sealed test texts.
        test_files: what `files` is, with sealed test texts.
        predict: a folder of text files, in folders or not, a file with one text per line, or a table, which `predict`
            reads.
        separator: between the fields of a CSV; "whitespace" for runs of it; by default the most frequent of tab, comma,
            semicolon and bar in the first line.
        encoding: of the files that have no byte-order mark.
        lower: take capital letters as small ones.
        token: the regular expression of a word.
        max_words: the vocabulary's most words, the numbers 0 and 1 included.
        min_count: words rarer than this in the training role are unknown.
        max_length: texts are cut after so many words.

    Raises:
        UserError: for a file or column that is not there, a class none of whose files can be read, an id that is
            missing or there twice, a pattern that is none, or no test texts.
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
        except (LookupError, UnicodeError) as error:
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
        return None if self.path is None else test_folder(Path(self.path))

    def dataset(self, source: Source) -> Samples:
        """The texts of a source as codes of words: Ragged int32."""
        corpus, key = Corpus(), KEYS[source]
        path = {"pool": self.path, "test": self.test_path, "predict": self.predict}[source]
        files = {"pool": self.files, "test": self.test_files, "predict": None}[source]
        if files is not None:
            for name, file in files.items():
                self._lines(corpus, Path(file), f"data.{'test_' if source == 'test' else ''}files.{name}", name)
            origin = ", ".join(files.values())
        elif path is not None:
            origin = self._path(corpus, Path(path), key, source)
        elif source == "test" and self.path and (listed := list_test(Path(self.path), SUFFIXES, "data.path")):
            origin = self._folder(corpus, listed, source)
        elif source == "predict":
            raise NoSourceError("data.predict: not given; name a folder or file of texts")
        else:
            raise NoSourceError(
                "data: no test texts; seal a share with data.test_size, e.g. 0.2, or give data.test_path or test_files"
            )
        classes: Sequence[str] = ()
        if source != "predict":
            found = sorted({*(files or ()), *(name for name in corpus.targets if name is not None)})
            classes = self.classes if source == "test" else self.class_names or found
        return self._samples_of(corpus, tuple(classes), origin)

    def _path(self, corpus: Corpus, path: Path, key: str, source: Source) -> str:
        """Takes the texts of a folder, a table or, to predict, a file of lines; what messages name."""
        if path.is_dir():
            return self._folder(corpus, (list_pool if source == "pool" else list_all)(path, SUFFIXES, key), source)
        if Format(path).suffix in TABLES:
            self._records(corpus, path, key, with_target=source != "predict")
        elif source == "predict":
            self._lines(corpus, path, key, None)
        else:
            raise DataError(f"{key}: {path} is neither a folder nor a table ({', '.join(TABLES)}); mend the path")
        return str(path)

    def _lines(self, corpus: Corpus, path: Path, key: str, target: str | None) -> None:
        """Takes one text per line; ids are the class and the line's number from 1."""
        try:
            lines = decode_lines(read_bytes(path), self.encoding)
        except OSError as error:
            raise DataError(
                f"{key}: {path} cannot be read ({error.strerror}); put it there or mend the path"
            ) from error
        except ValueError as error:
            raise DataError(f"{key}: {path}: {error}") from error
        for number, (text, wrong) in enumerate(lines, start=1):
            id_ = ("" if target is None else f"{target}/") + row_id(number, len(lines) + 1)
            if text is None:
                corpus.findings.append((id_, "encoding", f"{path} {wrong}"))
            else:
                corpus.add(id_, text, target)

    def _folder(self, corpus: Corpus, listed: Listed, source: Source) -> str:
        """Takes one text per file; ids are paths. The folder that they start from."""
        corpus.findings += listed.findings.itertuples(index=False, name=None)
        names = list(listed.files["name"])
        targets: list[str | None] = [None] * len(names)
        if source != "predict":
            targets = [*by_folder(listed, "")]
            corpus.findings += silent_folders(listed, SUFFIXES).itertuples(index=False, name=None)
        wrong: dict[str, str] = {}
        for name, target in zip(names, targets, strict=True):
            kind = "unreadable"
            try:
                raw = read_bytes(listed.folder / name)
                kind = "encoding"
                corpus.add(name, decode(raw, self.encoding), target)
            except (OSError, ValueError) as error:
                wrong[name] = one_line(error.strerror if isinstance(error, OSError) else error)
                corpus.findings.append((name, kind, wrong[name]))
        if source == "pool":
            classes = [target for target in targets if target is not None]
            demand_left(names, classes, {name for name in corpus.targets if name is not None}, wrong.__getitem__)
        corpus.roles = listed.roles(corpus.ids) or []
        return str(listed.folder)

    def _records(self, corpus: Corpus, path: Path, key: str, with_target: bool) -> None:
        """Takes one text per record."""
        records = Records(Format(path, self.separator, True, self.encoding, NA_VALUES, key))
        target, group = (self.target, self.group) if with_target else (None, None)
        for name, argument in ((self.text, "text"), (target, "target"), (self.ids, "ids"), (group, "group")):
            records.require([name], f"data.{argument}")
        wanted = list(dict.fromkeys(n for n in (self.text, target, self.ids, group) if n is not None))
        seen: dict[str, int] = {}
        for chunk in records.chunks(wanted):
            targets = None if target is None else spelt(chunk.columns[target])
            ids = None if self.ids is None else texts(chunk.columns[self.ids])
            for i, text in enumerate(chunk.columns[self.text]):
                id_ = f"{len(corpus.ids):08d}"
                if ids is not None:
                    id_ = self._named(path, ids[i], int(chunk.lines[i]), seen)
                corpus.add(id_, text or "", None if targets is None else targets[i])
                if group is not None:
                    if chunk.columns[group][i] is None:
                        raise DataError(
                            f"{path}: line {chunk.lines[i]} has no {group!r} (data.group); give every row one"
                        )
                    corpus.groups.append(chunk.columns[group][i])
        corpus.findings += records.findings

    def _named(self, path: Path, id_: str | None, line: int, seen: dict[str, int]) -> str:
        """The id of a line, which must be there, and there alone."""
        if id_ is None:
            raise DataError(f"{path}: line {line} has no {self.ids!r} (data.ids); give every row one")
        if seen.setdefault(id_, line) != line:
            raise DataError(
                f"{path}: lines {seen[id_]} and {line} have the same {self.ids!r}, {id_!r} (data.ids); give every row "
                "its own"
            )
        return id_

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
            spelling = spelt(np.array(classes, dtype=object))  # as targets of tables are, whatever they are called here
            place = {name: c for names in (spelling, classes) for c, name in enumerate(names)}
            columns["target"] = np.array([place.get(corpus.targets[i] or "", -1) for i in keep], dtype=np.int64)
            for id_, i, target in zip(columns["id"], keep, columns["target"], strict=True):
                if target < 0:
                    known = f"none of the classes {', '.join(classes[:10])}"
                    findings.append((id_, "target", f"target {corpus.targets[i] or 'missing'}: {known}"))
        if corpus.groups:
            columns["group"] = [corpus.groups[i] for i in keep]
        if corpus.roles:
            columns["role"] = [corpus.roles[i] for i in keep]
        return Samples(
            inputs=Ragged.of(codes, np.zeros(0, dtype=np.int32)),
            table=pd.DataFrame(columns),
            classes=classes,
            origin=origin,
            features=(Feature("text", tuple(words)),),
            findings=findings_table(findings),
            hashes=np.array(hashes, dtype=np.uint64),
        )
