"""Turns the parser's nested complaints into one line that names the key, the file and line, and the mend."""

import importlib
import inspect
import re
from collections.abc import Sequence
from pathlib import Path

from lightning_base.errors import one_line, suggest
from lightning_base.tools.finder import hidden

_KEY = re.compile(r'Parser key "([^"]+)"')
_CLASS = re.compile(r"Problem with given class_path '([^']+)'")
_OPTION = re.compile(r"(?:Option|option) '([^']+)' is not accepted|does not accept option '([^']+)'")
_UNKNOWN = re.compile(r"Key '([^']+)' is not expected|[Uu]nrecognized arguments?: -*(\S+)")
_NOT_SUBCLASS = re.compile(r"Import path (\S+) does not correspond to a subclass of (\w+)")
_MODULE = re.compile(r"[Mm]odule '([^']+)' has no attribute '([^']+)'|No module named '([^']+)'")
_PARSER_LEAF = re.compile(r"Import path|Expected a|Does not validate|Problem with")
_NO_FILE = re.compile(r"File does not exist: '([^']+)'")


def explain(message: str, files: Sequence[str], known: Sequence[str] = ()) -> str:
    """One line for a parser's message.

    Args:
        message: what jsonargparse said, over many lines where classes nest.
        files: the configuration files given, in order.
        known: every dotted key of the verb, for a suggestion.
    """
    if found := _NO_FILE.search(message):
        return no_file(found[1])
    if message.startswith("Problems parsing config"):
        return not_yaml(files, message.partition(":")[2])
    key = ".".join(dict.fromkeys(_KEY.findall(message)))
    if found := _OPTION.search(message) or _UNKNOWN.search(message):
        option = next(filter(None, found.groups())).partition("=")[0]
        return _unknown_option(option, key, message[: found.start()], files, known)
    if found := _MODULE.search(message):
        module, name, missing = found.groups()
        if not missing and hidden(f"{module}.{name}"):  # a file, where another package has its folder's name
            missing = f"{module}.{name}"
        return no_module(key, missing, files) if missing else no_class(key, module, name, files, _names(module))
    if wrong := _NOT_SUBCLASS.findall(message):
        path, wanted = wrong[0][0], " or ".join(dict.fromkeys(base for _, base in wrong))
        return not_subclass(key, path, wanted, files)
    if "Expected a" in message or "Invalid" in message or "invalid" in message:
        return f"{key or 'configuration'}: {_leaf(message)}{_where(key.rsplit('.', 1)[-1], files)}"
    return f"{key}: {one_line(message)}" if key and not message.startswith("Parser key") else one_line(message)


def refusal(error: Exception) -> str:
    """One line for a constructor's complaint, which the parser may have wrapped in those of every type it tried."""
    message = str(error)
    leaves = [leaf for leaf in re.findall(r"^\s*- (.+)$", message, re.MULTILINE) if not _PARSER_LEAF.match(leaf)]
    return one_line(leaves[0] if leaves and "Does not validate" in message else message)


def _unknown_option(option: str, key: str, before: str, files: Sequence[str], known: Sequence[str]) -> str:
    """`key.option` is no option, of which class, in which file, and the nearest option there is."""
    owners = _CLASS.findall(before)
    if owners:
        return no_option(f"{key}.{option}", owners[-1], files, _options(owners[-1]))
    return no_key(option, files, known)


def no_file(path: str) -> str:
    """The line for a configuration file that is not there."""
    return f"--config: no file {path}; give the path of a YAML file, from the working directory"


def not_yaml(files: Sequence[str], error: object) -> str:
    """The line for a configuration file that does not parse."""
    return f"{', '.join(files)}: not valid YAML: {one_line(error)}"


def no_module(key: str, module: str, files: Sequence[str]) -> str:
    """The line for a class_path whose module cannot be imported."""
    mend = hidden(module) or "mend the class_path, or install it"
    return f"{key}: no module {module!r}{_where(module, files)}; {mend}"


def no_class(key: str, module: str, name: str, files: Sequence[str], names: Sequence[str]) -> str:
    """The line for a class that its module has not, with the nearest name that it has."""
    hint = f"; {why}" if (why := hidden(module)) else suggest(name, names) or "; mend the class_path"
    return f"{key}: {module} has no class {name!r}{_where(name, files)}{hint}"


def not_subclass(key: str, path: str, wanted: str, files: Sequence[str]) -> str:
    """The line for a class of another kind than its key takes."""
    return f"{key}: {path} is not a {wanted}{_where(path, files)}; name a class that is one"


def no_option(key: str, owner: str, files: Sequence[str], options: Sequence[str]) -> str:
    """The line for a key that its class has no option for, with the nearest that it has."""
    last = key.rsplit(".", 1)[-1]
    return f"{key}: {owner} has no option {last!r}{_where(last, files)}{suggest(last, options)}"


def no_key(option: str, files: Sequence[str], known: Sequence[str]) -> str:
    """The line for a dotted key that the verb has not, with the nearest that it has."""
    last = option.rsplit(".", 1)[-1]
    head = option.split(".", 1)[0]
    tops = {name.split(".", 1)[0] for name in known}
    if head not in tops:
        return f"{head}: no such key{_where(head, files)}{suggest(head, tops)}"
    return f"{option}: no such key{_where(last, files)}{suggest(option, known)}"


def _leaf(message: str) -> str:
    """The first complaints about a value, without the types' module paths."""
    if found := re.search(r"Expected a path but (\S+\.\S+) either not accessible or invalid", message):
        return f"no class {found[1]} can be imported; mend its path"
    message = re.sub(r"Expected a (?:path but|dot import path string)[^\n]*", "", message)
    leaves = re.findall(r"(Expected an? [^\n]+|Invalid [^\n]+|invalid [^\n]+|Not [^\n]+)", message)
    wanted = [re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", leaf).rstrip(". ") for leaf in leaves]
    wanted = [re.sub(r"\. (?:Given|Got) value: .*", "", leaf) for leaf in wanted]
    wanted = [
        re.sub(r"typing\.Literal\[([^]]*)\]", r"one of \1", leaf).replace("a one of", "one of") for leaf in wanted
    ]
    wanted = [leaf for leaf in dict.fromkeys(wanted) if "NoneType" not in leaf]
    value = re.search(r"(?:Given value|Got value|value): ?(?!NestedArg)(\S+)", message)
    return one_line("; ".join(wanted[:3]) + (f"; got {value[1].rstrip('.')}" if value else ""))


def _options(class_path: str) -> list[str]:
    """The constructor's arguments of a class, its bases' included."""
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        return [n for base in found.__mro__[:-1] for n in inspect.signature(base.__init__).parameters]
    except (ImportError, AttributeError, ValueError, TypeError):
        return []


def _names(module: str) -> list[str]:
    try:
        return dir(importlib.import_module(module))
    except ImportError:
        return []


def _where(word: str, files: Sequence[str]) -> str:
    """` (FILE, line n)` of the last configuration file in which the word stands."""
    for file in reversed(files):
        if word and Path(file).is_file():
            for number, line in enumerate(Path(file).read_text().splitlines(), start=1):
                if re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", line) or f".{word}" in line:
                    return f" ({file}, line {number})"
    return ""
