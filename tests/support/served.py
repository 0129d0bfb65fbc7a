"""A server with a model of each kind, whose answers a test can work out: what the page is tried against."""

import asyncio
import base64
import binascii
import csv
import io
import json
import socket
import threading
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from PIL import Image, ImageOps

import lightning_base.serving

PAGE = Path(lightning_base.serving.__file__).parent / "page"
POLICY = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:"
Json = dict[str, Any]


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        self.status, self.message, self.field = status, message, field


@dataclass
class Model:
    """A model that is served: what GET /models says of it, and how it answers an input."""

    name: str
    task: str
    kinds: dict[str, str]
    schema: Json
    answer: Callable[[Json], Json]
    example: Json | None = None
    classes: list[str] | None = None
    version: str = "a1b2c3"
    streams: bool = False
    default: bool = False

    def told(self) -> Json:
        """Its entry of GET /models."""
        keys = ("name", "version", "task", "kinds", "default", "streams", "schema", "example", "classes")
        return {**{key: getattr(self, key) for key in keys}, "answer_schema": {"type": "object"}}


def one(kind: str, **more: Any) -> Json:
    """The schema of one input that is no table."""
    return {"type": "object", "properties": {kind: {"type": "string", **more}}, "required": [kind]}


def picture(given: Json, name: str = "image") -> Image.Image:
    """A picture as a model reads it: upright."""
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(base64.b64decode(given[name], validate=True)))).convert("RGB")
    except (OSError, binascii.Error) as error:
        raise Refusal(422, f"{name}: no picture that can be read; give PNG or JPEG", name) from error


def sound(given: Json) -> tuple[npt.NDArray[np.float64], int]:
    """Samples and rate of a WAV in 16 bits."""
    try:
        with wave.open(io.BytesIO(base64.b64decode(given["sound"]))) as file:
            assert (file.getsampwidth(), file.getnchannels()) == (2, 1)
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            return samples / 32768.0, file.getframerate()
    except (wave.Error, EOFError) as error:
        raise Refusal(422, "sound: no sound that can be read; give WAV, FLAC or MP3", "sound") from error


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
    places = [(0.02, 0.02, 0.3, 0.4), (0.35, 0.3, 0.62, 0.7), (0.7, 0.05, 0.98, 0.35), (0.1, 0.6, 0.25, 0.8), (0.6, 0.75, 0.8, 0.95)]
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
    },
    "required": ["age", "amount", "purpose", "owner", "since", "income"],
    "additionalProperties": False,
}
LOAN_EXAMPLE = {
    "age": 41, "amount": 2500.5, "purpose": "repairs", "owner": False, "since": "2019-05-17", "income": None, "note": "none",
}


def loan(given: Json, threshold: float = 0.3) -> Json:
    """A share of risk by age and amount; missing income and no house add to it."""
    risk = min(0.99, given["amount"] / 10000 + 0.1 * (given["income"] is None) + 0.1 * (not given["owner"]) + 1 / given["age"])
    return {"pred": "bad" if risk > threshold else "good", "prob": {"good": 1 - risk, "bad": risk}, "threshold": threshold, "positive": "bad"}


HOUSE = {
    "type": "object",
    "properties": {"rooms": {"type": "integer"}, "area": {"type": "number"}},
    "required": ["rooms", "area"],
}
TEXT = one("text", minLength=1)


def topics(given: Json) -> Json:
    """The topics that a text names."""
    found = [name for name in TOPICS if name in given["text"].lower()]
    return {"pred": found, "prob": {name: 0.9 if name in found else 0.05 for name in TOPICS}}


def series(given: Json) -> Json:
    """Whether numbers rise."""
    x = np.asarray(given["x"], dtype=float)
    if x.shape[-1] < 2:
        raise Refusal(422, "x: one number is no series; give two or more", "x")
    rises = int(x[..., -1].mean() > x[..., 0].mean())
    return {"pred": ["falls", "rises"][rises], "prob": shares(["falls", "rises"], rises)}


def pieces(given: Json) -> list[str]:
    """What is written behind a text: each of its words, turned around."""
    return [f" {word[::-1]}" for word in given["text"].split()]


