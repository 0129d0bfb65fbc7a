"""Signals that ask a training to stop: noted when they come, and heeded at the next place to go on from."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Flag:
    """A signal handler that notes the first signal, and does nothing else."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number


@contextmanager
def listening() -> Iterator[None]:
    """Notes SIGTERM and SIGUSR1 for a while, also where no training runs; they are heeded at the next step."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    flag = Flag()
    before = {number: signal.signal(number, flag) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def raised() -> int | None:
    """The signal that a flag has noted; None where there was none, or nothing listens."""
    flag = signal.getsignal(signal.SIGUSR1)
    return flag.signal if isinstance(flag, Flag) else None
