"""Texts as payloads: Ragged uint8 of their UTF-8 bytes, and back; places in them by characters and by bytes."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from lightning_base.samples.payload import Payload, Ragged, Rows, blocks


def text_values(texts: Iterable[str]) -> Ragged:
    """Texts as payload: Ragged uint8 of their UTF-8 bytes, for a tokenizer to be fitted on."""
    parts = [np.frombuffer(text.encode("utf-8", errors="replace"), dtype=np.uint8) for text in texts]
    return Ragged.of(parts, np.zeros(0, dtype=np.uint8))


def texts_of(payload: Payload, rows: Rows) -> Iterator[str]:
    """The texts of these rows (N,) of Ragged UTF-8 bytes."""
    for block in blocks(payload, rows, 256):
        assert block.lengths is not None
        for value, length in zip(block.values, block.lengths, strict=True):
            yield value[:length].tobytes().decode("utf-8")


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
