"""What a class path names, told without importing it: from the working directory's source, or the table of ours."""

import ast
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from lightning_base.cli.described import Described, Missing, digest, table
from lightning_base.cli.source import Source
from lightning_base.tools.finder import Folders, foreign, look_here, own
from lightning_base.tools.imports import told
from lightning_base.tools.shipped import IMPORTED


def look_up(path: str) -> Described | Missing | None:
    """What a class path names; None where that cannot be told without importing it.

    The working directory's own file comes before what we ship under the same name.
    """
    look_here()
    module, _, name = path.rpartition(".")
    if not module or not all(part.isidentifier() for part in path.split(".")):
        return None
    if module in table().modules:
        known = table().modules[module]
        return table().classes.get(path) or (None if name in known else Missing(module, name, tuple(known)))
    top = module.partition(".")[0]
    if top == "lightning_base":
        return _shipped(path)
    if top in IMPORTED:
        return _of_ours(module, name)
    if (source := _own_file(module)) is not None:
        return read(source, module).find(name)
    return None if is_findable(top) else Missing(top)


def _shipped(path: str) -> Described | None:
    """A network or a data module that is named as ours alone, `lightning_base.models.cnn.CNN`."""
    found = table().classes.get(path.removeprefix("lightning_base."))
    return replace(found, path=path) if found else table().classes.get(path)


def _of_ours(module: str, name: str) -> Described | Missing | None:
    """A class of `models.x` or `datamodules.x`, in the file that the finder finds."""
    top, *rest = module.split(".")
    parent = sys.modules.get(top)
    is_found_so = parent is None or isinstance(getattr(parent, "__path__", None), Folders)
    if len(rest) != 1 or not is_found_so or foreign(top) is not None or _says_more(top):
        return None
    spec = PathFinder.find_spec(module, Folders(top))
    if spec is None:
        there = {p.stem for folder in Folders(top) for p in Path(folder).glob("[!_.]*")}
        return Missing(top, rest[0], tuple(sorted(there)))
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    if is_ours(Path(spec.origin), module):
        ours = {path for path in table().classes if path.startswith(f"{module}.")}
        if f"{module}.{name}" in ours:
            return table().classes[f"{module}.{name}"]
    return read(Path(spec.origin), module).find(name)


def _says_more(top: str) -> bool:
    """Whether the working directory's package may itself say what there is in it."""
    mine = own(top)
    if mine is None or not mine.origin or not Path(mine.origin).is_file():
        return False
    text = Path(mine.origin).read_text(encoding="utf-8", errors="replace")
    return any(word in text for word in ("__path__", "__getattr__", "sys"))


def _own_file(module: str) -> Path | None:
    """The file of a module in the working directory, as an import finds it; packages on the way are not run."""
    places: Sequence[str] | None = None
    origin = None
    parts = module.split(".")
    for i in range(len(parts)):
        if (spec := PathFinder.find_spec(".".join(parts[: i + 1]), places)) is None:
            return None
        places, origin = list(spec.submodule_search_locations or ()), spec.origin
    path = Path(origin or "")
    return path if path.suffix == ".py" and path.stem != "__init__" and path.is_relative_to(Path.cwd()) else None


def is_ours(path: Path, module: str) -> bool:
    """Whether a file is the one that the table describes."""
    return module in table().sources and table().sources[module] == digest(path)


def is_findable(top: str) -> bool:
    """Whether there is a module or package of that name; its code is not run."""
    try:
        return find_spec(top) is not None
    except (ImportError, ValueError):
        return True


def read(path: Path, module: str) -> Source:
    """A file's source."""
    try:
        return Source(module, ast.parse(path.read_bytes()), look_up)
    except SyntaxError as error:
        error.filename = str(path)
        return Source(module, None, look_up, told(error))
    except (ValueError, OSError):
        return Source(module, None, look_up)
