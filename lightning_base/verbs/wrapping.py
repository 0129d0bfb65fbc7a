"""Configurations that name a LightningModule or a Dataset of somebody else's, put into the classes that hold these."""

import importlib
from collections.abc import Mapping, Sequence
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


def wrapped(arguments: Sequence[str]) -> list[str]:
    """The words, with the content of those configuration files that name such classes in their place.

    Args:
        arguments: a verb and its words.
    """
    words, after = list(arguments), False
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if after or (name in CONFIG and equals):
            given = word if after else value
            found = wrapping(read_config(given)) if given else None
            if found is not None:
                text = yaml.safe_dump(found, sort_keys=False)
                words[i] = text if after else f"{name}={text}"
        after = not after and word in CONFIG
    return words


def wrapping(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration with each such class inside of the one that holds it; None where it names none.

    What stands beside `class_path` and its own arguments are the holder's options: `data.split`, `model.metrics`.
    """
    found = dict(content)
    for key, of, but, holder, name in (
        ("model", (LightningModule,), BaseModule, AnyModule, "module"),
        ("data", (Dataset, LightningDataModule), BaseDataModule, AnyDataset, "items"),
    ):
        section = content.get(key)
        section = {"class_path": section} if isinstance(section, str) else section
        if not isinstance(section, Mapping) or not isinstance(path := section.get("class_path"), str):
            continue
        kind = imported(path)
        if kind is None:  # the parser tells it, where no other keys confuse it
            found[key] = {part: section[part] for part in OF_CLASS if part in section}
        if isinstance(kind, type) and issubclass(kind, of) and not issubclass(kind, but):
            own = {part: section[part] for part in OF_CLASS if part in section}
            options = {part: value for part, value in section.items() if part not in OF_CLASS}
            found[key] = {
                "class_path": f"{holder.__module__}.{holder.__qualname__}",
                "init_args": {name: own, **options},
            }
    return found if found != dict(content) else None


def imported(path: str) -> Any:
    """What a dotted path names; None where there is no such thing, which the parser tells."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None) if module else None
    except Exception:  # whatever the user's own file does: the parser tells it
        return None
