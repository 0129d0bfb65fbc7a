"""Corpus: texts as they are read, with what goes with each, made samples of codes of words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import DataError
from lightning_base.samples.payload import Ragged, content_hash
from lightning_base.samples.samples import Feature, Samples, findings_table
from lightning_base.samples.targets import Targets
from lightning_base.sources.columns import as_numbers, spelt
from lightning_base.sources.records import Chunk


@dataclass
class Corpus:
    """Texts as they are read.

    Attributes:
        ids, texts: of each.
        targets: its class, or the cell that lists its labels; None where none is known.
        values: blocks (n, K) float64 of several targets; NaN where one is missing or no number.
        groups, roles: of each, where there are any.
        findings: id, kind and detail.
    """

    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    targets: list[str | None] = field(default_factory=list)
    values: list[npt.NDArray[np.float64]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    findings: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, id_: str, text: str, target: str | None) -> None:
        """Takes a text."""
        self.ids.append(id_)
        self.texts.append(text)
        self.targets.append(target)

    def add_values(self, chunk: Chunk, names: Sequence[str], first: int) -> None:
        """Takes several targets of texts that were added; what is no number is a finding.

        Args:
            chunk: their records, with the columns of these names.
            names: of the K columns.
            first: the place of the chunk's first text.
        """
        block = np.full((len(chunk), len(names)), np.nan)
        for k, name in enumerate(names):
            column = chunk.columns[name]
            block[:, k] = as_numbers(column)
            for i in np.flatnonzero(np.isnan(block[:, k]) & ~pd.isna(column)):
                detail = f"{column[i]!r} in column {name!r}, line {chunk.lines[i]}, is no number"
                self.findings.append((self.ids[first + int(i)], "target", detail))
        self.values.append(block)

    def demand_numbers(self, names: Sequence[str], origin: str) -> None:
        """Refuses columns of targets without a number.

        Raises:
            DataError: naming the first.
        """
        there = np.any([~np.isnan(block).all(axis=0) for block in self.values], axis=0)
        for name, has in zip(names, np.broadcast_to(there, len(names)), strict=True):
            if not has:
                raise DataError(
                    f"{origin}: column {name!r} (data.target) has no number; name columns of numbers, or one column "
                    "of labels with data.label_separator"
                )

    def samples(
        self, tokens: Callable[[str], list[str]], classes: tuple[str, ...], targets: Targets | None, origin: str
    ) -> Samples:
        """The texts as codes of words, Ragged int32; those without a word are findings and no samples.

        Args:
            tokens: gives the words of a text.
            classes: names of the classes, where each text has one; those of no class are findings.
            targets: of each text, where it has several.
            origin: what messages name.
        """
        words = [tokens(text) for text in self.texts]
        keep = [i for i, some in enumerate(words) if some]
        findings = self.findings + [
            (id_, "empty", "it has no words") for id_, some in zip(self.ids, words, strict=True) if not some
        ]
        known = sorted({word for text in words for word in text})
        number = {word: code for code, word in enumerate(known)}
        codes = [np.array([number[word] for word in words[i]], dtype=np.int32) for i in keep]
        hashes = [content_hash("\n".join(words[i]).encode(errors="surrogatepass")) for i in keep]
        columns: dict[str, Any] = {"id": [self.ids[i] for i in keep]}
        if classes:
            columns["target"], told = self._classes(keep, classes)
            findings += told
        if self.groups:
            columns["group"] = [self.groups[i] for i in keep]
        if self.roles:
            columns["role"] = [self.roles[i] for i in keep]
        return Samples(
            inputs=Ragged.of(codes, np.zeros(0, dtype=np.int32)),
            table=pd.DataFrame(columns),
            classes=classes,
            origin=origin,
            features=(Feature("text", tuple(known)),),
            targets=None if targets is None else replace(targets, payload=np.asarray(targets.payload[np.array(keep)])),
            findings=findings_table(findings),
            hashes=np.array(hashes, dtype=np.uint64),
        )

    def _classes(
        self, keep: list[int], classes: tuple[str, ...]
    ) -> tuple[npt.NDArray[np.int64], list[tuple[str, str, str]]]:
        """(n,) class numbers of some texts, -1 for none of the classes, and findings of these."""
        spelling = spelt(np.array(classes, dtype=object))  # as targets of tables are, whatever they are called here
        place = {name: c for names in (spelling, classes) for c, name in enumerate(names)}
        numbers = np.array([place.get(self.targets[i] or "", -1) for i in keep], dtype=np.int64)
        known = f"none of the classes {', '.join(classes[:10])}"
        bad = [keep[at] for at in np.flatnonzero(numbers < 0)]
        return numbers, [(self.ids[i], "target", f"target {self.targets[i] or 'missing'}: {known}") for i in bad]
