"""Mistakes in the words of whoever asked: messages name the command line's options, for Python its arguments."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lightning_base.errors import UserError
from lightning_base.tools.console import Level, level

ARGUMENTS = (
    *("name", "overwrite", "executor", "jobs", "threads", "slurm", "folds", "refit", "config", "ckpt_path", "labels"),
    *("longer", "show", "metric", "rope"),
)
VALUES = {"true": "True", "false": "False", "null": "None"}
OPTION = re.compile(
    r"(?<![\w-])--(?P<key>[a-z_]+(?:\.[a-z_]+)*)(?![\w-])"
    r"(?:[ =](?P<value>true|false|null|inline|process|slurm|vectorized|FILE\.yaml)(?!\w))?"
)
OTHER_WORDS = {"the same command": "the same call"}
AS_THEY_ARE: Mapping[str, str] = {}


@contextmanager
def in_python(names: Mapping[str, str] = AS_THEY_ARE) -> Iterator[None]:
    """Lets mistakes speak Python where it is Python that asks, not the command line.

    Args:
        names: what the function asked calls an option, where it is another name.
    """
    if level() != Level.SILENT:  # the command line speaks
        yield
        return
    try:
        yield
    except UserError as error:
        error.args = (python_words(str(error), names),)
        raise


def python_words(text: str, names: Mapping[str, str] = AS_THEY_ARE) -> str:
    """A message that names options, `--overwrite true`, with the arguments of functions in their place.

    Args:
        text: the message.
        names: what the function calls an option, where it is another name.
    """

    def argument(found: re.Match[str]) -> str:
        key, value = found["key"], found["value"]
        said = None if value is None else VALUES.get(value, repr(value))
        if "." in key or key == "search":
            return f"overrides={{{key!r}: {said or '…'}}}"
        if key not in ARGUMENTS:
            return found[0]
        key = names.get(key, key)
        return key if said is None else f"{key}={said}"

    text = OPTION.sub(argument, text)
    for one, other in OTHER_WORDS.items():
        text = text.replace(one, other)
    return text
