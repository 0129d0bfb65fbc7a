"""A class that is imported, asked what it takes: for the table of signatures, and for classes of other libraries."""

import importlib
import inspect
import re
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from docstring_parser import parse
from jsonargparse._parameter_resolvers import ParamData, get_signature_parameters

from lightning_base.cli.described import Described, Option, held_by
from lightning_base.errors import one_line

HOLDS_TEXT = {"networks": "network", "splitters": "splitter or null", "augmentations": "list of augmentations"}


def describe_imported(path: str) -> Described | None:
    """Any class, by its dotted name, which is imported; None where there is none."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return None
    if not isinstance(found, type):
        return None
    options = [Option(**argument(parameter, "")) for parameter in get_signature_parameters(found)]
    text = parse(inspect.getdoc(found) or "")
    return Described(path, "", plain(text.short_description or ""), "", tuple(options))


def argument(parameter: ParamData, owner: str) -> dict[str, Any]:
    """An argument of a class."""
    holds = held_by(str(parameter.annotation))
    return {
        "name": parameter.name,
        "type": HOLDS_TEXT.get(holds) or type_text(parameter.annotation),
        "default": value_text(parameter.default),
        "help": plain(parameter.doc or ""),
        **({"owner": owner} if owner else {}),
        **({"holds": holds} if holds else {}),
    }


def type_text(kind: object) -> str:
    """A type in words, without modules: `int or null`."""
    if kind is inspect.Parameter.empty:
        return ""
    if get_origin(kind) in (Union, UnionType):  # whose order is that of whoever was first to name it
        members = sorted(type_text(one) for one in get_args(kind) if one is not NoneType)
        return " | ".join([*members, *(["null"] if NoneType in get_args(kind) else [])])
    text = getattr(kind, "__qualname__", str(kind)) if isinstance(kind, type) and not get_args(kind) else str(kind)
    text = re.sub(r"typing\.Optional\[(.*)\]$", r"\1 | None", text)
    if found := re.search(r"Callable\[\[[^\[\]]*\], (.*?)\](?= \||$)", text):
        text = text.replace(found[0], found[1])
    text = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text.replace("NoneType", "None"))
    while found := re.search(r"Union\[((?:[^\[\]]|\[[^\[\]]*\])*)\]", text):
        text = text.replace(found[0], re.sub(r", (?![^\[]*\])", " | ", found[1]))
    return re.sub(r"Literal\[([^\]]*)\]", lambda one: one[1].replace(", ", " | "), text).replace("None", "null")


def value_text(value: object) -> str | None:
    """A default as YAML has it; None where there is none, "" where it is made anew for each."""
    if value is inspect.Parameter.empty:
        return None
    if isinstance(value, type) or callable(value):
        return f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else ""
    if isinstance(value, str | int | float | bool | list | tuple | dict | None):
        return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).removesuffix("...\n").strip()
    return ""


def plain(text: str) -> str:
    """A docstring's text on one line, without the marks of reStructuredText and the default that is told beside it."""
    text = re.sub(r"\s*Defaults?(?: to)?:?\s*``[^`]*``\.?", "", text)
    return one_line(text.replace("``", ""))
