"""A server with a model of each kind, whose answers a test can work out: `python -m tests.support.page_server FOLDER`.

Models write what they are asked into FOLDER, and what is written piece by piece waits there for a file called gate.
"""

import base64
import binascii
import csv
import io
import json
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from lightning_base.runtime.answering import Answer, Item
from lightning_base.runtime.errors import InputError

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


@dataclass
class Model:
    """A model as a server takes it (`Answering`), and how it answers an input."""

    name: str
    task: str
    kinds: Mapping[str, str]
    schema: Json
    answer: Callable[[Json], Json]
    example: Json | None = None
    classes: list[str] | None = None
    version: str = "a1b2c3"
    streams: bool = False
    home: Path = Path()
    answer_schema: Json = field(default_factory=lambda: {"type": "object"})

    @property
    def folder(self) -> Path:
        """Where an exported one's files would be."""
        return self.home / f"{self.name}-{self.version}"

    @property
    def manifest(self) -> Json:
        """What an exported one's manifest.json says of classes."""
        return {
            "answer": {"kind": self.task, "classes": self.classes, "positive": 1 if self.task == "binary" else None}
        }

    def read(self, given: object) -> Item:
        """One input that fits the schema."""
        for error in sorted(jsonschema.Draft202012Validator(self.schema).iter_errors(given), key=lambda e: e.json_path):
            place = ".".join(map(str, error.absolute_path))
            if error.validator == "required":
                place = next(name for name in error.validator_value if name not in error.instance)
            raise InputError(place, error.message)
        assert isinstance(given, dict)
        if given.get("note") == "unheard of":
            raise InputError("note", "no such note is known")
        return given

    def read_file(self, content: bytes) -> Item:
        """One input of a file."""
        given = {next(iter(self.kinds)): encoded(content)}
        if "image" in given:
            picture(given)
        return given

    def read_rows(self, content: bytes) -> list[Item]:
        """Inputs of a CSV."""
        found: list[Item] = []
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
        for row in reader:
            one: Json = {}
            for name, text in row.items():
                kind = self.schema["properties"].get(name, {}).get("type", "string")
                try:
                    one[name] = text if kind == "string" else None if text == "" else json.loads(text.lower())
                except ValueError as error:
                    raise InputError(f"line {reader.line_num}.{name}", f"{text!r} is no number") from error
            found.append(self.read(one))
        return found

    def run(self, items: Sequence[Item]) -> list[Answer]:
        """The answers, after what was asked is written down."""
        with (self.home / "asked.jsonl").open("a") as file:
            file.writelines(json.dumps(dict(item)) + "\n" for item in items)
        return [self.answer(dict(item)) for item in items]

    def stream(self, item: Item) -> Iterator[str]:
        """What is written behind a text; after the first piece not before the gate is open."""
        for i, piece in enumerate(pieces(dict(item))):
            while i and not (self.home / "gate").exists():
                time.sleep(0.02)
            yield piece


def one(kind: str, **more: Any) -> Json:
    """The schema of one input that is no table."""
    return {"type": "object", "properties": {kind: {"type": "string", **more}}, "required": [kind]}


def picture(given: Json, name: str = "image") -> Image.Image:
    """A picture as a model reads it: upright."""
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(base64.b64decode(given[name], validate=True)))).convert(
            "RGB"
        )
    except (OSError, binascii.Error) as error:
        raise InputError(name, "is no picture that can be read; give PNG or JPEG") from error


def sound(given: Json) -> tuple[npt.NDArray[np.float64], int]:
    """Samples and rate of a WAV in 16 bits."""
    try:
        with wave.open(io.BytesIO(base64.b64decode(given["sound"]))) as file:
            assert (file.getsampwidth(), file.getnchannels()) == (2, 1)
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            return samples / 32768.0, file.getframerate()
    except (wave.Error, EOFError) as error:
        raise InputError("sound", "is no sound that can be read; give WAV, FLAC or MP3") from error


def shares(names: list[str], chosen: int, most: float = 0.9) -> dict[str, float]:
    """Probabilities: `most` of one class, the rest falling over the others in their order."""
    others = [name for i, name in enumerate(names) if i != chosen]
    weights = np.array([2.0**-i for i in range(len(others))])
    rest = (1 - most) * weights / weights.sum()
    return {**dict(zip(others, rest.tolist(), strict=True)), names[chosen]: most}


SHADES = ["black", "dark", "grey", "light", "white"]
TONES = ["very low", "low", "middling", "high", "very high", *(f"tone {i}" for i in range(6, 15))]
CELLS = ["Platelets", "RBC", "WBC"]
TOPICS = ["animals", "food", "music", "politics", "science", "sport", "weather"]


def shade(given: Json) -> Json:
    """Which of five shades a picture is on the whole."""
    chosen = min(4, int(np.asarray(picture(given)).mean() / 51.2))
    return {"pred": SHADES[chosen], "prob": shares(SHADES, chosen)}


