"""Whether a checkpoint is one of a run like this: of its network, its kind of data, its fold; told in one line."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from lightning_base.data.trained import demand_fold
from lightning_base.errors import CheckpointError, one_line
from lightning_base.tasks.any_module import AnyModule
from lightning_base.tools.console import console
from lightning_base.tools.places import places
from lightning_base.training.checkpoint import damage, opened
from lightning_base.training.resume import SETTINGS, SIZES, STAMP
from lightning_base.training.run import Run
from lightning_base.training.settings import Use, differing, is_place


def demand_fitting(run: Run, path: Path, use: Use = "predict") -> None:
    """Refuses a checkpoint that this run cannot take, before anything is written.

    Args:
        run: as built.
        path: of the checkpoint.
        use: what for; one that is to go on training must not be damaged, and have its optimizer's state.

    Raises:
        CheckpointError: for a damaged or a foreign file, another network, other data, or one that has weights alone.
    """
    name = f"--ckpt_path: {path}"
    if use == "fit" and path.is_file() and (why := damage(path)):
        raise CheckpointError(f"{name}: the checkpoint is damaged: {why}; give an earlier one, or train again")
    try:
        content = opened(path)
    except Exception as error:  # torch raises many kinds for a broken file
        raise CheckpointError(f"{name} cannot be loaded as a checkpoint: {one_line(error)[:200]}") from error
    if path.is_dir():
        demand_settings(run, content, name, use)
        return  # of a sharded run: its strategy knows what is in it
    weights = content.get("state_dict")
    if not isinstance(weights, dict) or "pytorch-lightning_version" not in content:
        raise CheckpointError(f"{name} is no checkpoint of a run: it has no state_dict of Lightning's; name last.ckpt")
    strict = run.model.strict_loading and not (isinstance(run.model, AnyModule) and run.model.is_late)
    if (why := other_network(weights, run.model.state_dict(), strict)) is not None:
        raise CheckpointError(f"{name} is of another network, or of data of another shape: {why}")
    data = run.datamodule
    state = content.get(type(data).__qualname__)
    if not isinstance(state, dict) or not {"preprocess", "fold", "fold_hash"} <= state.keys():
        raise CheckpointError(f"{name} is of other data: it has no preprocessing of a {type(data).__name__}")
    demand_settings(run, content, name, use)
    if use == "fit":
        demand_resumable(run, content, name)
    if use == "fit" or (use == "test" and data.seals):  # else training samples may be among the sealed ones
        demand_fold(name, (state["fold_hash"], state["fold"]), data.folds, data.fold)


def sizes_in(path: Path) -> dict[str, int]:
    """The sizes of its networks that a checkpoint says; none where it says none, or is no checkpoint."""
    try:
        stamp = opened(path).get(STAMP)
    except Exception:  # whoever loads it says what is wrong with it
        return {}
    sizes = stamp.get(SIZES) if isinstance(stamp, Mapping) else None
    return {str(key): int(value) for key, value in sizes.items()} if isinstance(sizes, Mapping) else {}


def settings_of(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings that a checkpoint was trained with, as far as predictions depend on them; None where it has none."""
    stamp = content.get(STAMP)
    with suppress(ValueError, TypeError, RecursionError):
        found = json.loads(stamp[SETTINGS]) if isinstance(stamp, Mapping) and SETTINGS in stamp else None
        return found if isinstance(found, dict) else None
    return {}  # what cannot be read is not taken for settings like the run's


def demand_settings(run: Run, content: Mapping[str, Any], name: str, use: Use) -> None:
    """Refuses to score or predict by weights that were trained as another network, or on data read in another way.

    A training may go on with other settings. Of a data module that is not shipped it is not known which options name
    files: one that names another file now is told.

    Raises:
        CheckpointError: naming the first setting that differs.
    """
    was, now = settings_of(content), run.experiment.predicting
    if use == "fit" or was is None:
        return
    if not was:
        raise CheckpointError(f"{name} does not say what it was trained with; restore it, or train again")
    shipped = places(str(run.experiment.data_settings.get("class_path")))
    for key, before, here in differing(was, now, use):
        if key.startswith("data.") and not shipped and is_place(before, here):
            console().print(f"{key} was {before!r} in training, and is {here!r}", soft_wrap=True, markup=False)
            continue
        which = f"{key} {before!r}, and the configuration has {here!r}"
        if key.startswith("objects."):
            which = f"another function {key.split('.')[1]} than the run has"
        raise CheckpointError(
            f"{name} was trained with {which}: its weights would "
            "give other predictions than they were trained for; give the configuration that it was trained with, or "
            "train again"
        )


def demand_resumable(run: Run, content: Mapping[str, Any], name: str) -> None:
    """Refuses a checkpoint without the state of an optimizer like the run's; says whose learning rate goes on.

    Raises:
        CheckpointError: where it has none, or another's.
    """
    if not content.get("optimizer_states"):
        raise CheckpointError(f"{name} has weights alone: no training goes on from it; name a run's last.ckpt")
    made = run.model.configure_optimizers()
    optimizer = made["optimizer"] if isinstance(made, dict) else made
    if not isinstance(optimizer, torch.optim.Optimizer):
        return
    theirs, ours = (state["param_groups"][0] for state in (content["optimizer_states"][0], optimizer.state_dict()))
    if missing := sorted({*ours} - {*theirs} - {"initial_lr"}):  # schedulers add settings of their own
        kind = type(optimizer).__name__
        raise CheckpointError(f"{name} was trained by another optimizer than {kind}: it has no {missing[0]}")
    if not content.get("lr_schedulers") and theirs.get("lr") != ours.get("lr"):
        console().print(
            f"warning: training goes on with the checkpoint's learning rate {theirs['lr']:g}, not with "
            f"model.optimizer.lr {ours['lr']:g}",
            soft_wrap=True,
            markup=False,
        )


def other_network(theirs: Mapping[str, Any], ours: Mapping[str, Any], strict: bool = True) -> str | None:
    """The first difference in the names and shapes of two networks' weights, in words; None for none."""
    for name in dict.fromkeys([*ours, *theirs]) if strict else [name for name in ours if name in theirs]:
        there, here = theirs.get(name), ours.get(name)
        if here is None or there is None:
            return f"{name} is {'there' if here is None else 'here'} and not {'here' if here is None else 'there'}"
        lazy = isinstance(here, UninitializedParameter | UninitializedBuffer)
        if isinstance(here, Tensor) and isinstance(there, Tensor) and not lazy and here.shape != there.shape:
            return f"{name} is {tuple(there.shape)} there and {tuple(here.shape)} here"
    return None
