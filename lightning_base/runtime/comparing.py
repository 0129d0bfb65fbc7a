"""How far two answers are apart."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Scale: TypeAlias = float | Mapping[str, float]
TOLERANCE = 1e-4  # of probabilities, and of values relative to the largest
BOXES = 0.05  # scores from which on boxes are compared


def scale_of(answers: Sequence[Mapping[str, Any]]) -> Scale:
    """The largest value among answers of regression, of several values by name; 1 for probabilities, or zeros alone."""
    first = answers[0].get("pred") if answers else None
    if isinstance(first, dict):
        return {name: _largest([answer["pred"][name] for answer in answers]) for name in first}
    return _largest([{k: v for k, v in answer.items() if k not in ("prob", "threshold")} for answer in answers])


def _largest(values: Any) -> float:
    return max(map(abs, _numbers(values)), default=0.0) or 1.0


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for one in value.values() for number in _numbers(one)]
    if isinstance(value, list):
        return [number for one in value for number in _numbers(one)]
    return [float(value)] if isinstance(value, float) else []


def difference(one: Mapping[str, Any], other: Mapping[str, Any], scale: Scale = 1.0) -> float:
    """The largest difference of two answers; infinity where they are of other forms, or other texts.

    Args:
        one: an answer.
        other: likewise.
        scale: what values, not probabilities, are measured by; of several by their names.
    """
    if "boxes" in one:
        return max(_boxes(one, other), _boxes(other, one))
    if "prob" in one:
        found = [math.fabs(value - other["prob"][name]) for name, value in one["prob"].items()]
        return max([*found, math.fabs(one.get("threshold", 0.0) - other.get("threshold", 0.0))])
    if isinstance(scale, Mapping):
        if not isinstance(other.get("pred"), dict) or other["pred"].keys() != scale.keys():
            return math.inf
        return max(_apart(one["pred"][name], other["pred"][name]) / by for name, by in scale.items())
    return _apart({**one, "notes": 0}, {**other, "notes": 0}) / scale


def _apart(one: Any, other: Any) -> float:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((_apart(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        if one and not isinstance(one[0], list | dict | str):
            apart = [math.fabs(float(a) - float(b)) for a, b in zip(one, other, strict=True)]
            return max(apart)
        return max((_apart(a, b) for a, b in zip(one, other, strict=True)), default=0.0)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(float(one) - float(other))
    return 0.0 if one == other else math.inf


def _boxes(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """The largest difference of scores, each of one's boxes with the nearest of its class among the other's.

    Boxes' corners count in shares of the image.
    """
    worst, side = 0.0, float(max(one["size"]))
    there = list(zip(other["boxes"], other["scores"], other["labels"], strict=True))
    for box, score, label in zip(one["boxes"], one["scores"], one["labels"], strict=True):
        if score >= BOXES:
            near = [
                max(max(abs(a - b) for a, b in zip(box, its, strict=True)) / side, abs(score - its_score))
                for its, its_score, its_label in there
                if its_label == label
            ]
            worst = max(worst, min(near, default=math.inf))
    return worst


def chosen(answer: Mapping[str, Any]) -> Any:
    """What an answer predicts, where that is a class, labels or a text; of values nothing."""
    if "boxes" in answer:
        return [label for label, score in zip(answer["labels"], answer["scores"], strict=True) if score >= 0.5]
    found = answer.get("pred")
    return found if isinstance(found, str | int) or (isinstance(found, list) and "prob" in answer) else None
