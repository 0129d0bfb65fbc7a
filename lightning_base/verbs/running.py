"""How functions run verbs: what they are given becomes an experiment, and nothing but their result is left behind."""

import os
import random
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_base.data.memory import Memory
from lightning_base.data.pool import Pools
from lightning_base.errors import ArtefactError, ConfigError, Stopped, one_line, suggest
from lightning_base.tools.asked import AS_THEY_ARE, in_python
from lightning_base.tools.console import Level, level, quiet, speaking
from lightning_base.tools.files import UNWRITABLE
from lightning_base.tools.imports import ended
from lightning_base.training.experiment import Experiment
from lightning_base.training.objects import changed, demand_importable
from lightning_base.training.preempt import Preempted
from lightning_base.training.settings import read_saved
from lightning_base.verbs import ddp_spawn
from lightning_base.verbs.opening import as_words, open_files, open_objects
from lightning_base.verbs.results import Fitted, Trained, demand_path
from lightning_base.verbs.results import load as load_run
from lightning_base.verbs.words import saved_config

ARGUMENTS = (
    "config",
    "folds",
    "overwrite",
    "refit",
    "longer",
    "executor",
    "jobs",
    "threads",
    "slurm",
    "ckpt_path",
    "show",
    "labels",
)
ONE_AT_A_TIME = threading.RLock()  # random states belong to the process, not to a thread
MadeData = Callable[[], Any] | None


@contextmanager
def guarded(verbose: bool, names: Mapping[str, str] = AS_THEY_ARE) -> Iterator[None]:
    """Runs a verb without what a user can do nothing about, and turns ends of the process into exceptions.

    Args:
        verbose: whether to say what the command line says.
        names: what the function calls an option of the command line, where it is another name.

    Raises:
        KeyboardInterrupt: for an interrupt, which Lightning makes the process's end.
        Stopped: where a signal stopped a training at a place to go on from.
        ConfigError: for what the Trainer refuses, and for code of the user's that ends the process.
        ArtefactError: where a folder cannot be written, or its disk is full.
    """
    from_python = level() == Level.SILENT  # the command line speaks, and ends with a signal's status
    flags(verbose=verbose)
    with ONE_AT_A_TIME, in_python(names), ExitStack() as stack:
        if verbose and from_python:
            stack.enter_context(speaking(Level.NORMAL))
        stack.enter_context(quiet())
        stack.enter_context(same_random_states())
        try:
            yield
        except MisconfigurationException as error:
            raise ConfigError(f"trainer: {one_line(error)}") from error
        except OSError as error:  # nothing that is written is half there: each file is renamed when it is whole
            if error.errno not in UNWRITABLE:
                raise
            raise ArtefactError(
                f"{error.filename or 'a file'}: {error.strerror}; make room there, make the folder writable, or name "
                "another one (trainer.default_root_dir for results, LIGHTNING_BASE_CACHE for the cache)"
            ) from error
        except Preempted as stop:
            if not from_python:
                raise
            raise Stopped("a signal stopped the training; the same call goes on from its checkpoint") from stop
        except SystemExit as stop:
            if isinstance(stop.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from stop
            raise ConfigError(ended(stop)) from stop


@contextmanager
def same_random_states() -> Iterator[None]:
    """Leaves the process's random states, and what else trainers set for all of it, as they were."""
    python, numbers, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    strict, fastest = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002
        torch.set_rng_state(tensors)
        torch.use_deterministic_algorithms(strict)
        torch.backends.cudnn.benchmark = fastest


def data_of(data: Any, x: Any = None, y: Any = None, groups: Any = None) -> MadeData:
    """What makes the data module: the function given, or one that holds what is in memory.

    Raises:
        ConfigError: for both, or for options without data.
    """
    if x is None:
        if isinstance(data, Mapping):
            raise ConfigError("data: options are given, and no x; give x, or a function that makes a data module")
        if y is not None or groups is not None:
            raise ConfigError(f"{'groups' if y is None else 'y'}: given without x; give the inputs as x")
        made: MadeData = data  # `objects_of` refuses what is no function
        return made
    if data is not None and not isinstance(data, Mapping):
        raise ConfigError("data: a function is given and x too; give one of them, or data=dict(…) with x's options")
    options = dict(data or {})
    known = [one.name for one in fields(Memory) if one.name not in ("x", "y", "groups")]
    if wrong := [str(key) for key in options if key not in known]:
        hint = suggest(wrong[0], known) or "; help(lightning_base.data.memory.Memory) lists them"
        raise ConfigError(f"data: no option {wrong[0]!r}{hint}")

    def memory() -> Memory:
        return Memory(x=x, y=y, groups=groups, **options)

    memory()  # what does not fit is told as that, not as a mistake of a function
    return memory


def opened(
    verb: str,
    config: Any,
    overrides: Mapping[str, Any],
    task: Any,
    data: MadeData,
    trainer: Any,
    name: str | None,
    seed: int | None = None,
    audit: str | None = None,
) -> Experiment:
    """The experiment of what a function was given.

    Raises:
        ConfigError: for a config and objects together, or too little.
    """
    _demand(overrides, seed, name)
    more: dict[str, Any] = {"name": name, "seed_everything": None if seed is None else int(seed), "audit": audit}
    more = {key: value for key, value in more.items() if value is not None} | dict(overrides)
    if isinstance(config, Experiment):
        return config.with_values(more) if more else config
    if config is not None:
        given = {"task": task, "data": data, "trainer": trainer or None}
        if both := [key for key, value in given.items() if value is not None]:
            raise ConfigError(f"{both[0]}: given beside a config, which names it; give overrides, or no config")
        return open_files(verb, as_paths(config), more)
    if data is None:
        raise ConfigError("nothing to run: give a config, or task=… with data=… or x=…, y=…")
    if task is None and verb not in ("prepare", "audit"):
        raise ConfigError("task: missing; give a function that makes it: task=lambda: Classification(Net())")
    for key in overrides:
        if key.partition(".")[0] in ("data", "model"):
            what = "data" if key.startswith("data") else "task"
            raise ConfigError(
                f"overrides: {key} is of a configuration; here a function makes the {what}: change {what}=…"
            )
    return open_objects(verb, task, data, trainer, name, int(seed or 0), audit or "warn", overrides)


def _demand(overrides: Any, seed: Any, name: Any) -> None:
    """Refuses arguments of other types than functions say.

    Raises:
        ConfigError: naming the argument.
    """
    if not isinstance(overrides, Mapping):
        raise ConfigError(f"overrides: a {type(overrides).__name__}; give a dictionary: {{'trainer.max_epochs': 3}}")
    for key in overrides:
        demand_key(key)
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32):
        raise ConfigError(f"seed: {seed!r} is no whole number from 0 to 2**32 - 1")
    if name is not None and not isinstance(name, str):
        raise ConfigError(f"name: {name!r} is not the plain name of a folder")


