"""Budgets: the bytes that requests hold in memory, and the requests that a client has left."""

import math
import threading
from collections import OrderedDict
from time import monotonic

from lightning_base.serving.refused import Refused

CLIENTS = 10_000  # whose buckets are kept; the one that asked longest ago is forgotten first


class Memory:
    """Bytes of bodies and inputs that all requests together hold.

    Args:
        limit: the most.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0
        self.lock = threading.Lock()


class Share:
    """The bytes that one request holds."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self.bytes = memory, 0

    def add(self, count: int) -> None:
        """Holds so many bytes more; any thread may say so.

        Raises:
            Refused: 503, where all requests together would hold more than there may be.
        """
        with self._memory.lock:
            if self._memory.held + count > self._memory.limit:
                raise Refused(503, "too many large inputs at once; try again", retry=1)
            self._memory.held += count
            self.bytes += count

    def release(self) -> None:
        """Holds nothing any more."""
        with self._memory.lock:
            self._memory.held -= self.bytes
            self.bytes = 0


class Rate:
    """A bucket of tokens for each client: so many requests a second, and a second's worth at once.

    Args:
        rate: tokens a second; 0 for no limit.
    """

    def __init__(self, rate: float) -> None:
        self.rate, self.most = rate, max(1.0, rate)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Takes a token of a client's.

        Raises:
            Refused: 429, where it has none left.
        """
        if not self.rate:
            return
        now = monotonic()
        tokens, then = self._buckets.pop(client, (self.most, now))
        tokens = min(self.most, tokens + (now - then) * self.rate)
        if tokens < 1:
            self._buckets[client] = tokens, now
            wait = math.ceil((1 - tokens) / self.rate)
            raise Refused(429, f"more than {self.rate:g} requests a second; try again in {wait} s", retry=wait)
        self._buckets[client] = tokens - 1, now
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
