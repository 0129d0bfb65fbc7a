"""Configuration files read strictly: each key once, plain values, and no aliases that grow beyond all bounds."""

import re
from pathlib import Path
from typing import Any

import yaml

from lightning_base.errors import ConfigError, near_file, one_line

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the parser's
LARGEST = 100_000  # values, aliases written out: the parser copies each of them several times
PLAIN = ("str", "int", "float", "bool", "null", "seq", "map", "merge", "timestamp", "value")
TAG = "tag:yaml.org,2002:"


def read_config(given: str) -> dict[str, Any]:
    """What --config gives: a file's content, or that of the text itself.

    Raises:
        ConfigError: for what is no configuration.
    """
    is_text = re.search(r"[\n{}]|: ", given) is not None and not Path(given).exists()
    content = read_text(given, "--config") if is_text else read_yaml(Path(given).expanduser())
    demand_sections(content, "--config" if is_text else given)
    return content


def read_yaml(path: Path) -> dict[str, Any]:
    """A configuration file's content.

    Raises:
        ConfigError: naming the file, and the line where there is one: it is not there, no text in UTF-8, no YAML, no
            mapping, empty, or has a key twice, a tag, or aliases that stand for too much.
    """
    if not path.exists():
        raise ConfigError(
            f"--config: no file {path.absolute()}"
            + (near_file(str(path)) or "; give the path of a YAML file, from the working directory")
        )
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no plain file"
        raise ConfigError(f"--config: {path} {what}; give the path of a YAML file")
    try:
        return read_text(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: not valid UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"--config: {path} cannot be read: {error.strerror}") from error


def read_text(text: str, name: str) -> dict[str, Any]:
    """A configuration's content.

    Args:
        text: YAML.
        name: the file's, for messages.

    Raises:
        ConfigError: as `read_yaml`.
    """
    try:
        node = yaml.compose(text, Loader=LOADER)
        if node is not None:
            demand_bounded(node, name)
            demand_plain(node, name)
        content = yaml.load(text, Loader=LOADER)  # noqa: S506  # a safe one
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}{_line(error)}: not valid YAML: {_problem(error)}") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: nested too deeply to be a configuration") from error
    except (ValueError, OverflowError) as error:  # a date that is none, 2026-13-45
        raise ConfigError(f"{name}: not valid YAML: {one_line(error)}") from error
    if content is None or content == {}:
        raise ConfigError(f"{name}: is empty; write keys such as trainer, model and data, or leave the file out")
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else f"the one value {one_line(content)[:60]!r}"
        raise ConfigError(f"{name}: {kind}, where keys such as trainer, model and data are expected")
    if odd := [key for key in content if not isinstance(key, str)]:
        raise ConfigError(f"{name}: the key {odd[0]!r} is no text; keys are such as trainer, model and data")
    return content


def demand_bounded(root: yaml.Node, name: str) -> None:
    """Refuses aliases that stand for too much, or for what they stand in; nothing is written out for it.

    Raises:
        ConfigError: naming the file.
    """
    sizes: dict[int, int] = {}
    open_: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_:
            raise ConfigError(f"{name}, line {node.start_mark.line + 1}: an alias stands for what it stands in")
        if id(node) not in sizes:
            open_.add(id(node))
            sizes[id(node)] = 1 + sum(size(child) for child in _children(node))
            open_.remove(id(node))
        return sizes[id(node)]

    if (whole := size(root)) > LARGEST and whole > len(sizes):
        raise ConfigError(f"{name}: its aliases stand for {whole:,} values, more than {LARGEST:,}; write out fewer")


def demand_plain(root: yaml.Node, name: str) -> None:
    """Refuses a key that stands twice, also as a dotted one, and tags that make objects.

    Raises:
        ConfigError: naming the key, the file and the line.
    """
    lines: dict[str, int] = {}

    def walk(node: yaml.Node, place: str) -> None:
        if not node.tag.startswith(TAG) or node.tag.removeprefix(TAG) not in PLAIN:
            tag, line = node.tag.replace(TAG, "!!"), node.start_mark.line + 1
            raise ConfigError(f"{name}, line {line}: the tag {tag} is not taken; write a plain value")
        if isinstance(node, yaml.SequenceNode):
            for i, child in enumerate(node.value):
                walk(child, f"{place}[{i}]")
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            inner, line = ".".join(filter(None, [place, str(key.value)])), key.start_mark.line + 1
            if inner in lines:
                where = f"lines {lines[inner]} and {line}" if lines[inner] != line else f"line {line}"
                raise ConfigError(f"{inner}: given twice ({name}, {where}); leave one of them")
            lines[inner] = line
            walk(key, f"{inner} ")
            walk(value, inner)

    walk(root, "")


def demand_sections(content: dict[str, Any], name: str) -> None:
    """Refuses a `trainer` that is no mapping.

    Raises:
        ConfigError: naming the file.
    """
    if "trainer" in content and not isinstance(content["trainer"], dict):
        found = "empty" if content["trainer"] is None else repr(content["trainer"])
        raise ConfigError(f"trainer: {found} ({name}); leave the key out, or give options such as trainer.max_epochs")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return "" if mark is None else f", line {mark.line + 1}"


def _problem(error: yaml.YAMLError) -> str:
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    return one_line(" ".join(part for part in (context, problem) if part) or getattr(error, "reason", None) or error)
