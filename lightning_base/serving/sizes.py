"""How many bytes inputs hold in memory, about."""

from collections.abc import Mapping
from dataclasses import is_dataclass

import numpy as np


def size_of(value: object) -> int:
    """Bytes of the arrays, texts and numbers in a value, those inside of others included."""
    total = 0
    left = [value]
    while left:
        one = left.pop()
        total += 64
        if isinstance(one, np.ndarray):
            total += one.nbytes
        elif isinstance(one, str | bytes | bytearray):
            total += len(one)
        elif isinstance(one, Mapping):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
        elif is_dataclass(one):
            left += vars(one).values()
    return total
