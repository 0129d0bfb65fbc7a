"""Mistakes that can be told without torch: what the whole parser would surely refuse, refused in its words at once.

Where it is not sure, it says nothing: the parser has the last word.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from lightning_base.cli.described import Described, Missing, Verb, table
from lightning_base.cli.own import look_up
from lightning_base.errors import ConfigError
from lightning_base.training.config_errors import (
    no_class,
    no_file,
    no_key,
    no_module,
    no_option,
    not_subclass,
    not_yaml,
)
from lightning_base.verbs.words import CONFIG, configs

ROOTS = {"model": "BaseModule", "data": "BaseDataModule"}  # and what stands there
KINDS = {"tasks": "BaseModule", "data": "BaseDataModule"}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the parser's
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
    checked = Checked(verb, configs(words))
    if any(is_of_objects(Path(file)) for file in checked.files):
        return
    for name, value in options(words):
        if f"--{name}" in CONFIG or name == "c":
            checked.file(value)
        else:
            checked.given(name, value)
    if not checked.files and not any(name.partition(".")[0] == "data" for name, _ in options(words)):
        raise ConfigError("data: missing; give --config FILE.yaml with data.class_path")
    if checked.unknown:
        raise ConfigError(no_key(checked.unknown[0], checked.files, checked.known))


def is_of_objects(path: Path) -> bool:
    """Whether a file is the saved configuration of what Python functions make: it has a parser of its own."""
    try:
        return re.search(r"^objects:", path.read_text(encoding="utf-8"), re.MULTILINE) is not None
    except (OSError, ValueError):
        return False


def options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Dotted names and values ("" where none follows) of the words that are options."""
    for i, word in enumerate(words):
        if word.startswith("--") or word.partition("=")[0] == "-c":
            name, equals, value = word.lstrip("-").partition("=")
            yield name.removesuffix("+"), value if equals else "".join(words[i + 1 : i + 2])


@dataclass
class Checked:
    """What has been read of one command so far.

    Attributes:
        verb: whose options it has.
        files: its configuration files.
        classes: the class path that stands at each key, as the last file or option has it.
        unknown: keys that the verb has not; the parser tells them after all others.
    """

    verb: Verb
    files: Sequence[str]
    classes: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    @property
    def known(self) -> tuple[str, ...]:
        """Every dotted key of the verb."""
        return self.verb.keys

    def file(self, name: str) -> None:
        """Checks a configuration file.

        Raises:
            ConfigError: for one that is not there or does not parse, and for what it names.
        """
        path = Path(name).expanduser()
        if not name or name.startswith("-") or re.search(r"[\s{}\[\]:]", name) or path.is_dir():
            return  # no plain path: the parser takes text too
        if not path.exists():
            raise ConfigError(no_file(str(path.absolute())))
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506  # a safe one
        except yaml.YAMLError as error:
            raise ConfigError(not_yaml(self.files, error)) from error
        except (OSError, ValueError):
            return
        if isinstance(content, dict) and all(isinstance(key, str) for key in content):
            self.mapping(content)

    def mapping(self, content: Mapping[str, Any]) -> None:
        """Checks a file's content."""
        for key, value in content.items():
            if key in ROOTS:
                self.instance(key, value)
            elif key == "trainer" and isinstance(value, dict):
                for name, one in value.items():
                    self.key(f"trainer.{name}", one)
            elif key.partition(".")[0] not in ("config", *ROOTS):
                self.key(key, value)

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
        if not isinstance(value, dict) or not value.keys() <= {"class_path", "init_args"}:
            return
        if "class_path" in value:
            self.name(key, value["class_path"])
        found, arguments = self.described(key), value.get("init_args")
        if found is None or not isinstance(arguments, dict):
            return
        for name, one in arguments.items():
            if not isinstance(name, str) or "." in name:
                continue
            option = found.option(name)
            if option is None:
                raise ConfigError(no_option(f"{key}.{name}", found.path, self.files, found.names))
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
            return
        key = head
        for i, part in enumerate(rest):
            if (found := self.described(key)) is None:
                return
            option = found.option(part)
            if option is None:
                raise ConfigError(no_option(f"{key}.{part}", found.path, self.files, found.names))
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
            return
        for inside in [one for one in self.classes if one == key or one.startswith(f"{key}.")]:
            del self.classes[inside]
        if not isinstance(path, str) or not CLASS_PATH.fullmatch(path) or Path(path).exists():
            return
        found = look_up(path)
        if isinstance(found, Missing):
            if not found.name:
                raise ConfigError(no_module(key, found.module, self.files))
            raise ConfigError(no_class(key, found.module, found.name, self.files, found.names))
        wanted = ROOTS.get(key)
        if isinstance(found, Described) and wanted and KINDS.get(found.kind) != wanted:
            raise ConfigError(not_subclass(key, found.path, wanted, self.files))
        self.classes[key] = path

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
