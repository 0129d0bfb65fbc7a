"""trainer.strategy ddp_spawn: the command in processes of its own, whatever program has called it, such as a notebook.

Lightning's strategy of that name starts a function, not a command: it needs networks that can be pickled, gives no
predictions back and forgets in which epoch training ended. Its ddp starts the program again that it runs in, which in a
notebook is the notebook's. Here each process runs `lightning-base` with the same arguments, and ddp.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import IO

from jsonargparse import Namespace
from lightning.pytorch import Trainer

from lightning_base.errors import UserError
from lightning_base.tools.process import stop

NAME = "ddp_spawn"
VERBS = ("fit", "validate", "test", "predict", "crossval")


def wanted(verb: str, trainer: Namespace) -> bool:
    """Whether a verb is to be run in processes of its own."""
    return verb in VERBS and trainer.strategy == NAME


def run(arguments: Sequence[str], trainer: Namespace) -> int:
    """Runs a command in as many processes as it asks for devices; what the first one says is printed here.

    Args:
        arguments: the command's, the verb first.
        trainer: its trainer's configuration.

    Returns:
        The exit status: that of a process that failed, else 0.

    Raises:
        UserError: for more than one machine.
    """
    if trainer.num_nodes > 1:
        raise UserError(f"trainer.strategy: {NAME} is for one machine; take ddp, started on each by a launcher")
    n = Trainer(
        accelerator=trainer.accelerator, devices=trainer.devices, strategy="ddp", logger=False, barebones=True
    ).num_devices
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    package = str(Path(__file__).parents[2])
    shared = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")])),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(n),
        "NODE_RANK": "0",
    }
    command = [sys.executable, "-m", "lightning_base", *arguments, "--trainer.strategy", "ddp"]
    with tempfile.TemporaryFile() as others:
        workers = [_start(command, shared, rank, others) for rank in range(n)]
        first = workers[0].stdout
        assert first is not None
        relay = Thread(target=_relay, args=(first,))
        relay.start()
        try:
            status = _wait(workers)
        finally:
            stop(workers)
            relay.join()
            first.close()
        if status and workers[0].returncode <= 0:
            others.seek(0)
            print(others.read().decode(errors="replace"), end="", file=sys.stderr)
    return status


def _start(
    command: Sequence[str], shared: Mapping[str, str], rank: int, others: IO[bytes]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=others if rank else subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**shared, "LOCAL_RANK": str(rank)},
        start_new_session=True,
    )


def _relay(output: IO[bytes]) -> None:
    for line in output:
        print(line.decode(errors="replace"), end="", flush=True)


def _wait(workers: Sequence["subprocess.Popen[bytes]"]) -> int:
    """Waits until all have ended, or one has failed; its exit status, 1 where a signal ended it."""
    while True:
        ended = [worker.poll() for worker in workers]
        if failed := [status for status in ended if status]:
            return max(failed) if max(failed) > 0 else 1
        if None not in ended:
            return 0
        time.sleep(0.05)
