"""Folds in several processes at once, each with its share of the cores or its own GPUs; one that is killed goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from lightning_base.distributed.process import STATUS
from lightning_base.errors import ConfigError
from lightning_base.folds.plan import Plan
from lightning_base.folds.progress import FoldProgress, outcome
from lightning_base.results import states
from lightning_base.tools.files import last_line, write_json
from lightning_base.tools.process import path_variables, stop, thread_variables
from lightning_base.training.preempt import Preempted
from lightning_base.training.signals import listening, raised

DEATHS = 3  # as often in a row may a fold's process be killed without a new checkpoint in between


@dataclass
class Worker:
    """A process that trains folds, one after another: those of its list that no other process has."""

    process: "subprocess.Popen[bytes]"
    place: int
    folds: Sequence[int]


@dataclass
class Processes:
    """Trains folds in processes of their own.

    Args:
        devices: one entry per process that runs at once: the GPUs it sees, or None on a CPU.
        threads: threads that each rank computes with.
        ranks: processes that Lightning makes for one fold.
    """

    devices: Sequence[str | None]
    threads: int
    ranks: int
    _deaths: dict[int | None, tuple[int, float]] = field(default_factory=dict)
    _theirs: int = field(default=-1, init=False)  # what processes read, to see it end
    _counted: set[int] = field(default_factory=set)  # processes whose fold is known to have been left

    def run(self, plan: Plan, folds: Sequence[int], progress: FoldProgress) -> None:
        """Trains the folds; a process that is killed is started again, and its fold goes on from its last checkpoint.

        Raises:
            UserError: where the processes cannot even begin.
            Preempted: by a signal, which is passed on; the folds have kept their checkpoints then.
        """
        with listening():
            self._run(plan, folds, progress)

    def _run(self, plan: Plan, folds: Sequence[int], progress: FoldProgress) -> None:
        for fold in folds:
            states.forget_failure(plan.fold_directory(fold))
            self._newly_left(plan, fold)  # by an earlier command: counted here, so that no worker of this one is blamed
        waiting, workers = list(folds), list[Worker]()
        self._theirs, ours = os.pipe()  # it ends with this process, however that ends
        try:
            while waiting:
                for fold in [f for f in waiting if self._ended(plan, f)]:
                    waiting.remove(fold)
                    progress.finish(fold, outcome(plan.fold_directory(fold)))
                workers = [w for w in workers if not self._gone(plan, w)]
                if (number := raised()) is not None:
                    pass_on(number, workers)
                self._start(plan, waiting, workers)
                progress.look(waiting)
                time.sleep(0.05)
            for worker in workers:
                worker.process.wait()
        finally:
            stop([worker.process for worker in workers])
            os.close(self._theirs)
            os.close(ours)

    @staticmethod
    def _ended(plan: Plan, fold: int) -> bool:
        return states.read(plan.fold_directory(fold))["state"] in ("done", "failed")

    def _start(self, plan: Plan, waiting: Sequence[int], workers: list[Worker]) -> None:
        """Fills the free places, as long as there are folds that no process has."""
        free = [place for place in range(len(self.devices)) if place not in {w.place for w in workers}]
        running = [f for f in waiting if states.runs_here(plan.fold_directory(f))]
        taken = {w.folds[0] for w in workers} if self.ranks > 1 else set()
        rest = [f for f in waiting if f not in running and f not in taken]
        starting = 0 if self.ranks > 1 else len(workers) - len(running)  # these will take folds of the rest
        for place in free[: max(len(rest) - starting, 0)]:
            folds = rest if self.ranks == 1 else [rest.pop(0)]
            workers.append(self._worker(plan, place, folds))

    def _worker(self, plan: Plan, place: int, folds: Sequence[int]) -> Worker:
        environment = {**os.environ, **path_variables(), **thread_variables(self.threads)}
        environment["LIGHTNING_BASE_PARENT"] = str(os.getpid())
        if (devices := self.devices[place]) is not None:
            environment["CUDA_VISIBLE_DEVICES"] = devices
        command = [sys.executable, "-m", "lightning_base.cli.worker", str(plan.directory), *map(str, folds)]
        log = log_of(plan, place)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=self._theirs,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,  # a fold's ranks end with it, and Ctrl-C is passed on in order
            )
        return Worker(process, place, folds)

    def _gone(self, plan: Plan, worker: Worker) -> bool:
        """Whether a worker has ended; notes the fold that a killed one leaves."""
        status = worker.process.poll()
        if status is None:
            return False
        if status in (0, 1):  # its folds have ended, or others have them
            return True
        with suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGKILL)  # the ranks it leaves
        log = log_of(plan, worker.place)
        if status == 2:
            said = last_line(log).removeprefix("lightning-base: error: ") or f"see {log}"
            raise ConfigError(f"--executor process: {said}")
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        own = [f for f in worker.folds if states.read(plan.fold_directory(f)).get("pid") == worker.process.pid]
        # where Python is a wrapper, what trains has another number
        fold = next((f for f in [*own, *worker.folds] if self._newly_left(plan, f)), None)
        count = self._count(plan, fold)
        if count < DEATHS:
            return True
        why = f"its process was {how} {count} times without a new checkpoint (out of memory? see {log})"
        if fold is None:
            raise ConfigError(f"--executor process: a fold cannot begin: {why}; take fewer --jobs, or inline")
        write_json(plan.fold_directory(fold) / states.STATE, states.failed(RuntimeError(why)))
        return True

    def _newly_left(self, plan: Plan, fold: int) -> bool:
        """Whether a process has gone and left the fold, and this was not known before."""
        state = states.read(plan.fold_directory(fold))
        if state["state"] != "interrupted" or state["pid"] in self._counted:
            return False
        self._counted.add(state["pid"])
        return True

    def _count(self, plan: Plan, fold: int | None) -> int:
        """How often the fold's process has died since its last checkpoint."""
        home = plan.fold_directory(fold) if fold is not None else plan.directory / "none"
        checkpoints = [path for name in ("*.ckpt", "result.json") for path in home.rglob(name)]  # a search's too
        newest = max((path.stat().st_mtime for path in checkpoints), default=0.0)
        count, before = self._deaths.get(fold, (0, newest))
        count = count + 1 if newest == before else 1
        self._deaths[fold] = (count, newest)
        return count


def log_of(plan: Plan, place: int) -> Path:
    """What a process prints."""
    return plan.directory / "workers" / f"{place}.log"


def pass_on(number: int, workers: Sequence[Worker]) -> NoReturn:
    """Gives a signal to processes, waits until they have kept their checkpoints and ended, and ends this one."""
    for worker in workers:
        with suppress(ProcessLookupError):
            os.killpg(worker.process.pid, number)
    for worker in workers:
        worker.process.wait()
    raise Preempted(STATUS)