def demand_key(key: Any) -> None:
    """Refuses what is no key of a configuration among overrides: an argument of the function would do nothing there.

    Raises:
        ConfigError: naming it.
    """
    if not isinstance(key, str) or not key:
        raise ConfigError(f"overrides: {key!r} is no dotted key; give such as 'trainer.max_epochs'")
    if (head := key.partition(".")[0]) in ARGUMENTS:
        raise ConfigError(f"overrides: {head!r} is no key of a configuration but an argument; give {head}=…")
    if head in ("help", "print_config", "c"):
        raise ConfigError(f"overrides: {head!r} is no key of a configuration; leave it out")


def flags(**given: Any) -> None:
    """Refuses switches that are neither True nor False.

    Raises:
        ConfigError: naming the argument.
    """
    for key, value in given.items():
        if not isinstance(value, bool):
            raise ConfigError(f"{key}: {value!r:.60} is neither True nor False")


def chosen(folds: Any) -> list[int] | None:
    """The numbers of the folds asked for; None for all.

    Raises:
        ConfigError: where they are no list of whole numbers.
    """
    if folds is None:
        return None
    if isinstance(folds, str) or not isinstance(folds, Sequence | np.ndarray | range):
        raise ConfigError(f"folds: {folds!r} is no list of numbers; give such as [0, 2]")
    if wrong := [fold for fold in folds if isinstance(fold, bool) or not isinstance(fold, int | np.integer)]:
        raise ConfigError(f"folds: {wrong[0]!r} is no whole number; give such as [0, 2]")
    return [int(fold) for fold in folds]


