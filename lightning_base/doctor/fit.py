"""Whether a configuration fits the machine: it is built and trained for some batches, and the rest is worked out."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.distributed.strategies import Sharded, check
from lightning_base.doctor.finding import Finding, duration, size
from lightning_base.doctor.launcher import Launch, alone
from lightning_base.doctor.machine import memory, nearest
from lightning_base.doctor.measure import resident
from lightning_base.doctor.trial import Trial, attempt
from lightning_base.errors import UserError, one_line
from lightning_base.tools.console import quiet
from lightning_base.training.experiment import Experiment
from lightning_base.training.resume import TimedCheckpoint
from lightning_base.training.run import Run, build

AREA = "configuration"


@dataclass(frozen=True)
class Devices:
    """How a run is spread: processes on a node, nodes, shares of a batch, and over how many processes weights are."""

    per_node: int = 1
    nodes: int = 1
    shares: int = 1
    shards: int = 1

    @property
    def world(self) -> int:
        """All processes."""
        return self.per_node * self.nodes


def configuration(experiment: Experiment, launch: Launch) -> list[Finding]:
    """What building the configuration and training one process of it for some batches shows; no test sample is read.

    Nothing is left, but that data that the YAML declares is fetched, and packed in the cache folder, as by every verb.
    """
    with alone(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):  # for authors of libraries
            warnings.simplefilter("ignore", kind)
        warnings.filterwarnings("ignore", message=r".*AMP with fp16 is not supported on CPU")  # `precision` tells it
        with quiet(), tempfile.TemporaryDirectory(prefix="lightning-base-doctor-") as folder:
            found = list(_look(experiment, launch, Path(folder)))
    told = dict.fromkeys(one_line(warning.message)[:300] for warning in said)
    return [*found, *(Finding("warning", AREA, "warning", text) for text in told)]


def _look(experiment: Experiment, launch: Launch, folder: Path) -> Iterator[Finding]:
    """How the run is spread, what its trial takes, and the checkpoints' room; what cannot be known is left out."""
    here, refused = experiment, None
    devices: Devices | None
    try:
        devices = spread(build(experiment, 0, folder / "whole", quiet=True))
        yield Finding("ok", AREA, "devices", _words(devices), number=devices.world)
    except UserError as error:
        refused = one_line(error)
        yield Finding("trouble", AREA, "devices", refused)
        here, devices = experiment.on_cpu(), asked(experiment)
    if devices is not None:
        yield from arithmetic(devices, launch)
    try:
        trial = attempt(here, devices.shares if devices else 1, folder / "trial")
    except Exception as error:
        if one_line(error) != refused:
            yield _failure(error)
        return
    yield from needs(trial, devices or Devices())
    yield from times(here, trial)
    yield checkpoints(here, trial)


def spread(run: Run) -> Devices:
    """How the trainer spreads a run.

    Raises:
        UserError: where the batch cannot be divided.
    """
    trainer, strategy = run.trainer, run.trainer.strategy
    check(trainer, run.model.network, run.datamodule.batch_size)
    sharded = isinstance(strategy, ModelParallelStrategy | FSDPStrategy)
    shares = strategy.data_parallel_size if isinstance(strategy, Sharded) else trainer.world_size
    return Devices(trainer.num_devices, trainer.num_nodes, shares, trainer.world_size if sharded else 1)


def asked(experiment: Experiment) -> Devices | None:
    """What trainer.devices and trainer.num_nodes say; None where the first depends on the machine."""
    trainer = experiment.config.trainer
    devices = len(trainer.devices) if isinstance(trainer.devices, list) else trainer.devices
    if isinstance(devices, str) and devices.isdigit():
        devices = int(devices)
    if not isinstance(devices, int) or devices < 1:
        return None
    world = devices * trainer.num_nodes
    return Devices(devices, trainer.num_nodes, world)


def _words(devices: Devices) -> str:
    """How a run is spread, for people."""
    if devices.world == 1:
        return "one process"
    return f"{devices.world} processes, {devices.per_node} on each of {devices.nodes} nodes"


