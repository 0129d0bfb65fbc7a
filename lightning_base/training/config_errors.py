"""Turns the parser's nested complaints into one line that names the key, the file and line, and the mend."""

import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

from lightning_base.errors import UserError, near_file, one_line, suggest
from lightning_base.tools.finder import hidden
from lightning_base.tools.imports import fault, import_fault
from lightning_base.tools.shipped import IMPORTED
from lightning_base.training.known_names import OTHER_SIZES, POPULAR, class_at, class_paths, values_in

_KEY = re.compile(r'Parser key "([^"]+)"')
_CLASS = re.compile(r"Problem with given class_path '([^']+)'")
_GROUP = re.compile(r"Group '([^']+)' does not accept option '([^']+)'")
_LACKS = re.compile(r"class_path '([^']+)':\s+the following arguments are required: ([\w, ]+)")
_OPTION = re.compile(r"(?:Option|option) '([^']+)' is not accepted|does not accept option '([^']+)'")
_UNKNOWN = re.compile(r"Key '([^']+)' is not expected|[Uu]nrecognized arguments?: -*(\S+)")
_NOT_SUBCLASS = re.compile(r"Import path (\S+) does not correspond to a subclass of (\w+)")
_MODULE = re.compile(r"[Mm]odule '([^']+)' has no attribute '([^']+)'|No module named '([^']+)'")
_PARSER_LEAF = re.compile(r"Import path|Expected a|Does not validate|Problem with")
_NO_FILE = re.compile(r"File does not exist: '([^']+)'")
_REQUIRED = re.compile(r"following arguments are required: (?:\w+\.)?(\w+)$")
_KINDS = {"data.split": "splitter", "model.optimizer": "Optimizer", "model.scheduler": "scheduler"}
HOLDERS = (".AnyModule", ".AnyDataset")  # of classes of somebody else's
_BASES = {"model": "BaseModule", "data": "BaseDataModule"}


def explain(message: str, files: Sequence[str], known: Sequence[str] = (), words: Sequence[str] = ()) -> str:
    """One line for a parser's message.

    Args:
        message: what jsonargparse said, over many lines where classes nest.
        files: the configuration files given, in order.
        known: every dotted key of the verb, for a suggestion.
        words: the command line's, without the verb: what stands there stands in no file.
    """
    if found := _NO_FILE.search(message):
        return no_file(found[1])
    if found := _REQUIRED.search(message):
        return missing(found[1])
    message = _GROUP.sub(r"Option '\1.\2' is not accepted", message)
    key = ".".join(dict.fromkeys(_KEY.findall(message)))
    for at, path in class_paths(files, words):
        if (fault := import_fault(path.rpartition(".")[0])) is not None:
            return no_import(at or key, path, fault)
    if found := _OPTION.search(message) or _UNKNOWN.search(message):
        option = next(filter(None, found.groups())).partition("=")[0]
        return _unknown_option(option, key, message[: found.start()], files, known, words)
    if found := _MODULE.search(message):
        module, name, absent = found.groups()
        if not absent and hidden(f"{module}.{name}"):  # a file, where another package has its folder's name
            absent = f"{module}.{name}"
        if absent:
            return no_module(key, absent, beside(absent, files, words))
        return no_class(key, module, name, beside(name, files, words), _names(module))
    if wrong := _NOT_SUBCLASS.findall(message):
        path, wanted = wrong[0][0], " or ".join(dict.fromkeys(base for _, base in wrong))
        return not_subclass(key, path, wanted, beside(path, files, words))
    if found := _LACKS.search(message):
        owner, lacking = found.groups()
        return needs(key, owner, [one.strip() for one in lacking.split(",")], files, words)
    if "Expected a" in message or "Invalid" in message or "invalid" in message or "Not a valid" in message:
        return _wrong_value(message, key, files, words)
    if found := re.search(r"Unable to load config '([^']*)'", message):
        return f"{key}: {found[1]!r} is no mapping of options, such as {{max_epochs: 3}}"
    text = re.sub(r"^(?:Parser key \"[^\"]*\": )+", "", one_line(message))
    return f"{key}: {text}" if key else text


def needs(key: str, owner: str, lacking: Sequence[str], files: Sequence[str], words: Sequence[str]) -> str:
    """The line for a class that lacks arguments: their keys, and where the class is named."""
    where = " (command line)" if owner in values_in(words) else place(owner, files)
    keys = ", ".join(f"{key}.{one}" for one in lacking)
    width = (
        "; `prepare` prints how many numbers a table's row gives"
        if {"num_inputs", "in_features", "width"} & set(lacking)
        else ""
    )
    return f"{key}: {owner} needs {', '.join(lacking)}{where}; give {keys}{width}"