def reopened(verb: str, run: Any, config: Any, overrides: Mapping[str, Any]) -> tuple[Experiment, Path | None]:
    """The experiment of a run, for one process, and the path of its checkpoint or directory.

    What is scored and predicted does not depend on the number of processes.

    Raises:
        UserError: where the configuration that belongs to it is not there.
    """
    _demand(overrides, None, None)
    experiment, path = _reopened(verb, run, config, overrides)
    alone = {"trainer.strategy": "auto", "trainer.devices": 1}
    return (experiment.with_(alone) if spawns(experiment) else experiment), path


def _reopened(verb: str, run: Any, config: Any, overrides: Mapping[str, Any]) -> tuple[Experiment, Path | None]:
    if isinstance(run, Trained):
        path: Path | None = run.directory
    else:
        path = as_path(run)
    if isinstance(config, Experiment):
        return config, path
    kept = run.experiment if isinstance(run, Trained) else None
    if config is None and kept is not None:
        # what is to be predicted may come from a data module that has learned to read it since; the network may not
        keys = ("task",) if verb == "predict" else ("task", "data")
        if kept.objects is not None and (key := changed(kept.objects, keys)):
            what = f"the function {key}, or a value that it takes with it, has changed since the run"
            wrong = "predict with another model" if verb == "predict" else "score other samples or another model"
            raise ArtefactError(f"{path}: {what}; {verb} would {wrong}; change it back, or train anew")
        experiment = replace(kept, pools=Pools())
        return (experiment.with_values(overrides) if overrides else experiment), path
    if config is None:
        if path is None:
            raise ConfigError(f"{verb}: no run; give a checkpoint, or the directory or result of a run")
        if not path.exists():
            raise ArtefactError(f"{path}: no such file or directory; name a run's, as runs/NAME/crossval")
        if path.is_dir() and not (path / "config.yaml").is_file():
            path = load_run(path).directory
        if (saved := saved_config(path.absolute())) is None:
            raise ConfigError(
                f"{path}: no config.yaml stands beside it; name the configuration that it was trained with (config)"
            )
        read_saved(saved)
        return open_files(verb, [saved], overrides), path
    return open_files(verb, as_paths(config), overrides), path


def as_paths(config: Any) -> list[Path]:
    """The configuration files, in order.

    Raises:
        ConfigError: for what is no path, or the path of no file.
    """
    given = list(config) if isinstance(config, list | tuple) else [config]
    if not given:
        raise ConfigError("config: an empty list; give the path of a YAML file")
    for one in given:
        if not isinstance(one, str | os.PathLike) or not str(one).strip():
            raise ConfigError(f"config: {one!r:.60} is no path of a YAML file")
        if Path(one).is_dir():
            raise ConfigError(f"config: {one} is a directory; give the path of a YAML file")
    return [Path(one) for one in given]


def as_path(path: Any, key: str = "run") -> Path | None:
    """The path, where there is one.

    Raises:
        ConfigError: for what is none.
    """
    return None if path is None else demand_path(path, key)


def as_given(found: pd.DataFrame, x: Any) -> pd.DataFrame:
    """Predictions, one row per row of what was given, with its index where it is a DataFrame."""
    return found.set_index(x.index) if isinstance(x, pd.DataFrame) else found


def spawns(experiment: Experiment) -> bool:
    """Whether a verb is to be run in processes of its own."""
    return bool(experiment.config.trainer.strategy == ddp_spawn.NAME)


def spawn(verb: str, experiment: Experiment, options: Mapping[str, Any]) -> None:
    """Runs a verb in processes of its own, by the command line.

    Raises:
        UserError: where one of them failed.
    """
    if experiment.objects is not None:
        demand_importable(experiment.objects.identity, f"trainer.strategy: {ddp_spawn.NAME}")
    with tempfile.TemporaryDirectory() as folder:
        experiment.save(Path(folder) / "config.yaml")
        given = {key: value for key, value in options.items() if value not in (None, False)}
        words = ["--config", str(Path(folder) / "config.yaml"), *as_words(given)]
        ddp_spawn.run([verb, *words], experiment.config.trainer)


def spawned_fit(experiment: Experiment, ckpt_path: Any) -> Fitted | None:
    """Trains fold 0 in processes of its own; the run that they have left."""
    home = experiment.root / "fit"
    spawn("fit", experiment, {"ckpt_path": ckpt_path and str(ckpt_path)})
    versions = sorted(home.glob("version_*/result.json"), key=lambda path: path.stat().st_mtime_ns)
    return Fitted(versions[-1].parent.absolute(), experiment) if versions else None