def arithmetic(devices: Devices, launch: Launch) -> Iterator[Finding]:
    """Whether the launcher's processes are those that the configuration asks for: devices × nodes."""
    product = f"trainer.devices × trainer.num_nodes is {devices.per_node} × {devices.nodes} = {devices.world}"
    if launch.kind == "alone":
        if devices.nodes > 1:
            start = f"torchrun --nnodes {devices.nodes} --nproc-per-node {devices.per_node} on each, or srun"
            yield Finding("ok", AREA, "launch", f"{product}; none of the launchers started this; start with {start}")
        return
    counted = [("processes", launch.world, devices.world), ("nodes", launch.nodes, devices.nodes)]
    counted.append(("processes on this node", launch.per_node, devices.per_node))
    wrong = [f"{there} {what}" for what, there, wanted in counted if there is not None and there != wanted]
    if not wrong:
        yield Finding("ok", AREA, "launch", product, number=devices.world)
        return
    if launch.kind == "torchrun":
        start = f"torchrun --nnodes {devices.nodes} --nproc-per-node {devices.per_node}"
    else:
        start = f"--nodes={devices.nodes} --ntasks-per-node={devices.per_node}"
    known = launch.nodes is not None and launch.per_node is not None
    other = f" or give --trainer.devices {launch.per_node} --trainer.num_nodes {launch.nodes}" if known else ""
    launcher = "torchrun" if launch.kind == "torchrun" else "Slurm"
    yield Finding("trouble", AREA, "launch", f"{launcher} has {', '.join(wrong)}, {product}", f"start {start}{other}")


def _failure(error: Exception) -> Finding:
    """What a trial that failed says; a mistake of the user's names its mend itself."""
    if isinstance(error, UserError):
        return Finding("trouble", AREA, "trial", one_line(error))
    text = one_line(error)
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in text:
        mend = "give a smaller data.batch_size with trainer.accumulate_grad_batches, a lower precision or more devices"
        return Finding("trouble", AREA, "trial", f"out of memory: {text[:200]}", mend)
    mend = "mend the network or the data; LIGHTNING_BASE_DEBUG=1 with --trainer.fast_dev_run 1 shows where"
    return Finding("trouble", AREA, "trial", f"{type(error).__name__}: {text[:300]}", mend)


def needs(trial: Trial, devices: Devices) -> Iterator[Finding]:
    """Memory of a process: weights, gradients and optimizer state, and what the backward pass needs of a batch."""
    run, watch = trial.run, trial.watch
    weights = sum(p.nbytes for p in run.model.parameters())
    gradients = sum(p.nbytes for p in run.model.parameters() if p.requires_grad)
    count = sum(p.numel() for p in run.model.parameters())
    activations = watch.activations or 0
    yield Finding("ok", AREA, "parameters", f"{count:,}, {size(weights)}", number=count)
    yield Finding("ok", AREA, "gradients", size(gradients), number=gradients)
    yield Finding("ok", AREA, "optimizer state", size(watch.state), number=watch.state)
    batch = run.datamodule.batch_size
    samples = f"{batch} samples" if batch else "all training samples"
    yield Finding("ok", AREA, "activations", f"{size(activations)} for {samples}", number=activations)
    held = weights + gradients + watch.state
    need = max(watch.peak - held, activations) + held / devices.shards
    over = f"; {size(need)} with the state sharded over {devices.shards}" if devices.shards > 1 else ""
    there, free, whose = _room(trial.device, devices)
    value = f"{size(watch.peak)} at the highest, measured{over}; {whose} {size(there)}, {size(free)} of it free"
    mend = "give a smaller data.batch_size with trainer.accumulate_grad_batches, a lower precision or more devices"
    if need > there:
        yield Finding("trouble", AREA, "memory of a process", value, mend, need)
    elif need > free:
        yield Finding("warning", AREA, "memory of a process", value, f"end other programs, or {mend}", need)
    else:
        yield Finding("ok", AREA, "memory of a process", value, number=need)


def _room(device: torch.device, devices: Devices) -> tuple[float, float, str]:
    """Bytes that a process can have at most, and what is free with its own; and whose they are."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total, free + torch.cuda.memory_reserved(device), f"{device} has"
    found = memory()
    if found is None:
        return inf, inf, "the machine has"
    each = "each of the processes here has" if devices.per_node > 1 else "the machine has"
    return found[0] / devices.per_node, (found[1] + resident()) / devices.per_node, each


def limited(batches: int, limit: float | int | None) -> int:
    """Batches of an epoch under a limit of the trainer's: a number of them, or a share."""
    if limit is None:
        return batches
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)


