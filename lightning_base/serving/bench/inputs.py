"""What is asked while measuring: an export's examples, a file of inputs, or what a server shows as its example."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_base.errors import ArtefactError, ConfigError, one_line
from lightning_base.runtime.comparing import TOLERANCE

EXAMPLES, MANIFEST = "examples.json", "manifest.json"


@dataclass(frozen=True)
class Inputs:
    """What is asked.

    Attributes:
        inputs: one after another.
        answers: that each is to get; None where that is not known.
        tolerance: of numbers in answers.
    """

    inputs: tuple[Any, ...]
    answers: tuple[Any, ...]
    tolerance: float = TOLERANCE


def examples(folder: Path) -> Inputs:
    """Those of an export.

    Raises:
        ArtefactError: where it has none, or no manifest.
    """
    path = folder / EXAMPLES
    try:
        content, manifest = (json.loads(file.read_text()) for file in (path, folder / MANIFEST))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactError(f"{folder}: is no exported folder that can be read ({one_line(error)})") from error
    if not isinstance(content, list) or not content or not all(_is_pair(one) for one in content):
        raise ArtefactError(f"{path}: holds no list of examples with input and answer; export the run again")
    is_exact = not isinstance(manifest, dict) or manifest.get("precision", "float32") == "float32"
    tolerance = TOLERANCE if is_exact else 100 * TOLERANCE  # as `verify.py` of an export has it
    return Inputs(tuple(one["input"] for one in content), tuple(one["answer"] for one in content), tolerance)


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
