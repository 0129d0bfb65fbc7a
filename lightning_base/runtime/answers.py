"""Answers: what a graph gives, as JSON values with names."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .fusing import fuse

Outputs: TypeAlias = Mapping[str, npt.NDArray[Any]]
Settings: TypeAlias = Mapping[str, Any]
Size: TypeAlias = tuple[int, int]
NOT_FINITE = "the model's answer to this input is no finite number"
NUMBER = {"type": "number"}
PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}


def answers_of(
    settings: Mapping[str, Any], outputs: Outputs, sizes: Sequence[tuple[int, int] | None]
) -> list[dict[str, Any]]:
    """The answers of B inputs.

    Args:
        settings: of manifest.json's `answer`: kind, and what that needs.
        outputs: of the graph, (B, ...) each.
        sizes: of images that were given, height and width.

    Raises:
        InputError: for an output that is no finite number, naming the input's place, as `[3]`, where there are several.
    """
    for values in outputs.values():
        if values.dtype.kind == "f" and not (fine := np.isfinite(values).reshape(len(values), -1).all(axis=1)).all():
            raise InputError(f"[{int(fine.argmin())}]" if len(values) > 1 else "", NOT_FINITE)
    kind = settings["kind"]
    if kind in ("classification", "binary"):
        return _classes(settings, outputs)
    if kind == "multi_label":
        labels, at = settings["labels"], settings["threshold"]
        return [
            {
                "pred": [name for name, p in zip(labels, row, strict=True) if p > at],
                "prob": dict(zip(labels, row, strict=True)),
            }
            for row in outputs["pred"].tolist()
        ]
    if kind in ("regression", "quantiles"):
        names = settings["names"]
        return [{"pred": dict(zip(names, row, strict=True)) if names else row} for row in outputs["pred"].tolist()]
    if kind == "detection":
        found = [fuse(row) if row.ndim == 3 else row for row in outputs["pred"]]
        return [_boxes(settings, row, size) for row, size in zip(found, sizes, strict=True)]
    columns = {name: values.tolist() for name, values in outputs.items()}
    n = len(next(iter(columns.values())))
    return [{name: values[i] for name, values in columns.items()} for i in range(n)]


def _classes(settings: Mapping[str, Any], outputs: Outputs) -> list[dict[str, Any]]:
    classes, found = settings["classes"], []
    names = [str(name) for name in classes]
    binary = settings["kind"] == "binary"
    prob = outputs["prob" if binary else "pred"]
    chosen = prob.argmax(axis=1).tolist()
    limits = outputs["threshold"].tolist() if binary else None
    for i, row in enumerate(prob.tolist()):
        answer: dict[str, Any] = {"pred": classes[chosen[i]], "prob": dict(zip(names, row, strict=True))}
        if limits is not None:
            at = settings["positive"]
            answer = {**answer, "pred": classes[at if row[at] > limits[i] else 1 - at], "threshold": limits[i]}
        found.append(answer)
    return found


def _boxes(settings: Mapping[str, Any], found: npt.NDArray[Any], size: tuple[int, int] | None) -> dict[str, Any]:
    """Boxes in the pixels of the image that was given, (n, 6) by falling score, without padding."""
    height, width = settings["size"]
    given = size or (height, width)
    kept = found[found[:, 4] > 0].astype(np.float64)
    scale = np.array([given[1] / width, given[0] / height] * 2)
    return {
        "boxes": (kept[:, :4] * scale).tolist(),
        "scores": kept[:, 4].tolist(),
        "labels": [settings["classes"][int(label)] for label in kept[:, 5]],
        "size": list(given),
    }


def schema_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an answer."""
    kind = settings["kind"]
    more: dict[str, Any] = {"notes": {"type": "array", "items": {"type": "string"}}}
    if kind in ("classification", "binary"):
        names = [str(name) for name in settings["classes"]]
        found: dict[str, Any] = {"pred": {"enum": list(settings["classes"])}, "prob": _object(names, PROBABILITY)}
        found |= {"threshold": PROBABILITY} if kind == "binary" else {}
    elif kind == "multi_label":
        labels = settings["labels"]
        found = {"pred": {"type": "array", "items": {"enum": labels}}, "prob": _object(labels, PROBABILITY)}
    elif kind in ("regression", "quantiles"):
        found = {"pred": _object(settings["names"], NUMBER) if settings["names"] else NUMBER}
    elif kind == "detection":
        box = {"type": "array", "items": NUMBER, "minItems": 4, "maxItems": 4}
        found = {
            "boxes": {"type": "array", "items": box},
            "scores": {"type": "array", "items": PROBABILITY},
            "labels": {"type": "array", "items": {"enum": list(settings["classes"])}},
            "size": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        }
    elif kind in ("translation", "language_model"):
        found = {"pred": {"type": "string"}}
    else:
        return {"type": "object", "properties": more}
    return {"type": "object", "properties": found | more, "required": list(found)}


def _object(names: Sequence[str], each: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: dict(each) for name in names}, "required": list(names)}