def batches_of(experiment: Experiment, data: BaseDataModule) -> tuple[int, int]:
    """Batches of training and of validation in an epoch: global ones, of which each process has its share."""
    given, arguments = experiment.config.trainer, experiment.config.data.get("init_args") or {}
    n, held_out = len(data.rows("train")), len(data.rows("val" if data.inner_val is None else "inner"))
    batch = arguments.get("batch_size") or n
    evaluated = arguments.get("eval_batch_size") or 4 * batch
    training = max(n // batch, 1) if data.drop_last else ceil(n / batch)
    return limited(training, given.limit_train_batches), limited(ceil(held_out / evaluated), given.limit_val_batches)


def times(experiment: Experiment, trial: Trial) -> Iterator[Finding]:
    """Seconds of a batch, an epoch, a fit and all folds; what processes say to one another is left out."""
    given, watch, data = experiment.config.trainer, trial.watch, trial.run.datamodule
    training, held_out = batches_of(experiment, data)
    validation = held_out * watch.evaluation
    epoch = training * watch.batch + validation / (given.check_val_every_n_epoch or 1) + watch.end + watch.writing
    where = "on this CPU" if trial.device.type == "cpu" else f"on {trial.device}"
    first = "" if watch.trained else ", the first one, which takes longer than others"
    yield precision(given.precision, str(trial.run.trainer.precision))
    yield Finding("ok", AREA, "training batch", f"{duration(watch.batch)} {where}{first}", number=watch.batch)
    counted = f"{training} batches of training, {held_out} of validation, a checkpoint in {duration(watch.writing)}"
    yield Finding("ok", AREA, "epoch", f"{duration(epoch)}: {counted}", number=epoch)
    epochs = epochs_of(experiment, training)
    if epochs == inf:
        yield Finding("warning", AREA, "fit", "has no end", "give trainer.max_epochs")
        return
    fit, k = epochs * epoch + validation, len(data.folds.folds)  # the held-out samples are predicted at the end
    yield Finding("ok", AREA, "fit", f"{duration(fit)}: {epochs:.3g} epochs at most", number=fit)
    more = "" if (search := experiment.search) is None else f"; its {len(search.candidates())} candidates come on top"
    told = f"{duration(k * fit)}: {k} folds, one after another{more}"
    yield Finding("ok", AREA, "crossval", told, number=k * fit)


def precision(wanted: object, used: str) -> Finding:
    """What is computed in, which is not always what is asked for: Lightning takes bfloat16 for float16 on a CPU."""
    if str(wanted) in ("None", used) or str(wanted) + "-true" == used or str(wanted) + "-mixed" == used:
        return Finding("ok", AREA, "precision", used)
    mend = f"give --trainer.precision {used}, or an accelerator that has {wanted}"
    return Finding("warning", AREA, "precision", f"{used} in place of {wanted}", mend)


def epochs_of(experiment: Experiment, batches: int) -> float:
    """How many epochs the trainer trains at most, by max_epochs and max_steps; infinity where neither ends it."""
    given = experiment.config.trainer
    steps = inf if given.max_steps == -1 else given.max_steps
    default = 1000 if steps == inf else inf  # Lightning's, where neither is given
    epochs = inf if given.max_epochs == -1 else default if given.max_epochs is None else given.max_epochs
    return float(min(epochs, steps / max(ceil(batches / (given.accumulate_grad_batches or 1)), 1)))


def checkpoints(experiment: Experiment, trial: Trial) -> Finding:
    """Whether the folder of the runs has room for the checkpoints of all folds."""
    one = trial.watch.checkpoint
    epochs = epochs_of(experiment, batches_of(experiment, trial.run.datamodule)[0])
    kept: float = 0
    for keeper in trial.keepers:
        if isinstance(keeper, ModelCheckpoint):
            kept += max(epochs, 1) if keeper.save_top_k == -1 else keeper.save_top_k
    # of the fold that trains, the one before, the one that is being written, and those between epochs
    training = 2 + 2 * any(isinstance(keeper, TimedCheckpoint) for keeper in trial.keepers)
    k = len(trial.run.datamodule.folds.folds)
    total = one * (k * kept + training)
    free = shutil.disk_usage(nearest(experiment.root)).free
    value = f"{size(one)} each, {size(total)} for {k} folds; {size(free)} free in {experiment.root}"
    if total > free:
        return Finding("trouble", AREA, "checkpoints", value, "make room, or give trainer.default_root_dir", one)
    return Finding("ok", AREA, "checkpoints", value, number=one)
