"""Sizes: what the data says of a network's inputs and outputs, put in where the configuration leaves them out."""

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonargparse import Namespace
from torch import nn

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.first import first_batch
from lightning_base.errors import ConfigError, one_line
from lightning_base.samples.batch import Batch
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.head import new_head, new_stem
from lightning_base.tasks.kinds import demand_kind
from lightning_base.tools.imports import naming_faults
from lightning_base.training.known_names import SIZES
from lightning_base.training.network_parser import CONFIG_SIZES, is_config, is_from_elsewhere, is_network
from lightning_base.training.weights import ENDINGS, load_weights

OUTPUTS = ("num_outputs", "num_classes", "num_labels")  # where a network from elsewhere is given its number of outputs


@dataclass
class Sizes:
    """What one run's data says of its network's sizes, each asked for once, and only where it is needed.

    Attributes:
        data: of the run, with its fold.
        task: the class of the task.
        options: the task's, as the configuration has them, or as its attributes.
        known: by key, as a checkpoint has them: of these the data is not asked.
        found: by key, those that were put in.
    """

    data: BaseDataModule
    task: type[BaseModule]
    options: Mapping[str, Any]
    known: Mapping[str, int]
    found: dict[str, int] = field(default_factory=dict)
    _batch: Batch | None = None

    def get(self, key: str, name: str) -> int | None:
        """A size by its name in SIZES; None where the data does not say it.

        Args:
            key: of the network among the task's options.
            name: of the size.

        Raises:
            UserError: for data that cannot be read, or that the task does not train on.
        """
        at = f"{key}.{name}"
        if at not in self.found:
            value = self.known.get(at) if at in self.known else self._ask(key, name)
            if value is None:
                return None
            self.found[at] = int(value)
        return self.found[at]

    def _ask(self, key: str, name: str) -> int | None:
        """What the data says."""
        if name == "vocabulary":
            return self.data.preprocess.vocabulary
        if name == "num_outputs":
            self._read()
            with naming_faults(f"model: {self.task.__name__} fails"):
                return self.task.num_outputs(key, self.data, self.options)
        x = self._first().x
        if isinstance(x, dict) or not x.is_floating_point():
            return None
        if name == "in_channels":
            return int(x.shape[1]) if x.ndim > 2 else None
        return int(x[0].numel()) if self._first().lengths is None else None

    def _read(self) -> None:
        with naming_faults(f"data: {type(self.data).__name__} fails"):
            self.data.prepare_data()
            pool = self.data.samples("pool")
        demand_kind(self.task.__name__, self.task.takes, pool)

    def _first(self) -> Batch:
        if self._batch is None:
            self._read()
            with naming_faults(f"data: {type(self.data).__name__} fails"):
                self._batch = first_batch(self.data)
        return self._batch


def put_in(model: Namespace, sizes: Sizes) -> dict[str, str]:
    """Puts sizes in where networks of a task's configuration are not given them; what is left keeps its default.

    Args:
        model: the task's class_path and init_args; changed in place.
        sizes: what the data says.

    Returns:
        The files of weights that networks from elsewhere are to take, by the key of the network.

    Raises:
        ConfigError: where a network needs a size that the data does not say, or weights that are not there.
    """
    files: dict[str, str] = {}
    for key, spec in specs(model.get("init_args")):
        if is_network(owner := named(spec.class_path)):
            if file := _weights(spec, owner, key):
                if key != "network":
                    raise ConfigError(f"model.{key}.weights: a file is taken by model.network alone; leave it out")
                files[key] = file
            _put_in(spec, owner, key, sizes, outermost=True)
        elif owner is not None:  # a module of the user's, whose own networks are given what it says
            _put_in(spec, owner, key, sizes, outermost=False)
    return files


def specs(arguments: Any) -> Iterator[tuple[str, Namespace]]:
    """The arguments that are classes with their own, by name."""
    for name, value in vars(arguments).items() if isinstance(arguments, Namespace) else ():
        if isinstance(value, Namespace) and "class_path" in value:
            yield name, value


