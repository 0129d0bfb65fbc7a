"""Mistakes that can be told without torch: what the whole parser would surely refuse, refused in its words at once.

Where it is not sure, it says nothing: the parser has the last word.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lightning_base.cli.described import Described, Missing, Option, Verb, table
from lightning_base.cli.own import look_up
from lightning_base.cli.places import demand_checkpoint, demand_data
from lightning_base.cli.types import misfit
from lightning_base.distributed.slurm import TASK
from lightning_base.errors import ConfigError, one_line
from lightning_base.tools.yaml_file import read_config
from lightning_base.training.config_errors import (
    beside,
    missing,
    no_class,
    no_import,
    no_key,
    no_module,
    no_option,
    not_subclass,
    place,
    stray_word,
)
from lightning_base.training.known_names import options
from lightning_base.training.limits import demand_sensible
from lightning_base.verbs.words import CONFIG, configs, with_saved_config, without_level

ROOTS = {"model": "BaseModule", "data": "BaseDataModule"}  # and what stands there
KINDS = {"tasks": "BaseModule", "data": "BaseDataModule"}
CLASS_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
INNER = ("init_args", "class_path", "dict_kwargs")  # parts of a key that the parser leaves out when it names one


def check(arguments: Sequence[str]) -> None:
    """Refuses a verb's words for what is surely wrong with them.

    Args:
        arguments: the verb and its options.

    Raises:
        ConfigError: in the parser's words.
    """
    verb = table().verbs.get(arguments[0])
    words = list(arguments[1:])
    if verb is None or "--" in words or any(word.startswith("--print_config") for word in words):
        return
    files = configs(words)
    contents = {file: read_config(file) for file in files if file and not file.startswith("-")}
    if any(isinstance(content.get("objects"), dict) for content in contents.values()):
        return  # the saved configuration of what Python functions make has a parser of its own
    checked = Checked(verb, files, words)
    for name, value in options(words):
        if f"--{name}" in CONFIG or name == "c":
            checked.mapping(contents.get(value, {}), value)
        else:
            checked.given(name, value)
    checked.end(arguments[0])


def check_launched(arguments: Sequence[str]) -> None:
    """Refuses the words that `launch` is to start elsewhere for what is surely wrong with them.

    Args:
        arguments: those after `launch`: its own, --, and the verb with its options.

    Raises:
        ConfigError: in the parser's words.
    """
    if "--" not in arguments or (arguments and arguments[0] in ("-h", "--help")):
        return
    words, _ = without_level([word.replace(TASK, "0") for word in arguments[list(arguments).index("--") + 1 :]])
    if words and words[0] in table().verbs:
        check(with_saved_config(words))


def stray_words(words: Sequence[str]) -> list[str]:
    """The words that are neither an option nor its value."""
    stands = [word.startswith("--") or word.partition("=")[0] == "-c" for word in words]
    takes = [False, *(is_option and "=" not in word for is_option, word in zip(stands, words, strict=True))]
    return [word for i, word in enumerate(words) if not stands[i] and not takes[i]]


@dataclass
class Checked:
    """What has been read of one command so far.

    Attributes:
        verb: whose options it has.
        files: its configuration files.
        words: of the command line.
        classes: the class path that stands at each key, as the last file or option has it.
        unknown: keys that the verb has not; the parser tells them after all others.
        data: what the data module is given, as the last file or option has it.
        empty: the sections that the last file or option has emptied.
    """

    verb: Verb
    files: Sequence[str]
    words: Sequence[str]
    classes: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    empty: dict[str, bool] = field(default_factory=dict)

    @property
    def known(self) -> tuple[str, ...]:
        """Every dotted key of the verb."""
        return self.verb.keys

    def end(self, verb: str) -> None:
        """Checks what can be told when all has been read.

        Raises:
            ConfigError: for what is missing, not there, or no key.
        """
        stray = stray_words(self.words)
        if not self.files and not any(name.partition(".")[0] == "data" for name, _ in options(self.words)):
            if stray:  # a file's name without --config, most likely
                raise ConfigError(stray_word(stray[0]))
            if verb in ("validate", "test", "predict"):
                raise ConfigError("--ckpt_path: missing; name what a run left, as runs/NAME/crossval")
            raise ConfigError(missing("data"))
        for key in ("data",) if verb in ("prepare", "audit") else ("model", "data"):
            if self.empty.get(key):
                raise ConfigError(missing(key))
        if stray:
            raise ConfigError(stray_word(stray[0]))
        if self.unknown:
            raise ConfigError(no_key(self.unknown[0], self.files, self.known, self.words))
        demand_checkpoint(verb, self.words)
        found = self.described("data")
        if found is not None and found.path.removeprefix("lightning_base.") in table().classes:
            demand_data(verb, found.path, self.data)

    def mapping(self, content: Mapping[str, Any], file: str) -> None:
        """Checks a file's content."""
        for key, value in content.items():
            if key in ROOTS:
                self.empty[key] = value is None
                self.instance(key, value)
            elif key.partition(".")[0] in ROOTS:  # a dotted key of a file: what it sets is not read
                self.empty[key.partition(".")[0]] = False
                self.forget(key)
            elif key == "trainer" and isinstance(value, dict):
                for name, one in value.items():
                    self.key(f"trainer.{str(name).removesuffix('+')}", one)
                    if str(name).endswith("+"):  # items for a list, whose type is not the list's
                        continue
                    self.value(f"trainer.{name}", one, self.trainers(str(name)), file)
            elif key.partition(".")[0] not in ("config", *ROOTS):
                self.key(key, value)
                if key in self.known:
                    self.value(key, value, None, file)

    def trainers(self, name: str) -> Option | None:
        """The Trainer's option of that name, where it is that of the Lightning that is installed."""
        found = [option for option in table().trainer if option.name == name]
        return found[0] if found and is_trainers_version() else None

    def value(self, key: str, value: object, option: Option | None, file: str = "") -> None:
        """Checks a plain value of a key.

        Raises:
            ConfigError: where it does not fit the option, or makes no sense.
        """
        where = place(key.rpartition(".")[2], [file]) if file else ""
        if option is not None and (wanted := misfit(option, value)) is not None:
            raise ConfigError(f"{key}: {one_line(value)[:60]!r} is not {wanted}{where}")
        demand_sensible(key, value, where)

    def key(self, key: str, value: object) -> None:
        """Keeps a key that the verb has not; empty ones are none to the parser."""
        head, _, rest = key.partition(".")
        if head == "trainer":
            is_known = not rest or "." in rest or key in self.known or not is_trainers_version()
        else:
            is_known = head in {one.partition(".")[0] for one in self.known}
        if not is_known and value is not None and value != {}:
            self.unknown.append(key)

    def instance(self, key: str, value: object) -> None:
        """Checks what stands where a class is expected: {class_path, init_args}, or its path alone.

        Raises:
            ConfigError: for a class that is not there, or an option that it has not.
        """
        if isinstance(value, str):
            self.name(key, value)
        elif not isinstance(value, dict) or not value.keys() <= set(INNER):
            self.forget(key)
        if not isinstance(value, dict):
            return
        if "class_path" in value:
            self.name(key, value["class_path"])
        found, arguments = self.described(key), value.get("init_args")
        if found is None or not isinstance(arguments, dict) or not value.keys() <= {"class_path", "init_args"}:
            self.forget(f"{key}.init_args")
            return
        for name, one in arguments.items():
            if not isinstance(name, str) or "." in name:
                self.forget(f"{key}.{name}")
                continue
            option = found.option(name.removesuffix("+"))
            if option is None:
                files = beside(name, self.files, self.words)
                raise ConfigError(no_option(f"{key}.{name}", found.path, files, found.names))
            if name.endswith("+"):
                self.forget(f"{key}.{name.removesuffix('+')}")
                continue
            self.value(f"{key}.{name}", one, option, self.files[-1] if self.files else "")
            if key == "data":
                self.data[name] = one
            if option.holds in ("networks", "splitters"):
                self.instance(f"{key}.{name}", one)

    def given(self, name: str, value: str) -> None:
        """Checks an option of the command line, whose name may lead into classes.

        Raises:
            ConfigError: for a class that is not there, or an option that it has not.
        """
        head, *rest = (part for part in name.split(".") if part not in INNER)
        if name.endswith(".help") or head == "help" or "dict_kwargs" in name.split("."):
            return
        if head not in ROOTS:
            self.key(name, value or "given")
            if name in self.known:
                self.value(name, value, self.trainers(rest[0]) if head == "trainer" and len(rest) == 1 else None)
            return
        if not rest:
            self.empty[head] = value in ("null", "~")
        if name.endswith(".init_args"):  # a mapping as text, which is not read
            self.forget(name)
        key = head
        for i, part in enumerate(rest):
            if (found := self.described(key)) is None:
                return
            option = found.option(part)
            if option is None:
                raise ConfigError(no_option(f"{key}.{part}", found.path, (), found.names))
            if i == len(rest) - 1:
                self.value(f"{key}.{part}", value, option)
            if key == "data":
                self.data[part] = value if i == len(rest) - 1 and not name.endswith(".init_args") else ...
            if option.holds not in ("networks", "splitters"):
                return
            key = f"{key}.{rest[i]}"
        if not name.endswith("init_args"):
            self.name(key, value)

    def name(self, key: str, path: object) -> None:
        """Takes a class path for a key.

        Raises:
            ConfigError: for one that cannot be imported.
        """
        if path is None:
            self.forget(key)
            return
        if key == "data" and self.classes.get("data") != path:
            self.data.clear()
        for inside in [one for one in self.classes if one == key or one.startswith(f"{key}.")]:
            del self.classes[inside]
        if not isinstance(path, str) or not CLASS_PATH.fullmatch(path) or Path(path).exists():
            return
        found = look_up(path)
        if isinstance(found, Missing):
            files = beside(path, self.files, self.words)
            if found.fault:
                raise ConfigError(no_import(key, path, found.fault))
            if not found.name:
                raise ConfigError(no_module(key, found.module, files))
            raise ConfigError(no_class(key, found.module, found.name, files, found.names))
        wanted = ROOTS.get(key)
        if isinstance(found, Described) and wanted and KINDS.get(found.kind) != wanted:
            raise ConfigError(not_subclass(key, found.path, wanted, beside(path, self.files, self.words)))
        self.classes[key] = path

    def forget(self, key: str) -> None:
        """Forgets what stands at a key and below, of which something is set that is not read.

        Args:
            key: dotted; one that ends in init_args leaves the class itself known.
        """
        at = ".".join(part for part in key.split(".") if part not in INNER)
        below = key.endswith(".init_args")
        for one in [c for c in self.classes if c.startswith(f"{at}.") or (c == at and not below)]:
            del self.classes[one]
        head, _, rest = at.partition(".")
        if head == "data" and rest:
            self.data[rest.partition(".")[0]] = ...
        elif head == "data":
            self.data = dict.fromkeys(self.data, ...)

    def described(self, key: str) -> Described | None:
        """The class at a key, where it is known what it takes."""
        found = look_up(self.classes[key]) if key in self.classes else None
        return found if isinstance(found, Described) else None


def is_trainers_version() -> bool:
    """Whether the Lightning that is installed is the one whose Trainer the table describes."""
    try:
        return version("lightning") == table().lightning
    except PackageNotFoundError:
        return False
