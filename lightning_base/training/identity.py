"""Identity of Python objects: a hash of what functions do and of the values they take with them, for resuming runs."""

import dis
import hashlib
import importlib
import inspect
import logging
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from importlib import metadata
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np
import pandas as pd
import torch

import lightning_base

SCALARS = (bool, int, float, complex, str, bytes, type(None), type(...), range, slice)
PLAIN = (*SCALARS, Path, np.generic, np.dtype, np.ufunc, Enum)
TORCH_PLAIN = (torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format)
METHODS = (FunctionType, staticmethod, classmethod, property)
LIBRARIES = [Path(sysconfig.get_paths()[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")]


class Unidentified(Exception):
    """Of a value it cannot be told whether another is the same."""


def identify(value: Any) -> str:
    """SHA-256 of a value: of a function its code, defaults and what it takes from outside; of data the content.

    What libraries define goes by its name and the library's version; a file that is opened, a lock, a generator or any
    other object without attributes cannot be identified.

    Raises:
        Unidentified: naming the type.
    """
    digest = hashlib.sha256()
    for part in _parts(value, {}):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _parts(value: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """The bytes that make a value what it is; one met before stands for itself."""
    if isinstance(value, (*PLAIN, *TORCH_PLAIN)):
        yield f"{type(value).__qualname__} {value!r}".encode()
        return
    if id(value) in seen:
        yield f"seen {list(seen).index(id(value))}".encode()
        return
    if not isinstance(value, tuple | frozenset):  # whether equal constants are one object is the interpreter's affair
        seen[id(value)] = value  # kept, so that no other value gets its address
    yield type(value).__qualname__.encode()
    if isinstance(value, FunctionType | type | ModuleType | BuiltinFunctionType):
        yield from _named(value, seen)
    elif isinstance(value, np.ndarray | torch.Tensor | pd.DataFrame | pd.Series | pd.Index):
        yield from _data(value, seen)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _parts(key, seen)
            yield from _parts(item, seen)
    elif isinstance(value, set | frozenset):
        yield from sorted(identify(item).encode() for item in value)
    elif isinstance(value, Sequence) and type(value).__module__ in ("builtins", "collections"):
        for item in value:
            yield from _parts(item, seen)
    elif isinstance(value, logging.Logger):
        yield value.name.encode()
    elif isinstance(value, partial):
        yield from _parts((value.func, value.args, value.keywords), seen)
    elif isinstance(value, MethodType):
        yield from _parts((value.__func__, value.__self__), seen)
    elif isinstance(value, property | staticmethod | classmethod):
        inner = (value.fget, value.fset) if isinstance(value, property) else value.__func__
        yield from _parts(inner, seen)
    else:
        yield from _object(value, seen)


def _object(value: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """An object of a class that Python code defines: its class and its attributes."""
    kind = type(value)
    if any(_compiled(base) for base in kind.__mro__[:-1]) or not hasattr(value, "__dict__"):
        raise Unidentified(f"{kind.__module__}.{kind.__qualname__}")
    yield from _parts(kind, seen)
    yield from _parts({key: vars(value)[key] for key in sorted(vars(value))}, seen)


def _compiled(kind: type) -> bool:
    """Whether a class may hold what its attributes do not show, since no Python code defines it."""
    path = _file(kind.__module__)
    return kind.__module__ in sys.builtin_module_names if path is None else not path.endswith((".py", ".pyc"))


def _named(value: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """A function, class or module: a library's by name and version, another by what it consists of."""
    if isinstance(value, ModuleType):
        yield from _module(value, seen)
        return
    yield f"{value.__module__}.{value.__qualname__}".encode()
    path = value.__code__.co_filename if isinstance(value, FunctionType) else _file(value.__module__)
    if value.__module__ is None or isinstance(value, BuiltinFunctionType) or is_library(path):
        yield _version(value.__module__ or "").encode()
        for name, outer in sorted(enclosed(value).items()):  # what a library's function was made with
            yield name.encode()
            yield from _parts(outer, seen)
    elif isinstance(value, FunctionType):
        yield from _code(value.__code__, seen)
        yield from _parts((value.__defaults__, value.__kwdefaults__), seen)
        for name, outer in sorted(used(value).items()):
            yield name.encode()
            yield from _parts(outer, seen)
    else:
        yield from _parts(value.__bases__, seen)
        for name, found in sorted(vars(value).items()):
            own = not name.startswith("__") or isinstance(found, METHODS)  # the others are Python's, or caches of it
            if own and name != "_abc_impl" and not isinstance(found, GetSetDescriptorType | MemberDescriptorType):
                yield name.encode()
                yield from _parts(found, seen)


def _module(module: ModuleType, seen: dict[int, Any]) -> Iterator[bytes]:
    """A module: a library's by name and version, another by all that it defines and imports."""
    yield module.__name__.encode()
    path = getattr(module, "__file__", None)
    if path is None or is_library(path):
        yield _version(module.__name__).encode()
        return
    for name, found in sorted(vars(module).items()):
        if not name.startswith("__"):
            yield name.encode()
            yield from _parts(found, seen)


def enclosed(function: Any) -> dict[str, Any]:
    """The variables that a function takes from the functions around it; none for what is no function."""
    found: dict[str, Any] = {}
    if isinstance(function, FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # a cell that is empty yet
                found[name] = cell.cell_contents
    return found


def used(function: FunctionType) -> dict[str, Any]:
    """The variables that a function takes from outside: from the functions around it, and from its module."""
    names = set(_globals(function.__code__))
    imports = {name: _imported(name, function) for name in set(_imports(function.__code__))}
    return imports | enclosed(function) | {name: value for name, value in function.__globals__.items() if name in names}


def _globals(code: CodeType) -> Iterator[str]:
    """Names of the module's variables that code reads, inner functions' included."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _globals(inner)


def _imports(code: CodeType) -> Iterator[str]:
    """Names of the modules that code imports, inner functions' included."""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            yield str(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _imports(inner)


def _imported(name: str, function: FunctionType) -> ModuleType:
    """The module that an import in a function means.

    Raises:
        Unidentified: where it cannot be imported.
    """
    package = function.__globals__.get("__package__") or ""
    for whole in (name, f"{package}.{name}".strip(".")):
        with suppress(ImportError, ValueError):
            return importlib.import_module(whole)
    raise Unidentified(f"module {name!r}")


def _code(code: CodeType, seen: dict[int, Any]) -> Iterator[bytes]:
    """What code does: not where it stands, nor how it is laid out."""
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount, code.co_kwonlyargcount)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant, seen)
        else:
            yield from _parts(constant, seen)


def _data(value: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """Arrays, tensors and tables by content."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        try:
            value = value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()
        except (TypeError, RuntimeError) as error:  # sparse, quantised
            raise Unidentified(f"{value.layout} tensor") from error
    if isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape}".encode()
        if value.dtype.hasobject:
            yield from _parts(value.tolist(), seen)
        else:
            yield np.ascontiguousarray(value).tobytes()
        return
    if isinstance(value, pd.DataFrame):
        yield from _parts([str(name) for name in value.columns], seen)
        yield from _parts([str(kind) for kind in value.dtypes], seen)
    try:
        yield pd.util.hash_pandas_object(value).to_numpy().tobytes()
    except TypeError as error:
        raise Unidentified(f"{type(value).__qualname__} of values that cannot be hashed") from error


def _file(module: str) -> str | None:
    """The file of a module that is imported; None for one that has none, and for the program itself."""
    if module == "__main__":  # under a profiler its file is the profiler's
        return None
    return getattr(sys.modules.get(module), "__file__", None)


def is_library(path: str | None) -> bool:
    """Whether a file is a library's, this one's included: its version says what it does."""
    if path is None:
        return False
    home = Path(path).resolve()
    own = Path(str(lightning_base.__file__)).resolve().parent
    return home.is_relative_to(own) or any(home.is_relative_to(library) for library in LIBRARIES)


def _version(module: str) -> str:
    """The version of the package that a module belongs to, or Python's."""
    name = module.partition(".")[0]
    found = getattr(sys.modules.get(name), "__version__", None)
    if found is None:
        with suppress(metadata.PackageNotFoundError, ValueError):
            found = metadata.version(name)
    return str(found or sys.version_info[:2])


def address(function: Callable[..., Any]) -> str | None:
    """`module:name` by which another process can import a function; None where it cannot be imported."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "<>")
    if module in (None, "__main__") or "<" in name or inspect.ismethod(function):
        return None
    found: Any = sys.modules.get(str(module))
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is function else None
