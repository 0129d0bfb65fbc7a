"""`python -m lightning_base.cli.signatures` writes signatures.json: what help and the early check know."""

import importlib
import inspect
import json
import os
import pkgutil
import sys
from argparse import Action
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from docstring_parser import parse
from jsonargparse._parameter_resolvers import get_signature_parameters
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser
from torch import nn

from lightning_base.augment import Augmentation
from lightning_base.cli.described import TABLE, digest
from lightning_base.cli.entry import VERBS
from lightning_base.cli.introspect import argument, plain, type_text, value_text
from lightning_base.cli.source import parts
from lightning_base.data import BaseDataModule
from lightning_base.data.memory import Memory
from lightning_base.preprocess import Preprocess
from lightning_base.splitters import TableSplitter
from lightning_base.tasks import BaseModule
from lightning_base.verbs.parser import Parser

BASES: dict[str, type] = {  # the first that fits is a class's kind
    "tasks": BaseModule,
    "data": BaseDataModule,
    "splitters": TableSplitter,
    "augmentations": Augmentation,
    "preprocess": Preprocess,
    "networks": nn.Module,
}
FACES = ("tasks", "splitters", "augment", "preprocess", "data")
FOLDERS = ("models", "datamodules")


def generate() -> dict[str, Any]:
    """The whole table, as plain values for JSON."""
    shared: dict[str, list[dict[str, Any]]] = {}
    parsers = {verb: parser_of(verb) for verb in VERBS}
    shared["Trainer"] = [argument(parameter, "Trainer") for parameter in get_signature_parameters(Trainer)]
    classes = dict(sorted((path, describe(path, found, shared)) for path, found in shipped()))
    folders = [Path(place) for folder in FOLDERS for place in importlib.import_module(folder).__path__]
    files = sorted(path for folder in folders for path in folder.glob("[!_]*.py"))
    return {
        "lightning": version("lightning"),
        "sources": {f"{path.parent.name}.{path.stem}": digest(path) for path in files},
        "shared": shared,
        "verbs": {verb: declare(parser) for verb, parser in parsers.items()},
        "classes": classes,
        "modules": {f"lightning_base.{face}": names(f"lightning_base.{face}") for face in FACES},
    }


class _Made(Exception):  # carries a parser out of LightningCLI before it parses
    def __init__(self, parser: LightningArgumentParser) -> None:
        self.parser = parser


class _Declared(Parser):
    """A verb's parser, made and not used."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        raise _Made(self._subcommand_parsers[args[0]])


def parser_of(verb: str) -> LightningArgumentParser:
    """The parser of a verb's options, as the command line makes it."""
    try:
        _Declared([verb])
    except _Made as made:
        return made.parser
    raise AssertionError(verb)


def options_of(parser: LightningArgumentParser) -> list[Action]:
    """What the parser takes, without help, and without the groups that stand for several options."""
    every = [a for a in parser._actions if a.dest not in ("help", "print_config") and a.help != "==SUPPRESS=="]
    return [a for a in every if not a.dest.endswith(".help") and type(a).__name__ != "_ActionConfigLoad"]


def declare(parser: LightningArgumentParser) -> dict[str, Any]:
    """A verb's options and keys."""
    found = [a for a in options_of(parser) if not a.dest.startswith("trainer.")]
    common = ("config", "name", "audit", "search", "seed_everything", "model", "data")
    order = [*(a for a in found if a.dest not in common), *(a for a in found if a.dest in common)]
    dotted = list(parser.get_defaults(skip_validation=True).keys())
    keys = [key for key in dotted if not key.startswith("trainer.")]
    return {
        "options": [{**option(a), "owner": "every verb" if a.dest in common else ""} for a in order],
        "keys": ["trainer", *keys],
    }


def option(action: Action) -> dict[str, Any]:
    """An option of the parser."""
    kind = getattr(action, "_typehint", None) or action.type
    default = action.default
    return {
        "name": action.dest,
        "type": type_text(kind) if kind else "",
        "default": value_text(default),
        "help": plain(action.help or ""),
    }


def shipped() -> Iterator[tuple[str, type]]:
    """Every class that YAML may name, by the shortest dotted name that it has; Memory takes what YAML cannot hold."""
    for face in FACES:
        module = importlib.import_module(f"lightning_base.{face}")
        for name in module.__all__:
            if isinstance(found := getattr(module, name), type) and kind_of(found) and found is not Memory:
                yield f"lightning_base.{face}.{name}", found
    for folder in FOLDERS:
        for entry in pkgutil.iter_modules(importlib.import_module(folder).__path__):
            module = importlib.import_module(f"{folder}.{entry.name}")
            for name, found in vars(module).items():
                if is_own(module, found) and not name.startswith("_") and kind_of(found):
                    yield f"{module.__name__}.{name}", found


def is_own(module: ModuleType, found: object) -> bool:
    """Whether a module's name is a class that is defined there."""
    return isinstance(found, type) and found.__module__ == module.__name__


def kind_of(found: type) -> str:
    """Its kind; "" where the configuration cannot take it."""
    return next((kind for kind, base in BASES.items() if issubclass(found, base)), "")


def describe(path: str, found: type, shared: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A class; options that it has from a base class stand in `shared`, under the base's name.

    Args:
        path: its dotted name.
        found: the class.
        shared: options by base class, to which the base's are added.
    """
    text = parse(inspect.getdoc(found) or "")
    own: list[dict[str, Any]] = []
    inherited: dict[str, list[dict[str, Any]]] = {}
    for parameter in get_signature_parameters(found):
        base = origin(found, parameter.name)
        (inherited.setdefault(base, []) if base else own).append(argument(parameter, base))
    own_names = {one["name"] for one in own}
    for base, options in inherited.items():
        if base not in shared:
            shared[base] = [argument(p, base) for p in get_signature_parameters(base_of(base))]
        if options != [one for one in shared[base] if one["name"] not in own_names]:
            own += options  # it takes but some of the base's
    return {
        "kind": kind_of(found),
        "about": plain(text.short_description or ""),
        "text": text.long_description or "",
        "options": own,
        "bases": [base for base, options in inherited.items() if options[0] not in own],
        "part": kind_of(found) == "networks"
        and found.__name__ in parts(inspect.getsource(sys.modules[found.__module__])),
    }


def base_of(name: str) -> type:
    """The base class of that name."""
    return next(base for base in BASES.values() if base.__name__ == name)


def origin(found: type, name: str) -> str:
    """The base of the framework's that declares a class's argument; "" where the class itself does, or says more."""
    for base in BASES.values():
        inherited = base in found.__mro__[1:] and base is not nn.Module and name in inspect.signature(base).parameters
        if inherited and name not in vars(found).get("__annotations__", {}) and name not in of_init(found):
            return base.__name__
    return ""


def of_init(found: type) -> list[str]:
    """The arguments of a class's own constructor, where it is not a dataclass's."""
    init = vars(found).get("__init__")
    return [] if init is None or is_dataclass(found) else list(inspect.signature(init).parameters)


def names(module: str) -> list[str]:
    """The public names of a package, and its modules, imported or not."""
    package = importlib.import_module(module)
    return sorted({*package.__all__, *(entry.name for entry in pkgutil.iter_modules(package.__path__))})


def text() -> str:
    """What the file should hold."""
    return json.dumps(generate(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    TABLE.write_text(text(), encoding="utf-8")
