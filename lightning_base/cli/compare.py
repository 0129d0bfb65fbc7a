"""The verb compare: its options, its table and its JSON; needs no torch."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path

from lightning_base.cli.arguments import Parser
from lightning_base.errors import ConfigError
from lightning_base.results.compare import ROPE, compare, show
from lightning_base.tools.console import Level, console
from lightning_base.tools.files import replace, to_json


def main(arguments: Sequence[str]) -> None:
    """Compares the directories that the arguments name, prints the table and, where asked, writes it as JSON.

    Raises:
        UserError: for a mistake in the arguments, or runs that cannot be compared.
    """
    options = _parser().parse_args(list(arguments))
    ropes = _ropes(options.rope)
    path = Path(options.out) if options.out else None
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise ConfigError(f"--out: {path} is no file in an existing folder; give the path of a file to write")
    found = compare([Path(directory) for directory in options.directory], options.metric, ropes)
    out = console(Level.QUIET)
    show(found, out)
    if path is not None:
        with replace(path) as temporary:
            temporary.write_text(to_json(asdict(found)))
        out.print(f"results: {path}", soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "compare",
        description="Tests the differences between finished crossval directories of one split: the corrected resampled "
        "t-test (Nadeau & Bengio 2003), the Bayesian correlated t-test (Corani & Benavoli 2015) and, for classes, "
        "McNemar's test on the out-of-fold predictions. With more than one test of a kind, p values are Holm's.",
    )
    parser.add_argument("directory", nargs="+", help="crossval directories, two or more: runs/NAME/crossval")
    parser.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help="what to compare; may be given again. By default the runs' score.",
    )
    parser.add_argument(
        "--rope",
        action="append",
        default=[],
        metavar="[NAME=]WIDTH",
        help=f"differences within ±WIDTH count as none, of all metrics or of one; may be given again. Default {ROPE}.",
    )
    parser.add_argument("--out", metavar="PATH", help="write the comparison as JSON to this file")
    return parser


def _ropes(options: Sequence[str]) -> dict[str | None, float]:
    """Widths by metric; None is that of the metrics not named."""
    ropes: dict[str | None, float] = {None: ROPE}
    for option in options:
        name, _, text = option.rpartition("=")
        try:
            width = float(text)
        except ValueError:
            width = -1.0
        if not (isfinite(width) and width >= 0):
            raise ConfigError(f"--rope: {option!r} is no width; give a number, 0 or more, or NAME=NUMBER")
        ropes[name or None] = width
    return ropes
