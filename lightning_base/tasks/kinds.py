"""Which kinds of targets there are, in words, and whether a task trains on those of the data."""

from collections.abc import Sequence

from lightning_base.errors import ConfigError
from lightning_base.samples.samples import Samples

TASKS = "lightning_base.tasks."
WORDS = {  # by kind of target: what the data has, and what takes it
    "class": ("classes", f"{TASKS}Classification, or, for a table's whole numbers, data.task: regression"),
    "value": (
        "no classes, its target is continuous",
        f"{TASKS}Regression or {TASKS}Quantiles, or give whole numbers or text as targets",
    ),
    "values": ("several values per sample", f"{TASKS}Regression, or give whole numbers 0 and 1 for labels"),
    "labels": ("several labels per sample", f"{TASKS}MultiLabel"),
    "array": ("an array per sample as target", "a task of your own"),
    "sequence": ("sequences as targets", f"{TASKS}Translation"),
    "spans": ("parts of texts as targets", "a task of your own"),
    "boxes": ("boxes", f"{TASKS}Detection"),
}


def demand_kind(task: str, takes: Sequence[str], samples: Samples) -> None:
    """Refuses samples whose targets are of a kind that a task does not train on.

    Args:
        task: its name.
        takes: the kinds that it takes, "none" among them; empty for any but none.
        samples: of the pool.

    Raises:
        ConfigError: naming both, and the tasks that do.
    """
    kind = samples.kind or "none"
    if kind in takes or (not takes and kind != "none"):
        return
    if kind == "none":
        raise ConfigError(
            f"data: {samples.origin} has no target, and {task} learns one; name it (`y` of an .npz, data.target of a "
            "table), or give `dataset` a column `target`"
        )
    has, take = WORDS[kind]
    raise ConfigError(f"model: {task} does not fit the data, which has {has}; take {take}")
