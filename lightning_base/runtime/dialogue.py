"""DialogueReader: what was said so far, turn by turn, with a speaker's mark in front of each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .errors import InputError
from .marks import is_mark, mark
from .readers import MOST_TEXT, TextReader

MOST_TURNS = 10_000


@dataclass(frozen=True)
class DialogueReader:
    """A dialogue: a list of turns {speaker, text}, or a text with a line per turn, as in "user: hello".

    Args:
        speakers: in the order of their marks.
        turns: the last so many that the model takes; None for all.
        several: whether each speaker may say something in one turn, in the order of the speakers.
    """

    speakers: tuple[str, ...]
    turns: int | None = None
    several: bool = False
    kind: ClassVar[str] = "text"

    def read(self, given: Any, field: str) -> str:
        """The text that a tokenizer takes.

        Raises:
            InputError: for what is no dialogue of these speakers.
        """
        said = self._lines(given, field) if isinstance(given, str) else self._turns(given, field)
        said = [(who, text) for who, text in said if text.strip()]
        if not said:
            raise InputError(field, "nothing is said in it; give a turn")
        if sum(len(text) for _, text in said) > MOST_TEXT:
            raise InputError(field, f"has over {MOST_TEXT} characters; give the last turns")
        found = list[list[tuple[int, str]]]()
        for who, text in said:
            speaker = self.speakers.index(who)
            if not found or not self.several or speaker <= found[-1][-1][0]:
                found.append([])
            found[-1].append((speaker, text))
        kept = found if self.turns is None else found[max(len(found) - self.turns, 0) :]
        return " ".join(f"{mark(speaker)} {text}" for turn in kept for speaker, text in turn)

    def read_file(self, content: bytes, field: str) -> str:
        """That of a file's content, a line per turn."""
        return self.read(TextReader().read_file(content, field), field)

    def _lines(self, given: str, field: str) -> list[tuple[str, str]]:
        TextReader(blank=True).read(given, field)
        found = []
        for number, line in enumerate((line for line in given.split("\n") if line.strip()), start=1):
            who, colon, text = line.partition(":")
            if not colon or who.strip() not in self.speakers:
                raise InputError(field, f"line {number} does not begin with {self._named()} and a colon")
            found.append((who.strip(), self._text(text.strip(), field)))
        return found

    def _turns(self, given: Any, field: str) -> list[tuple[str, str]]:
        if not isinstance(given, Sequence) or len(given) > MOST_TURNS:
            raise InputError(field, f"takes a list of at most {MOST_TURNS} turns: speaker and text")
        found = []
        for i, turn in enumerate(given):
            if not isinstance(turn, dict) or turn.keys() != {"speaker", "text"}:
                raise InputError(f"{field}[{i}]", "takes an object with speaker and text")
            if turn["speaker"] not in self.speakers:
                raise InputError(f"{field}[{i}].speaker", f"is none of {self._named()}")
            if not isinstance(turn["text"], str):
                raise InputError(f"{field}[{i}].text", "takes a text")
            found.append((turn["speaker"], self._text(turn["text"].strip(), f"{field}[{i}].text")))
        return found

    def turns_of(self, text: str) -> list[dict[str, str]]:
        """The turns that read as this text with marks."""
        found: list[dict[str, str]] = []
        for piece in re.split(f"(?=[{mark(0)}-{mark(len(self.speakers) - 1)}])", text):
            if piece:
                found.append({"speaker": self.speakers[ord(piece[0]) - ord(mark(0))], "text": piece[1:].strip()})
        return found

    def _text(self, text: str, field: str) -> str:
        if text.strip():
            TextReader().read(text, field)
        if any(map(is_mark, text)):
            raise InputError(field, "has a character for private use that stands for a speaker")
        return text

    def _named(self) -> str:
        return ", ".join(self.speakers)

    def schema(self) -> dict[str, Any]:
        """A list of turns, or a text."""
        turn = {"speaker": {"enum": list(self.speakers)}, "text": {"type": "string", "maxLength": MOST_TEXT}}
        listed = {
            "type": "array",
            "items": {"type": "object", "properties": turn, "required": list(turn), "additionalProperties": False},
            "minItems": 1,
            "maxItems": MOST_TURNS,
        }
        said = f"a line per turn: one of {self._named()}, a colon, and what is said"
        return {"anyOf": [{"type": "string", "minLength": 1, "maxLength": MOST_TEXT, "description": said}, listed]}
