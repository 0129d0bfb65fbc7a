"""Objects: an experiment that Python functions make, in place of a configuration's classes."""

import copy
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from lightning.pytorch.loggers import Logger
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError, UserError, one_line
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.imports import place
from lightning_base.training.contents import Unidentified
from lightning_base.training.identity import address, identify
from lightning_base.training.seeds import derive_seed, seed_all
from lightning_base.training.sources import sums_of

Settings: TypeAlias = Mapping[str, Any]
LAZY = (UninitializedParameter, UninitializedBuffer)
EXECUTORS = "processes of their own import what they train"


@dataclass(frozen=True)
class Objects:
    """What makes a run's objects, called afresh for every run, so that folds share nothing.

    Attributes:
        task: makes the LightningModule with its network; None for what needs none, as `audit`.
        data: makes the data module.
        trainer: the Trainer's arguments that are objects (callbacks, plugins), or a function that makes them.
        identity: what tells them from others, for config.yaml; see `identity_of`.
    """

    task: Callable[[], BaseModule] | None
    data: Callable[[], BaseDataModule]
    trainer: Settings | Callable[[], Settings]
    identity: Settings

    def make_task(self) -> BaseModule | None:
        """A new task.

        Raises:
            ConfigError: where the function fails, or gives something else.
        """
        return None if self.task is None else _made(self.task, "task", BaseModule)

    def make_data(self) -> BaseDataModule:
        """A new data module.

        Raises:
            ConfigError: where the function fails, or gives something else.
        """
        made: BaseDataModule = _made(self.data, "data", BaseDataModule)
        return made

    def make_trainer(self) -> dict[str, Any]:
        """The Trainer's arguments that are objects, new ones."""
        return _objects(self.trainer)


def objects_of(
    task: Callable[[], BaseModule] | None,
    data: Callable[[], BaseDataModule],
    trainer: Settings | Callable[[], Settings],
    seed: int,
) -> tuple[Objects, dict[str, Any]]:
    """The objects of an experiment, and the Trainer's arguments that are plain values.

    Args:
        task: makes the task; None where none is needed.
        data: makes the data module.
        trainer: the Trainer's arguments, or a function that makes them.
        seed: the experiment's.

    Raises:
        ConfigError: for functions that give no such objects, or the same ones twice: folds would share them.
    """
    for key, value in (("task", task), ("data", data)):
        if value is not None and (isinstance(value, BaseModule | BaseDataModule) or not callable(value)):
            raise ConfigError(
                f"{key}: a {type(value).__name__} is given; every fold makes its own, so give a function that makes "
                f"one: {key}=lambda: …"
            )
    given = _settings(trainer)
    plain = {key: value for key, value in given.items() if is_plain(value)}
    rest = {key: value for key, value in given.items() if key not in plain}
    if not callable(trainer):
        demand_own_loggers(rest.get("logger", []))
    made = Objects(task, data, trainer if callable(trainer) and rest else rest, {})
    return replace(made, identity=identity_of(made, seed)), plain


def identity_of(objects: Objects, seed: int) -> dict[str, Any]:
    """What tells whether a directory's run is of the same objects.

    Of each function the path to import it by and the hash of what it does and captures (None where these cannot be
    told), and the hash of the weights that fold 0 begins with.

    Raises:
        ConfigError: where the task's function gives one network twice.
    """
    found: dict[str, Any] = {}
    for key, value in (("task", objects.task), ("data", objects.data), ("trainer", objects.trainer)):
        if value:
            found[key] = {"call": address(value) if callable(value) else None, "source": None}
            try:
                found[key]["source"] = identify(value)
            except Unidentified as what:
                found[key]["unknown"] = str(what)
    if objects.task is not None:
        seed_all(derive_seed(seed, 0))
        first = objects.make_task()
        assert first is not None
        demand_new(first, objects.make_task(), "task", "the same network")
        weights = {key: value for key, value in first.state_dict().items() if not isinstance(value, LAZY)}
        found["weights"] = identify(weights)
        if first.init_from is not None:
            found["init_from"] = sums_of(first.init_from)
    demand_new(objects.make_data(), objects.make_data(), "data", "the same data module")
    if callable(objects.trainer):  # of objects that are given each run gets copies
        demand_new(objects.make_trainer(), objects.make_trainer(), "trainer", "the same object")
    return found


def demand_new(first: Any, second: Any, key: str, what: str) -> None:
    """Refuses a function that gives one thing twice: each fold would go on with what the one before has left in it.

    Raises:
        ConfigError: naming the function.
    """
    if _mutable(first) & _mutable(second):
        raise ConfigError(
            f"{key}: the function gives {what} each time, which folds would share; make it inside the function"
        )


