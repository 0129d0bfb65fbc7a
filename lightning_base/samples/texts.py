"""Texts as payloads: Ragged uint8 of their UTF-8 bytes, and back."""

from collections.abc import Iterable, Iterator

import numpy as np

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
