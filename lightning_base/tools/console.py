"""Standard output as the verbs write to it."""

import sys

from rich.console import Console

from lightning_base.tools.process import is_main


def console() -> Console:
    """Standard output; a hundred columns where it is no terminal; silent in all processes but the main one."""
    width = None if sys.stdout.isatty() else 100
    return Console(highlight=False, width=width, quiet=not is_main())
