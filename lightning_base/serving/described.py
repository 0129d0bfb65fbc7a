"""A model described for those who ask it: what the page builds its form from, and the document is made of."""

import json
from contextlib import suppress
from typing import Any

from lightning_base.runtime.answering import Answering
from lightning_base.serving.catalogue import Catalogue


def described(model: Answering, is_default: bool) -> dict[str, Any]:
    """What GET /models says of a model."""
    return {
        "name": model.name,
        "version": model.version,
        "task": model.task,
        "kinds": dict(model.kinds),
        "default": is_default,
        "streams": model.streams,
        "schema": dict(model.schema),
        "answer_schema": dict(model.answer_schema),
        "example": example(model),
        "classes": classes(model),
        "positive": positive(model),
    }


def all_described(catalogue: Catalogue) -> list[dict[str, Any]]:
    """What GET /models says, in the order in which models were named."""
    return [described(one.model, one is catalogue.default) for one in catalogue.models]


def example(model: Answering) -> Any:
    """An input that the exported folder has as an example; None where it has none."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        return json.loads((model.folder / "examples.json").read_text(encoding="utf-8"))[0]["input"]
    return None


def classes(model: Answering) -> list[str] | None:
    """The names of the model's classes or labels; None where it has none."""
    answer = model.manifest.get("answer", {})
    found = answer.get("classes", answer.get("labels"))
    return [str(one) for one in found] if isinstance(found, list) else None


def positive(model: Answering) -> str | None:
    """The class that a threshold is held against; None where there is no threshold."""
    place, names = model.manifest.get("answer", {}).get("positive"), classes(model)
    return names[place] if names and isinstance(place, int) else None