def refusal(error: Exception) -> str:
    """One line for a constructor's complaint, which the parser may have wrapped in those of every type it tried.

    It begins with the class, where that is known, and with file and line, where the user's own code took part.
    """
    message = str(error)
    leaves = [leaf for leaf in re.findall(r"^\s*- (.+)$", message, re.MULTILINE) if not _PARSER_LEAF.match(leaf)]
    first: BaseException = error
    while first.__cause__ is not None and not isinstance(first, UserError):  # ours says what it was made from
        first = first.__cause__
    wrapped = bool(leaves) and "Does not validate" in message
    if isinstance(first, UserError) or (wrapped and str(first) not in leaves[0]):
        return one_line(leaves[0] if wrapped else message)  # one of ours names the key
    said, made = fault(first), constructed(first)
    return said if made is None or made in said else f"{made}: {said}"


def constructed(error: BaseException) -> str | None:
    """The class in whose constructor an error was raised: the outermost that is no part of ours or the parser's."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        held = frame.f_locals.get("self")
        if frame.f_code.co_name == "__init__" and held is not None:
            return type(held).__name__
    return None


def _unknown_option(
    option: str, key: str, before: str, files: Sequence[str], known: Sequence[str], words: Sequence[str]
) -> str:
    """`key.option` is no option, of which class, in which file, and the nearest option there is."""
    owners = _CLASS.findall(before)
    if not owners:
        if any(not word.startswith("-") and word == option for word in words):
            return stray_word(option)
        return no_key(option, files, known, words)
    full = [part for part in f"{key}.{option}".split(".") if part not in ("init_args", "dict_kwargs")]
    if owners[0].endswith(HOLDERS) and class_at(full[:1], files, words) not in (None, owners[0]):
        held = [full[0], *full[2:]] if len(owners) > 1 else full  # a file names what is held alone
        return no_option(".".join(held), owners[-1], beside(full[-1], files, words), _options(owners[-1]))
    for i in range(1, len(full)):  # the parser names the class that stands nearest to the top
        owner, taken = _taken(full[:i], files, words, owners[-1] if i == len(full) - 1 else "")
        if taken and full[i] not in taken:
            return no_option(".".join(full[: i + 1]), owner, beside(full[i], files, words), taken)
    return no_option(".".join(full), owners[-1], beside(full[-1], files, words), _options(owners[-1]))


def _taken(key: Sequence[str], files: Sequence[str], words: Sequence[str], owner: str) -> tuple[str, list[str]]:
    """The class at a key, or the key itself where a dataclass inside of one stands there, and its options."""
    for i in range(len(key), 0, -1):
        if (path := class_at(key[:i], files, words)) is not None:
            found = _fields(path, key[i:])
            return (path if i == len(key) else ".".join(key)), found
    return owner, _options(owner)


def _fields(path: str, names: Sequence[str]) -> list[str]:
    """The options of a class, or of the dataclass that its option of these names, one inside the other, holds."""
    if not names:
        return _options(path)
    module, _, name = path.rpartition(".")
    try:
        held = getattr(importlib.import_module(module), name)
        for inner in names:
            held = get_type_hints(held).get(inner)
        return [one.name for one in fields(held)] if is_dataclass(held) else []
    except (ImportError, AttributeError, TypeError, NameError):
        return []


def _wrong_value(message: str, key: str, files: Sequence[str], words: Sequence[str]) -> str:
    """The line for a value that does not fit its key, or a class path that names no class of the kind."""
    last = key.rsplit(".", 1)[-1]
    if found := re.search(r"Expected a path but (\S+\.\S+) either not accessible or invalid", message):
        path, (module, _, name) = found[1], found[1].rpartition(".")
        mine, names = beside(path, files, words), _names(module)
        if name in names:
            kind = _KINDS.get(key) or _BASES.get(key, "")
            return not_subclass(key, path, kind or "class that fits here", mine)
        return no_class(key, module, name, mine, names) if names else no_module(key, module, mine)
    for at, base in _BASES.items():
        if key == at and "Not a valid subclass" in message and any(w.startswith(f"--{at}.") for w in words):
            return f"{at}: no class of a {base} is known yet; put --config or --{at} before the options of {at}"
    leaf = _leaf(message) or (
        f"a class_path with init_args is expected{_got(message)}" if "Not a val" in message else ""
    )
    if not leaf and (found := re.search(r"Expected a dot import path string: (\S+)", message)):
        near = shipped(found[1])
        leaf = f"{found[1]!r} is neither a class_path nor a mapping of options{near}"
    return f"{key or 'configuration'}: {leaf or 'the value does not fit'}{place(last, beside(last, files, words))}"


def beside(word: str, files: Sequence[str], words: Sequence[str]) -> Sequence[str]:
    """The files in which a word is to be looked for: none where the command line says it."""
    return () if word in values_in(words) else files


def no_file(path: str) -> str:
    """The line for a configuration file that is not there."""
    mend = near_file(path) or "; give the path of a YAML file, from the working directory"
    return f"--config: no file {path}{mend}"


def missing(key: str) -> str:
    """The line for a section that no file has."""
    return f"{key}: missing; give --config FILE.yaml with {key}.class_path"


def stray_word(word: str) -> str:
    """The line for a word of the command line that belongs to no option."""
    hint = f"; did you mean --config {word}?" if word.endswith((".yaml", ".yml", ".json")) else ""
    if word.endswith((",", "]")) or word.startswith("["):
        hint = "; put a list in quotes, as '[a, b]'"
    return f"{word}: stands alone on the command line; options are --key value, as --trainer.max_epochs 3{hint}"


def no_import(key: str, path: str, fault: str) -> str:
    """The line for a class whose file cannot be imported."""
    return f"{key}: {path} cannot be imported: {fault}"


def no_module(key: str, module: str, files: Sequence[str]) -> str:
    """The line for a class_path whose module cannot be imported."""
    mend = hidden(module) or "mend the class_path, or install it"
    return f"{key}: no module {module!r}{place(module, files)}; {mend}"


def no_class(key: str, module: str, name: str, files: Sequence[str], names: Sequence[str]) -> str:
    """The line for a class that its module has not, with the nearest name that it has."""
    if module in IMPORTED:
        near = suggest(name, names) or "; `lightning-base list` shows what there is"
        return f"{key}: no file {module}/{name}.py, here or among those that are shipped{place(name, files)}{near}"
    hint = f"; {why}" if (why := hidden(module)) else suggest(name, names) or "; mend the class_path"
    return f"{key}: {module} has no class {name!r}{place(name, files)}{hint}"


def not_subclass(key: str, path: str, wanted: str, files: Sequence[str]) -> str:
    """The line for a class of another kind than its key takes."""
    article = "an" if wanted[:1] in "AEIOaeio" else "a"
    module, _, name = path.rpartition(".")
    if missing := sorted(getattr(getattr(sys.modules.get(module), name, None), "__abstractmethods__", ())):
        return f"{key}: {path}{place(path, files)} has no {', '.join(missing)}, which {article} {wanted} must have"
    if inspect.isfunction(getattr(sys.modules.get(module), name, None)):
        gives = "torch.nn.Module" if wanted == "Module" else wanted
        mend = f"a function must say that it gives one: def {name}(…) -> {gives}"
        if key == "model" and is_networks(getattr(sys.modules[module], name)):
            mend = "it makes a network: give it as model.network of a task, as lightning_base.tasks.Classification"
        return f"{key}: {path} is not {article} {wanted}{place(path, files)}; {mend}"
    held = {"model": "AnyModule", "data": "AnyDataset"}.get(key)
    own = f" (what is somebody else's stands in a configuration file, or in lightning_base.{held})" if held else ""
    return f"{key}: {path} is not {article} {wanted}{place(path, files)}; name a class that is one{own}"


def is_networks(function: object) -> bool:
    """Whether a function says that it gives a network."""
    given = getattr(function, "__annotations__", {}).get("return")
    return inspect.isclass(given) and any(base.__name__ == "Module" for base in given.__mro__)


def no_option(key: str, owner: str, files: Sequence[str], options: Sequence[str]) -> str:
    """The line for a key that its class has no option for, with the nearest that it has."""
    last = key.rsplit(".", 1)[-1]
    size = OTHER_SIZES.get(last) if OTHER_SIZES.get(last) in options else None
    hint = f"; did you mean {size!r}?" if size else suggest(last, options) or popular(last)
    more = "" if hint or not _takes_more(owner) else f"; what it hands on is given as dict_kwargs: {{{last}: …}}"
    if not hint and _is_own_module(owner):
        first = key.split(".")[1]
        more = f"; model.{first} is an option of this project's tasks, and your own LightningModule does that itself"
    return f"{key}: {owner} has no option {last!r}{place(last, files)}{hint}{more}"


def _is_own_module(path: str) -> bool:
    """Whether a class is a LightningModule of somebody else's."""
    module, _, name = path.rpartition(".")
    bases = [base.__name__ for base in getattr(getattr(sys.modules.get(module), name, None), "__mro__", ())]
    return "LightningModule" in bases and "BaseModule" not in bases


