"""Standard output as the verbs write to it, without what a user can do nothing about."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from lightning_base.tools.process import is_main

# warnings that a user can do nothing about
QUIET = (
    r"The dirpath has changed from",  # a run's directory may be moved
    r"Checkpoint directory .* exists and is not empty",  # a resumed run goes on in its own directory
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning 2.6 on torch 2.15
    r"The `srun` command is available",  # --executor slurm is how folds go to a cluster
    r"The number of training batches .* is smaller than the logging interval",  # steps are counted over epochs here
)


def console() -> Console:
    """Standard output; a hundred columns where it is no terminal; silent in all processes but the main one."""
    width = None if sys.stdout.isatty() else 100
    return Console(highlight=False, width=width, quiet=not is_main())


@contextmanager
def quiet() -> Iterator[None]:
    """Without notices and warnings that a user can do nothing about, and that every fold would repeat."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message=message)
        yield
