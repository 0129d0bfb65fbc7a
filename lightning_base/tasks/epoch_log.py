"""What is logged once an epoch or at a step, handed on without Lightning's collections: a millisecond a value."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from lightning_base.distributed.tpu import on_tpu


def log_epoch(task: LightningModule, values: Mapping[str, Tensor | float], ended: bool) -> None:
    """Logs numbers (), from a hook at the end of an epoch or of a validation.

    In a training by one process they go to what callbacks monitor and to the loggers at once: the same numbers, under
    the same step, as by `self.log`, which takes as long as three steps of a small network (its `_ResultMetric.to` goes
    through all that it holds, for each value). Elsewhere by `self.log_dict`.

    Args:
        task: which logs.
        values: by name, the same in each process.
        ended: whether the epoch's last step has been counted, as it has where its training ends.
    """
    trainer: Any = task.trainer
    if not values:
        return
    if not _alone(trainer) or any(isinstance(v, Tensor) and v.numel() != 1 for v in values.values()):
        if on_tpu(trainer):  # what Lightning keeps on the device joins the next step's program
            values = {name: torch.as_tensor(value).cpu() for name, value in values.items()}
        task.log_dict(dict(values), sync_dist=trainer.world_size > 1)
        return
    log_now(task, values, ended)


def log_step(task: LightningModule, loss: Tensor, n: int) -> None:
    """Logs the loss () of a step, from `training_step`, likewise; n samples are in the batch."""
    if _alone(task.trainer):
        log_now(task, {"train_loss_step": loss})
    else:
        synced = task.trainer.world_size > 1
        task.log("train_loss_step", loss, batch_size=n, sync_dist=synced)


def log_now(task: LightningModule, values: Mapping[str, Tensor | float], ended: bool = False) -> None:
    """As `log_epoch`, in a training by one process; of steps too, several of which are taken in one call."""
    trainer: Any = task.trainer
    found = {name: _number(value, task.device) for name, value in values.items()}
    trainer.callback_metrics.update(found)
    trainer.logged_metrics.update(found)
    row = {name: value.item() for name, value in found.items()} | {"epoch": trainer.current_epoch}
    step = trainer.fit_loop.epoch_loop._batches_that_stepped - ended  # what loggers count by has no public name
    for logger in trainer.loggers:
        logger.log_metrics(row, step=step)
        logger.save()


def _alone(trainer: Trainer) -> bool:
    """Whether this is the only process of a training."""
    fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
    return fitting and trainer.world_size == 1 and not on_tpu(trainer)


def _number(value: Tensor | float, device: torch.device) -> Tensor:
    """A tensor () as `self.log` makes it."""
    if isinstance(value, Tensor):
        found = value.detach().reshape(()).clone()
        return found if found.is_floating_point() else found.to(torch.get_default_dtype())
    return torch.tensor(value, device=device, dtype=torch.get_default_dtype())
