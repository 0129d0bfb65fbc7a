"""Options looked at before a verb's parser reads them: which files it will read, and which directory it is about."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from lightning_base.errors import ConfigError, near_file
from lightning_base.tools.console import Level

CONFIG = ("--config", "-c")
NESTED = ("model.network", "model.optimizer", "model.scheduler", "data.split")  # classes within a class
LEVELS = {"-q": Level.QUIET, "--quiet": Level.QUIET, "-v": Level.VERBOSE, "--verbose": Level.VERBOSE}


def given(arguments: Sequence[str], *names: str) -> list[str]:
    """The values of an option, however often it is given, as --name value or --name=value; "" where none follows."""
    found = []
    for i, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in names:
            found.append(value if equals else "".join(arguments[i + 1 : i + 2]))
    return found


def configs(arguments: Sequence[str]) -> list[str]:
    """The configuration files, in order."""
    return given(arguments, *CONFIG)


def only_directory(arguments: Sequence[str], name: str) -> Path:
    """The directory that an option names which stands alone.

    Raises:
        UserError: where it names none, or something stands beside it.
    """
    values = given(arguments, name)
    if len(values) != 1 or not values[0] or len(arguments) != (1 if "=" in arguments[0] else 2):
        raise ConfigError(f"crossval {name}: takes one crossval directory and nothing else")
    return Path(values[0])


def saved_config(path: Path) -> Path | None:
    """The configuration saved with a run, of whose files or folders one is given; None where there is none."""
    absolute = Path(os.path.abspath(path))  # a relative path may begin inside of the run
    folders = (absolute, *absolute.parents)[:4]
    files = ((folder if path.is_absolute() else Path(os.path.relpath(folder))) / "config.yaml" for folder in folders)
    return next((file for file in files if file.is_file()), None)


def with_saved_config(arguments: list[str]) -> list[str]:
    """The arguments, with the configuration saved beside --ckpt_path or --labels in front where no --config is given.

    Raises:
        UserError: for --labels with a directory that no configuration belongs to.
    """
    if configs(arguments) or arguments[0] == "fit":
        return arguments
    for option in ("--ckpt_path", "--labels"):
        for value in given(arguments, option):
            path = Path(value)
            if (saved := saved_config(path)) is not None:
                return [arguments[0], "--config", str(saved), *arguments[1:]]
            if option == "--ckpt_path" and arguments[0] in ("validate", "test", "predict"):
                if not path.exists():
                    mend = near_file(value) or "; give a run's, as runs/NAME/crossval"
                    raise ConfigError(f"--ckpt_path: no file or directory {path}{mend}")
                if (path / "crossval" / "config.yaml").is_file():
                    raise ConfigError(f"--ckpt_path: {path} holds runs; name {path / 'crossval'}")
            if option == "--labels" and arguments[0] == "audit":
                raise ConfigError(
                    f"--labels: {path} is no crossval directory (it has no config.yaml); give a finished one"
                )
    return arguments


def without_level(arguments: Sequence[str]) -> tuple[list[str], Level]:
    """The arguments without -q and -v, wherever these stand, and how much is to be said: the last of them says it.

    What comes after `--` is another command's.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    asked = [Level.NORMAL, *(LEVELS[word] for word in arguments[:end] if word in LEVELS)]
    return [*(word for word in arguments[:end] if word not in LEVELS), *arguments[end:]], asked[-1]


def with_nulls(arguments: Sequence[str]) -> list[str]:
    """The arguments, with an option of a class within a class that is set to null spelt out as the parser takes it.

    jsonargparse hands such a value on as the word "None" (4.53: `_typehints.adapt_class_type`), which is no number.
    """
    found, words = [], iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        owner, _, option = name.removeprefix("--").replace(".init_args.", ".").rpartition(".")
        if owner in NESTED and not equals:
            value = next(words, "")
        if owner in NESTED and value in ("null", "~"):
            outer, inner = owner.split(".")
            found.append(f"--{outer}={json.dumps({'init_args': {inner: {'init_args': {option: None}}}})}")
        else:
            found += [word] if equals or owner not in NESTED else [word, value]
    return found
