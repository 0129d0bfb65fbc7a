"""A model that answers over HTTP in tests: small, deterministic, and slow or broken where a test says so."""

import csv
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_base.runtime.answering import Answer, Item
from lightning_base.runtime.errors import InputError

AGE = {"type": "number", "minimum": 0, "maximum": 150}
JOB = {"type": "string", "enum": ["none", "clerk", "farmer"]}


class Fake:
    """A table's model: age and job to a risk, which it computes itself.

    Args:
        name, version: its own.
        seconds: what a batch takes.
        hold: batches wait until it is set.

    Attributes:
        batches: the sizes of the batches it has computed, in their order.
        most: how many have been computed at once.
    """

    task = "binary"
    kinds: Mapping[str, str] = {"row": "table"}
    streams = False
    schema: Mapping[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"age": AGE, "job": JOB},
        "required": ["age", "job"],
        "additionalProperties": False,
    }
    answer_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "pred": {"type": "string"},
            "prob": {"type": "object", "additionalProperties": {"type": "number"}},
            "threshold": {"type": "number"},
        },
        "required": ["pred", "prob", "threshold"],
    }
    manifest: Mapping[str, Any] = {"answer": {"classes": ["bad", "good"]}}
    folder = Path("exported")

    def __init__(
        self, name: str = "credit", version: str = "a1", seconds: float = 0.0, hold: threading.Event | None = None
    ) -> None:
        self.name, self.version, self.seconds, self.hold = name, version, seconds, hold
        self.batches: list[int] = []
        self.most = self._now = 0
        self._lock = threading.Lock()

    def read(self, given: object) -> Item:
        if not isinstance(given, dict):
            raise InputError("", "give an object with age and job")
        for name in given:
            if name not in ("age", "job"):
                raise InputError(name, "the model has no such column; give age and job")
        age, job = given.get("age"), given.get("job")
        if isinstance(age, bool) or not isinstance(age, int | float) or not 0 <= age <= 150:
            raise InputError("age", "give a number from 0 to 150")
        if job not in JOB["enum"]:
            raise InputError("job", "give none, clerk or farmer")
        return {"age": age, "job": job}

    def read_file(self, content: bytes) -> Item:
        raise InputError("", "a table's model reads no file")

    def read_rows(self, content: bytes) -> list[Item]:
        try:
            rows = list(csv.DictReader(io.StringIO(content.decode())))
        except UnicodeDecodeError as error:
            raise InputError("", "the CSV is not in UTF-8") from error
        except csv.Error as error:
            raise InputError("", f"no CSV: {error}") from error
        items = []
        for line, row in enumerate(rows, 2):
            try:
                age = float(row.get("age") or "")
            except (ValueError, TypeError) as error:
                raise InputError(f"line {line}, age", "give a number from 0 to 150") from error
            items.append(self.read({"age": age, "job": row.get("job")}))
        return items

    def run(self, items: Sequence[Item]) -> list[Answer]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.batches.append(len(items))
        try:
            if self.hold is not None:
                self.hold.wait(30)
            if self.seconds:
                threading.Event().wait(self.seconds)
            for item in items:
                if item["age"] == 99:
                    raise RuntimeError(f"/secret/place/{item}")  # as a graph fails on what it cannot compute
                if item["age"] == 98:
                    raise InputError("age", "98 cannot be answered")
            return [risk(item) for item in items]
        finally:
            with self._lock:
                self._now -= 1

    def stream(self, item: Item) -> Iterator[str]:
        raise NotImplementedError


def risk(item: Item) -> Answer:
    """What the table's model answers; no finite number at 97."""
    bad = float("nan") if item["age"] == 97 else round(item["age"] / 150, 6)
    return {"pred": "bad" if bad > 0.5 else "good", "prob": {"bad": bad, "good": 1 - bad}, "threshold": 0.5}


class Writer(Fake):
    """A language model, which writes the words of its text backwards.

    Attributes:
        written: pieces of all streams.
        ended: streams that have been closed.
    """

    task = "language_model"
    kinds: Mapping[str, str] = {"text": "text"}
    streams = True
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 1000}},
        "required": ["text"],
        "additionalProperties": False,
    }
    answer_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {"pred": {"type": "string"}},
        "required": ["pred"],
    }
    manifest: Mapping[str, Any] = {}

    def __init__(self, name: str = "writer", **options: Any) -> None:
        super().__init__(name, **options)
        self.written = self.ended = 0

    def read(self, given: object) -> Item:
        if not isinstance(given, dict) or not isinstance(given.get("text"), str):
            raise InputError("text", "give a text")
        if stray := [name for name in given if name != "text"]:
            raise InputError(stray[0], "the model has no such input; give text")
        if not 1 <= len(given["text"]) <= 1000:
            raise InputError("text", "give 1 to 1000 characters")
        return {"text": given["text"]}

    def read_file(self, content: bytes) -> Item:
        try:
            return self.read({"text": content.decode()})
        except UnicodeDecodeError as error:
            raise InputError("text", "the file is not in UTF-8") from error

    def read_rows(self, content: bytes) -> list[Item]:
        return [self.read_file(line) for line in content.splitlines()[1:]]

    def run(self, items: Sequence[Item]) -> list[Answer]:
        self.batches.append(len(items))
        if self.seconds:  # a text
            threading.Event().wait(self.seconds * len(items))
        return [{"pred": "".join(self._pieces(item))} for item in items]

    def stream(self, item: Item) -> Iterator[str]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            for piece in self._pieces(item):
                if piece.strip() == "break":
                    raise RuntimeError("/secret/place")
                if self.seconds:
                    threading.Event().wait(self.seconds)
                self.written += 1
                yield piece
        finally:
            with self._lock:
                self._now -= 1
                self.ended += 1

    def _pieces(self, item: Item) -> list[str]:
        return [f" {word}" for word in reversed(item["text"].split())]


class Pictures(Fake):
    """An image's model: the number of bytes that the image has."""

    task = "regression"
    kinds: Mapping[str, str] = {"image": "image"}
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {"image": {"type": "string", "contentEncoding": "base64"}},
        "required": ["image"],
        "additionalProperties": False,
    }
    answer_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {"pred": {"type": "number"}},
        "required": ["pred"],
    }
    manifest: Mapping[str, Any] = {}

    def __init__(self, name: str = "pictures", **options: Any) -> None:
        super().__init__(name, **options)

    def read(self, given: object) -> Item:
        if not isinstance(given, dict) or not isinstance(given.get("image"), str):
            raise InputError("image", "give an image in base64")
        if stray := [name for name in given if name != "image"]:
            raise InputError(stray[0], "the model has no such input; give image")
        return {"image": given["image"].encode("utf-8", "replace")}

    def read_file(self, content: bytes) -> Item:
        if self.seconds:
            threading.Event().wait(self.seconds)
        return {"image": content}

    def run(self, items: Sequence[Item]) -> list[Answer]:
        return [{"pred": len(item["image"])} for item in items]
