"""What is asked while measuring: an export's examples, a file of inputs, or what a server shows as its example."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_base.errors import ArtefactError, ConfigError, one_line

EXAMPLES = "examples.json"


@dataclass(frozen=True)
class Inputs:
    """Inputs, and the answer that each is to get; None where that is not known."""

    inputs: tuple[Any, ...]
    answers: tuple[Any, ...]


def examples(folder: Path) -> Inputs:
    """Those of an export.

    Raises:
        ArtefactError: where it has none.
    """
    path = folder / EXAMPLES
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactError(f"{path}: cannot be read ({one_line(error)}); export the run again") from error
    if not isinstance(content, list) or not content or not all(_is_pair(one) for one in content):
        raise ArtefactError(f"{path}: holds no list of examples with input and answer; export the run again")
    return Inputs(tuple(one["input"] for one in content), tuple(one["answer"] for one in content))


def from_file(path: Path) -> Inputs:
    """Those of a file of JSON lines: an input each, or an object of `input` and `answer` alone.

    Raises:
        ConfigError: where it cannot be read, or holds none; it names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--inputs: {path}: cannot be read ({one_line(error)}); give a file of JSON lines") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"--inputs: {path}: line {number} is no JSON ({one_line(error)})") from error
        found.append((one["input"], one["answer"]) if _is_pair(one) and len(one) == 2 else (one, None))
    if not found:
        raise ConfigError(f"--inputs: {path}: holds no input; write one JSON object a line")
    inputs, answers = zip(*found, strict=True)
    return Inputs(inputs, answers)


def _is_pair(one: object) -> bool:
    return isinstance(one, dict) and {"input", "answer"} <= one.keys()
