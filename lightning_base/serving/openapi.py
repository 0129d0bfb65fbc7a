"""The OpenAPI document: paths of each model, with the JSON Schemas of its inputs and answers."""

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from lightning_base.runtime.answering import Answering
from lightning_base.serving.catalogue import Catalogue
from lightning_base.serving.described import example
from lightning_base.serving.reading import media_types, takes_rows
from lightning_base.serving.settings import Settings

JSON = "application/json"
BINARY = {"type": "string", "format": "binary"}
ERROR = {
    "type": "object",
    "properties": {
        "error": {"type": "string", "description": "one sentence"},
        "field": {"type": ["string", "null"], "description": "which part of the input does not fit"},
    },
    "required": ["error", "field"],
    "additionalProperties": False,
}
EVENTS = 'server-sent events: `data: {"text": …}` a piece, then `event: done` or `event: error`'
REFUSALS = {
    400: "The body, or the request, is malformed",
    401: "No API key, or a wrong one",
    404: "No such model or version",
    408: "The body did not come in time",
    413: "Too large, or too many inputs",
    415: "A media type that the model does not read",
    422: "The input does not fit; `field` says where",
    429: "More requests than the rate allows",
    503: "Overloaded, or shutting down; Retry-After says when to try again",
    504: "No answer in time",
}
RETRY = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "seconds"}}


def document(catalogue: Catalogue, settings: Settings) -> dict[str, Any]:
    """OpenAPI 3.1 of all that is served now."""
    schemas: dict[str, Any] = {"Error": ERROR}
    paths = dict(_fixed())
    for served in catalogue.models:
        model = served.model
        key = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{model.name}.{model.version}")
        for kind, schema in (("Input", model.schema), ("Answer", model.answer_schema)):
            schemas[f"{key}.{kind}"] = _moved(schema, f"#/components/schemas/{key}.{kind}")
        name = quote(model.name, safe="")
        places = [f"/models/{name}/versions/{quote(model.version, safe='')}"]
        if catalogue.find(model.name) is served:
            places.append(f"/models/{name}")
        if served is catalogue.default:
            places.append("")
        for place in reversed(places):
            paths |= _of_model(place, model, key, settings)
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "lightning-base",
            "version": version("lightning-base"),
            "description": "Predictions of exported models. An error is always `{error, field}`.",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }
    if settings.keys:
        found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"key": []}]
    return found


def _fixed() -> dict[str, Any]:
    """The paths that all servers have."""
    text = {"schema": {"type": "string"}}
    state = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    models = {
        "type": "object",
        "properties": {"models": {"type": "array", "items": {"type": "object"}}},
        "required": ["models"],
    }
    return {
        "/health": _get("Whether the process lives", {JSON: {"schema": state}}, is_open=True),
        "/ready": _get("Whether it takes requests", {JSON: {"schema": state}}, (503,), is_open=True),
        "/models": _get("The models that answer", {JSON: {"schema": models}}),
        "/metrics": _get("What Prometheus reads", {"text/plain": text}),
    }


def _get(summary: str, content: Mapping[str, Any], refusals: tuple[int, ...] = (), is_open: bool = False) -> Any:
    codes = refusals if is_open else (*refusals, 401, 429, 503)
    answers = {"200": {"description": "So it is", "content": dict(content)}, **_refusals(codes)}
    return {"get": {"summary": summary, "responses": answers, **({"security": []} if is_open else {})}}


def _of_model(place: str, model: Answering, key: str, settings: Settings) -> dict[str, Any]:
    """The paths of one model under one address."""
    label = f"{model.name}, version {model.version}"
    given = {"$ref": f"#/components/schemas/{key}.Input"}
    answer = {"$ref": f"#/components/schemas/{key}.Answer"}
    shown = example(model)
    single = _content(media_types(model, False), {"schema": given, **({} if shown is None else {"example": shown})})
    many = {
        "type": "object",
        "properties": {"inputs": {"type": "array", "items": given, "minItems": 1, "maxItems": settings.max_inputs}},
        "required": ["inputs"],
        "additionalProperties": False,
    }
    all_answers = {"type": "object", "properties": {"answers": {"type": "array", "items": answer}}}
    batch = _content(media_types(model, True), {"schema": many})
    answers = {JSON: {"schema": {**all_answers, "required": ["answers"]}}, "text/csv": {"schema": {"type": "string"}}}
    rows = ", or rows of a CSV" if takes_rows(model) else ""
    found = {
        f"{place}/predict": _post(f"The answer to one input: {label}", single, {JSON: {"schema": answer}}),
        f"{place}/predict/batch": _post(f"The answers to several inputs{rows}: {label}", batch, answers),
    }
    if model.streams:
        events = {"text/event-stream": {"schema": {"description": EVENTS}}}
        found[f"{place}/predict/stream"] = _post(f"A text, piece by piece: {label}", single, events)
    return found


def _content(types: list[str], json: Mapping[str, Any]) -> dict[str, Any]:
    """What a body may be."""
    form = {"type": "object", "properties": {"file": BINARY}, "required": ["file"], "additionalProperties": False}
    known = {JSON: dict(json), "multipart/form-data": {"schema": form}, "text/csv": {"schema": {"type": "string"}}}
    return {one: known.get(one, {"schema": BINARY}) for one in types}


def _post(summary: str, body: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"X-Model": {"schema": {"type": "string"}, "description": "NAME/VERSION of the model that answered"}}
    responses = {
        "200": {"description": "The answer", "headers": headers, "content": dict(answers)},
        **_refusals(tuple(REFUSALS)),
    }
    return {"post": {"summary": summary, "requestBody": {"required": True, "content": body}, "responses": responses}}


def _refusals(codes: tuple[int, ...]) -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        str(code): {
            "description": REFUSALS[code],
            "content": content,
            **({"headers": RETRY} if code in (429, 503) else {}),
        }
        for code in sorted(codes)
    }


def _moved(schema: Any, place: str) -> Any:
    """The schema with its references to itself leading to where it stands in the document."""
    if isinstance(schema, Mapping):
        return {
            name: place + value[1:]
            if name == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, place)
            for name, value in schema.items()
            if name not in ("$schema", "$id")
        }
    return [_moved(one, place) for one in schema] if isinstance(schema, list) else schema