def _mutable(made: Any) -> set[int]:
    """Addresses of what training changes: an object itself, a network's parameters and buffers, a mapping's objects."""
    if isinstance(made, nn.Module):
        return {id(made), *map(id, made.parameters()), *map(id, made.buffers())}
    if isinstance(made, Mapping):
        values = [item for value in made.values() for item in (value if isinstance(value, list | tuple) else [value])]
        return {id(value) for value in values if not isinstance(value, type) and hasattr(value, "__dict__")}
    return {id(made)}


def changed(objects: Objects, keys: Sequence[str] = ("task", "data")) -> str | None:
    """Which of these functions, or what it takes with it, is not what it was when the run began; None where none is."""
    for key in keys:
        told = objects.identity.get(key, {}).get("source")
        try:
            if told is not None and identify(getattr(objects, key)) != told:
                return key
        except Unidentified:  # it could be told then: it takes something else with it now
            return key
    return None


def demand_own_loggers(loggers: Any) -> None:
    """Refuses a logger that all folds would write to.

    Raises:
        ConfigError: naming its class.
    """
    for logger in loggers if isinstance(loggers, list | tuple) else [loggers]:
        if isinstance(logger, Logger):
            raise ConfigError(
                f"trainer: all folds would write to one {type(logger).__name__}; give a function that makes the "
                "arguments: trainer=lambda: dict(logger=…)"
            )


def _settings(trainer: Any) -> dict[str, Any]:
    """The Trainer's arguments.

    Raises:
        ConfigError: where they are no mapping by name.
    """
    given = _made(trainer, "trainer", Mapping) if callable(trainer) else trainer
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise ConfigError(f"trainer: a {type(given).__name__} is given; give its arguments by name: trainer=dict(…)")
    return dict(given)


def _objects(trainer: Settings | Callable[[], Settings]) -> dict[str, Any]:
    """The arguments that are no plain values; of those that are given once, copies."""
    if callable(trainer):
        return {key: value for key, value in _settings(trainer).items() if not is_plain(value)}
    return copy.deepcopy(dict(trainer))


def _made(function: Callable[[], Any], key: str, kind: type[Any]) -> Any:
    try:
        made = function()
    except UserError:
        raise
    except Exception as error:  # whatever the user's own code raises
        where = f" ({place(error)})" if place(error) else ""
        raise ConfigError(f"{key}: the function raises {type(error).__name__}: {one_line(error)}{where}") from error
    if not isinstance(made, kind):
        raise ConfigError(
            f"{key}: the function gives a {type(made).__name__}, not a {kind.__name__}; let it return a new one"
        )
    return made


def lacking(identity: Settings, what: str) -> str | None:
    """The first function of which there is no "source" or no "call"; None where all have it."""
    entries = ((key, entry) for key, entry in identity.items() if isinstance(entry, Mapping))
    return next((key for key, entry in entries if entry.get(what) is None), None)


def demand_identified(identity: Settings, directory: str) -> None:
    """Refuses to go on with a run whose objects cannot be told from others.

    Raises:
        ConfigError: naming what cannot be identified.
    """
    if key := lacking(identity, "source"):
        raise ConfigError(
            f"{directory} holds a run, and whether it is of the same {key} cannot be told: the function takes a "
            f"{identity[key].get('unknown')} with it; make that inside the function, or give another --name, or "
            "--overwrite true"
        )


def demand_importable(identity: Settings, what: str) -> None:
    """Refuses objects that another process cannot make.

    Args:
        identity: of the objects.
        what: asks for other processes, in words.

    Raises:
        ConfigError: naming the function.
    """
    if key := lacking(identity, "call"):
        raise ConfigError(
            f"{what}: {EXECUTORS}, and {key} is no function of an importable module; put it into a file, at its "
            "top level, and import it from there"
        )


def imported(identity: Settings, where: str) -> Objects:
    """The objects of a saved experiment, imported anew.

    Args:
        identity: as config.yaml has it.
        where: the file, for messages.

    Raises:
        ConfigError: where a function cannot be imported, or is not what it was.
    """
    if key := lacking(identity, "call"):
        what = "its data was in memory (x=…), or made by" if key == "data" else f"{key} is"
        raise ConfigError(
            f"{where} was made from Python objects, and {what} no function that can be imported; repeat the call "
            f"that made it, which keeps what is finished, or import {key} from a file of functions"
        )
    made: dict[str, Any] = {"task": None, "trainer": {}}
    for key, entry in identity.items():
        if not isinstance(entry, Mapping):
            continue
        module, _, name = str(entry["call"]).partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"{where}: {key} {entry['call']} cannot be imported ({one_line(error)}); run from the folder it was in"
            ) from error
        if entry["source"] is not None and identify(found) != entry["source"]:
            raise ConfigError(
                f"{where}: {key} {entry['call']} is not what it was when the run began; run it under another name"
            )
        made[key] = found
    return Objects(made["task"], made["data"], made["trainer"], identity)


def is_plain(value: Any) -> bool:
    """Whether a value can stand in YAML."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return isinstance(value, bool | int | float | str | None)