def tone(given: Json) -> Json:
    """Which tone a sound has, by its strongest frequency."""
    samples, rate = sound(given)
    frequency = float(np.fft.rfftfreq(len(samples), 1 / rate)[np.abs(np.fft.rfft(samples)).argmax()])
    chosen = int(np.searchsorted([200, 500, 1000, 3000], frequency))
    return {"pred": TONES[chosen], "prob": shares(TONES, chosen, 0.8)}


def cells(given: Json) -> Json:
    """Five boxes, at places that are shares of the picture's size; the last are doubtful."""
    width, height = picture(given).size
    places = [
        (0.02, 0.02, 0.3, 0.4),
        (0.35, 0.3, 0.62, 0.7),
        (0.7, 0.05, 0.98, 0.35),
        (0.1, 0.6, 0.25, 0.8),
        (0.6, 0.75, 0.8, 0.95),
    ]
    boxes = [[x1 * width, y1 * height, x2 * width, y2 * height] for x1, y1, x2, y2 in places]
    labels = ["WBC", "RBC", "RBC", "Platelets", "RBC"]
    return {"boxes": boxes, "scores": [0.98, 0.91, 0.77, 0.55, 0.2], "labels": labels, "size": [height, width]}


def tissue(given: Json) -> Json:
    """A mask of 32 × 48: a disc of class 1, a corner of class 2."""
    picture(given)
    y, x = np.mgrid[:32, :48]
    found = np.where((y - 16) ** 2 + (x - 20) ** 2 < 90, 1, 0)
    found[:8, 38:] = 2
    return {"pred": found.tolist()}


LOAN = {
    "type": "object",
    "properties": {
        "age": {"type": "integer", "minimum": 18, "maximum": 120},
        "amount": {"type": "number", "exclusiveMinimum": 0, "description": "in euros"},
        "purpose": {"enum": ["car", "furniture", "repairs", "other"]},
        "owner": {"type": "boolean"},
        "since": {"type": "string", "format": "date"},
        "income": {"type": ["number", "null"]},
        "note": {"type": "string"},
        "city": {
            "type": ["string", "number", "boolean", "null"],
            "x-known": ["Berlin", "Bonn"],
            "description": "a category",
        },
        "debt": {"type": ["number", "string", "null"], "minimum": -3.4e38, "maximum": 3.4e38},
    },
    "required": ["age", "amount", "purpose", "owner", "since", "income"],
    "additionalProperties": False,
}
LOAN_EXAMPLE = {
    "age": 41,
    "amount": 2500.5,
    "purpose": "repairs",
    "owner": False,
    "since": "2019-05-17",
    "income": None,
    "note": "none",
}


def loan(given: Json, threshold: float = 0.3) -> Json:
    """A share of risk by age and amount; missing income and no house add to it."""
    risk = min(
        0.99, given["amount"] / 10000 + 0.1 * (given["income"] is None) + 0.1 * (not given["owner"]) + 1 / given["age"]
    )
    return {
        "pred": "bad" if risk > threshold else "good",
        "prob": {"good": 1 - risk, "bad": risk},
        "threshold": threshold,
    }


HOUSE = {
    "type": "object",
    "properties": {"rooms": {"type": "integer"}, "area": {"type": "number"}},
    "required": ["rooms", "area"],
}
TEXT = one("text", minLength=1)


WRITTEN = {
    **TEXT,
    "properties": {**TEXT["properties"], "new": {"type": "integer", "minimum": 1, "maximum": 4096, "default": 40}},
}


def topics(given: Json) -> Json:
    """The topics that a text names."""
    found = [name for name in TOPICS if name in given["text"].lower()]
    notes = {"notes": ["only the first 100 characters were read"]} if len(given["text"]) > 100 else {}
    return {**notes, "pred": found, "prob": {name: 0.9 if name in found else 0.05 for name in TOPICS}}


def series(given: Json) -> Json:
    """Whether numbers rise."""
    x = np.asarray(given["x"], dtype=float)
    if x.shape[-1] < 2:
        raise InputError("x", "one number is no series; give two or more")
    rises = int(x[..., -1].mean() > x[..., 0].mean())
    return {"pred": ["falls", "rises"][rises], "prob": shares(["falls", "rises"], rises)}


def pieces(given: Json) -> list[str]:
    """What is written behind a text: each of its words, turned around."""
    return [f" {word[::-1]}" for word in given["text"].split()][: given.get("new", 40)]


