"""The verb doctor: its options."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_base.cli.arguments import Parser
from lightning_base.cli.early import check
from lightning_base.doctor.look import look
from lightning_base.errors import ConfigError, suggest
from lightning_base.verbs.words import configs

if TYPE_CHECKING:  # help needs no torch
    from lightning_base.training.experiment import Experiment

OPTIONS = ("--config", "--nodes", "--batch_sizes", "--json", "--help")


def main(arguments: Sequence[str]) -> int:
    """Looks, prints a line per finding and, where asked, writes them as JSON; returns 1 where there is trouble.

    Of the processes of a launcher one per node looks and prints; with --nodes all take part and the first prints.

    Raises:
        UserError: for a mistake in the arguments.
    """
    options, rest = _parser().parse_known_args(list(arguments))
    out = Path(options.json) if options.json else None
    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise ConfigError(f"--json: {out} is no file in an existing folder; give the path of a file to write")
    if rest and not configs(rest):
        word = rest[0].split("=")[0]
        raise ConfigError(f"doctor: {word} needs --config FILE.yaml{suggest(word, OPTIONS)}")
    if rest and options.nodes:
        raise ConfigError("--nodes looks at no configuration; leave --config out, or --nodes")
    if options.batch_sizes and not rest:
        raise ConfigError("--batch_sizes: of what; give --config FILE.yaml")
    if rest:
        check(["crossval", *rest])
    return look(options.nodes, (lambda: _open(rest)) if rest else None, out, options.batch_sizes)


def _open(words: Sequence[str]) -> "Experiment":
    from lightning_base.verbs.opening import open_experiment

    return open_experiment(["crossval", *words])


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "doctor",
        usage="lightning-base doctor [--config FILE.yaml … --key.sub value …] [--nodes] [--batch_sizes] [--json FILE]",
        description="Looks at libraries, devices, memory, disks, limits and launchers. With --config, and overrides as "
        "for the other verbs: builds the configuration and trains one process of it for some batches in a temporary "
        "folder, and says what memory, disk and time the run will take; the data it declares is fetched and packed, "
        "as by every verb. The exit status is 1 where there is trouble.",
    )
    parser.add_argument(
        "--nodes",
        action="store_true",
        help="sum numbers over the processes that torchrun or srun started: is it right, how long does it take",
    )
    parser.add_argument(
        "--batch_sizes",
        action="store_true",
        help="train with batches of growing size, and say which is the fastest here, or on a GPU the largest that fits",
    )
    parser.add_argument("--json", metavar="FILE", help="write what was found here too")
    return parser
