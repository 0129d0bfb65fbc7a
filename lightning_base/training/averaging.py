"""Averages of a training's weights, which are then what is validated, kept and scored: EMA and SWA.

Lightning's WeightAveraging keeps the average, also across a kill. As of Lightning 2.6 it begins with the weights that
the network was made with, so that until the first update validation, checkpoints, and where there is none the score,
would be of an untrained network (PL#21724); it averages every buffer, a chosen threshold too; and it leaves BatchNorm's
statistics as averages. These are made up for here.
"""

import itertools
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    StochasticWeightAveraging,
    Timer,
    WeightAveraging,
)
from torch import Tensor, nn

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError
from lightning_base.tasks.base import BaseModule

BATCH_NORM = nn.modules.batchnorm._BatchNorm


class Averaging(WeightAveraging):
    """An average of weights that begins with the first that it is given.

    Args:
        **kwargs: of torch.optim.swa_utils.AveragedModel.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(use_buffers=True, **kwargs)

    @abstractmethod
    def demand(self, trainer: Trainer, scheduled: bool) -> None:
        """Refuses a training that it would average nothing of, or something else; nothing is trained yet.

        Args:
            trainer: of the training.
            scheduled: whether the task has a scheduler.

        Raises:
            ConfigError: naming the key.
        """

    @property
    def begun(self) -> bool:
        """Whether there is an average."""
        return self._average_model is not None and int(self._average_model.n_averaged) > 0

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: the average is what is validated, once there is one."""
        if self.begun:
            self._take_others(pl_module)
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: training goes on with its own weights."""
        if self.begun:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook: the average is what checkpoints keep as the weights, once there is one."""
        own = checkpoint["state_dict"]
        if self.begun:
            self._take_others(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._average_model is not None and not self.begun:
            checkpoint["state_dict"] = own

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: the average is what the network ends with.

        Raises:
            ConfigError: where the training ended before there was one.
        """
        if not self.begun:
            raise ConfigError(
                f"trainer.callbacks: the training ended before {type(self).__name__} averaged anything; let it begin "
                "earlier, or train longer"
            )
        self._take_others(pl_module)
        super().on_train_end(trainer, pl_module)

    def _take_others(self, pl_module: LightningModule) -> None:
        """Gives the average what is no weight and no statistic, but was set: a threshold, class weights."""
        assert self._average_model is not None
        averages = dict(self._average_model.module.named_buffers())
        norms = {f"{name}." for name, part in pl_module.named_modules() if isinstance(part, BATCH_NORM)}
        for name, value in pl_module.named_buffers():
            if f"{name.rpartition('.')[0]}." not in norms:
                averages[name].copy_(value)


class EMA(Averaging):
    """An exponential moving average of the weights, after each optimizer step (Polyak & Juditsky 1992).

    After n steps the next one keeps min(decay, (1 + n) / (10 + n)) of the average: in a short training the weights that
    it began with would else be most of it. BatchNorm's statistics are averaged too.

    Args:
        decay: the most that an update keeps.

    Raises:
        ConfigError: for a decay that is none.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < 1:
            raise ConfigError(f"trainer.callbacks: EMA's decay {decay!r} is not from 0 to below 1")
        self.decay = decay
        super().__init__(multi_avg_fn=self._update)

    def _update(self, averages: Sequence[Tensor], news: Sequence[Tensor], n: Tensor) -> None:
        """Moves averages (...) of one type towards the weights (...) of one more step; whole numbers are copied."""
        kept = ((1 + n) / (10 + n)).clamp(max=self.decay)
        for average, new in zip(averages, news, strict=True):
            if average.is_floating_point():
                average.copy_(new + kept.to(average.dtype) * (average - new))
            else:
                average.copy_(new)

    def demand(self, trainer: Trainer, scheduled: bool) -> None:
        """Nothing: every training has a step to average."""


class SWA(Averaging):
    """The mean of the weights after each of the last epochs (Izmailov et al. 2018).

    When training ends BatchNorm's statistics are computed anew, of the averaged weights over the training part as it is
    (not augmented, each sample once); those of a module that is no task of ours are averaged.

    Args:
        start: share of `trainer.max_epochs` after which epochs count; the last one always does.
        lr: the learning rate from then on; null leaves it to the optimizer and the scheduler.

    Raises:
        ConfigError: for a share or a rate that is none.
    """

    def __init__(self, start: float = 0.75, lr: float | None = None) -> None:
        if isinstance(start, bool) or not isinstance(start, int | float) or not 0 <= start < 1:
            raise ConfigError(f"trainer.callbacks: SWA's start {start!r} is no share; give 0 to below 1")
        if lr is not None and not lr > 0:
            raise ConfigError(f"trainer.callbacks: SWA's lr {lr!r} trains nothing; give a number above 0")
        self.start, self.lr, self.first = start, lr, 0
        super().__init__()

    def demand(self, trainer: Trainer, scheduled: bool) -> None:
        """Refuses a training without a number of epochs, and a rate beside a scheduler's.

        Raises:
            ConfigError: naming the key.
        """
        if trainer.max_epochs in (None, -1):
            raise ConfigError("trainer.max_epochs: SWA averages the last epochs of so many; give their number")
        if self.lr is not None and scheduled:
            raise ConfigError("model.scheduler: it leads the rate, and SWA's lr does; leave one out")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Lightning's hook: makes the average, and takes the number of epochs."""
        super().setup(trainer, pl_module, stage)
        self.first = int(self.start * (trainer.max_epochs or 0))

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Lightning's question, after each step and each epoch, both from 0."""
        return epoch_idx is not None and epoch_idx >= self.first

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: sets the rate."""
        if self.lr is not None and trainer.current_epoch >= self.first:
            for optimizer in trainer.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self.lr

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook: the average is what the network ends with, with statistics of its own."""
        super().on_train_end(trainer, pl_module)
        if isinstance(pl_module, BaseModule):
            renew_batch_norm(trainer, pl_module)
            assert self._average_model is not None  # what a checkpoint that is written from now on keeps
            for own, new in zip(self._average_model.module.buffers(), pl_module.buffers(), strict=True):
                own.copy_(new)


def renew_batch_norm(trainer: Trainer, task: BaseModule) -> None:
    """Computes BatchNorm's statistics anew, as the mean of those of the training part's batches.

    Every process goes through all of them, and so comes to the same.
    """
    norms = [part for part in task.modules() if isinstance(part, BATCH_NORM) and part.track_running_stats]
    data = trainer.datamodule  # type: ignore[attr-defined]
    if not norms or not isinstance(data, BaseDataModule):
        return
    loader, momenta = data.loader("train"), [norm.momentum for norm in norms]
    loader.rank, loader.world_size = 0, 1
    was_training = task.training
    task.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
        norm.train()
    with torch.no_grad(), trainer.precision_plugin.forward_context():
        for batch in itertools.islice(loader, max(int(trainer.num_training_batches), 1)):
            ready = data.transform(move_data_to_device(batch, task.device))
            task.outputs(ready.x, ready.lengths)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    task.train(was_training)


def demand_averages(trainer: Trainer, scheduled: bool) -> None:
    """Refuses callbacks that would average nothing, or whose average would not be what is scored.

    Args:
        trainer: of the training.
        scheduled: whether the task has a scheduler.

    Raises:
        ConfigError: naming the callback, with the one to take.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, Averaging):
            callback.demand(trainer, scheduled)
        late = ("update_starting_at_step", "update_starting_at_epoch")
        if type(callback) is EMAWeightAveraging and any(getattr(callback, name) is not None for name in late):
            raise ConfigError(
                "trainer.callbacks: EMAWeightAveraging's average is of the untrained network until it starts, and so "
                "would be what is validated and kept; take lightning_base.training.averaging.EMA"
            )
        ends = isinstance(callback, EarlyStopping | Timer)
        if (ends or trainer.max_steps != -1) and any(isinstance(c, StochasticWeightAveraging) for c in callbacks):
            what = type(callback).__name__ if ends else "trainer.max_steps"
            raise ConfigError(
                f"trainer.callbacks: StochasticWeightAveraging's average is lost where {what} ends the training before "
                "max_epochs; take lightning_base.training.averaging.SWA"
            )
