"""Work done in threads beside each other, its results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from lightning_base.tools.process import cores

MOST = 4  # threads
A = TypeVar("A")
B = TypeVar("B")


def in_order(work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """What `work` makes of each item, one after another; in up to four threads, and few items wait.

    What `work` or the items raise is raised here; what has not begun then never does.
    """
    threads = min(cores(), MOST)
    coming = deque[Future[B]]()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                coming.append(pool.submit(work, item))
                if len(coming) > threads:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for one in coming:
                one.cancel()
