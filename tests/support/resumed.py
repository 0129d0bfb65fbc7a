"""The run that tests of resuming kill and resume, and what it must come to: the same, bit for bit."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tests.helpers import CONFIGS, checkpoint, read_json
from tests.support.forks import Forks

TIMED = ("--trainer.callbacks+", "lightning_base.training.resume.TimedCheckpoint")
KILL = ("--trainer.callbacks+", "tests.support.kills.Kill")
BASE = (
    *("crossval", "--config", CONFIGS / "digits_cnn.yaml", "--folds", "[0]", "--audit", "off"),
    *("--trainer.logger", "false", "--trainer.max_epochs", 3, "--model.network.widths", "[8]"),
    *("--data.augment+", "lightning_base.augment.Crop", "--data.augment.padding", 1),
    *("--data.augment+", "lightning_base.augment.MixUp"),
)  # the configuration has dropout and Adam; an epoch has 18 batches
COSINE = ("--model.scheduler", "torch.optim.lr_scheduler.CosineAnnealingLR", "--model.scheduler.T_max", 3)
WATCHED = (
    *("--trainer.callbacks+", "lightning.pytorch.callbacks.ModelCheckpoint", "--trainer.callbacks.monitor", "val_loss"),
    *("--trainer.callbacks+", "lightning.pytorch.callbacks.EarlyStopping", "--trainer.callbacks.monitor", "val_loss"),
)
WHOLE = (*BASE, *COSINE, *WATCHED, *TIMED, "--trainer.callbacks.every_n_steps", 5, *KILL)
FOLD = Path("runs") / "digits_cnn" / "crossval" / "fold_0"
LAST = FOLD / "checkpoints" / "last.ckpt"
MOMENTS = ("batch", "backward", "stepped", "validation", "half", "whole", "renamed")


def undisturbed(forks: Forks, directory: Path) -> Path:
    """The directory, in which the run has come to its end."""
    assert forks(directory, *WHOLE) == [0], (directory / "log").read_text()
    return directory


def draw_kills(rng: np.random.Generator) -> list[str]:
    """Five kills, "step:moment", in the order in which they can happen; the last one in the run's last steps."""
    # four of them advance the run by twenty steps at most, so that it has not ended when the last one comes
    kills = [f"{step}:{rng.choice(MOMENTS)}" for step in np.sort(rng.integers(0, 34, size=4))]
    return [*kills, str(rng.choice(["52:whole", "52:renamed", "54:predict", "54:validation"]))]


def kill_and_resume(forks: Forks, directory: Path, kills: Sequence[str]) -> None:
    """Runs until each of the kills, and then to the end."""
    for kill in kills:
        assert forks(directory, *WHOLE, KILL=f"0:{kill}") == [-9], kill
    assert not (directory / FOLD / "result.json").exists()
    undisturbed(forks, directory)


def same(value: object, other: object) -> bool:
    """Whether two contents of checkpoints are equal, bit for bit."""
    if isinstance(value, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(value, other)
    if isinstance(value, dict):
        return isinstance(other, dict) and value.keys() == other.keys() and all(same(value[k], other[k]) for k in value)
    if isinstance(value, list | tuple):
        return len(value) == len(other) and all(map(same, value, other))
    return value == other


def assert_identical(directory: Path, whole: Path) -> None:
    """The same weights, optimizer, schedule, predictions, scores, log and files."""
    one, other = (checkpoint(d / FOLD) for d in (directory, whole))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch"):
        assert same(one[key], other[key]), key
    assert (directory / FOLD / "metrics.csv").read_text() == (whole / FOLD / "metrics.csv").read_text()
    for name in ("predictions.parquet", "checkpoints"):
        one_path, other_path = directory / FOLD / name, whole / FOLD / name
        if one_path.is_dir():
            assert {p.name for p in one_path.iterdir()} == {p.name for p in other_path.iterdir()}
        else:
            assert one_path.read_bytes() == other_path.read_bytes()
    results = [read_json(d / FOLD / "result.json") for d in (directory, whole)]
    for result in results:
        del result["seconds"], result["resumed"], result["checkpoint_sum"]  # a checkpoint has times in it
    assert results[0] == results[1]
