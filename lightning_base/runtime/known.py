"""Words or names that are known, kept as hashes of 32 bits: a few kilobytes in JSON, whatever they are."""

import base64
import zlib
from collections.abc import Iterable

import numpy as np

MOST = 200_000  # of as many a foreign one passes for known once in 20,000


def hashed(word: str) -> int:
    """A number of 32 bits, the same everywhere."""
    return zlib.crc32(word.encode("utf-8", errors="replace"))


class Known:
    """A set of words.

    Args:
        hashes: of its words; at most MOST are kept, the smallest, and `whole` is then False.
    """

    def __init__(self, hashes: Iterable[int]) -> None:
        found = sorted(set(hashes))
        self.whole, self.hashes = len(found) <= MOST, frozenset(found[:MOST])

    def __contains__(self, word: str) -> bool:
        return hashed(word) in self.hashes

    def __len__(self) -> int:
        return len(self.hashes)

    def written(self) -> str:
        """The hashes in base64."""
        return base64.b64encode(np.array(sorted(self.hashes), dtype="<u4").tobytes()).decode("ascii")

    @staticmethod
    def read(text: str) -> "Known":
        """The set that `written` gave."""
        return Known(np.frombuffer(base64.b64decode(text), dtype="<u4").tolist())
