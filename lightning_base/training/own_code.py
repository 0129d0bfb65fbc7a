"""The user's own code that a configuration names: which modules, hashes of their files, and which of them changed."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from lightning_base.errors import ConfigError
from lightning_base.tools.files import read_json, write_json
from lightning_base.tools.imports import shown
from lightning_base.tools.process import is_main
from lightning_base.training.identity import is_library

OWN_CODE = "code.json"  # beside config.yaml
Hashes: TypeAlias = dict[str, dict[str, str]]  # by module: "text" of the file, "code" without comments and layout
_imported: "WeakKeyDictionary[ModuleType, str]" = WeakKeyDictionary()  # the text that a module was first seen with


def own_code(config: Any) -> Hashes:
    """Hashes of the files of the user's own classes and functions that a configuration names, and what they import.

    What is installed is left out: its version says what it does. Modules go by name, not by path, so that a folder may
    be moved; what code reads or imports by a name that it makes up is not seen.

    Args:
        config: plain values: whatever text in it is the path of something imported, `models.mine.MyNet`, counts.

    Raises:
        ConfigError: for a file that was changed after Python had imported it: the earlier code would run.
    """
    waiting = [name for text in _texts(config) for name in _modules_of(text)]
    hashes: Hashes = {}
    while waiting:
        name = waiting.pop()
        if name in hashes or (path := _own_file(name)) is None:
            continue
        content = path.read_bytes()
        hashes[name] = _hashes(content)
        _demand_imported(name, path, hashes[name]["text"])
        waiting += _imports(name, path, content)
    return dict(sorted(hashes.items()))


def write_own_code(directory: Path, config: Any) -> None:
    """Leaves the hashes beside config.yaml; no file where the user has no code in it."""
    if hashes := own_code(config):
        write_json(directory / OWN_CODE, hashes)
    elif is_main():
        (directory / OWN_CODE).unlink(missing_ok=True)


def changed_code(directory: Path, config: Any) -> dict[str, Path]:
    """The own modules, with their files, that are not what they were when a directory's run began.

    Args:
        directory: of the run, with its config.yaml.
        config: what is to go on, or be scored, there.

    Raises:
        ArtefactError: where what the run has left cannot be read.
    """
    ours, path = own_code(config), directory / OWN_CODE
    theirs = read_json(path, "put it back, or delete the run's folder and begin anew") if path.is_file() else {}
    return {name: _own_file(name) or Path(name) for name in ours if not _same(theirs.get(name), ours[name])}


def _same(was: Any, now: Mapping[str, str]) -> bool:
    """Whether a file has the same text, or code that differs in comments and layout alone."""
    return isinstance(was, Mapping) and any(was.get(key) == value for key, value in now.items())


def _hashes(content: bytes) -> dict[str, str]:
    found = {"text": hashlib.sha256(content).hexdigest()}
    try:
        tree = ast.dump(ast.parse(content))
    except (SyntaxError, ValueError):  # no Python: a compiled module
        return found
    return found | {"code": hashlib.sha256(tree.encode()).hexdigest()}


def _demand_imported(name: str, path: Path, text: str) -> None:
    """Refuses a file whose module was imported from an earlier text."""
    module = sys.modules.get(name)
    if module is not None and _imported.setdefault(module, text) != text:
        raise ConfigError(
            f"{shown(path)} was changed after Python had imported it, and what runs is the earlier code; start Python "
            "anew, or change it back"
        )


def _texts(value: Any) -> Iterator[str]:
    """Every text among nested values that may be a dotted path."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and "." in value and value.replace(".", "_").isidentifier():
        yield value


def _modules_of(text: str) -> list[str]:
    """The imported module that a dotted path leads into, if it names something there, and the packages it lies in."""
    module, _, name = text.rpartition(".")
    while module and module not in sys.modules:
        module, _, part = module.rpartition(".")
        name = f"{part}.{name}"
    if not module or not hasattr(sys.modules[module], name.partition(".")[0]):
        return []
    made = getattr(sys.modules[module], name.partition(".")[0])
    home = getattr(made, "__module__", None)  # a class that another module hands on
    return [*_packages(module), *(_packages(home) if isinstance(home, str) else [])]


def _packages(module: str) -> list[str]:
    """A module, and the packages that it lies in."""
    parts = module.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def _own_file(name: str) -> Path | None:
    """The file of a module that is the user's; None for what is installed, has no file, or is not there."""
    if name == "__main__":
        return None
    if (module := sys.modules.get(name)) is not None:
        path = getattr(module, "__file__", None)
    else:
        spec = _spec(name)
        path = spec.origin if spec is not None and spec.has_location else None
    return None if path is None or is_library(path) or not Path(path).is_file() else Path(path)


def _spec(name: str) -> ModuleSpec | None:
    """How a module that is not imported would be found; a library's is not looked for, since that imports packages."""
    top = name.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
        if spec is None or name == top:
            return spec
        places = [*(spec.submodule_search_locations or ())]
        return None if all(map(is_library, places)) else importlib.util.find_spec(name)
    except Exception:  # looking for a module imports its packages, which may be for another system
        return None


def _imports(name: str, path: Path, content: bytes) -> Iterator[str]:
    """Names of what may be modules that a file imports, at its top or further in."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            if base:
                yield from _packages(base)
                yield from (f"{base}.{alias.name}" for alias in node.names if _may_be_module(base, alias.name))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that `from … import` names."""
    if not node.level:
        return node.module or ""
    parts: Sequence[str] = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _may_be_module(base: str, name: str) -> bool:
    """Whether a name that is imported from a module may be one below it."""
    module = sys.modules.get(base)
    return name != "*" and (module is None or isinstance(getattr(module, name, None), ModuleType | None))