def named(path: str) -> Any:
    """The class or function of a dotted path, which the parser has imported already."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):  # a method of a class
        return None


def _put_in(spec: Namespace, owner: Any, key: str, sizes: Sizes, outermost: bool) -> None:
    arguments = spec.get("init_args")
    if not isinstance(arguments, Namespace):
        return
    if not outermost and is_network(owner) and _weights(spec, owner, key):
        raise ConfigError(f"model.{key}.weights: a file is taken by model.network alone; leave it out")
    own = CONFIG_SIZES if is_config(owner) else {} if not is_network(owner) else dict(zip(SIZES, SIZES, strict=True))
    asked = is_config(owner) or (outermost and not is_from_elsewhere(owner))
    for name in [name for name in (*own, "num_classes") if name in arguments and arguments[name] is None]:
        value = sizes.get(key, own[name]) if asked and name in own and not _finds_itself(owner, name) else None
        if value is not None:
            arguments[name] = value
            continue
        if asked and name in own and _must(owner, name):
            raise ConfigError(
                f"model.{key}.{name}: {spec.class_path} needs it, and {sizes.task.__name__} with "
                f"{type(sizes.data).__name__} does not say it; give it"
            )
        del arguments[name]  # the constructor's own default
    for name, inner in specs(arguments):
        if (inside := named(inner.class_path)) is not None:
            _put_in(inner, inside, key if is_config(inside) else f"{key}.{name}", sizes, outermost=False)


def _finds_itself(owner: Any, name: str) -> bool:
    """Whether a network whose width is None takes it from its first batch, as `nn.LazyLinear` does."""
    return name == "num_inputs" and _default(owner, name) is None


def _must(owner: Any, name: str) -> bool:
    return _default(owner, name) is inspect.Parameter.empty


def _default(owner: Any, name: str) -> Any:
    parameter = inspect.signature(owner).parameters.get(name)
    return ... if parameter is None else parameter.default


def _weights(spec: Namespace, owner: Any, key: str) -> str:
    """Takes `weights` out of a network's arguments: a file's path is given back, a name becomes torchvision's enum."""
    arguments = spec.get("init_args")
    if not is_from_elsewhere(owner) or not isinstance(arguments, Namespace) or "weights" not in arguments:
        return ""
    weights = arguments.pop("weights")
    if weights is None or "/" in weights or weights.endswith(ENDINGS):
        return weights or ""
    from torchvision import models  # imported where it is used: it takes a while

    name = weights.rpartition(".")[2]
    try:
        kinds: Any = models.get_model_weights(owner)
        spec.dict_kwargs = {**(spec.get("dict_kwargs") or {}), "weights": kinds[name]}
    except (ValueError, AttributeError):
        raise ConfigError(
            f"model.{key}.weights: {spec.class_path} has no weights by name; give a file's path ({', '.join(ENDINGS)})"
        ) from None
    except KeyError:
        raise ConfigError(
            f"model.{key}.weights: {spec.class_path} has no weights {weights!r}; take one of "
            f"{', '.join(kinds.__members__)}, or a file's path ({', '.join(ENDINGS)})"
        ) from None
    return ""


def given_outputs(spec: Namespace) -> bool:
    """Whether a network from elsewhere is given its number of outputs, by itself or in its configuration."""
    parts = [spec, *(inner for _, inner in specs(spec.get("init_args")))]
    for part in parts:
        for held in (part.get("init_args"), part.get("dict_kwargs")):
            values = vars(held) if isinstance(held, Namespace) else held or {}
            if any(values.get(name) is not None for name in OUTPUTS):
                return True
    return False


def adapt(task: BaseModule, sizes: Sizes, file: str | None, outputs_given: bool) -> list[str]:
    """Makes a task's network from elsewhere fit the data, after it has taken the weights of a file.

    Args:
        task: with the network as it was built.
        sizes: what the data says.
        file: of weights; None for none.
        outputs_given: whether the number of outputs was, which then is not changed.

    Returns:
        What was done, in words.

    Raises:
        UserError: for weights that do not fit, or a network without a layer to change.
    """
    network, done = task.network, list[str]()
    if file:
        done.append(f"weights: {load_weights(network, file, 'model.network.weights')}")
    if not is_from_elsewhere(type(network)) or task.head == "keep":
        return done
    if _takes_images(network) and (channels := sizes.get("network", "in_channels")) is not None:
        done.append(new_stem(network, channels))
    if not outputs_given and (n := sizes.get("network", "num_outputs")) is not None:
        done.append(new_head(network, n))
    return [one for one in done if one]


def _takes_images(network: nn.Module) -> bool:
    first = next(
        (module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding)), None
    )
    return isinstance(first, nn.Conv2d)


def no_weights(error: Exception, key: str = "network") -> ConfigError | None:
    """The line for weights that cannot be downloaded; None for any other error."""
    while error is not None:
        text = f"{type(error).__name__} {error}"
        if isinstance(error, OSError) and re.search(r"urlopen|URLError|resolve|[Cc]onnect|offline|huggingface", text):
            return ConfigError(
                f"model.{key}: its weights are not in the cache and cannot be downloaded ({one_line(error)[:160]}); "
                "give model.network.weights a file's path, or leave weights out"
            )
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return None
