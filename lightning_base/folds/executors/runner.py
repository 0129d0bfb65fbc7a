"""Where folds are trained: in this process, in several processes at once, as a Slurm array, or all in one batch."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator

from lightning_base.distributed.slurm import Slurm
from lightning_base.errors import ConfigError
from lightning_base.folds.executors.options import Execution
from lightning_base.folds.executors.process import Processes
from lightning_base.folds.executors.slurm import submit_and_follow
from lightning_base.folds.executors.vectorized.executor import check_stackable, train_vectorized
from lightning_base.folds.fold import attempt
from lightning_base.folds.plan import Plan
from lightning_base.folds.progress import FoldProgress, outcome
from lightning_base.results import states
from lightning_base.tools.process import cores
from lightning_base.training.experiment import Experiment
from lightning_base.training.objects import demand_importable
from lightning_base.training.preempt import leave_if_raised
from lightning_base.training.run import Run
from lightning_base.training.signals import listening

Runner: TypeAlias = Callable[[Plan, Sequence[int], FoldProgress], None]


def runner(execution: Execution, experiment: Experiment, first: Run) -> Runner:
    """What trains folds as the execution says; each leaves its result, or why it failed, in its directory.

    Args:
        execution: how.
        experiment: the configuration.
        first: a run as the folds' will be, for the processes and devices that it takes.

    Raises:
        UserError: where the executor cannot serve the experiment or this machine.
    """
    trainer = first.trainer
    if execution.executor in ("process", "slurm") and experiment.objects is not None:
        demand_importable(experiment.objects.identity, f"executor {execution.executor}")
    if execution.executor == "inline":
        alone = trainer.world_size == 1
        return lambda plan, folds, progress: inline(plan, folds, progress, alone, execution.threads)
    environment = getattr(trainer.strategy, "cluster_environment", None)  # a single device's strategy has none
    if environment is not None and environment.creates_processes_externally:
        raise ConfigError(
            f"--executor {execution.executor}: this process is one of several that a launcher started; "
            "take inline there, or run crossval without the launcher"
        )
    if execution.executor == "process":
        return processes(execution, first).run
    if execution.executor == "slurm":
        asked = experiment.config.trainer  # `first` is built for this machine, which may have no such devices
        options = (execution.slurm or Slurm()).check(asked.devices, asked.num_nodes, asked.accelerator)
        threads = execution.threads
        return lambda plan, folds, progress: follow(plan, folds, progress, options, threads)
    if trainer.world_size > 1:
        raise ConfigError("--executor vectorized: trainer.devices is more than one; take inline or process")
    check_stackable(first)

    def vectorized(plan: Plan, folds: Sequence[int], progress: FoldProgress) -> None:
        with computing_threads(execution.threads):
            train_vectorized(plan, folds, progress)

    return vectorized


def inline(plan: Plan, folds: Sequence[int], progress: FoldProgress, alone: bool, threads: int | None) -> None:
    """Trains the folds one after another; a signal to stop is heeded as lightning_base.training.preempt says."""
    with computing_threads(threads), listening():
        for fold in folds:
            if alone:  # else the ranks agree on it, at the fold's first step
                leave_if_raised()
            if attempt(plan, fold, progress, alone) == "held":
                progress.finish(fold, [f"{states.holder(plan.fold_directory(fold))} trains it"])
            else:
                progress.finish(fold, outcome(plan.fold_directory(fold)))


@contextmanager
def computing_threads(threads: int | None) -> Iterator[None]:
    """Lets torch compute with so many threads, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def processes(execution: Execution, first: Run) -> Processes:
    """The processes that share out this machine's cores, or its GPUs."""
    trainer = first.trainer
    ranks = trainer.num_devices
    if trainer.num_nodes > 1:
        raise ConfigError("--executor process: trainer.num_nodes is more than one; take slurm, or inline")
    if isinstance(trainer.accelerator, CUDAAccelerator):
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
        most = len(gpus) // ranks
        jobs = execution.jobs or most
        if jobs > most:
            raise ConfigError(
                f"--jobs: {jobs} folds of {ranks} GPUs each need {jobs * ranks}, {len(gpus)} are there; "
                f"give at most {most}"
            )
        devices: list[str | None] = [",".join(gpus[i * ranks : (i + 1) * ranks]) for i in range(jobs)]
    elif isinstance(trainer.accelerator, CPUAccelerator):
        jobs = execution.jobs or max(cores() // ranks, 1)
        devices = [None] * jobs
    else:
        name = type(trainer.accelerator).__name__
        raise ConfigError(f"--executor process: cannot share out devices of {name}; take inline or slurm")
    return Processes(devices, execution.threads or max(cores() // (jobs * ranks), 1), ranks)


def follow(plan: Plan, folds: Sequence[int], progress: FoldProgress, options: Slurm, threads: int | None) -> None:
    """Submits the folds as a Slurm array, and shows each as it ends."""
    for fold in folds:
        states.forget_failure(plan.fold_directory(fold))

    def ended(fold: int) -> None:
        progress.finish(fold, outcome(plan.fold_directory(fold)))

    submit_and_follow(plan.directory, folds, options, threads, ended, progress.look)
