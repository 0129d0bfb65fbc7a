"""Identity of Python objects: a hash of what functions do and of the values they take with them, for resuming runs."""

import collections
import datetime
import hashlib
import inspect
import logging
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache, partial
from importlib import metadata
from pathlib import Path, PurePath
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    GenericAlias,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    SimpleNamespace,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np
import pandas as pd
import torch

import lightning_base
from lightning_base.tools.finder import is_installed
from lightning_base.tools.imports import home
from lightning_base.training.contents import DATA, ToldByContent, Unidentified, contents
from lightning_base.training.references import enclosed, steps, used

SCALARS = (bool, int, float, complex, str, bytes, bytearray, type(None), type(...), type(NotImplemented), range)
DATES = (
    *(type(pd.NA), type(pd.NaT), pd.Timestamp, pd.Timedelta, pd.Period, pd.Interval, Decimal),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone),
)
TORCH_PLAIN = (torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format)
PLAIN = (*SCALARS, *DATES, *TORCH_PLAIN)  # these types themselves, not what is derived from them
# what a value may be derived from without hiding anything: `_inside` shows all that they hold beside attributes
SHOWN = (
    *(bool, int, float, complex, str, bytes, bytearray, tuple, list, dict, set, frozenset, partial),
    *(collections.OrderedDict, collections.defaultdict, collections.deque, SimpleNamespace),
)
CACHED = type(lru_cache(len))
# what is told by what is inside of it alone
WHOLE = (
    *(MethodType, property, staticmethod, classmethod, cached_property, logging.Logger, re.Pattern, slice),
    *(MappingProxyType, GenericAlias, MethodWrapperType, CACHED),
)
OF_CLASS = (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType)  # methods that are not Python code
METHODS = (FunctionType, staticmethod, classmethod, property)
FIELD = type(collections.namedtuple("FIELD", "x").x)  # type: ignore[attr-defined]  # of a named tuple
UNREAD = (GetSetDescriptorType, MemberDescriptorType, FIELD)  # how attributes are reached
# what Python and its dataclasses note in a class, beside what a user gives it
NOTED = {
    *("__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__slots__", "__hash__"),
    *("__abstractmethods__", "__parameters__", "__orig_bases__", "__dataclass_fields__", "__dataclass_params__"),
    *("__match_args__", "__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__"),
    *("__annotations_cache__", "__type_params__", "__classcell__", "__protocol_attrs__"),
    "__non_callable_proto_members__",
    "_abc_impl",
    "__slotnames__",  # noted by copyreg when an object is first copied
}
CYTHON = "cython_function_or_method"  # each module has a type of this name
HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE, of a class that was made while Python runs
LIBRARIES = [Path(sysconfig.get_paths()[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")]


def identify(value: Any) -> str:
    """SHA-256 of a value: of a function what it does, and takes from outside; of an object its class and what it holds.

    What libraries define goes by its name and the library's version, docstrings do not count; a file that is opened, a
    lock, a generator or any other object that may hold what its attributes do not show cannot be identified.

    Raises:
        Unidentified: naming the type.
    """
    digest = hashlib.sha256()
    try:
        for part in _parts(value, {}):
            digest.update(len(part).to_bytes(8, "big") + part)
    except RecursionError as error:
        raise Unidentified(f"{type(value).__qualname__} with values nested too deeply") from error
    return digest.hexdigest()


def _parts(value: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """The bytes that make a value what it is; one met before stands for itself."""
    kind = type(value)
    if (said := _plain(value)) is not None:
        yield said
        return
    if isinstance(value, ToldByContent):
        yield from _parts((kind, value.told()), seen)
        return
    if id(value) in seen:
        yield f"seen {list(seen).index(id(value))}".encode()
        return
    if kind not in (tuple, frozenset):  # whether equal constants are one object is the interpreter's affair
        seen[id(value)] = value  # kept, so that no other value gets its address
    yield f"{home(kind.__module__)}.{kind.__qualname__}".encode()
    if isinstance(value, FunctionType | type | ModuleType | BuiltinFunctionType) or kind.__name__ == CYTHON:
        yield from _named(value, seen)
    elif isinstance(value, Enum):
        yield str(value.name).encode()
        yield from _parts(value.value, seen)
        yield from _parts(kind, seen)
    elif isinstance(value, DATA):
        for part in contents(value):
            yield from [part] if type(part) is bytes else _parts(part, seen)
    elif (inside := _inside(value)) is not None:
        for item in inside:
            yield from _parts(item, seen)
        if kind not in (*WHOLE, *OF_CLASS) and (kind not in SHOWN or hasattr(value, "__dict__")):
            yield from _object(value, seen)
    elif kind in (set, frozenset):
        yield from sorted(identify(item).encode() for item in value)
    else:
        yield from _object(value, seen)


def _plain(value: Any) -> bytes | None:
    """The bytes of what shows all that it is; None for any other value."""
    kind = type(value)
    path = isinstance(value, PurePath) and kind.__module__.partition(".")[0] == "pathlib"
    if kind in PLAIN or path or (isinstance(value, np.dtype) and not value.metadata):
        return f"{kind.__module__}.{kind.__qualname__} {value!r}".encode()
    if isinstance(value, np.generic) and kind.__module__ == "numpy" and not value.dtype.hasobject:
        return f"{value.dtype!r} ".encode() + value.tobytes()
    if isinstance(value, np.ufunc):
        name = value.__name__
        for module in ("numpy", "scipy.special"):  # others are made of Python functions, which they hide
            if getattr(sys.modules.get(module), name, None) is value:
                return f"{module}.{name} {_version(module)}".encode()
    return None


def _inside(value: Any) -> list[Any] | None:
    """What a value holds that is no attribute of its, in order; None where it holds nothing such, or hides it."""
    kind, found = type(value), None
    if isinstance(value, collections.OrderedDict):
        found = [
            part for key in collections.OrderedDict.__iter__(value) for part in (key, dict.__getitem__(value, key))
        ]
    elif isinstance(value, dict):
        found = [part for item in dict.items(value) for part in item]
        found += [value.default_factory] if isinstance(value, collections.defaultdict) else []
    elif isinstance(value, list):
        found = [*list.__iter__(value)]
    elif isinstance(value, tuple):
        found = [*tuple.__iter__(value)]
    elif isinstance(value, collections.deque):
        found = [value.maxlen, *collections.deque.__iter__(value)]
    elif isinstance(value, set | frozenset) and kind not in (set, frozenset):
        found = [frozenset(set.__iter__(value) if isinstance(value, set) else frozenset.__iter__(value))]
    elif isinstance(value, partial):
        found = [value.func, value.args, value.keywords]
    elif isinstance(value, MappingProxyType):
        found = [dict(value)]
    elif isinstance(value, MethodType):
        found = [value.__func__, value.__self__]
    elif isinstance(value, property):
        found = [value.fget, value.fset, value.fdel]
    elif isinstance(value, staticmethod | classmethod):
        found = [value.__func__]
    elif kind is cached_property:
        found = [value.func]
    elif isinstance(value, logging.Logger):
        found = [value.name]
    elif isinstance(value, re.Pattern):
        found = [value.pattern, value.flags]
    elif kind is GenericAlias:
        found = [value.__origin__, value.__args__]
    elif kind is CACHED:
        found = [
            value.__wrapped__,
            value.cache_parameters(),
            {k: v for k, v in vars(value).items() if k != "__wrapped__"},
        ]
    elif kind is MethodWrapperType:
        found = [value.__self__, value.__name__]
    elif kind in OF_CLASS:
        found = [value.__objclass__, value.__name__]
    elif kind is slice:
        found = [value.start, value.stop, value.step]
    else:
        for base in (bool, int, float, complex, str, bytes, bytearray):
            if isinstance(value, base):
                return [base.__repr__(value)]
    return found


def _object(value: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """An object of a class that Python code defines: its class and its attributes, those in slots included."""
    kind = type(value)
    slots = {
        f"{base.__qualname__}.{name}": slot.__get__(value)
        for base in kind.__mro__
        for name, slot in vars(base).items()
        if isinstance(slot, MemberDescriptorType) and base not in SHOWN and _is_set(slot, value)
    }
    if any(base not in SHOWN and _compiled(base) for base in kind.__mro__[:-1]):
        raise Unidentified(f"{kind.__module__}.{kind.__qualname__}")
    if not hasattr(value, "__dict__") and not slots and not isinstance(value, SHOWN):
        raise Unidentified(f"{kind.__module__}.{kind.__qualname__}")
    yield from _parts(kind, seen)
    yield from _parts(dict(sorted((getattr(value, "__dict__", None) or {}).items())), seen)
    yield from _parts(dict(sorted(slots.items())), seen)


def _is_set(slot: MemberDescriptorType, value: Any) -> bool:
    """Whether an object has anything in a slot."""
    with suppress(AttributeError):
        slot.__get__(value)
        return True
    return False


def _compiled(kind: type) -> bool:
    """Whether a class may hold what its attributes do not show, since no Python code defines it."""
    own = (found.__objclass__ is kind for found in vars(kind).values() if isinstance(found, OF_CLASS))
    if not kind.__flags__ & HEAP or any(own):
        return True
    path = _file(kind.__module__)
    return kind.__module__ in sys.builtin_module_names if path is None else not path.endswith((".py", ".pyc"))


def _named(value: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """A function, class or module: a library's by name and version, another by what it consists of."""
    if isinstance(value, ModuleType):
        yield from _module(value, seen)
        return
    yield f"{home(value.__module__)}.{value.__qualname__}".encode()
    if isinstance(value, FunctionType):
        yield from _function(value, seen)
    elif not isinstance(value, type):
        yield from _built_in(value, seen)
    elif _of_library(value):
        yield _version(value.__module__).encode()
    else:
        yield from _class(value, seen)


def _function(value: FunctionType, seen: dict[int, Any]) -> Iterator[bytes]:
    """A library's function by its version and what it was made with, another by what it does."""
    library = is_library(value.__code__.co_filename)
    if library:
        yield _version(value.__module__ or "").encode()
    else:
        for part in steps(value.__code__):
            yield from [b"step", part] if type(part) is bytes else _parts(part, seen)
        yield from _parts((value.__defaults__, value.__kwdefaults__), seen)
    outside = enclosed(value) if library else used(value)
    for name, outer in sorted(outside.items()):
        yield name.encode()
        yield from _parts(outer, seen)
    if vars(value) and (outside or not library):  # a library's own function may be marked by it with anything
        yield from _parts(dict(sorted(vars(value).items())), seen)


def _built_in(value: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """A function that is no Python code by its module's version, and what it is a method of."""
    yield _version(value.__module__ or "").encode()
    if type(value).__name__ == CYTHON and not is_library(_file(value.__module__)):
        raise Unidentified(f"{value.__module__}.{value.__qualname__}")
    of = getattr(value, "__self__", None)
    everyones = getattr(sys.modules.get(type(of).__module__), value.__name__, None) is value  # such as random.random
    if not isinstance(of, ModuleType | type(None)) and not everyones:
        yield from _parts(of, seen)


def _class(value: type, seen: dict[int, Any]) -> Iterator[bytes]:
    """A class by its bases and all that it defines."""
    yield from _parts(value.__bases__, seen)
    if type(value) is not type:
        yield from _parts(type(value), seen)
    members = dict(value.__members__) if issubclass(value, Enum) else {}
    yield from _parts({name: member.value for name, member in members.items()}, seen)
    for name, found in sorted(vars(value).items()):
        kept = isinstance(found, METHODS) if members else not isinstance(found, UNREAD)
        if kept and (name not in NOTED or (isinstance(found, METHODS) and name != "__doc__")):
            yield name.encode()
            yield from _parts(found, seen)


def _of_library(kind: type) -> bool:
    """Whether a class is a library's, and found where it says that it is defined."""
    if not kind.__flags__ & HEAP:
        return True
    if not (is_library(_file(kind.__module__)) or kind.__module__ in sys.builtin_module_names):
        return False
    found: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is kind


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
    known = is_installed(home) or home.is_relative_to(own)  # installed in another environment too, by a .pth
    return known or any(home.is_relative_to(library) for library in LIBRARIES)


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
