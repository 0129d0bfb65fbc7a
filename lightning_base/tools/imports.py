"""Where code that was imported or called failed: the file, the line and the error, for one line to the user."""

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_base.errors import ConfigError, UserError, one_line
from lightning_base.tools.finder import is_installed

PACKAGE = Path(__file__).resolve().parents[1]


def import_fault(module: str) -> str | None:
    """Why the code of a module fails when it is imported; None where it does not, or where there is no such module."""
    try:
        importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        missing = error.name or ""
        return None if module == missing or module.startswith(f"{missing}.") else told(error)
    except BaseException as error:  # whatever the user's file does, the end of the process included
        return told(error)
    return None


def home(module: str | None) -> str | None:
    """A module's name, whether its file is imported or run as the program."""
    main = sys.modules.get("__main__")
    if module != "__main__" or main is None:
        return module
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if file is None or is_installed(file):  # a notebook, or a profiler that runs the program
        return module
    return str(spec.name) if spec is not None else Path(file).stem


def told(error: BaseException) -> str:
    """`FILE, line n: Error: its message`; the file is the last of the user's own, where one took part."""
    what = f"{type(error).__name__}: {one_line(error.msg if isinstance(error, SyntaxError) else error)}".rstrip(": ")
    return f"{place(error)}: {what}" if place(error) else what


def fault(error: BaseException) -> str:
    """The message of a library's complaint; as `told` has it where the user's own code raised it, or it says little."""
    plain = isinstance(error, ValueError | TypeError | RuntimeError | IndexError) and str(error)
    return one_line(error) if plain and not place(error) else told(error)


@contextmanager
def naming_faults(what: str) -> Iterator[None]:
    """Tells in one line what code of the user's raises; an error in which none took part is ours, and goes on as it is.

    Args:
        what: calls it: a key of the configuration, and the class that stands there.

    Raises:
        ConfigError: naming the file and the line.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not place(error):
            raise
        raise ConfigError(f"{what}: {told(error)}") from error


def ended(stop: SystemExit) -> str:
    """One line for code of the user's that ends the process, which would leave no word of why."""
    where = place(stop)
    return f"{f'{where}: ' if where else ''}ended the program (SystemExit: {stop.code}); raise an error instead"


def place(error: BaseException) -> str:
    """`FILE, line n` where an error was raised, in the last of the user's own files; "" where none took part."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(error.filename)}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if is_own(frame.filename)]
    return f"{shown(own[-1].filename)}, line {own[-1].lineno}" if own else ""


def is_own(file: str) -> bool:
    """Whether a file is neither ours, nor Python's, nor an installed package's."""
    path = Path(file)
    if not path.is_file() or is_installed(path):
        return False
    libraries = (Path(os.__file__).resolve().parent, Path(sys.prefix).resolve(), PACKAGE)
    return not any(path.resolve().is_relative_to(folder) for folder in libraries)


def shown(file: str | Path) -> str:
    """The file's path, from the working directory where it lies there."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