def models() -> list[Model]:
    """A model of each kind."""
    pet = {
        "type": "object",
        "properties": {
            "image": {"type": "string"},
            "text": {"type": "string"},
            "weight": {"type": "number"},
        },
        "required": ["image", "text", "weight"],
    }
    return [
        Model("loans", "binary", {"row": "table"}, LOAN, loan, LOAN_EXAMPLE, ["good", "bad"], version="2"),
        Model("loans", "binary", {"row": "table"}, LOAN, lambda row: loan(row, 0.5), LOAN_EXAMPLE, ["good", "bad"], version="1"),
        Model("shades", "classification", {"image": "image"}, one("image"), shade, {"image": encoded(grey(100))}, SHADES),
        Model("tones", "classification", {"sound": "sound"}, one("sound"), tone, {"sound": base64.b64encode(beep(700)).decode()}, TONES),
        Model("cells", "detection", {"image": "image"}, one("image"), cells, None, CELLS),
        Model("tissue", "other", {"image": "image"}, one("image"), tissue, None, ["background", "tumour", "vessel"]),
        Model("topics", "multi_label", {"text": "text"}, TEXT, topics, {"text": "Music about the weather"}, TOPICS),
        Model("houses", "regression", {"row": "table"}, HOUSE, lambda row: {"pred": 1000.25 * row["rooms"] + row["area"]}, {"rooms": 3, "area": 80}),
        Model("energy", "regression", {"row": "table"}, HOUSE, lambda row: {"pred": {"heating": row["area"] * 2, "cooling": row["rooms"] / 3}}),
        Model(
            "prices", "quantiles", {"row": "table"}, HOUSE,
            lambda row: {"pred": {"0.05": row["area"], "0.25": row["area"] * 2, "0.5": row["area"] * 2.5, "0.75": row["area"] * 3, "0.95": row["area"] * 5}},
            {"rooms": 3, "area": 80},
        ),
        Model("german", "translation", {"text": "text"}, TEXT, lambda given: {"pred": " ".join(word[::-1] for word in given["text"].split())}),
        Model("writer", "language_model", {"text": "text"}, WRITTEN, lambda given: {"pred": "".join(pieces(given))}, {"text": "once upon a time"}, streams=True),
        Model("series", "classification", {"x": "array"}, {"type": "object", "properties": {"x": {"type": "array", "description": "60 numbers of one day"}}, "required": ["x"]}, series, {"x": np.sin(np.arange(60) / 6).round(3).tolist()}, ["falls", "rises"]),
        Model(
            "pets", "regression", {"image": "image", "text": "text", "row": "table"}, pet,
            lambda given: {"pred": given["weight"] + len(given["text"]) + picture(given).size[0]},
            {"image": encoded(grey(100)), "text": "a friendly dog", "weight": 12.5},
        ),
    ]  # fmt: skip


def grey(level: int, size: tuple[int, int] = (60, 40)) -> bytes:
    """A PNG of one shade."""
    out = io.BytesIO()
    Image.new("RGB", size, (level, level, level)).save(out, "PNG")
    return out.getvalue()


def encoded(content: bytes) -> str:
    """A file in base64."""
    return base64.b64encode(content).decode()


def beep(frequency: float, seconds: float = 0.5, rate: int = 8000) -> bytes:
    """A WAV of one tone that fades."""
    time = np.arange(int(seconds * rate)) / rate
    samples = (np.sin(2 * np.pi * frequency * time) * np.exp(-3 * time) * 20000).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return out.getvalue()


def table(n: int) -> str:
    """A CSV of n loans; amounts differ, and every seventh note has a comma, quotes and a line break in it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["age", "amount", "purpose", "owner", "since", "income", "note"])
    for i in range(n):
        note = 'a "note",\nof two lines' if i % 7 == 0 else f"row {i}"
        writer.writerow([20 + i % 60, i + 0.5, "car", "true", "2020-01-01", 100 if i % 2 else "", note])
    return out.getvalue()


@dataclass
class Served:
    """A server that runs.

    Attributes:
        home: the folder that its models write into.
    """

    url: str
    home: Path

    def last(self) -> Json:
        """The input that was answered last."""
        found: Json = json.loads((self.home / "asked.jsonl").read_text().splitlines()[-1])
        return found

    def open(self, yes: bool = True) -> None:
        """Opens the gate that writing waits for, or shuts it."""
        if yes:
            (self.home / "gate").touch()
        else:
            (self.home / "gate").unlink(missing_ok=True)


@contextmanager
def serving(home: Path, *keys: str) -> Iterator[Served]:
    """A server on a free port of this computer, as a process; asks for one of these API keys."""
    command = [sys.executable, "-m", "tests.support.page_server", str(home), *keys]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert " at http://" in line, line
            yield Served(line.rpartition(" at ")[2].strip(), home)
        finally:
            process.terminate()
            process.wait(60)


def main(home: Path, keys: tuple[str, ...]) -> int:
    """Serves until it is told to end."""
    from lightning_base.serving.app import Application
    from lightning_base.serving.logs import Log
    from lightning_base.serving.server import bind, run
    from lightning_base.serving.settings import Settings

    found = models()
    for model in found:
        model.home = home
        model.folder.mkdir()
        if model.example is not None:
            (model.folder / "examples.json").write_text(json.dumps({"examples": [{"input": model.example}]}))
    with (home / "log").open("w") as log:
        settings = Settings(keys=keys, drain=0, grace=5)
        return run(
            Application([(model.folder, model) for model in found], settings, Log(file=log)), bind("127.0.0.1", 0)
        )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), tuple(sys.argv[2:])))
