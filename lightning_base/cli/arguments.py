"""Parser: the options of verbs that take no configuration; a mistake in them is one line."""

import argparse
from typing import Any, NoReturn

from lightning_base.errors import ConfigError, one_line


class Parser(argparse.ArgumentParser):
    """argparse's, which raises what it would end the process with.

    Args:
        verb: whose options they are.
        shows: what its --help shows, in words.
        **settings: argparse's.
    """

    def __init__(self, verb: str, shows: str = "the options", **settings: Any) -> None:
        super().__init__(prog=f"lightning-base {verb}", allow_abbrev=False, **settings)
        self.verb, self.shows = verb, shows

    def error(self, message: str) -> NoReturn:
        """Refuses the arguments.

        Raises:
            ConfigError: always.
        """
        help_ = f"`lightning-base {self.verb} --help` shows {self.shows}"
        raise ConfigError(f"{self.verb}: {one_line(message)}; {help_}")
