"""Encoders: what a member's preprocessing has fitted, applied to one input before the graph takes it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from .date_columns import DateColumn
from .errors import InputError
from .folder import inside
from .spelling import spelling_of
from .tokens import Tokens

Array: TypeAlias = npt.NDArray[Any]
PLACES, TEXT = "_places", "_text"  # beside a text, where networks take them
MOST_GROWN, SPARE = 12, 8  # tokens that a byte may become (U+FDFA becomes 33 bytes), and those around a text


class Encoder(Protocol):
    """What makes arrays of one input.

    Attributes:
        ragged: whether inputs have lengths of their own, along the first axis.
        longest: to which they are padded; None for the longest of a batch.
    """

    ragged: bool
    longest: int | None

    def encode(self, given: Any, field: str) -> dict[str, Array]:
        """By what the input's name is to end with ("" mostly), an array.

        Raises:
            InputError: for what cannot be brought to what training saw.
        """

    def notes(self, given: Any) -> list[str]:
        """What is to be said of an input: values that training has not seen."""


class Values:
    """Arrays, and images: far means taken away in float64, and images' white brought to that of training.

    Args:
        shift: that broadcasts over an input; None for nothing.
        white: of the images that were fitted on; None where that is not known.
    """

    ragged = False
    longest: int | None = None

    def __init__(self, shift: Any = None, white: float | None = None) -> None:
        self.shift = None if shift is None else np.asarray(shift, dtype=np.float64)
        self.white = white

    def encode(self, given: Any, field: str) -> dict[str, Array]:
        """An array float32."""
        x, own = (given, None) if isinstance(given, np.ndarray) else (given.pixels, given.white)
        if own is not None and self.white is not None and own != self.white:
            if not own or not self.white:
                raise InputError(field, "its values have units of their own, unlike those of the images trained on")
            x = x * (self.white / own)
        if self.shift is not None:
            x = x - self.shift
        return {"": np.asarray(x, dtype=np.float32)}

    def notes(self, given: Any) -> list[str]:
        """Nothing."""
        return []


class Wave:
    """Sounds, cut to a length.

    Args:
        longest: values.
        fixed: whether all are padded to it.
    """

    ragged = True

    def __init__(self, longest: int | None, fixed: bool) -> None:
        self.cut, self.longest = longest, longest if fixed else None

    def encode(self, given: Any, field: str) -> dict[str, Array]:
        """(T,) float32."""
        return {"": given[: self.cut]}

    def notes(self, given: Any) -> list[str]:
        """Nothing."""
        return []


class Words:
    """Words as the training role's numbers: 1 for one that it does not have.

    Args:
        words: from number 2 on.
        longest: words that the model takes at most.
    """

    ragged = True
    longest: int | None = None

    def __init__(self, words: Sequence[str], longest: int | None) -> None:
        self.number = {word: i + 2 for i, word in enumerate(words)}
        self.cut = longest

    def encode(self, given: Any, field: str) -> dict[str, Array]:
        """(T,) int64."""
        return {"": np.array([self.number.get(word, 1) for word in given[: self.cut]], dtype=np.int64)}

    def notes(self, given: Any) -> list[str]:
        """How many words are unknown where that is half of them or more, and that a text is cut."""
        unknown = sum(word not in self.number for word in given)
        found = [f"{unknown} of {len(given)} words were not seen in training"] if 2 * unknown >= len(given) else []
        cut = self.cut is not None and len(given) > self.cut
        return [*found, f"cut after {self.cut} of {len(given)} words"] if cut else found


class Pieces:
    """Texts as numbers of tokens.

    Args:
        tokens: of the member's tokenizer.
        places: whether the network takes where they stand, and the text's bytes.
    """

    ragged = True
    longest: int | None = None

    def __init__(self, tokens: Tokens, places: bool = False) -> None:
        self.tokens, self.places = tokens, places

    def encode(self, given: Any, field: str) -> dict[str, Array]:
        """(T,) int64; with places also (T, 2) int32 and (L,) uint8."""
        (one,) = self.tokens.encoded([given], self.places)
        found: dict[str, Array] = {"": one.codes.astype(np.int64)}
        if not len(one.codes):
            raise InputError(field, "has nothing that the model knows as text; give some")
        if self.places:
            raw = np.frombuffer(given.encode("utf-8", errors="replace"), dtype=np.uint8)
            found |= {PLACES: one.places, TEXT: raw}
        return found

    def notes(self, given: Any) -> list[str]:
        """That a text is cut."""
        longest = self.tokens.longest
        if longest is None or MOST_GROWN * len(given.encode("utf-8", errors="replace")) + SPARE <= longest:
            return []
        (one,) = self.tokens.encoded([given])
        return [f"cut to {self.tokens.longest} tokens"] if one.cut else []


class Cells:
    """Rows of a table in fitted codes: -1 for a category that training has not seen, or a missing one.

    Args:
        columns: their names, in order.
        shift: by column of numbers, what is taken away first.
        categories: by column, the names that codes 0, 1, … stand for.
        seen: by column, which of them the training role has.
        dates: by column, how its dates become numbers.
    """

    ragged = False
    longest: int | None = None

    def __init__(
        self,
        columns: Sequence[str],
        shift: Mapping[str, float],
        categories: Mapping[str, Sequence[str]],
        seen: Mapping[str, Sequence[bool]],
        dates: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.columns, self.shift = tuple(columns), dict(shift)
        self.codes = {
            name: {one: code for code, (one, has) in enumerate(zip(known, seen[name], strict=True)) if has}
            for name, known in categories.items()
        }
        self.spelling = {name: spelling_of(known) for name, known in categories.items()}
        self.dates = {name: DateColumn(**dict(state)) for name, state in dates.items()}

    def encode(self, given: Any, field: str) -> dict[str, Array]:
        """(F + D,) float32."""
        x = np.empty(len(self.columns), dtype=np.float64)
        for i, name in enumerate(self.columns):
            value = given[name]
            if name in self.codes:
                x[i] = self._code(name, value)
            else:
                x[i] = np.nan if value is None else value - self.shift.get(name, 0.0)
        made = [date.values(x[self.columns.index(name)].reshape(1))[0] for name, date in self.dates.items()]
        return {"": np.concatenate([x.astype(np.float32), *made])}

    def _code(self, name: str, value: Any) -> int:
        return -1 if value is None else self.codes[name].get(self.spelling[name].get(value, value), -1)

    def notes(self, given: Any) -> list[str]:
        """The categories that training has not seen."""
        return [
            f"{name}: {given[name]!r} was not seen in training; it counts for nothing"
            for name in self.codes
            if given[name] is not None and self._code(name, given[name]) < 0
        ]


def encoder_of(settings: Mapping[str, Any], folder: Path) -> Encoder:
    """The encoder that preprocessing.json describes.

    Raises:
        ValueError: for settings of none.
    """
    given = {key: value for key, value in settings.items() if key != "kind"}
    kind = settings.get("kind")
    if kind == "tokens":
        from tokenizers import Tokenizer

        library = Tokenizer.from_file(str(folder / inside(given.pop("file"), folder)))
        places = given.pop("places", False)
        return Pieces(Tokens(library, **given), places)
    made: dict[str, Any] = {"values": Values, "wave": Wave, "words": Words, "cells": Cells}
    if kind not in made:
        raise ValueError(f"no encoder {kind!r}")
    return made[kind](**given)  # type: ignore[no-any-return]


def collated(parts: Sequence[Array], ragged: bool, longest: int | None) -> tuple[Array, Array | None]:
    """(B, ...) of inputs; ragged ones padded with 0 at their ends, and their lengths (B,) int64."""
    if not ragged:
        return np.stack(parts), None
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    width = longest or max(int(lengths.max(initial=0)), 1)
    out = np.zeros((len(parts), width, *parts[0].shape[1:]), dtype=parts[0].dtype)
    for row, part in zip(out, parts, strict=True):
        row[: len(part)] = part
    return out, lengths
