"""How `models.X` and `datamodules.X` are found: the working directory's own first, then those that are shipped.

Of the name `models` (and likewise `datamodules`):

1. The first folder `models/` or file `models.py` on `sys.path` that is not in a site-packages folder is yours. It need
   have no `__init__.py`; where it has one, that is run. Ours stand behind it, file by file: your `models/cnn.py` takes
   the place of ours.
2. Where there is none, and no installed package of that name either, ours stand alone.
3. Where there is none, but an installed package of that name, that package stays as it is.

`lightning_base.models.X` is always ours; it is the same module as `models.X` wherever that is ours too. A shipped file
that imports another (`from .resnet import BasicBlock`) gets ours in every case.

`import lightning_base` installs the finder. That is its one side effect, without which a network that a configuration,
a worker process or a checkpoint names could not be found.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import cast

from lightning_base.tools.shipped import IMPORTED, shipped

PACKAGE = "lightning_base"


class Folders(Sequence[str]):
    """The `__path__` of a package of ours: your folder, where there is one, and the shipped one.

    Looked up anew each time, as the path of a namespace package is: `sys.path` and the working directory change.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def _now(self) -> list[str]:
        mine = own(self.name)
        return [*((mine and mine.submodule_search_locations) or ()), str(shipped(self.name))]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # as a sequence's
        return self._now()[index]

    def __repr__(self) -> str:
        return repr(self._now())


class ShippedSpec(ModuleSpec):
    """The spec of a shipped file under a top-level name; what it imports from beside it is shipped, too."""

    @property
    def parent(self) -> str:
        """The package that relative imports start from."""
        return f"{PACKAGE}.{super().parent}"


class Alias(Loader):
    """Gives a module another name: under both it is one and the same object."""

    def __init__(self, target: str) -> None:
        self.target = target

    def create_module(self, spec: ModuleSpec) -> None:
        """Nothing: an empty module is put aside at once."""

    def exec_module(self, module: ModuleType) -> None:
        """Puts the other module in this one's place."""
        sys.modules[module.__name__] = importlib.import_module(self.target)


class Finder(MetaPathFinder):
    """Answers for `models`, `datamodules`, and both below `lightning_base`, as this file says at its top."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How a module is loaded; None for one that is none of ours."""
        name = fullname.removeprefix(f"{PACKAGE}.")
        top, *rest = name.split(".")
        if top not in IMPORTED or len(rest) > 1:  # shipped files lie in no deeper folder
            return None
        if name != fullname:
            return below(fullname, name) if rest else shipped_package(fullname, top)
        if not rest:
            return package(name)
        parent = sys.modules.get(top)
        return submodule(name) if isinstance(getattr(parent, "__path__", None), Folders) else None


def install() -> None:
    """Puts the finder before Python's own, once; a `models` of yours that is imported already gets ours behind it."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, Finder())
    for name in IMPORTED:
        if (module := sys.modules.get(name)) is None:
            continue
        places = [*getattr(module, "__path__", ()), getattr(module, "__file__", None) or ""]
        if not any(map(is_installed, places)):
            module.__path__ = cast(list[str], Folders(name))


def look_here() -> None:
    """Puts the working directory on `sys.path`: what a configuration names is looked for there.

    By its name: the empty entry of interactive Python is another folder while the parser reads a file elsewhere.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def own(name: str) -> ModuleSpec | None:
    """Your package or module of that name: the first on `sys.path` that is neither installed nor shipped."""
    for entry in sys.path:
        folder = Path(entry or os.getcwd()).absolute()
        if is_installed(folder) or folder.resolve() == shipped(name).parent:
            continue
        if (spec := PathFinder.find_spec(name, [str(folder)])) is not None:
            return spec
    return None


def foreign(name: str) -> str | None:
    """Where an installed package of that name lies, which hides ours; None where there is none, or one of yours."""
    if own(name) is not None:
        return None
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is None or isinstance(finder, Finder) or (spec := find(name, None)) is None:
            continue
        place = next(iter(spec.submodule_search_locations or ()), spec.origin or "?")
        return None if Path(place).resolve() == shipped(name) else place
    return None


def hidden(module: str) -> str | None:
    """Why a dotted name that is shipped is not found under it, and the mend; None where it is found or not shipped."""
    top = module.partition(".")[0]
    if top not in IMPORTED or PathFinder.find_spec(module, [str(shipped(top))]) is None:
        return None
    if place := foreign(top):
        return f"the installed package {place} has that name; write {PACKAGE}.{module}"
    origin = getattr(PathFinder.find_spec(module, Folders(top)), "origin", None)
    if origin is None or is_shipped(origin, top):
        return None
    return f"{origin} takes the place of the shipped file; that one is {PACKAGE}.{module}"


def package(name: str) -> ModuleSpec | None:
    """The package of a top-level name; None where an installed one has it."""
    if foreign(name) is not None:
        return None
    mine = own(name)
    if mine is None or not mine.has_location:  # none of yours, or a plain folder
        spec = shipped_package(name, name)
    else:
        spec = spec_from_file_location(name, mine.origin, loader=mine.loader)
    if spec is not None:
        spec.submodule_search_locations = cast(list[str], Folders(name))
    return spec


def shipped_package(fullname: str, top: str) -> ModuleSpec | None:
    """The shipped package alone, under a name."""
    folder = shipped(top)
    return spec_from_file_location(fullname, folder / "__init__.py", submodule_search_locations=[str(folder)])


def submodule(name: str) -> ModuleSpec | None:
    """A module of a package of ours: yours, else the shipped one."""
    top = name.partition(".")[0]
    spec = PathFinder.find_spec(name, Folders(top))
    if spec is None or spec.origin is None or not is_shipped(spec.origin, top):
        return spec
    ours = ShippedSpec(name, spec.loader, origin=spec.origin)
    ours.cached, ours.has_location = spec.cached, True
    return ours


def below(fullname: str, name: str) -> ModuleSpec | None:
    """The shipped module of a name below `lightning_base`: that of the top-level name, where it is the same file."""
    top = name.partition(".")[0]
    spec = PathFinder.find_spec(fullname, [str(shipped(top))])
    if spec is None or foreign(top) is not None:
        return spec
    twin = getattr(sys.modules.get(name), "__spec__", None) or PathFinder.find_spec(name, Folders(top))
    return ModuleSpec(fullname, Alias(name)) if twin is not None and twin.origin == spec.origin else spec


def is_installed(place: str | Path) -> bool:
    """Whether a folder is one that packages are installed in."""
    return bool({"site-packages", "dist-packages"} & set(Path(place).parts))


def is_shipped(file: str, top: str) -> bool:
    """Whether a file is one of ours."""
    return Path(file).resolve().parent == shipped(top)
