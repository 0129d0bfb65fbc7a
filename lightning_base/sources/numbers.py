"""Columns of numbers as people write them, and what says how a column is written."""

import math
from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.runtime.notation import MARKS, PLAIN, Notation, number, pattern
from lightning_base.samples.payload import Rows
from lightning_base.sources.form import Values

SHARE = 0.9  # of a column's distinct values that must be written alike


SEPARATORS = ((".", ""), (",", ""), (".", ","), (",", "."), (".", "'"), (".", " "), (",", " "))


def to_numbers(values: Values, notation: Notation = PLAIN) -> npt.NDArray[np.float64]:
    """(n,) float64; NaN for what is missing or no number."""
    if values.dtype != object:
        return values
    codes, found = distinct(values)
    return np.array([*(number(one, notation) for one in found), math.nan])[codes]


def distinct(values: Values) -> tuple[Rows, list[str]]:
    """(n,) codes of texts, -1 for what is missing, and the distinct texts that they stand for."""
    codes, found = pd.factorize(values, use_na_sentinel=True)
    return codes, list(found)


def notation_of(texts: Collection[str], base: Notation) -> Notation | None:
    """How the distinct texts of a column are written, where nine in ten or more are numbers written alike; else None.

    Args:
        texts: which are no plain numbers.
        base: what is declared; another than PLAIN is not guessed beyond its mark.

    Raises:
        ValueError: where they can be read in two ways that differ, as 1,234 can.
    """
    mark = _mark(texts)
    if mark is None:
        return None
    forms = [base._replace(mark=mark)] if base != PLAIN else [Notation(*one, mark) for one in SEPARATORS]
    fitting = [form for form in forms if _share(texts, form) >= SHARE]
    if not fitting:
        return None
    best = max(fitting, key=lambda form: _share(texts, form))
    for other in fitting:
        if differ := next((one for one in texts if _differs(one, best, other)), None):
            raise ValueError(f"{differ!r} is {number(differ, best):.10g} or {number(differ, other):.10g}")
    return best


def _mark(texts: Iterable[str]) -> str | None:
    """The one sign that all texts have; "" where none has any, None where some have and others have not."""
    found = [{sign for sign in MARKS if sign in text} for text in texts]
    kinds = {frozenset(one) for one in found}
    if len(kinds) != 1 or len(found[0]) > 1:
        return None
    return next(iter(found[0]), "")


def _share(texts: Collection[str], form: Notation) -> float:
    """The share of texts that are numbers in a notation."""
    if form.thousands == "." and not any(form.decimal in text for text in texts):
        return 0.0  # groups of digits between points alone are addresses as well
    return sum(pattern(form).fullmatch(text.strip()) is not None for text in texts) / len(texts)


def _differs(text: str, one: Notation, other: Notation) -> bool:
    """Whether both notations take a text for a number, and not for the same."""
    text = text.strip()
    both = pattern(one).fullmatch(text) and pattern(other).fullmatch(text)
    return bool(both) and number(text, one) != number(text, other)
