"""One spelling of a name, whatever it came as: 7, 7.0 and "7" are one, True and "TRUE" are "true"."""

import re
from collections.abc import Collection
from typing import Any

import numpy as np

WHOLE = r"-?(?:0|[1-9]\d{0,17})"  # as int64 holds it, and as Python writes it
TRUTHS = {"false": 0.0, "true": 1.0}


def text_of(value: Any) -> str | None:
    """One value as text; None for a blank one."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    text = value if isinstance(value, str) else str(value)
    if text.endswith("0") and "." in text and (whole := re.fullmatch(rf"({WHOLE})\.0+", text)):
        text = whole[1]
    return None if not text.strip() else "0" if text == "-0" else text


def spelt(value: Any) -> str | None:
    """A category or a class: as `text_of`, and booleans as "true" and "false", however they are written."""
    text = text_of(value)
    return text.lower() if text is not None and text.lower() in TRUTHS else text


def spelling_of(fitted: Collection[str]) -> dict[str, str]:
    """What a category is called among fitted ones: 0 and 1 are booleans where those are, and the reverse."""
    numbers = {"false": "0", "true": "1"}
    if fitted and set(fitted) <= numbers.keys():
        return {number: truth for truth, number in numbers.items()}
    return numbers if fitted and set(fitted) <= set(numbers.values()) else {}
