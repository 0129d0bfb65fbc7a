"""From words, files or Python objects to an experiment, which is opened and not run."""

import json
import os
from argparse import ArgumentError
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError, one_line
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import console
from lightning_base.tools.yaml_file import read_config
from lightning_base.training.config_errors import explain
from lightning_base.training.experiment import SHARED_KEYS, Experiment
from lightning_base.training.limits import plain_name
from lightning_base.training.objects import Objects, Settings, imported, objects_of
from lightning_base.training.settings import read_saved
from lightning_base.training.taken import demand_taken
from lightning_base.verbs.parser import Asked, add_own_arguments, hidden_options, parse, verb_options
from lightning_base.verbs.trainer import Trainer, add_trainer
from lightning_base.verbs.words import configs, with_saved_config

OBJECTS = "objects"  # the key of a saved configuration whose task and data Python functions make


def open_words(arguments: Sequence[str]) -> Asked:
    """What a verb's words ask for; the configuration saved beside --ckpt_path or --labels is taken where none is given.

    Raises:
        ConfigError: for words or a configuration that do not parse.
    """
    words = with_saved_config(list(arguments))
    files = configs(words)
    if files and not configs(arguments):
        read_saved(Path(files[0]))  # saved by a run
        console().print(f"configuration: {files[0]}", soft_wrap=True, markup=False, highlight=False)
    if len(files) == 1 and files[0] and (saved := saved_objects(Path(files[0]))) is not None:
        return _open_saved(words, Path(files[0]), saved)
    return parse(words)


def open_experiment(arguments: Sequence[str]) -> Experiment:
    """The experiment of a verb's words.

    Raises:
        ConfigError: for words or a configuration that do not parse.
    """
    return open_words(arguments).experiment


def open_files(verb: str, files: Sequence[Path], overrides: Settings) -> Experiment:
    """The experiment of configuration files.

    Args:
        verb: what is done with it.
        files: YAML files, each laid over those before.
        overrides: values by dotted key, as --key=value on the command line.

    Raises:
        ConfigError: for a file or a value that does not fit.
    """
    words = [word for file in files for word in ("--config", str(file))]
    return open_experiment([verb, *words, *as_words(overrides)])


def open_objects(
    verb: str,
    task: Callable[[], BaseModule] | None,
    data: Callable[[], BaseDataModule],
    trainer: Settings | Callable[[], Settings],
    name: str | None,
    seed: int,
    audit: str,
    overrides: Settings,
) -> Experiment:
    """The experiment of Python objects.

    Args:
        verb: what is done with it.
        task: makes the task with its network; None where the verb needs none.
        data: makes the data module.
        trainer: the Trainer's arguments, or a function that makes them.
        name: of the results' folder.
        seed: everything random is drawn from it.
        audit: "off", "warn" or "fail".
        overrides: values by dotted key, of the Trainer.

    Raises:
        ConfigError: for what does not fit.
    """
    if name is None:
        raise ConfigError("name: missing; what is made from objects has no file that names its results' folder")
    objects, plain = objects_of(task, data, trainer, seed)
    values = {"name": plain_name(name), "seed_everything": seed, "audit": audit}
    words = as_words({f"trainer.{key}": value for key, value in plain.items()} | dict(overrides))
    return _from_objects(verb, objects, values, words, "trainer").experiment


def saved_objects(path: Path) -> dict[str, Any] | None:
    """A saved configuration whose task and data Python functions make; None for any other file.

    Raises:
        ConfigError: for a file that is no configuration.
    """
    content = read_config(str(path))
    return content if isinstance(content.get(OBJECTS), dict) else None


def _open_saved(words: Sequence[str], path: Path, saved: Mapping[str, Any]) -> Asked:
    """What a verb's words ask for, of an experiment that was made from objects, which are imported."""
    rest = list(words[1:])
    at = next(i for i, word in enumerate(rest) if word.partition("=")[0] in ("--config", "-c"))
    del rest[at : at + (1 if "=" in rest[at] else 2)]
    values = {key: value for key, value in saved.items() if key in SHARED_KEYS}
    return _from_objects(words[0], imported(saved[OBJECTS], str(path)), values, rest, str(path))


def _from_objects(verb: str, objects: Objects, values: Settings, words: Sequence[str], origin: str) -> Asked:
    """The experiment of these objects, and the verb's own options among the words."""
    parser = LightningArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--seed_everything", type=int, default=0)
    add_own_arguments(parser)
    add_trainer(parser)
    own = parser.add_method_arguments(Trainer, verb, skip=set(hidden_options(verb)))
    known = list(parser.get_defaults(skip_validation=True).keys())
    try:
        config = parser.parse_args(list(words), namespace=parser.parse_object(dict(values)))
    except ArgumentError as error:
        raise ConfigError(explain(str(error), [origin] if Path(origin).is_file() else [], known, words)) from error
    except TypeError as error:  # what parse_object says of values
        raise ConfigError(explain(str(error), [], known)) from error
    demand_taken(config, words)
    return Asked(verb, Experiment(parser, config, objects=objects), verb_options(config, own))


def as_words(values: Settings) -> list[str]:
    """Values by dotted key as the command line's --key=value."""
    return [f"--{key}={value if isinstance(value, str) else _json(key, value)}" for key, value in values.items()]


def _json(key: str, value: Any) -> str:
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    try:
        return json.dumps(value)
    except TypeError as error:
        raise ConfigError(f"{key}: {one_line(error)}; overrides are plain values, as in YAML") from error
