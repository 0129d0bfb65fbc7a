"""The console script: help and version without importing torch, then the verbs; a user's mistake is one line."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from lightning_base import __version__
from lightning_base.errors import ConfigError, UserError, suggest
from lightning_base.tools.collector import uncollected
from lightning_base.tools.console import Level, speaking
from lightning_base.tools.output import tolerant
from lightning_base.verbs.words import given, only_directory, with_saved_config, without_level

VERBS = {
    "prepare": "fetch what the data declares, clean it, pack it, split it, and show what was found",
    "audit": "look for leaks between the samples; --show draws them, --labels ranks labels, --live compares new ones",
    "fit": "train on fold 0 of data.split, and score it on the samples held out",
    "validate": "score a checkpoint on the samples its fold held out",
    "test": "score a checkpoint, or the ensemble of a crossval directory, on the sealed test samples",
    "predict": "write the predictions of a checkpoint, or of the ensemble of a crossval directory",
    "crossval": "train every fold of data.split, and report scores with honest intervals",
}
ARTEFACT_VERBS = {
    "export": "make a run stand alone: a folder that answers without torch, checked against the run",
    "serve": "answer over HTTP from exported folders, with a page to try them",
    "bench": "measure an exported folder's or a server's latency and throughput",
    "init": "lay out a folder to work in: configurations, a network and data of your own, a test",
    "compare": "test the differences between finished crossval directories of one split",
    "doctor": "look at libraries, devices, memory, disks and launchers; with --config, whether it fits them",
    "launch": "start a verb elsewhere, by Slurm, torchrun or on a TPU: launch slurm … -- fit --config FILE.yaml",
    "list": "list networks, tasks, data modules, splitters, augmentations, configurations and overlays",
}
OTHERS = {  # what other programs call a verb: what it is called here
    **dict.fromkeys(
        ("crossvalidate", "cross_validate", "cross-validate", "cross_val", "crossvalidation", "cv", "kfold", "k-fold"),
        "crossval",
    ),
    **dict.fromkeys(("train", "run"), "fit"),
    **dict.fromkeys(("eval", "evaluate", "score", "val"), "validate"),
    **dict.fromkeys(("infer", "inference", "predictions"), "predict"),
    **dict.fromkeys(("new", "create", "start"), "init"),
    "ls": "list",
    "check": "doctor",
}
HELP = f"""usage: lightning-base VERB --config FILE.yaml [--config OVERLAY.yaml …] [--key.sub value …]

From raw data to a model you can trust, from one YAML file.

verbs:
{chr(10).join(f"  {verb:<10}{text}" for verb, text in VERBS.items())}

verbs beside these, for where they run and what they leave:
{chr(10).join(f"  {verb:<10}{text}" for verb, text in ARTEFACT_VERBS.items())}

  lightning-base VERB --help                              the options of a verb, and what there is to name in YAML
  lightning-base VERB --help models.cnn.CNN               what a class takes; --help trainer: what the Trainer takes
  lightning-base VERB --config FILE.yaml --print_config   the whole configuration, defaults and all
  lightning-base --version

  -q, --quiet     final results and errors alone
  -v, --verbose   a line per epoch, and Lightning's own notices and warnings

LIGHTNING_BASE_DEBUG=1 shows the traceback behind an error message.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status.

    0; 1 for leaks that `audit: fail` refuses, and where standard output is full; 2 for a user's mistake; 130 when
    interrupted. Standard output that is closed, or a pipe that nobody reads on from, changes nothing.

    Args:
        argv: the arguments after the program's name; by default those of the process.
    """
    arguments, level = without_level(sys.argv[1:] if argv is None else argv)
    with tolerant() as faults:
        status = answer(arguments, level)
    if faults:
        complain(f"error: standard output cannot be written: {faults[0]}")
    return status or len(faults)


def answer(arguments: list[str], level: Level) -> int:
    """Shows help or the version, or runs one command; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if arguments[0] == "--version":
        print(f"lightning-base {__version__}")
        return 0
    with speaking(level):
        return run(arguments)


def run(arguments: list[str]) -> int:
    """Runs one command; returns the exit status."""
    try:
        if arguments[0] == "compare":
            from lightning_base.cli.compare import main as compare

            compare(arguments[1:])
            return 0
        if arguments[0] == "export":
            from lightning_base.cli.export import main as export

            export(arguments[1:])
            return 0
        if arguments[0] == "serve":
            from lightning_base.cli.serve import main as serve

            return serve(arguments[1:])
        if arguments[0] == "bench":
            from lightning_base.cli.bench import main as bench

            bench(arguments[1:])
            return 0
        if arguments[0] == "list":
            from lightning_base.cli.listing import main as listing

            listing(arguments[1:])
            return 0
        if arguments[0] == "init":
            from lightning_base.cli.init import main as init

            return init(arguments[1:])
        if arguments[0] == "launch":
            from lightning_base.cli.early import check_launched

            check_launched(arguments[1:])
            from lightning_base.cli.launch import main as launch

            return launch(arguments[1:])
        if arguments[0] == "doctor":
            from lightning_base.cli.doctor import main as doctor

            return doctor(arguments[1:])
        if arguments[0] not in VERBS:
            verbs = [*VERBS, *ARTEFACT_VERBS]
            word = arguments[0]
            near = f"; did you mean {OTHERS[word]!r}?" if word in OTHERS else suggest(word, verbs)
            raise ConfigError(f"no verb {word!r}; the verbs are {', '.join(verbs)}{near}")
        if arguments[0] == "crossval" and given(arguments, "--status"):
            from lightning_base.results.states import show_status

            return show_status(only_directory(arguments[1:], "--status"))
        from lightning_base.cli.help import asked, show

        if (subject := asked(arguments[1:])) is not None:
            print(show(arguments[0], VERBS[arguments[0]], subject), end="")
            return 0
        from lightning_base.cli.early import check

        check(with_saved_config(arguments))
        with uncollected():
            from lightning_base.cli.command import run_verb

        run_verb(arguments)
    except UserError as error:
        if os.environ.get("LIGHTNING_BASE_DEBUG"):
            raise
        complain(f"error: {error}")
        return error.status
    except KeyboardInterrupt:
        return interrupted(arguments[0])
    except SystemExit as stop:  # --help and --print_config end the parser so; Lightning ends an interrupt so
        if isinstance(stop.__context__, KeyboardInterrupt):
            return interrupted(arguments[0])
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    return 0


def interrupted(verb: str) -> int:
    """Says how to go on after an interrupt of a verb; returns the exit status."""
    goes_on = verb in ("fit", "crossval")
    complain(
        f"interrupted; `{verb}` " + ("goes on from its last checkpoint if run again" if goes_on else "begins anew")
    )
    return 130


def complain(text: str) -> None:
    """Says a line on standard error, where that can be written."""
    with suppress(OSError):
        print(f"lightning-base: {text}", file=sys.stderr)
