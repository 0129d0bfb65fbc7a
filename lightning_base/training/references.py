"""What a function's code does and takes from outside: its steps, and the variables and modules that it reads."""

import dis
import importlib
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import Any

from lightning_base.training.contents import Unidentified

GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")


def steps(code: CodeType) -> Iterator[Any]:
    """What code does, as bytes and constants: not where it stands, how it is laid out, or what its docstrings say."""
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount, code.co_kwonlyargcount)).encode()
    yield getattr(code, "co_exceptiontable", b"")
    found = list(dis.get_instructions(code))
    for step, after in zip(found, [*found[1:], None], strict=True):
        yield step.opname.encode()
        if step.opcode not in dis.hasconst:
            yield str(step.arg).encode()
        elif not (after is not None and after.opname == "STORE_NAME" and after.argval == "__doc__"):
            if isinstance(step.argval, CodeType):
                yield from steps(step.argval)
            else:
                yield step.argval


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
    names = set(_named(function.__code__, GLOBALS))
    imports = {name: _imported(name, function) for name in set(_named(function.__code__, ("IMPORT_NAME",)))}
    return imports | enclosed(function) | {name: value for name, value in function.__globals__.items() if name in names}


def _named(code: CodeType, steps: tuple[str, ...]) -> Iterator[str]:
    """The names that such steps of code have, inner functions' included."""
    for step in dis.get_instructions(code):
        if step.opname in steps:
            yield str(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _named(inner, steps)


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
