"""The verb export: its options."""

import argparse
from collections.abc import Sequence

from lightning_base.cli.arguments import Parser


def main(arguments: Sequence[str]) -> None:
    """Exports the run that the arguments name.

    Raises:
        UserError: for a mistake in the arguments, or a run that cannot be exported.
    """
    options = _parser().parse_args(list(arguments))
    from lightning_base.verbs.functions import export

    export(
        options.run,
        config=options.config,
        out=options.out,
        samples=options.samples,
        overwrite=options.overwrite == "true",
        precision=options.precision,
        format=options.format,
        verbose=True,
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "export",
        description="Makes a run stand alone: a folder with its graph, its fitted preprocessing, examples, a model "
        "card and a small runtime that needs neither torch nor this package; checked against the run on real samples.",
    )
    parser.add_argument("run", help="a crossval directory (the ensemble), a fold's or fit's directory, or a checkpoint")
    parser.add_argument(
        "--config",
        action="append",
        metavar="FILE",
        help="the configuration that it was trained with, and overlays; by default the one that stands beside it",
    )
    parser.add_argument("--out", metavar="FOLDER", help="the folder to write; by default `export` beside the run's")
    parser.add_argument("--samples", type=int, default=100, help="real samples that are compared; default 100")
    parser.add_argument("--overwrite", choices=["true", "false"], default="false", help="replace an exported folder")
    parser.add_argument(
        "--format",
        choices=["onnx", "torch", "compiled", "safetensors"],
        default="onnx",
        help="what is written: an ONNX graph, which needs no torch to answer; a program of torch.export; one that "
        "AOTInductor has compiled for this kind of machine; or the weights alone",
    )
    parser.add_argument(
        "--precision",
        choices=["float32", "float16", "int8", "int8-static"],
        default="float32",
        help="of the graph: float16, int8 (weights; activations as they come) or int8-static (both, calibrated on "
        "training samples); what it costs is measured on held-out samples and printed",
    )
    return parser