def models() -> list[Model]:
    """A model of each kind."""
    pet = {
        "type": "object",
        "properties": {
            "image": {"type": "string"}, "text": {"type": "string"}, "weight": {"type": "number"},
        },
        "required": ["image", "text", "weight"],
    }
    return [
        Model("loans", "binary", {"row": "table"}, LOAN, loan, LOAN_EXAMPLE, ["good", "bad"], version="2", default=True),
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
        Model("writer", "language_model", {"text": "text"}, TEXT, lambda given: {"pred": "".join(pieces(given))}, {"text": "once upon a time"}, streams=True),
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


@dataclass
class Served:
    """A server that runs, and what a test may change of it.

    Attributes:
        key: the API key it wants; "" for none.
        refusals: errors that it gives to the next requests for answers, before it answers.
        gate: streams wait for it after their first piece.
        asked: paths of the requests for answers, in their order.
        inputs: what was answered, in its order.
    """

    url: str = ""
    key: str = ""
    models: list[Model] = field(default_factory=models)
    refusals: list[Response] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    inputs: list[Json] = field(default_factory=list)


def check(model: Model, given: object, before: str = "") -> None:
    """Refuses an input that does not fit the schema, naming the field."""
    for error in sorted(jsonschema.Draft202012Validator(model.schema).iter_errors(given), key=lambda e: e.json_path):
        place = ".".join(map(str, error.absolute_path))
        if error.validator == "required":
            place = next(name for name in error.validator_value if name not in error.instance)
        raise Refusal(422, f"{before}{place}: {error.message}", f"{before}{place}" or None)


def answered(state: Served, model: Model, given: Json, before: str = "") -> Json:
    """The answer to one input."""
    check(model, given, before)
    state.inputs.append(given)
    return model.answer(given)


def rows(model: Model, content: bytes) -> list[Json]:
    """Inputs of a CSV."""
    found: list[Json] = []
    for row in csv.DictReader(io.StringIO(content.decode())):
        one: Json = {}
        for name, text in row.items():
            kind = model.schema["properties"].get(name, {}).get("type", "string")
            if kind == "string":
                one[name] = text
                continue
            try:
                one[name] = None if text == "" else json.loads(text.lower())
            except ValueError as error:
                raise Refusal(422, f"line {len(found) + 2}, column {name}: {text!r} is no number", None) from error
        found.append(one)
    return found


def application(state: Served) -> FastAPI:
    """The server's endpoints."""
    app = FastAPI(docs_url="/docs")

    @app.middleware("http")
    async def policy(request: Request, call_next: Any) -> Response:
        if state.key and (request.method == "POST" or request.url.path == "/models"):
            if request.headers.get("x-api-key") != state.key:
                return JSONResponse({"error": "give an API key in X-API-Key", "field": None}, 401)
        if request.method == "POST":
            state.asked.append(request.url.path)
            if state.refusals:
                return state.refusals.pop(0)
        response: Response = await call_next(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @app.exception_handler(Refusal)
    async def refuse(_: Request, error: Refusal) -> Response:
        return JSONResponse({"error": error.message, "field": error.field}, error.status)

    def find(name: str, version: str | None = None) -> Model:
        for model in state.models:
            if model.name == name and version in (None, model.version):
                return model
        raise Refusal(404, f"no model {name}")

    async def read(model: Model, request: Request) -> Json:
        if request.headers["content-type"].startswith("multipart/"):
            async with request.form() as form:
                upload = form["file"]
                assert not isinstance(upload, str)
                return {next(iter(model.kinds)): encoded(await upload.read())}
        given: Json = await request.json()
        return given

    async def predict(request: Request, name: str, version: str | None = None) -> Response:
        model = find(name, version)
        found = answered(state, model, await read(model, request))
        return JSONResponse(found, headers={"X-Model": f"{model.name}/{model.version}"})

    async def batch(request: Request, name: str, version: str | None = None) -> Response:
        model = find(name, version)
        inputs = rows(model, await request.body())
        if len(inputs) > 1000:
            raise Refusal(413, f"{len(inputs)} inputs; send at most 1000 at once")
        answers = [answered(state, model, given, f"inputs[{i}].") for i, given in enumerate(inputs)]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["pred", *(f"prob_{name}" for name in answers[0].get("prob", {}))])
        for one in answers:
            writer.writerow([one["pred"], *one.get("prob", {}).values()])
        return Response(out.getvalue(), media_type="text/csv", headers={"X-Model": f"{model.name}/{model.version}"})

    async def stream(request: Request, name: str, version: str | None = None) -> Response:
        model = find(name, version)
        given = await read(model, request)
        whole = answered(state, model, given)

        async def events() -> AsyncIterator[str]:
            for i, text in enumerate(pieces(given)):
                while i and not state.gate.is_set():
                    await asyncio.sleep(0.02)
                yield f"data: {json.dumps({'text': text})}\n\n"
            yield f"event: done\ndata: {json.dumps(whole)}\n\n"

        headers = {"X-Model": f"{model.name}/{model.version}"}
        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)

    for path, endpoint in (("predict", predict), ("predict/batch", batch), ("predict/stream", stream)):
        for before in ("/models/{name}/", "/models/{name}/versions/{version}/"):
            app.post(before + path, response_model=None)(endpoint)

    @app.get("/models")
    async def listed() -> Json:
        return {"models": [model.told() for model in state.models]}

    @app.get("/", response_model=None)
    async def page() -> Response:
        return FileResponse(PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=PAGE))
    return app


@contextmanager
def serving() -> Iterator[Served]:
    """A server on a free port of this computer, in a thread."""
    state = Served()
    listener = socket.create_server(("127.0.0.1", 0))
    state.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(application(state), log_level="warning", ws="none", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.gate.set()
        server.should_exit = True
        thread.join(30)
        with suppress(OSError):
            listener.close()
