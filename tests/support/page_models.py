"""A model of each kind, whose answers a test can work out: what the page is tried with."""

import base64
import binascii
import csv
import io
import json
import time
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from lightning_base.runtime.answering import Answer, Item
from lightning_base.runtime.errors import InputError

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


PET = {
    "type": "object",
    "properties": {"image": {"type": "string"}, "text": {"type": "string"}, "weight": {"type": "number"}},
    "required": ["image", "text", "weight"],
}
SERIES = {
    "type": "object",
    "properties": {"x": {"type": "array", "description": "60 numbers of one day"}},
    "required": ["x"],
}
WRITTEN = {
    **TEXT,
    "properties": {**TEXT["properties"], "new": {"type": "integer", "minimum": 1, "maximum": 4096, "default": 40}},
}


def price(given: Json) -> Json:
    """So much a room, and the area."""
    return {"pred": 1000.25 * given["rooms"] + given["area"]}


def energy(given: Json) -> Json:
    """Two numbers."""
    return {"pred": {"heating": given["area"] * 2, "cooling": given["rooms"] / 3}}


def quantiles(given: Json) -> Json:
    """Five levels, by the area."""
    levels = {"0.05": 1, "0.25": 2, "0.5": 2.5, "0.75": 3, "0.95": 5}
    return {"pred": {level: given["area"] * times for level, times in levels.items()}}


def pet(given: Json) -> Json:
    """A number of all three inputs."""
    return {"pred": given["weight"] + len(given["text"]) + picture(given).size[0]}


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
    row, image, text = {"row": "table"}, {"image": "image"}, {"text": "text"}
    credit: Json = {"kinds": row, "schema": LOAN, "example": LOAN_EXAMPLE, "classes": ["good", "bad"]}
    house: Json = {"kinds": row, "schema": HOUSE}
    several = {"image": "image", "text": "text", "row": "table"}
    pets = {"image": encoded(grey(100)), "text": "a friendly dog", "weight": 12.5}
    day = np.sin(np.arange(60) / 6).round(3).tolist()
    return [
        Model("loans", "binary", answer=loan, version="2", **credit),
        Model("loans", "binary", answer=lambda given: loan(given, 0.5), version="1", **credit),
        Model("shades", "classification", image, one("image"), shade, {"image": encoded(grey(100))}, SHADES),
        Model("tones", "classification", {"sound": "sound"}, one("sound"), tone, {"sound": encoded(beep(700))}, TONES),
        Model("cells", "detection", image, one("image"), cells, None, CELLS),
        Model("tissue", "other", image, one("image"), tissue, None, ["background", "tumour", "vessel"]),
        Model("topics", "multi_label", text, TEXT, topics, {"text": "Music about the weather"}, TOPICS),
        Model("houses", "regression", answer=price, example={"rooms": 3, "area": 80}, **house),
        Model("energy", "regression", answer=energy, **house),
        Model("prices", "quantiles", answer=quantiles, example={"rooms": 3, "area": 80}, **house),
        Model("german", "translation", text, TEXT, lambda given: {"pred": "".join(pieces(given)).strip()}),
        Model(
            *("writer", "language_model", text, WRITTEN),
            answer=lambda given: {"pred": "".join(pieces(given))},
            example={"text": "once upon a time"},
            streams=True,
        ),
        Model("series", "classification", {"x": "array"}, SERIES, series, {"x": day}, ["falls", "rises"]),
        Model("pets", "regression", several, PET, pet, pets),
    ]


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
