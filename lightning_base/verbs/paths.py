"""Where runs live: the folder that `fit` takes, and the checkpoints and folds that --ckpt_path names."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.distributed.process import launched
from lightning_base.errors import ArtefactError, CheckpointError, ConfigError, UserError, one_line
from lightning_base.folds.directory import changes, demand_same_code
from lightning_base.results import states
from lightning_base.results.finished import demand_finished, own_results
from lightning_base.results.fold_result import is_done
from lightning_base.results.summary import SUMMARY, read_summary
from lightning_base.splitters.manifest import read_manifest
from lightning_base.tools.locks import is_held
from lightning_base.tools.process import is_main
from lightning_base.training.checkpoint import damage
from lightning_base.training.experiment import Experiment
from lightning_base.training.resume import STAMP
from lightning_base.training.sources import own_checkpoint
from lightning_base.verbs.words import saved_config

LOCK = ".lock"  # of a fit's folder, held while it is trained
RUN = "LIGHTNING_BASE_RUN"  # the folder of the fit that a process was started for


def fit_directory(directory: Path, experiment: Experiment | None, data: BaseDataModule | None = None) -> Path:
    """The last `version_<n>`, where it is of this experiment and was broken off; else the first n that is free.

    What Slurm or torchrun starts has the launch's own folder: ranks look at different moments, and jobs side by side.

    Args:
        directory: of the experiment's fits.
        experiment: the configuration; None for a run that begins from a checkpoint, and so goes on in no folder.
        data: as it is now, where it has been read: a run that was begun on other content or folds does not go on.

    Raises:
        UserError: where the launch has begun with another configuration, or on other data.
    """
    if not is_main() and RUN in os.environ:
        return Path(os.environ[RUN])
    if name := launched():
        home = directory / name
        if experiment and (home / "config.yaml").is_file() and changes(home / "config.yaml", experiment):
            other = "with another configuration"
        elif experiment and data is not None and not same_data(home, data):
            other = "on other data"
        else:
            return home
        raise ArtefactError(
            f"{home} holds a run of this launch {other}; give torchrun another --rdzv-id, or this run another --name"
        )
    taken = sorted(int(p.name.removeprefix("version_")) for p in directory.glob("version_*") if p.name[8:].isdigit())
    last = directory / f"version_{taken[-1] if taken else -1}"
    broken_off = (last / "config.yaml").is_file() and not is_done(last)
    if (
        experiment
        and broken_off
        and not changes(last / "config.yaml", experiment)
        and (data is None or same_data(last, data))
        and not (is_main() and (states.runs_here(last) or is_held(last / LOCK)))
    ):
        return last  # other ranks join the first one's run
    return directory / f"version_{taken[-1] + 1 if taken else 0}"


def same_data(directory: Path, data: BaseDataModule) -> bool:
    """Whether a fit's folder was begun on data of this content, divided into these folds.

    Where its split cannot be read, that it was is only known if nothing has been trained there.
    """
    try:
        signed = read_manifest(directory / "split.parquet")[1]
    except UserError:
        return not (directory / "checkpoints").exists()
    now = (data.samples("pool").fingerprint, data.folds.hash)
    return (signed["data_fingerprint"], signed["split_hash"]) == now


def members_of(path: Path | None, verb: str) -> tuple[list[Path], Path]:
    """The checkpoints that --ckpt_path names, and the directory that their results go to.

    Raises:
        UserError: where it names none, or a crossval directory that is not finished.
    """
    if path is None:
        raise ConfigError(f"{verb} needs --ckpt_path: a checkpoint, or a crossval directory")
    if path.is_file():
        return [path], path.parent.parent if path.parent.name == "checkpoints" else path.parent
    if (path / "checkpoints" / "last.ckpt").is_file():
        return [own_checkpoint(path)], path
    demand_finished(path, "--ckpt_path", [SUMMARY])
    summary = read_summary(path)
    own_results(path, summary)
    return [own_checkpoint(path / f"fold_{fold}") for fold in range(summary.k)], path


def demand_fold_of_folder(checkpoint: Path, fold: int) -> None:
    """Refuses a member of an ensemble that is another fold's than its folder is called after.

    Raises:
        CheckpointError: naming both.
    """
    folder = checkpoint.parent.parent
    if folder.name != f"fold_{fold}":
        raise CheckpointError(f"{checkpoint}: it was trained as fold {fold}; delete {folder}, and run crossval again")


def demand_code_of_run(experiment: Experiment, home: Path, verb: str) -> None:
    """Refuses to score or predict with another network, or on other samples, than the run was made with.

    What is to be predicted may come from a data module that has learned to read it since.

    Raises:
        ArtefactError: naming the file of own code that has changed.
    """
    if (saved := saved_config(home.absolute())) is not None:
        config = experiment.dump()
        demand_same_code(saved.parent, {"model": config.get("model")} if verb == "predict" else config)


def describe(members: Sequence[Path]) -> str:
    """What predicted, in words."""
    return "one checkpoint" if len(members) == 1 else f"ensemble of {len(members)} folds"


def read_stamp(checkpoint: Path) -> dict[str, Any]:
    """The fold and split that a checkpoint was stamped with; empty for a checkpoint that is none of ours.

    Raises:
        UserError: for a file that is no checkpoint, or one that would need unsafe loading.
    """
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds for a broken file
        raise CheckpointError(
            f"--ckpt_path: {checkpoint} cannot be loaded as a checkpoint: {damage(checkpoint) or one_line(error)[:200]}"
        ) from error
    stamp = content.get(STAMP, {}) if isinstance(content, dict) else {}
    if not isinstance(stamp, dict) or not isinstance(stamp.get("fold", 0), int):
        raise CheckpointError(f"--ckpt_path: {checkpoint} does not say which fold it is of; train again")
    return stamp
