"""What functions are given of somebody else's: a LightningModule, a Dataset, a LightningDataModule."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule
from torchmetrics import Metric

from lightning_base.data.any_dataset import AnyDataset
from lightning_base.errors import ConfigError, suggest
from lightning_base.tasks.any_module import AnyModule
from lightning_base.tasks.base import BaseModule
from lightning_base.training.contents import ToldByContent
from lightning_base.verbs import running

THEIRS = {"num_workers": "processes", "workers": "processes", "collate_fn": "collate", "target": "targets"}
DATASETS = ("test", "new", "evaluated")  # options that are datasets


def task_of(task: Any, module: Any, metrics: Any) -> Any:
    """What makes the task: the function given, or one that holds a new module of the user's.

    Raises:
        ConfigError: for both, or metrics without a module.
    """
    if module is None:
        if metrics is not None:
            raise ConfigError("metrics: given without module; give a task its metrics: Classification(…, metrics=[…])")
        return task
    if task is not None:
        raise ConfigError("module: given beside task; give one of them")
    if isinstance(module, LightningModule) or not callable(module):
        raise ConfigError(
            f"module: a {type(module).__name__} is given; every fold makes its own, so give a function that makes one: "
            "module=lambda: …"
        )
    if isinstance(metrics, Metric):
        metrics = [metrics]
    if metrics is not None and not isinstance(metrics, dict | list | tuple):
        raise ConfigError(f"metrics: a {type(metrics).__name__} is given; give a list of torchmetrics, or by name")
    given = list(metrics) if isinstance(metrics, tuple) else metrics

    def made() -> BaseModule:
        found = module()
        return found if isinstance(found, AnyModule) and given is None else AnyModule(found, metrics=given)

    return made


def data_of(dataset: Any, splitter: Any, data: Any, x: Any, y: Any, groups: Any) -> Any:
    """What makes the data module: of a dataset of the user's, or what `running.data_of` gives.

    Raises:
        ConfigError: for a dataset beside other data, options that it has not, or the splitter twice.
    """
    if splitter is not None and isinstance(data, Mapping) and "split" in data:
        raise ConfigError("splitter: data has a split too; give one of them")
    if dataset is None:
        if splitter is not None and x is None:
            raise ConfigError("splitter: given without dataset or x; a data module has its own: split=…")
        return running.data_of({**(data or {}), "split": splitter} if splitter is not None else data, x, y, groups)
    for key, value in (("x", x), ("y", y)):
        if value is not None:
            raise ConfigError(
                f"{key}: given beside dataset, which has its own; give data=dict(targets=…) where it differs"
            )
    if data is not None and not isinstance(data, Mapping):
        raise ConfigError("data: a function is given and a dataset too; give one, or data=dict(…) with its options")
    options = dict(data or {})
    if splitter is not None:
        options["split"] = splitter
    if groups is not None:
        options["groups"] = groups
    known = [one.name for one in fields(AnyDataset) if one.name != "items"]
    if wrong := [str(key) for key in options if key not in known]:
        meant = THEIRS.get(wrong[0])
        hint = (
            f"; did you mean {meant!r}?"
            if meant
            else suggest(wrong[0], known) or "; help(lightning_base.data.AnyDataset) lists them"
        )
        raise ConfigError(f"data: no option {wrong[0]!r}{hint}")
    made = Made(dataset, options)
    if not made.makes:
        made()  # what does not fit is told as that, not as a mistake of a function
    return made


class Made(ToldByContent):
    """Makes the data module of a dataset, which is told by the content of its items.

    Args:
        dataset: a Dataset, a LightningDataModule, or a function that makes one.
        options: of `AnyDataset`.
    """

    def __init__(self, dataset: Any, options: Mapping[str, Any]) -> None:
        self.dataset, self.options = dataset, options
        self.makes = (
            callable(dataset) and not hasattr(dataset, "__getitem__") and not isinstance(dataset, LightningDataModule)
        )

    def __call__(self) -> AnyDataset:
        """A new data module."""
        return AnyDataset(items=self.dataset() if self.makes else self.dataset, **self.options)

    def told(self) -> Any:
        """The options, and the function where one makes the dataset; of datasets their classes."""
        held = self.dataset if self.makes else type(self.dataset)
        return held, {key: type(value) if key in DATASETS else value for key, value in self.options.items()}
