"""The verb export: its options."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from lightning_base.errors import ConfigError, one_line


def main(arguments: Sequence[str]) -> None:
    """Exports the run that the arguments name.

    Raises:
        UserError: for a mistake in the arguments, or a run that cannot be exported.
    """
    options = _parser().parse_args(list(arguments))
    from lightning_base.verbs.functions import export

    export(options.run, out=options.out, samples=options.samples, overwrite=options.overwrite == "true", verbose=True)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"export: {one_line(message)}; `lightning-base export --help` shows the options")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lightning-base export",
        description="Makes a run stand alone: a folder with its graph, its fitted preprocessing, examples, a model "
        "card and a small runtime that needs neither torch nor this package; checked against the run on real samples.",
        allow_abbrev=False,
    )
    parser.add_argument("run", help="a crossval directory (the ensemble), a fold's or fit's directory, or a checkpoint")
    parser.add_argument("--out", metavar="FOLDER", help="the folder to write; by default `export` beside the run's")
    parser.add_argument("--samples", type=int, default=100, help="real samples that are compared; default 100")
    parser.add_argument("--overwrite", choices=["true", "false"], default="false", help="replace an exported folder")
    return parser
