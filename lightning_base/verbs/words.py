"""Options looked at before a verb's parser reads them: which files it will read, and which directory it is about."""

from collections.abc import Sequence
from pathlib import Path

from lightning_base.errors import ConfigError

CONFIG = ("--config", "-c")


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
            for folder in (path, *path.parents)[:4]:
                if (folder / "config.yaml").is_file():
                    return [arguments[0], "--config", str(folder / "config.yaml"), *arguments[1:]]
            if option == "--labels" and arguments[0] == "audit":
                raise ConfigError(
                    f"--labels: {path} is no crossval directory (it has no config.yaml); give a finished one"
                )
    return arguments
