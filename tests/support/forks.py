"""A process that imports everything once and forks one child a command, so that a test may kill thirty of them."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.helpers import ROOT, environment


class Forks:
    """Runs commands in forked children, one after another: a context manager."""

    def __enter__(self) -> Self:
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forks"],
            cwd=ROOT,
            env=environment(OMP_NUM_THREADS="1", PYTHONWARNINGS="ignore"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self.server:
            self.server.stdin.close()

    def __call__(self, cwd: Path, *arguments: object, ranks: int = 1, **environment: str) -> list[int]:
        """Runs `lightning-base` with these arguments; each rank's status, negative where a signal ended it.

        The ranks of one command end with the first that a signal ends. What they print stands in cwd / "log".
        """
        request = {"cwd": str(cwd), "arguments": [*map(str, arguments)], "ranks": ranks, "environment": environment}
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())


def serve() -> None:
    """Answers requests, a line each, until there are no more."""
    import sklearn.datasets
    import sklearn.model_selection  # noqa: F401

    import datamodules.arrays  # noqa: F401
    import models.cnn  # noqa: F401
    import tests.support.kills  # noqa: F401

    gc.freeze()  # else a child's first collection copies all that it shares with this process
    for line in sys.stdin:
        request = json.loads(line)
        children = [fork(request, rank) for rank in range(request["ranks"])]
        statuses = {}
        while len(statuses) < len(children):
            pid, status = os.wait()
            statuses[pid] = os.waitstatus_to_exitcode(status)
            if statuses[pid] != 0:
                for other in set(children) - statuses.keys():
                    os.kill(other, signal.SIGKILL)
        print(json.dumps([statuses[pid] for pid in children]), flush=True)


def fork(request: Mapping[str, Any], rank: int) -> int:
    """Starts one rank of a command; its process number."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = request.setdefault("port", free.getsockname()[1])
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        os.chdir(request["cwd"])
        os.environ |= request["environment"]
        if request["ranks"] > 1:
            os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        from lightning_base.cli.entry import main

        status = main(request["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
