"""Texts: folders of text files, files with one text per line, or a column of a CSV or Parquet file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightning_base.data import BaseDataModule, Samples, Source, Targets
from lightning_base.errors import ConfigError, DataError, NoSourceError, one_line
from lightning_base.preprocess import Preprocess, Vocabulary
from lightning_base.runtime.readers import Reader, TextReader
from lightning_base.samples.reading import texts
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
from lightning_base.sources.columns import Task, row_id, spelt
from lightning_base.sources.corpus import Corpus
from lightning_base.sources.form import EXCEL, JSON_LINES, NA_VALUES, PARQUET, Format
from lightning_base.sources.records import Records
from lightning_base.sources.several_targets import demand_targets, listed_targets, targets_of
from lightning_base.sources.text_files import SUFFIXES, decode, decode_lines, read_bytes

TABLES = (*PARQUET, *EXCEL, *JSON_LINES, ".csv", ".tsv")
KEYS = {"pool": "data.path", "test": "data.test_path", "predict": "data.predict"}


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
        target: … of class names; of several columns of numbers a list: labels where all hold 0 and 1 alone, else
            values.
        label_separator: what stands between the labels that each cell of the target column lists, as in "red;large";
            an empty cell is a text without a label.
        task: of several target columns "regression" takes 0 and 1 as values too.
        ids: … of unique names for the rows; by default their numbers.
        group: … whose equal values must stay on one side of a split.
        class_names: the classes, or labels that cells list, in the order of their numbers; by default those found, in
            alphabetical order.
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
    target: str | list[str] = "target"
    label_separator: str | None = None
    task: Task = "auto"
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
        demand_targets(self.target, self.label_separator)
        if self.several and self.files is not None:
            raise ConfigError(
                "data.files: a text has the class of its file, and data.target or data.label_separator asks for "
                "several targets of each; give a table (data.path)"
            )
        if isinstance(self.target, str) and self.task == "regression":
            raise ConfigError("data.task: regression is for target columns; list them, if only one: data.target: [...]")
        if isinstance(self.target, list):
            if self.class_names is not None:
                raise ConfigError("data.class_names: the columns of data.target name themselves; leave it out")
            if twice := {self.text, self.ids, self.group} & {*self.target}:
                raise ConfigError(
                    f"data.target: {min(filter(None, twice))!r} is named as something else too; name it once"
                )
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

    @property
    def several(self) -> bool:
        """Whether a text has several values or labels."""
        return isinstance(self.target, list) or self.label_separator is not None

    def make_preprocess(self) -> Preprocess:
        """A vocabulary of the training role's words."""
        return Vocabulary(self.max_words, self.min_count, self.max_length)

    def readers(self) -> dict[str, Reader]:
        """Texts."""
        return {"text": TextReader(self.lower, self.token)}

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
        targets = None
        if source != "predict" and self.several:
            known = self.samples("pool").targets if source == "test" else None
            targets = self._several(corpus, origin, known)
        elif source != "predict":
            found = sorted({*(files or ()), *(name for name in corpus.targets if name is not None)})
            classes = self.classes if source == "test" else self.class_names or found
        return corpus.samples(self._tokens, tuple(classes), targets, origin)

    def _tokens(self, text: str) -> list[str]:
        """The words of a text."""
        return self._token.findall(text.lower() if self.lower else text)

    def _several(self, corpus: Corpus, origin: str, known: Targets | None) -> Targets:
        """Several targets of each text; `known` are the pool's."""
        if isinstance(self.target, list):
            return targets_of(np.concatenate(corpus.values), self.target, self.task, known)
        assert self.label_separator is not None
        names = known.names if known is not None else self.class_names
        listed = (corpus.targets, corpus.ids, self.target, self.label_separator)
        targets, findings = listed_targets(*listed, "data.target", origin, names)
        corpus.findings += findings
        return targets

    def _path(self, corpus: Corpus, path: Path, key: str, source: Source) -> str:
        """Takes the texts of a folder, a table or, to predict, a file of lines; what messages name."""
        if path.is_dir() and self.several and source != "predict":
            raise DataError(f"{key}: {path} is a folder, whose texts have one class each; give a table, or one target")
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
        several = self.target if isinstance(self.target, list) and with_target else []
        target = self.target if isinstance(self.target, str) and with_target else None
        group = self.group if with_target else None
        for name, argument in ((self.text, "text"), (self.ids, "ids"), (group, "group")):
            records.require([name], f"data.{argument}")
        records.require([target, *several], "data.target")
        wanted = list(dict.fromkeys(n for n in (self.text, target, self.ids, group) if n is not None))
        seen: dict[str, int] = {}
        for chunk in records.chunks(wanted, several):
            first, lines = len(corpus.ids), chunk.lines
            targets = None if target is None else chunk.columns[target]
            if targets is not None and self.label_separator is None:
                targets = spelt(targets)
            ids = None if self.ids is None else texts(chunk.columns[self.ids])
            for i, text in enumerate(chunk.columns[self.text]):
                id_ = f"{len(corpus.ids):08d}"
                if ids is not None:
                    id_ = self._named(path, ids[i], int(lines[i]), seen)
                corpus.add(id_, text or "", None if targets is None else targets[i])
                if group is not None:
                    if chunk.columns[group][i] is None:
                        raise DataError(f"{path}: line {lines[i]} has no {group!r} (data.group); give every row one")
                    corpus.groups.append(chunk.columns[group][i])
            if several:
                corpus.add_values(chunk, several, first)
        if several:
            corpus.demand_numbers(several, str(path))
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
