"""NetworkParser: LightningCLI's parser, to which a network's sizes may be left out, for the data to say them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningArgumentParser
from torch import nn
from torchmetrics import Metric

from lightning_base.training.known_names import SIZES

CONFIG_SIZES = {"vocab_size": "vocabulary", "num_channels": "in_channels"}  # in transformers' configurations
ELSEWHERE = ("torchvision", "timm", "transformers")  # whose networks get a new head, and take weights from files
NO_SIZE = "by default what the data says"


class NetworkParser(LightningArgumentParser):
    """Leaves a network's sizes at None where they are not given, whatever its constructor has as their default.

    So they can be told from those that are given; `lightning_base.training.sizes` puts in what the data says. Networks
    from elsewhere take `weights` as the name of torchvision's or as a file's path.
    """

    def add_class_arguments(
        self, class_type: type, nested_key: str | None = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        """jsonargparse's method, which it calls for every class that a configuration names."""
        return self._leave(super().add_class_arguments, class_type, nested_key, *args, **kwargs)

    def add_function_arguments(
        self, function: Callable[..., Any], nested_key: str | None = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        """jsonargparse's method, which it calls for every function that a configuration names in place of a class."""
        return self._leave(super().add_function_arguments, function, nested_key, *args, **kwargs)

    def _leave(self, add: Any, owner: Any, nested_key: str | None, *args: Any, **kwargs: Any) -> list[str]:
        left, weights = leavable(owner), is_network(owner) and is_from_elsewhere(owner)
        built_in: list[str] = []
        if left:
            trial = LightningArgumentParser(exit_on_error=False)
            known = getattr(trial, add.__name__)(owner, fail_untyped=False)
            left = [name for name in left if name in known]
            if weights:  # layers that a network takes by default, which no configuration can hold
                built_in = [name for name in known if is_callable(trial.get_default(name))]
        options: dict[str, tuple[Any, str]] = dict.fromkeys(left, (int | None, NO_SIZE))
        if weights:
            options["weights"] = (str | None, "torchvision's by name, as DEFAULT, or a file's path")
        skip = {*(kwargs.pop("skip", None) or ()), *options, *built_in}
        added: list[str] = add(owner, nested_key, *args, skip=skip, **kwargs)
        for name, (kind, text) in options.items():
            key = name if nested_key is None else f"{nested_key}.{name}"
            self.add_argument(f"--{key}", type=kind, default=None, help=text)
            added.append(key)
        return added


def is_callable(default: Any) -> bool:
    """Whether a parser's default is a class or a function, or stands for one."""
    return callable(default) or (isinstance(default, Mapping) and "class_path" in default)


def leavable(owner: Any) -> list[str]:
    """The names of sizes that the owner of arguments may have, and that may be left out."""
    if is_network(owner):
        return [*SIZES, *(["num_classes"] if is_from_elsewhere(owner) else [])]
    return list(CONFIG_SIZES) if is_config(owner) else []


def is_network(owner: Any) -> bool:
    """Whether a class is a network's, or a function says that it gives one: not a task, and no metric."""
    if not inspect.isclass(owner):
        try:
            owner = get_type_hints(owner).get("return")
        except (NameError, TypeError):
            return False
    network = inspect.isclass(owner) and issubclass(owner, nn.Module)
    return network and not issubclass(owner, LightningModule | Metric)


def is_config(owner: Any) -> bool:
    """Whether a class is of transformers' configurations."""
    return inspect.isclass(owner) and any(
        base.__name__.lower() == "pretrainedconfig" and base.__module__.startswith("transformers.")
        for base in owner.__mro__
    )


def is_from_elsewhere(owner: Any) -> bool:
    """Whether a class or function is of torchvision, timm or transformers."""
    return str(getattr(owner, "__module__", "")).partition(".")[0] in ELSEWHERE
