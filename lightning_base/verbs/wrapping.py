"""Configurations that name a LightningModule or a Dataset of somebody else's, put into the classes that hold these."""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import Dataset

from lightning_base.data.any_dataset import AnyDataset
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.tasks.any_module import AnyModule
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.yaml_file import read_config
from lightning_base.verbs.words import CONFIG

OF_CLASS = ("class_path", "init_args", "dict_kwargs")  # what a class's own section holds


@dataclass(frozen=True)
class Held:
    """A class of somebody else's, and the one of ours that holds it.

    Attributes:
        key: the section of the configuration, "model" or "data".
        name: of the holder's option that it is.
        holder: the class.
        own: the class that is held.
    """

    key: str
    name: str
    holder: type
    own: type

    def section(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A section of a file as the holder's: what it says of the class held, and beside it the holder's options."""
        inside: dict[str, Any] = {part: given[part] for part in OF_CLASS if part in given}
        options = {part: value for part, value in given.items() if part not in OF_CLASS}
        both = given.get("init_args") or {}
        if "class_path" not in given and isinstance(both, Mapping):  # an overlay: options of either in either place
            own = {part: value for part, value in both.items() if self.is_own(part)}
            own |= {part: value for part, value in options.items() if part not in options_of(self.holder)}
            options = {part: value for part, value in {**both, **options}.items() if part not in own}
            inside["init_args"] = own
        held = {self.name: inside} if any(inside.values()) else {}
        return {"class_path": f"{self.holder.__module__}.{self.holder.__qualname__}", "init_args": {**held, **options}}

    def is_own(self, option: str) -> bool:
        """Whether an option in `init_args` is the held class's, and not the holder's."""
        return option in options_of(self.own) or option not in options_of(self.holder)

    def word(self, word: str) -> str:
        """An option of the command line that means the class held, as the holder takes it; others as they are."""
        name, equals, value = word.partition("=")
        parts = name.split(".")
        if parts[0] != f"--{self.key}" or len(parts) == 1:
            return word
        rest = parts[2:] if parts[1] == "init_args" and len(parts) > 2 else parts[1:]
        first = rest[0].rstrip("+")
        theirs = self.is_own(first) if len(rest) < len(parts) - 1 else first not in options_of(self.holder)
        if not theirs or first in (*OF_CLASS, self.name):
            return word
        return ".".join([parts[0], self.name, *rest]) + equals + value


def options_of(kind: type) -> frozenset[str]:
    """What a class's constructor takes by name."""
    return frozenset(inspect.signature(kind).parameters)


def wrapped(arguments: Sequence[str]) -> list[str]:
    """The words, with the content of those configuration files that name such classes in their place.

    Options and later files that mean the class that is held are brought to where it is.

    Args:
        arguments: a verb and its words.
    """
    words, after = list(arguments), False
    held: dict[str, Held] = {}
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if after or (name in CONFIG and equals):
            given = word if after else value
            found = wrapping(read_config(given), held) if given else None
            if found is not None:
                text = yaml.safe_dump(found, sort_keys=False)
                words[i] = text if after else f"{name}={text}"
        after = not after and word in CONFIG
    for one in held.values():
        words = [one.word(word) for word in words]
    return words


def wrapping(content: Mapping[str, Any], held: dict[str, Held]) -> dict[str, Any] | None:
    """The configuration with each such class inside of the one that holds it; None where it names none.

    What stands beside `class_path` and its own arguments are the holder's options: `data.split`, `model.metrics`.

    Args:
        content: a file's.
        held: what earlier files have held, by section; brought up to date.
    """
    found = dict(content)
    for key, of, but, holder, name in (
        ("model", (LightningModule,), BaseModule, AnyModule, "module"),
        ("data", (Dataset, LightningDataModule), BaseDataModule, AnyDataset, "items"),
    ):
        section = content.get(key)
        section = {"class_path": section} if isinstance(section, str) else section
        if not isinstance(section, Mapping):
            continue
        path = section.get("class_path")
        if isinstance(path, str):
            held.pop(key, None)
            kind = imported(path)
            if kind is None:  # the parser tells it, where no other keys confuse it
                found[key] = {part: section[part] for part in OF_CLASS if part in section}
            if isinstance(kind, type) and issubclass(kind, of) and not issubclass(kind, but):
                held[key] = Held(key, name, holder, kind)
        if key in held:
            found[key] = held[key].section(section)
    return found if found != dict(content) else None


def imported(path: str) -> Any:
    """What a dotted path names; None where there is no such thing, which the parser tells."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None) if module else None
    except Exception:  # whatever the user's own file does: the parser tells it
        return None
