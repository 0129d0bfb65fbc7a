"""Learning rates led step by step over the whole training, whose number of steps the data and the trainer tell."""

import math
from abc import abstractmethod
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler

from lightning_base.errors import CheckpointError, ConfigError


class StepSchedule(LRScheduler):
    """A learning rate for each optimizer step of a training, from its first to its last.

    The rate that the optimizer is given, `model.optimizer.lr`, is the highest. How many steps there are follows from
    the samples, `data.batch_size`, `trainer.accumulate_grad_batches`, `max_epochs` and `max_steps`.

    Args:
        optimizer: whose rate is led.

    Attributes:
        total: steps of the training; 0 until they are known.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.total = 0
        super().__init__(optimizer)

    @abstractmethod
    def factor(self, step: int) -> float:
        """The rate of a step, from 0, as a share of the highest."""

    def over(self, total: int) -> None:
        """Lays the schedule over so many steps, before the first of them."""
        self.total = total
        self._lead()

    def get_lr(self) -> list[float | torch.Tensor]:
        """Each parameter group's rate in the step to come; torch's scheduler sets it."""
        share = self.factor(min(self.last_epoch, self.total - 1)) if self.total else 1.0
        return [base * share for base in self.base_lrs]

    def step(self, epoch: int | None = None) -> None:
        """Goes on to the next step."""
        super().step(epoch)
        self._lead()

    def _lead(self) -> None:
        """Sets what leads beside the rate, and the rate where `over` has changed it."""
        rates = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = list(rates)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where a checkpoint was.

        Raises:
            CheckpointError: for one of a training of another length.
        """
        if self.total and state_dict["total"] != self.total:
            raise CheckpointError(
                f"model.scheduler: {type(self).__name__} was laid over {state_dict['total']} steps in the checkpoint, "
                f"and is over {self.total} now: no rate of both would be one schedule's; keep the training's length, "
                "or train anew"
            )
        super().load_state_dict(state_dict)


class WarmupCosine(StepSchedule):
    """The rate rises in a line to its highest, then falls along half a cosine (Loshchilov & Hutter 2017).

    With w steps of warm-up of T in all, step t from 0 has the share (t + 1) / w of the highest rate while t < w, then
    end + (1 - end) · (1 + cos(π (t - w) / (T - w))) / 2.

    Args:
        optimizer: whose rate is led.
        warmup: share of the steps in which it rises.
        end: share of the highest rate that it falls to.

    Raises:
        ConfigError: for a share that is none.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, warmup: float = 0.05, end: float = 0.0) -> None:
        _demand_shares(warmup=warmup, end=end)
        self.warmup, self.end = warmup, end
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        """The rate of a step, from 0, as a share of the highest."""
        rising = round(self.warmup * self.total)
        if step < rising:
            return (step + 1) / rising
        return between(1.0, self.end, (step - rising) / (self.total - rising))


class OneCycle(StepSchedule):
    """One cycle: the rate rises to its highest and falls far below where it began, momentum the other way (Smith 2018).

    Both follow half cosines, as torch's OneCycleLR does, whose numbers these are.

    Args:
        optimizer: whose rate is led.
        rise: share of the steps in which the rate rises.
        start: share of the highest rate that it begins with.
        end: share of the highest rate that it ends with.
        momentum: the highest and the lowest momentum (of Adam: the first beta), or null to leave it alone.

    Raises:
        ConfigError: for a share that is none, or an optimizer without momentum to lead.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        rise: float = 0.3,
        start: float = 0.04,
        end: float = 4e-6,
        momentum: tuple[float, float] | None = (0.95, 0.85),
    ) -> None:
        _demand_shares(rise=rise, start=start, end=end)
        if momentum is not None and not all(0 <= value < 1 for value in momentum):
            raise ConfigError(f"model.scheduler.momentum: {momentum} are not two numbers from 0 to below 1")
        self.rise, self.start, self.end = rise, start, end
        self.momentum = None if momentum is None else tuple(momentum)
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        """The rate of a step, from 0, as a share of the highest."""
        return self._at(step, self.start, 1.0, self.end)

    def _at(self, step: int, first: float, middle: float, last: float) -> float:
        top = max(self.rise * self.total - 1, 0)
        if step <= top:
            return between(first, middle, step / top if top else 1.0)
        return between(middle, last, (step - top) / max(self.total - 1 - top, 1))

    def _lead(self) -> None:
        super()._lead()
        if self.momentum is None or not self.total:
            return
        high, low = self.momentum
        value = self._at(min(self.last_epoch, self.total - 1), high, low, high)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (value, *group["betas"][1:])
            elif group.get("momentum"):
                group["momentum"] = value


def between(first: float, last: float, share: float) -> float:
    """The value at a share of the way from one to another along half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _demand_shares(**shares: float) -> None:
    for name, value in shares.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise ConfigError(f"model.scheduler.{name}: {value!r} is no share; give a number from 0 to below 1")
