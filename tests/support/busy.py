"""`python -m tests.support.busy N COMMAND …`: runs a command beside N processes that compute without end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

SPIN = "while True: sum(range(10_000))"


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many busy processes, for a while; they end with this process, however it ends."""
    watched = f"import os, threading, time\nparent = {os.getpid()}\n" + (
        "def watch():\n    while os.getppid() == parent: time.sleep(1)\n    os._exit(0)\n"
        f"threading.Thread(target=watch, daemon=True).start()\n{SPIN}"
    )
    started = [subprocess.Popen([sys.executable, "-c", watched]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.send_signal(signal.SIGKILL)
            process.wait()


def main(arguments: Sequence[str]) -> int:
    """Runs the command; its exit status."""
    with busy(int(arguments[0])):
        return subprocess.run(arguments[1:], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
