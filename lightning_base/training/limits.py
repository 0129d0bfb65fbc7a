"""Values of the right type that make no sense, told before anything is built: seeds, counts, an end, a name."""

import os
import re
from pathlib import Path
from typing import Any

from lightning_base.errors import ConfigError

SEEDS = 2**32
LONGEST_NAME = 200  # bytes: file systems take 255, and what is made of it is longer
AT_LEAST_ONE = {
    "trainer.max_epochs": "trains nothing; give 1 or more",
    "trainer.max_steps": "trains nothing; give 1 or more",
    "trainer.accumulate_grad_batches": "is below 1; give the number of batches that make one step",
    "trainer.check_val_every_n_epoch": "is below 1; give a number of epochs, or null",
    "trainer.num_nodes": "is below 1; give the number of machines",
    "jobs": "is below 1; give a positive number, or leave it out",
    "threads": "is below 1; give a positive number, or leave it out",
}
ABOVE_ZERO = {
    "trainer.val_check_interval": "is not above 0; give a share of an epoch, or a number of batches",
    "trainer.limit_train_batches": "trains nothing; give a share of an epoch, or a number of batches",
}
NOT_NEGATIVE = {
    "trainer.min_epochs": "is negative; give 0 or more, or null",
    "trainer.gradient_clip_val": "is negative; give 0 or more, or null",
    "data.workers": "is negative; give 0 or more threads",
}
ENDLESS = ("trainer.max_epochs", "trainer.max_steps")  # where -1 stands for no limit
CHECKED = ("seed_everything", "name", *AT_LEAST_ONE, *ABOVE_ZERO, *NOT_NEGATIVE)


def demand_sensible(key: str, value: Any, where: str = "") -> None:
    """Refuses a value that makes no sense for its key; what is no number is left to the parser.

    Args:
        key: dotted.
        value: as parsed, or as the command line has it.
        where: the file and line, in brackets, for the message.

    Raises:
        ConfigError: naming the key.
    """
    if key == "name" and value is not None:
        plain_name(str(value), where)
    if isinstance(value, bool) or (given := number(value)) is None:
        return
    if key == "seed_everything" and not (given.is_integer() and 0 <= given < SEEDS):
        raise ConfigError(f"{key}: {value} is no whole number from 0 to {SEEDS - 1}{where}")
    if key == "threads" and given > most_threads():
        raise ConfigError(f"{key}: {value} is more than {most_threads()}, which are too many for this machine{where}")
    wrong = (
        AT_LEAST_ONE.get(key) if given < 1 and not (given == -1 and key in ENDLESS) else None,
        ABOVE_ZERO.get(key) if given <= 0 else None,
        NOT_NEGATIVE.get(key) if given < 0 else None,
    )
    for why in filter(None, wrong):
        raise ConfigError(f"{key}: {value} {why}{where}")


def takes_all(limit: float | None) -> bool:
    """Whether a limit of batches is none: 1.0 is all of them, and the whole number 1 is one."""
    return limit is None or (isinstance(limit, float) and limit == 1)


def demand_end(trainer: Any) -> None:
    """Refuses a training that nothing ends.

    Args:
        trainer: its arguments by name.

    Raises:
        ConfigError: where neither epochs, steps, time nor a callback end it.
    """
    epochs, steps = trainer.get("max_epochs"), trainer.get("max_steps")
    ends = any(trainer.get(key) for key in ("max_time", "callbacks", "fast_dev_run"))
    if epochs == -1 and steps in (-1, None) and not ends:
        raise ConfigError("trainer.max_epochs: -1 has no end; give max_steps, max_time or a callback that stops")


def plain_name(name: str, where: str = "") -> str:
    """The name, which is that of a folder.

    Raises:
        ConfigError: where it is none, names more than one, or cannot be shown.
    """
    shown = f"{name[:40]}…" if len(name) > 60 else name
    if not name.strip() or Path(name).name != name or name in (".", ".."):
        raise ConfigError(f"name: {shown!r} is not the plain name of a folder{where}")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise ConfigError(f"name: {shown!r} is longer than {LONGEST_NAME} bytes; give a shorter one{where}")
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", name):
        raise ConfigError(f"name: {shown!r} holds control characters; give letters, digits, - and _{where}")
    return name


def most_threads() -> int:
    """More threads than any machine's cores need; with tens of thousands the process dies."""
    return max(256, 2 * (os.cpu_count() or 1))


def number(value: Any) -> float | None:
    """The number that a value is, or is written as; None for anything else."""
    if not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