def _takes_more(path: str) -> bool:
    """Whether a function takes options that its signature does not name."""
    module, _, name = path.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    if not inspect.isroutine(found):
        return False
    return any(one.kind is inspect.Parameter.VAR_KEYWORD for one in inspect.signature(found).parameters.values())


def popular(word: str) -> str:
    """`"; did you mean 'x'?"` for what other programs call an option of ours; nothing where it is none."""
    return f"; did you mean {POPULAR[word]!r}?" if POPULAR.get(word, word) != word else ""


def no_key(option: str, files: Sequence[str], known: Sequence[str], words: Sequence[str] = ()) -> str:
    """The line for a dotted key that the verb has not, with the nearest that it has."""
    files = beside(option.rsplit(".", 1)[-1], files, words)
    head, last = option.split(".", 1)[0], option.rsplit(".", 1)[-1]
    tops = {name.split(".", 1)[0] for name in known}
    ends = {name.rsplit(".", 1)[-1]: name for name in known}
    same = f"; did you mean {ends[last]!r}?" if last in ends else ""
    if head not in tops:
        return f"{head}: no such key{place(head, files)}{popular(last) or same or suggest(head, tops)}"
    return f"{option}: no such key{place(last, files)}{popular(last) or suggest(option, known)}"


def _leaf(message: str) -> str:
    """The first complaints about a value, without the types' module paths."""
    message = re.sub(r"Expected a (?:path but|dot import path string)[^\n]*", "", message)
    leaves = re.findall(r"(Expected an? [^\n]+|Invalid [^\n]+|invalid [^\n]+|Not [^\n]+)", message)
    wanted = [re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", leaf).rstrip(". ") for leaf in leaves]
    wanted = [re.sub(r"\. (?:Given|Got) value: .*", "", leaf) for leaf in wanted]
    wanted = [
        re.sub(r"typing\.Literal\[([^]]*)\]", r"one of \1", leaf).replace("a one of", "one of") for leaf in wanted
    ]
    wanted = [leaf for leaf in dict.fromkeys(wanted) if "NoneType" not in leaf]
    wanted = [re.sub(r"^Expected a (?=[aeio])", "Expected an ", leaf) for leaf in wanted]
    if wanted and re.fullmatch(r"Expected a (?:Sequence|List|list)", wanted[0]) and (got := _got(message)):
        return f"a list is expected, such as [{got.removeprefix('; got ')}]{got}"
    said = one_line("; ".join(wanted[:3]))
    return f"{said}{_got(message)}" if said else ""


def _got(message: str) -> str:
    """`"; got VALUE"`, where the message has one that a user has written."""
    value = re.search(r"(?:Given value|Got value|value): ?(?!NestedArg|Namespace)(\S+)", message)
    return f"; got {value[1].rstrip('.')}" if value else ""


def _options(class_path: str) -> list[str]:
    """The constructor's arguments of a class, its bases' included; or a function's."""
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        owners = [getattr(base, "__init__") for base in found.__mro__[:-1]] if inspect.isclass(found) else [found]  # noqa: B009
        taken = [one for owner in owners for one in inspect.signature(owner).parameters.values()]
        free = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return [one.name for one in taken if one.kind not in free and one.name != "self"]
    except (ImportError, AttributeError, ValueError, TypeError):
        return []


def _names(module: str) -> list[str]:
    try:
        return dir(importlib.import_module(module))
    except ImportError:
        return []


def shipped(name: str) -> str:
    """`"; did you mean 'models.mlp.MLP'?"` for the name of a class in our folders of them, or the user's."""
    for folder in IMPORTED if name.isidentifier() else ():
        for path in importlib.import_module(folder).__path__:
            for file in sorted(Path(path).glob("*.py")):
                if re.search(rf"^class {name}\b", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
                    return f"; did you mean '{folder}.{file.stem}.{name}'?"
    return ""


def place(word: str, files: Sequence[str]) -> str:
    """` (FILE, line n)` of the last configuration file in which the word stands."""
    for file in reversed(files):
        if word and Path(file).is_file():
            for number, line in enumerate(Path(file).read_text().splitlines(), start=1):
                if re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", line) or f".{word}" in line:
                    return f" ({file}, line {number})"
    return ""
