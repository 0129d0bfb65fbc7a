"""What a task is set to, refused where nothing could be learned with it: weights, the optimizer, the scheduler."""

from collections.abc import Callable
from math import inf, isfinite
from typing import Any

import torch
from lightning.pytorch.cli import ReduceLROnPlateau

from lightning_base.errors import ConfigError
from lightning_base.tasks.lead import SCORE, VALIDATION
from lightning_base.tasks.schedules import StepSchedule


def demand_weight(key: str, weight: float) -> None:
    """Refuses a weight that is negative or no finite number.

    Raises:
        ConfigError: naming the key.
    """
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ConfigError(f"{key}: {weight!r} is no number; give 0 or more")
    if not 0 <= weight < inf:
        raise ConfigError(f"{key}: {weight} is no weight; give a finite number, 0 or more")


def demand_numbers(optimizer: torch.optim.Optimizer, key: str = "model.optimizer") -> None:
    """Refuses an optimizer's settings with which nothing is learned.

    Args:
        optimizer: as made.
        key: where the configuration has it.

    Raises:
        ConfigError: naming the setting.
    """
    for group in optimizer.param_groups:
        for name, value in group.items():
            numbers = value if isinstance(value, list | tuple) and name != "params" else [value]
            if any(isinstance(number, int | float) and not isfinite(number) for number in numbers):
                raise ConfigError(f"{key}.{name}: {value} is not finite; give a number")
        if "lr" in group and not float(group["lr"]) > 0:
            raise ConfigError(f"{key}.lr: {float(group['lr']):g} trains nothing; give a number above 0")


def scheduled(
    optimizer: torch.optim.Optimizer,
    make: Callable[[torch.optim.Optimizer], Any],
    validates_every: int,
    steps: Callable[[], int] | None = None,
    score: Callable[[], str] | None = None,
) -> dict[str, Any]:
    """The optimizer and its scheduler as Lightning takes them.

    Args:
        optimizer: whose learning rate is led.
        make: makes the scheduler.
        validates_every: number of epochs from one validation to the next; a plateau of its scores is looked for then.
        steps: tells how many optimizer steps the training has; None where it is not known yet.
        score: gives the name of the metric that leads, which a plateau's `monitor: score` follows.

    Raises:
        ConfigError: for a scheduler that does not say what it follows.
    """
    scheduler = make(optimizer)
    if isinstance(scheduler, ReduceLROnPlateau):
        if scheduler.monitor == SCORE and score is not None:
            scheduler.monitor = VALIDATION + score()
        every = 1 if str(scheduler.monitor).startswith("train") else validates_every
        settings = {"scheduler": scheduler, "monitor": scheduler.monitor, "frequency": every}
    elif isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise ConfigError(
            "model.scheduler: torch's ReduceLROnPlateau does not say what it follows; take "
            "lightning.pytorch.cli.ReduceLROnPlateau, with its monitor"
        )
    elif isinstance(scheduler, StepSchedule):
        if steps is not None:
            scheduler.over(steps())
        settings = {"scheduler": scheduler, "interval": "step"}
    else:
        settings = {"scheduler": scheduler}
    return {"optimizer": optimizer, "lr_scheduler": settings}
