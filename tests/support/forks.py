"""Commands of one process or several that a test may kill, thirty of them, as torch is imported but once."""

import socket
import subprocess
import time
from pathlib import Path

from tests.helpers import environment


class Forks:
    """Runs commands, one after another.

    Args:
        interpreter: the program that runs them, Python or what stands in for it.
    """

    def __init__(self, interpreter: str) -> None:
        self.interpreter = interpreter

    def __call__(self, cwd: Path, *arguments: object, ranks: int = 1, **given: str) -> list[int]:
        """Runs `lightning-base` with these arguments; each rank's status, negative where a signal ended it.

        The ranks of one command end with the first that fails. What they print stands in cwd / "log".
        """
        command = [self.interpreter, "-m", "lightning_base", *map(str, arguments)]
        shared = environment(OMP_NUM_THREADS="1", PYTHONWARNINGS="ignore", **given)
        if ranks > 1:
            shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        with (cwd / "log").open("ab") as log:
            processes = [
                subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=shared | ({"LOCAL_RANK": str(rank)} if ranks > 1 else {}),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                for rank in range(ranks)
            ]
        while any(process.poll() is None for process in processes):
            if any(process.returncode for process in processes):
                for process in processes:
                    process.kill()
            time.sleep(0.01)
        return [process.returncode for process in processes]


def free_port() -> int:
    """A port of this machine that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
