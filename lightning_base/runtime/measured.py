"""What is measured of inputs and answers, so that it can be counted: numbers and categories by the names of columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .known import Known

Values: TypeAlias = "npt.NDArray[np.float64] | list[str | None]"
WORD = re.compile(r"\w+")
THUMB = 16  # pixels a side that contrast is measured at, so that it is the same of an image and of its enlargement
GREY = np.array([0.299, 0.587, 0.114])  # of ITU-R BT.601
SILENT = -100.0  # decibels below full scale, of sounds without a sound
WIDE = 64  # most numbers of an array that are columns of their own
LABELS = 50  # most labels, or classes of boxes, that are columns of their own


@dataclass(frozen=True)
class Part:
    """One of a model's inputs.

    Args:
        kind: "table", "image", "sound", "text" or "array".
        columns: of a table: by name, whether it holds numbers (else categories).
        known: words of training's texts.
        full: what full scale is: white of images, the loudest of sounds.
        rate: of sounds, values a second.
        longest: of sounds, values that a model takes at most, and that are measured.
    """

    kind: str
    columns: Mapping[str, bool] | None = None
    known: Known | None = None
    full: float = 1.0
    rate: float = 1.0
    longest: int | None = None

    def values(self, given: Sequence[Any]) -> dict[str, Values]:
        """What is measured of B inputs, by name, each B numbers or categories.

        Args:
            given: of tables mappings by column; images (C, H, W) or (H, W), or what has such `pixels`; sounds (T,);
                texts, or lists of their words; arrays of any shape.
        """
        if self.kind == "table":
            return {
                name: numbers([row[name] for row in given]) if number else names([row[name] for row in given])
                for name, number in (self.columns or {}).items()
            }
        if self.kind == "image":
            given = [getattr(one, "pixels", one) for one in given]
            grey = all(np.ndim(one) == 2 or len(one) < 3 for one in given)
            return _by_name([picture(one, self.full) for one in given], PICTURE[:2] if grey else PICTURE)
        if self.kind == "sound":
            return _by_name([sound(one[: self.longest], self.rate, self.full) for one in given], SOUND)
        if self.kind == "text":
            texts = [one if isinstance(one, str) else " ".join(one) for one in given]
            return _by_name([text(one, self.known) for one in texts], TEXT if self.known is not None else TEXT[:2])
        flat = [np.asarray(one, dtype=np.float64).ravel() for one in given]
        if flat and max(map(len, flat)) == min(map(len, flat)) <= WIDE:
            return {f"[{i}]": values for i, values in enumerate(np.stack(flat).T)}
        return _by_name([(float(one.mean()), float(one.std())) for one in flat], ("mean", "deviation"))

    def written(self) -> dict[str, Any]:
        """As JSON holds it."""
        more: dict[str, Any] = {} if self.columns is None else {"columns": dict(self.columns)}
        if self.known is not None:
            more["known"] = self.known.written()
        return {"kind": self.kind, "full": self.full, "rate": self.rate, "longest": self.longest, **more}

    @staticmethod
    def read(content: Mapping[str, Any]) -> "Part":
        """What `written` gave."""
        known = Known.read(content["known"]) if "known" in content else None
        own = (content[name] for name in ("full", "rate", "longest"))
        return Part(content["kind"], content.get("columns"), known, *own)


def _by_name(rows: Sequence[Sequence[float]], of: Sequence[str]) -> dict[str, Values]:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    return {name: np.round(table[:, i], 6) for i, name in enumerate(of)}


def numbers(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """(B,) numbers, NaN where missing; days since 1970 of dates written as ISO 8601."""
    try:
        return np.array([np.nan if one is None else one for one in values], dtype=np.float64)
    except (TypeError, ValueError):
        return np.array([_number(one) for one in values], dtype=np.float64)


def _number(value: Any) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            moment = np.datetime64(value.strip().removesuffix("Z"), "us")
            return float(moment.astype(np.int64)) / 86_400e6
    return float("nan") if value is None else float(value)


def names(values: Sequence[Any]) -> list[str | None]:
    """B names, None where missing."""
    return [
        None if one is None or (isinstance(one, float) and one != one) else one if isinstance(one, str) else str(one)
        for one in values
    ]


PICTURE = ("brightness", "contrast", "colour")


def picture(image: Any, white: float = 255.0) -> tuple[float, float, float]:
    """Mean and deviation of an image's grey levels, and how far its channels lie apart, from 0 (black) to 1 (white).

    Args:
        image: (C, H, W) or (H, W).
        white: its value.
    """
    image = np.asarray(image, dtype=np.float64) / white
    image = image[None] if image.ndim == 2 else image
    colour = float((image.max(axis=0) - image.min(axis=0)).mean())
    grey = np.einsum("chw,c->hw", image[:3], GREY) if len(image) >= 3 else image[0]
    brightness = float(grey.mean())
    for axis in (0, 1):
        side = grey.shape[axis]
        if side > THUMB:
            starts = np.arange(THUMB) * side // THUMB
            sizes = np.diff(np.append(starts, side))
            grey = np.add.reduceat(grey, starts, axis=axis) / (sizes[:, None] if axis == 0 else sizes)
    return brightness, float(grey.std()), colour


SOUND = ("seconds", "loudness", "peak")


def sound(wave: Any, rate: float, full: float = 1.0) -> tuple[float, float, float]:
    """Length in seconds, loudness in decibels below full scale, and the greatest value of a sound (T,)."""
    wave = np.asarray(wave, dtype=np.float64).ravel() / full
    power = float(np.mean(wave**2)) if len(wave) else 0.0
    loudness = max(10 * np.log10(power), SILENT) if power > 0 else SILENT
    return len(wave) / rate, float(loudness), float(np.abs(wave).max(initial=0))


TEXT = ("words", "letters", "unknown")


def words_of(text: str) -> list[str]:
    """The words of a text: letters, digits and underscores that stand together, in small letters."""
    return WORD.findall(text.casefold())


def text(given: str, known: Known | None) -> tuple[float, ...]:
    """How many words a text has, how many letters each in the mean, and the share of those training does not know."""
    found = words_of(given)
    n = len(found)
    lengths = sum(map(len, found)) / n if n else 0.0
    if known is None:
        return n, lengths
    return n, lengths, sum(word not in known for word in found) / n if n else 0.0


def answered(answers: Sequence[Mapping[str, Any]], classes: Sequence[str] = ()) -> dict[str, Values]:
    """What is measured of B answers, by name.

    `class` and `confidence` of one class each; `label NAME` ("yes", "no") of several; `value`, or `value NAME`, of
    numbers; `boxes`, `boxes NAME` and `score` (the mean of those there are) of boxes; words and letters of texts.

    Args:
        answers: as `Answering.run` gives them.
        classes: of boxes, which may not come in these.
    """
    if not answers:
        return {}
    first = answers[0]
    if "boxes" in first:
        return _boxes(answers, classes)
    preds = [one["pred"] for one in answers]
    if isinstance(first.get("prob"), Mapping) and isinstance(first["pred"], list | tuple):
        labels = list(first["prob"])[:LABELS]
        chosen = [{*map(str, pred)} for pred in preds]
        found: dict[str, Values] = {
            f"label {name}": ["yes" if str(name) in some else "no" for some in chosen] for name in labels
        }
        return {**found, "labels": numbers([len(some) for some in chosen])}
    if isinstance(first.get("prob"), Mapping):
        return {"class": names(preds), "confidence": numbers([max(one["prob"].values()) for one in answers])}
    if isinstance(first["pred"], Mapping):
        return {f"value {name}": numbers([pred[name] for pred in preds]) for name in first["pred"]}
    if isinstance(first["pred"], str):
        return _by_name([text(pred, None) for pred in preds], TEXT[:2])
    if isinstance(first["pred"], list | tuple):
        return Part("array").values(preds)
    return {"value": numbers(preds)}


def _boxes(answers: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> dict[str, Values]:
    """The number of boxes in each image, by class too, and their mean score; images are independent, boxes are not."""
    labels = [[*map(str, one["labels"])] for one in answers]
    found: dict[str, Values] = {
        "boxes": numbers([len(one) for one in labels]),
        "score": numbers([float(np.mean(one["scores"])) if len(one["scores"]) else None for one in answers]),
    }
    return found | {f"boxes {name}": numbers([one.count(str(name)) for one in labels]) for name in classes[:LABELS]}
