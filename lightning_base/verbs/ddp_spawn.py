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
from threading import Thread
from typing import IO

from jsonargparse import Namespace
from lightning.pytorch import Trainer

from lightning_base.errors import ConfigError, ProcessFailed
from lightning_base.tools.console import Level, level
from lightning_base.tools.process import path_variables, stop

NAME = "ddp_spawn"


def run(arguments: Sequence[str], trainer: Namespace) -> None:
    """Runs a command in as many processes as it asks for devices; what the first one says is said here.

    Args:
        arguments: the command's, the verb first.
        trainer: its trainer's configuration.

    Raises:
        ConfigError: for more than one machine.
        ProcessFailed: where a process failed.
    """
    if trainer.num_nodes > 1:
        raise ConfigError(f"trainer.strategy: {NAME} is for one machine; take ddp, started on each by a launcher")
    n = Trainer(
        accelerator=trainer.accelerator, devices=trainer.devices, strategy="ddp", logger=False, barebones=True
    ).num_devices
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **os.environ,
        **path_variables(),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(n),
        "NODE_RANK": "0",
    }
    command = [sys.executable, "-m", "lightning_base", *arguments, "--trainer.strategy", "ddp"]
    command += {Level.QUIET: ["-q"], Level.VERBOSE: ["-v"]}.get(level(), [])
    with tempfile.TemporaryFile() as others:
        workers = [_start(command, shared, rank, others) for rank in range(n)]
        first = workers[0].stdout
        assert first is not None
        told: list[str] = []
        relay = Thread(target=_relay, args=(first, told, level() != Level.SILENT))
        relay.start()
        try:
            status = _wait(workers)
        finally:
            stop(workers)
            relay.join()
            first.close()
        if status and workers[0].returncode <= 0:
            others.seek(0)
            told += others.read().decode(errors="replace").splitlines()
    if status:
        raise ProcessFailed(f"trainer.strategy: {NAME}: a process ended with status {status}: {_reason(told)}", status)


def _reason(told: Sequence[str]) -> str:
    """The last line that was said, without what marks it as an error."""
    lines = [line.strip() for line in told if line.strip()]
    return lines[-1].removeprefix("lightning-base: error: ") if lines else "it said nothing"


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


def _relay(output: IO[bytes], told: list[str], aloud: bool) -> None:
    """Keeps the last lines of what a process says, and says them where that is asked for."""
    for line in output:
        text = line.decode(errors="replace")
        told[:] = [*told[-20:], text]
        if aloud:
            print(text, end="", flush=True)


def _wait(workers: Sequence["subprocess.Popen[bytes]"]) -> int:
    """Waits until all have ended, or one has failed; its exit status, 1 where a signal ended it."""
    while True:
        ended = [worker.poll() for worker in workers]
        if failed := [status for status in ended if status]:
            return max(failed) if max(failed) > 0 else 1
        if None not in ended:
            return 0
        time.sleep(0.05)
