"""Tokens: texts as numbers of subwords, words or characters, and back, by what a tokenizer has found."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .marks import FIRST, MOST, mark

Encode: TypeAlias = Callable[[list[str]], Iterable[Any]]
PADDING, UNKNOWN, BEGIN, END = range(4)
SPECIAL = ("< padding >", "< unknown >", "< begin >", "< end >")  # no model makes a token with a blank in it


class Encoded(NamedTuple):
    """A text's tokens.

    Attributes:
        codes: (T,) int32.
        places: (T, 2) int32, where each stands among the text's UTF-8 bytes; (0, 2) where that was not asked for.
        cut: whether there would be more.
    """

    codes: npt.NDArray[np.int32]
    places: npt.NDArray[np.int32]
    cut: bool


class Tokens:
    """The tokens of one tokenizer; threads may use it at once.

    Args:
        tokenizer: of the library `tokenizers`.
        words: whether tokens are words, which blanks are put between.
        begin, end, longest, keep, marks: as `lightning_base.preprocess.Tokenizer` has them.
    """

    def __init__(
        self,
        tokenizer: Any,
        words: bool = False,
        begin: bool = False,
        end: bool = False,
        longest: int | None = None,
        keep: Literal["start", "end"] = "start",
        marks: int = 0,
    ) -> None:
        if not 0 <= marks <= MOST:
            raise ValueError(f"marks: {marks} is no number from 0 to {MOST}")
        self.tokenizer, self.words, self.begin, self.end = tokenizer, words, begin, end
        self.longest, self.keep = longest, keep
        self.special = special_tokens(marks)
        self._marks = re.compile(f"([{mark(0)}-{mark(marks - 1)}])") if marks else None

    @property
    def size(self) -> int:
        """How many tokens there are, the special ones included."""
        return int(self.tokenizer.get_vocab_size())

    def pieces(self, text: str) -> list[str]:
        """The text between marks, and the marks, by turns."""
        return [text] if self._marks is None else self._marks.split(text)

    def found(
        self, texts: Iterable[str], encode: Encode | None = None, wanted: bool = True
    ) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
        """Of each text the numbers of its tokens (T,), and where in the text, by characters, each begins and ends.

        Args:
            texts: some texts.
            encode: what the library makes of pieces; by default one by one, in this thread.
            wanted: whether places are; else there are none, which takes half the memory.
        """
        pieces = [self.pieces(text) for text in texts]
        plain = [piece for some in pieces for piece in some[::2]]
        one_by_one = (self.tokenizer.encode(piece, add_special_tokens=False) for piece in plain)
        made = iter(one_by_one if encode is None else encode(plain))
        for some in pieces:
            ids, places, start = list[int](), list[tuple[int, int]](), 0
            for i, piece in enumerate(some):
                if i % 2:
                    ids.append(len(SPECIAL) + ord(piece) - FIRST)
                    places.append((start, start + 1))
                else:
                    one = next(made)
                    ids += one.ids
                    if wanted:
                        places += [(start + first, start + last) for first, last in one.offsets]
                start += len(piece)
            yield ids, places

    def encoded(self, texts: Sequence[str], places: bool = False, encode: Encode | None = None) -> Iterator[Encoded]:
        """Each text's tokens, cut to `longest`; where each stands among its bytes, if asked.

        Blanks around a token do not belong to its place; begin and end have empty ones.
        """
        for text, (inner, offsets) in zip(texts, self.found(texts, encode, places), strict=True):
            ids = [*([BEGIN] if self.begin else []), *inner, *([END] if self.end else [])]
            long = self.longest is not None and len(ids) > self.longest
            first = len(ids) - (self.longest or 0) if long and self.keep == "end" else 0
            kept = slice(first, first + (self.longest or 0)) if long else slice(None)
            where = np.zeros((0, 2), dtype=np.int32)
            if places:
                begin, end = [(0, 0)] if self.begin else [], [(len(text), len(text))] if self.end else []
                every = [*begin, *(trimmed(text, *place) for place in offsets), *end]
                where = byte_places(text)[np.array(every, dtype=np.int64).reshape(-1, 2)][kept].astype(np.int32)
            yield Encoded(np.array(ids, dtype=np.int32)[kept], where, long)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of tokens up to the first end; an unknown one is `<unk>`, other special ones are left out.

        Raises:
            ValueError: for a number that is no token's.
        """
        tokens: list[str] = []
        for number in map(int, ids):
            if number == END:
                break
            if number in (PADDING, BEGIN) or len(SPECIAL) <= number < len(self.special):
                continue
            token = "<unk>" if number == UNKNOWN else self.tokenizer.id_to_token(number)
            if token is None:
                raise ValueError(f"there is no token {number}, only 0 to {self.size - 1}")
            tokens.append(token)
        text: str = " ".join(tokens) if self.words else self.tokenizer.decoder.decode(tokens)
        return text


def special_tokens(marks: int) -> tuple[str, ...]:
    """The names of the tokens that stand before those of texts."""
    return (*SPECIAL, *(f"< mark {i} >" for i in range(marks)))


def byte_places(text: str) -> npt.NDArray[np.int64]:
    """(n + 1,) where each of a text's n characters begins, and its end, among its UTF-8 bytes."""
    if text.isascii():
        return np.arange(len(text) + 1)
    raw = np.frombuffer(text.encode("utf-8", errors="replace"), dtype=np.uint8)
    return np.append(np.flatnonzero((raw & 0xC0) != 0x80), len(raw))


def trimmed(text: str, first: int, last: int) -> tuple[int, int]:
    """A place in a text, by characters, without blanks at its ends."""
    while first < last and text[first].isspace():
        first += 1
    while first < last and text[last - 1].isspace():
        last -= 1
    return first, last
