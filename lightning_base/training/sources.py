"""Which file a run's first weights come from: one that is named, a run's, or that of a fold of the same samples."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_base.data.trained import KEYS, TrainedOn
from lightning_base.errors import ArtefactError, CheckpointError, ConfigError, near_file, one_line
from lightning_base.finetune.given import KEY, InitFrom
from lightning_base.results.fold_result import RESULT, is_done, scored_checkpoint
from lightning_base.splitters.split import WHOLE, Split
from lightning_base.tools.checksums import file_sum
from lightning_base.tools.files import read_json
from lightning_base.training.checkpoint import damage, opened, told_sum

SAFE = ".safetensors"
BESIDE = "init_from.json"  # beside config.yaml: the hash of the weights that runs begin with


@dataclass(frozen=True)
class Trained:
    """What a file of weights says of its training.

    Attributes:
        on: the samples; None where it does not say.
        classes: their classes' names.
        coded: what its preprocessing numbers, in words: columns, categories, a vocabulary.
    """

    on: TrainedOn | None = None
    classes: tuple[str, ...] = ()
    coded: tuple[str, ...] = ()


def own_checkpoint(directory: Path) -> Path:
    """The checkpoint of a run whose weights were scored, as its result tells it.

    Raises:
        ArtefactError: where it is another file than the result was written with.
    """
    path = scored_checkpoint(directory)
    told = read_json(directory / RESULT).get("checkpoint_sum") if is_done(directory) else None
    if told and path.is_file() and told_sum(path) != told:
        raise ArtefactError(
            f"{path}: it is not the checkpoint that {RESULT} in {directory} was written with; put it back, or delete "
            f"{directory} and train it again"
        )
    return path


def folds_of(directory: Path) -> list[Path]:
    """The folders of a cross-validation's folds, in order; none where it is no cross-validation's."""
    found = [path for path in directory.glob("fold_*") if re.fullmatch(r"fold_\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("fold_")))


def source_of(given: InitFrom, split: Split | None, fold: int) -> Path:
    """The file that a fold's weights come from.

    Args:
        given: the configuration's.
        split: all folds, for a cross-validation whose fold is not said.
        fold: the run's, or WHOLE.

    Raises:
        UserError: where there is none, or the run that should have left it has not ended.
    """
    path = Path(given.path)
    folds = folds_of(path)
    if given.fold is not None and not folds:
        raise ConfigError(f"{KEY}.fold: {path} is no cross-validation's folder, and has no folds; leave it out")
    if path.is_file():
        return path
    if not path.is_dir():
        raise ConfigError(
            f"{KEY}: {path} is not there; put the weights there, name their file or a run's folder, or give null to "
            f"begin without{near_file(str(path))}"
        )
    if not folds:
        return _of_run(path)
    if given.fold is not None:
        if path / f"fold_{given.fold}" not in folds:
            raise ConfigError(f"{KEY}.fold: {path} has no fold {given.fold}; it has {', '.join(f.name for f in folds)}")
        return _of_run(path / f"fold_{given.fold}")
    if fold == WHOLE:
        if not is_done(path / "refit"):
            raise ConfigError(
                f"{KEY}: a refit begins with {path / 'refit'}, which is not there; run that cross-validation with "
                f"--refit true, or give {KEY}.fold"
            )
        return _of_run(path / "refit")
    own = path / f"fold_{fold}"
    if own in folds:
        checkpoint = _of_run(own)
        known = read_trained(checkpoint).on
        if known is not None and split is not None and known.fold_hash == split.fold_hash(fold):
            return checkpoint
    raise ConfigError(
        f"{KEY}: {path} has no fold that trained and held out the same samples as fold {fold} of this run, whose "
        f"data.split, seed or data is another; give it those, or say which fold in {KEY}.fold"
    )


def _of_run(directory: Path) -> Path:
    """The scored weights of a run's folder.

    Raises:
        UserError: where it has not ended, or is no run's folder.
    """
    if not is_done(directory):
        if (directory / "checkpoints").is_dir():
            raise ConfigError(f"{KEY}: {directory} has not ended (no {RESULT}); run its command again, which goes on")
        inside = sorted(path.name for path in directory.iterdir() if path.is_dir())
        there = f"it has {', '.join(inside[:5])}" if inside else "it is empty"
        raise ConfigError(
            f"{KEY}: {directory} is no run's folder; {there}; name a file of weights, or such as runs/NAME/crossval or "
            "runs/NAME/fit/version_0"
        )
    checkpoint = own_checkpoint(directory)
    if checkpoint.is_dir():
        raise ConfigError(f"{KEY}: {checkpoint} is sharded over processes; give weights in one file")
    if not checkpoint.is_file():
        raise ArtefactError(f"{KEY}: {checkpoint} is not there, though {directory} has ended; put it back")
    return checkpoint


def sums_of(given: InitFrom | None) -> str | None:
    """What tells the weights from others, wherever they stand: SHA-256 of the file, or over those of all folds.

    Raises:
        UserError: where they are not there.
    """
    if given is None:
        return None
    path = Path(given.path)
    folds = folds_of(path) if given.fold is None else []
    if not folds:
        return file_sum(source_of(given, None, 0))
    sums = {fold.name: file_sum(_of_run(fold)) for fold in folds if is_done(fold)}
    return hashlib.sha256(repr(sorted(sums.items())).encode()).hexdigest()


def read_trained(path: Path) -> Trained:
    """What a file says of its training; nothing where it is foreign.

    Raises:
        CheckpointError: for one of ours that is damaged, or does not say what it was trained on.
    """
    if path.suffix == SAFE:
        return Trained()
    try:
        content = opened(path)
    except Exception as error:  # torch raises many kinds for a broken file
        raise CheckpointError(f"{KEY}: {path} cannot be loaded: {one_line(error)[:200]}") from error
    state = next((one for one in content.values() if isinstance(one, Mapping) and {*KEYS} <= one.keys()), None)
    if state is None:
        return Trained()
    if why := damage(path):
        raise CheckpointError(f"{KEY}: {path} is damaged: {why}; give another checkpoint, or train it again")
    return Trained(TrainedOn.of(state), tuple(map(str, state.get("classes", ()))), coded(state.get("preprocess")))


def coded(state: Any) -> tuple[str, ...]:
    """The texts in a fitted preprocessing, in order: names of columns and categories, words, a tokenizer."""
    if isinstance(state, str):
        return (state,)
    if isinstance(state, Mapping):
        return tuple(text for key in sorted(state, key=str) for text in coded(state[key]))
    if isinstance(state, list | tuple):
        return tuple(text for one in state for text in coded(one))
    return ()
