"""Spans: parts of texts as targets, by characters as they are read, by tokens as networks are trained on them."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from lightning_base.runtime.tokens import byte_places
from lightning_base.samples.payload import Payload, Ragged, gather
from lightning_base.samples.targets import Targets
from lightning_base.samples.texts import text_values, texts_of

UNIT = "\x1f"  # Unicode's unit separator: stands between a span's texts, where several are right
PLACES, TEXT = "_places", "_text"  # what ends the names of inputs that say where another one's tokens stand in its text
LOST = -100  # the token number of what a text was cut before; torch's cross_entropy leaves it out by itself


def answer_values(answers: Iterable[Iterable[str]]) -> Ragged:
    """The texts that are right for each sample, as `Targets.texts` of spans has them: none is the empty text."""
    return text_values([UNIT.join(some) for some in answers])


def span_faults(targets: Targets, texts: Payload) -> list[tuple[int, str]]:
    """The rows whose span is none of its text, or holds another text than it says, with what is wrong.

    Args:
        targets: spans of N texts.
        texts: the input that they are of, Ragged UTF-8 bytes.
    """
    found: list[tuple[int, str]] = []
    rows = np.arange(len(targets))
    places = gather(targets.payload, rows)[0].tolist()
    assert targets.texts is not None
    for row, (first, last), text, answers in zip(
        rows.tolist(), places, texts_of(texts, rows), texts_of(targets.texts, rows), strict=True
    ):
        if not 0 <= first <= last <= len(text):
            found.append((row, f"its answer is at {first} to {last} of {len(text)} characters"))
        elif text[first:last] != (said := answers.split(UNIT)[0]):
            found.append((row, misplaced(said, first, text)))
    return found


def misplaced(answer: str, first: int, text: str) -> str:
    """What is said of an answer that is not where it should be: what is there, and where it is."""
    there = text[first : first + len(answer)]
    places = [at for at in range(len(text)) if text.startswith(answer, at)] if answer else []
    near = min(places, key=lambda at: abs(at - first), default=None)
    nearest = "and it is nowhere in it" if near is None else f"and it is at {near}"
    return f"its answer {answer[:60]!r} is not at character {first} of its text, where {there[:60]!r} is, {nearest}"


def in_tokens(
    spans: npt.NDArray[np.int64], texts: list[str], places: Ragged
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The first and the last token (N, 2) of spans, and which (N,) of them do not begin and end where tokens do.

    Args:
        spans: (N, 2) of characters; an empty one at 0 is that of no answer, whose token is the first, which then has
            to be a begin.
        texts: (N,) that they are of.
        places: of each text's tokens, (T, 2) of bytes, those of begin and end empty. What the text was cut before is
            not among them: spans with a part there are LOST.
    """
    found, inexact = np.full((len(texts), 2), LOST, dtype=np.int64), np.zeros(len(texts), dtype=bool)
    for row, (text, (first, last)) in enumerate(zip(texts, spans.tolist(), strict=True)):
        own = places[row]
        if first == last:
            found[row] = 0
            continue
        start, end = (int(byte_places(text)[at]) for at in (first, last))
        inside = np.flatnonzero((own[:, 1] > start) & (own[:, 0] < end))
        if len(inside) and own[:, 1].max() >= end and own[own[:, 1] > own[:, 0], 0].min() <= start:
            found[row] = inside[0], inside[-1]
            inexact[row] = own[inside[0], 0] != start or own[inside[-1], 1] != end
    return found, inexact
