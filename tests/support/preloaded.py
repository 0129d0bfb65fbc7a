"""An interpreter that has imported everything already: what `python -m lightning_base …` starts begins at once.

`python -m tests.support.preloaded SOCKET` listens. The program that `Preloaded` writes stands in for Python, as
sys.executable: it asks for a fork, and is that child in all that its own parent sees: files, environment, folder,
signals, exit status. It becomes the real interpreter for anything but the modules of MODULES.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from tests.helpers import ROOT, environment

MODULES = ("lightning_base", "lightning_base.cli.worker", "torch.distributed.run")
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")  # where Lightning looks when it is imported
STAND_IN = """#!{python} -IS
import array, json, os, signal, socket, sys
given = sys.argv[2:] if sys.argv[1:2] == ["-u"] else sys.argv[1:]
if given[:1] != ["-m"] or given[1] not in {modules!r}:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
home = socket.socket(socket.AF_UNIX)
home.connect({address!r})
ask = json.dumps(dict(given=given[1:], cwd=os.getcwd(), environment=dict(os.environ), executable=sys.argv[0])).encode()
home.sendmsg([len(ask).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
home.sendall(ask)
answers = home.makefile("r")
child = int(answers.readline())
def pass_on(number, frame):
    try:
        os.kill(child, number)
    except ProcessLookupError:
        pass
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, pass_on)
status = int(answers.readline() or 70)
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
    os.kill(os.getpid(), -status)
os._exit(status)
"""


class Preloaded:
    """A context manager; within it, `path` is the program that stands in for Python."""

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp())  # a socket's path has to be short
        address = str(self._folder / "socket")
        self.path = str(self._folder / "python")
        Path(self.path).write_text(STAND_IN.format(python=sys.executable, modules=MODULES, address=address))
        Path(self.path).chmod(0o755)
        command = [sys.executable, "-m", "tests.support.preloaded", address]
        self._server = subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE)
        while not Path(address).exists():
            assert self._server.poll() is None
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        with self._server:
            self._server.stdin.close()
        shutil.rmtree(self._folder)


class Server:
    """Forks a child for each that asks, tells it how the child ended, and ends what it leaves."""

    def __init__(self, address: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(address + ".new")
        self.listener.listen(64)
        os.rename(address + ".new", address)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(sys.stdin, selectors.EVENT_READ)

    def serve(self) -> dict[str, Any] | None:
        """Returns what was asked for, in a child; None in the server itself, once there is nobody left to ask."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is sys.stdin:
                    return None
                if key.fileobj is self.listener:
                    if (request := self._fork()) is not None:
                        return request
                elif isinstance(key.fileobj, int):
                    self._ended(key.fileobj, *key.data)
                else:
                    self._left(key.fileobj, key.data)

    def _fork(self) -> dict[str, Any] | None:
        asker, _ = self.listener.accept()
        head, extra, *_ = asker.recvmsg(8, socket.CMSG_SPACE(12))
        files = array.array("i", extra[0][2][:12])
        size, text = int.from_bytes(head, "big"), b""
        while len(text) < size:
            text += asker.recv(size - len(text))
        pid = os.fork()
        if pid == 0:
            os.setsid()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            for key in [*self.selector.get_map().values()]:
                if key.fileobj is not sys.stdin:
                    os.close(key.fd)
            self.selector.close()
            asker.close()
            return json.loads(text)
        for file in files:
            os.close(file)
        asker.sendall(b"%d\n" % pid)
        self.selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, asker))
        self.selector.register(asker, selectors.EVENT_READ, pid)
        return None

    def _ended(self, descriptor: int, pid: int, asker: socket.socket) -> None:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.selector.unregister(descriptor)
        os.close(descriptor)
        with contextlib.suppress(OSError):  # it was killed itself
            asker.sendall(b"%d\n" % status)

    def _left(self, asker: Any, pid: int) -> None:
        """Nobody waits for the child: it was killed through its stand-in, or has ended; so do its own."""
        self.selector.unregister(asker)
        asker.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def become(request: dict[str, Any]) -> None:
    """Makes of this process the one that was asked for, and runs its module."""
    import torch
    from lightning_utilities.core.rank_zero import rank_zero_only

    module, *arguments = request["given"]
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.executable = request["executable"]
    sys.argv = [module, *arguments]
    first = [] if os.environ.get("PYTHONSAFEPATH") else [request["cwd"]]
    sys.path[:] = [*first, *filter(None, os.environ.get("PYTHONPATH", "").split(":")), *sys.path[1:]]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    rank_zero_only.rank = next((int(os.environ[key]) for key in RANKS if key in os.environ), 0)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def preload() -> None:
    """Imports what a training command does, but nothing that a working directory may hold its own of."""
    for name in ("sklearn.datasets", "sklearn.model_selection", "torch._dynamo", *MODULES[1:]):
        importlib.import_module(name)
    importlib.import_module("lightning_base.auditing")
    importlib.import_module("lightning_base.tasks")


if __name__ == "__main__":
    preload()
    gc.freeze()  # else a child's first collection copies all that it shares with this process
    asked = Server(sys.argv[1]).serve()
    if asked is not None:
        become(asked)
