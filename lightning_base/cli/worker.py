"""`python -m lightning_base.cli.worker DIRECTORY FOLD …` trains folds of a crossval directory: executors start it."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from lightning_base.errors import ConfigError, UserError
from lightning_base.folds.directory import Displaced, demand_same_code, stamp_of
from lightning_base.folds.fold import attempt
from lightning_base.folds.plan import Plan
from lightning_base.folds.progress import FoldProgress, outcome
from lightning_base.results import states
from lightning_base.tools.console import Level, console, quiet, speaking
from lightning_base.tools.files import read_json
from lightning_base.training.preempt import leave_if_raised
from lightning_base.training.run import build
from lightning_base.training.signals import listening
from lightning_base.verbs.opening import open_experiment


def main(arguments: Sequence[str]) -> int:
    """Trains the folds that no other process has; the exit status: 1 where one failed, 2 where none could begin.

    A signal to stop is heeded as lightning_base.training.preempt says.

    Args:
        arguments: the directory, which `crossval` has made, and numbers of folds.
    """
    directory, folds = Path(arguments[0]), [int(fold) for fold in arguments[1:]]
    if "LIGHTNING_BASE_PARENT" in os.environ and "LOCAL_RANK" not in os.environ:
        watched = os.dup(0)  # nothing else reads it: for the folds' code there is no input
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        threading.Thread(target=end_with_parent, args=[watched], daemon=True).start()
    with speaking(Level.NORMAL), quiet(), listening():  # into its log
        try:
            plan, alone = open_plan(directory)
        except UserError as error:
            print(f"lightning-base: error: {error}", file=sys.stderr)
            return 2
        outcomes = []
        progress = FoldProgress(console(), len(folds), plan.k, plan.fold_directory, bars=False)
        for fold in folds:
            if alone:  # else the ranks agree on it, at the fold's first step
                leave_if_raised()
            if states.read(plan.fold_directory(fold))["state"] != "failed":  # since this cross-validation began
                try:
                    outcomes.append(attempt(plan, fold, progress, alone))
                except Displaced as error:
                    print(f"lightning-base: error: {error}", file=sys.stderr)
                    return 2
                if outcomes[-1] != "held":
                    progress.finish(fold, outcome(plan.fold_directory(fold)))
        return int("failed" in outcomes)


def open_plan(directory: Path) -> tuple[Plan, bool]:
    """A cross-validation as its directory tells it, and whether a fold of it is one process.

    Raises:
        UserError: where the data or the split is no longer what the directory was made for.
    """
    stamp = stamp_of(directory)
    experiment = open_experiment(["crossval", "--config", str(directory / "config.yaml")])
    demand_same_code(directory, experiment.dump())
    first = build(experiment, 0, directory / "fold_0", quiet=True)
    data = first.datamodule
    data.prepare_data()
    stored = read_json(directory / "identity.json", needs={"split_hash": str})["split_hash"]
    if data.folds.hash != stored:
        raise ConfigError(f"{directory} was begun on another split ({stored[:12]}, now {data.folds.hash[:12]})")
    return Plan(experiment, directory, data, stamp), first.trainer.world_size == 1


def end_with_parent(watched: int) -> None:
    """Ends this process when its parent is gone: a fold that nobody waits for would hold the directory.

    Args:
        watched: the end of a pipe to which the parent never writes, so that it is at its end when the parent is.
    """
    while os.read(watched, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
