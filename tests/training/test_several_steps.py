"""Several optimizer steps in one call of training_step give what one at a time gives, bit for bit."""

import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import lightning_base as lb
from lightning_base.errors import Stopped
from lightning_base.training.experiment import Experiment
from lightning_base.training.grouping import reasons, steps_per_call
from lightning_base.training.run import build
from lightning_base.verbs.opening import open_files
from tests.helpers import CONFIGS, checkpoint
from tests.support.resumed import same

CONFIG = CONFIGS / "digits_cnn.yaml"
SMALL = {
    "trainer.max_epochs": 3,
    "trainer.logger": False,
    "trainer.log_every_n_steps": 4,
    "model.network.widths": [8],
    "audit": "off",
}
CYCLE = {"model.scheduler": "lightning_base.tasks.schedules.OneCycle"}
COSINE = {"model.scheduler": {"class_path": "torch.optim.lr_scheduler.CosineAnnealingLR", "init_args": {"T_max": 3}}}
CLIP = {"trainer.gradient_clip_val": 0.5}
BY_VALUE = {"trainer.gradient_clip_val": 0.01, "trainer.gradient_clip_algorithm": "value"}

PARTS = {"model.freeze": ["stages"], "model.unfreeze": {1: ["stages"]}, **CYCLE}


def trained(name: str, steps: int | None, **more: Any) -> Path:
    """Fold 0 of digits, in its folder."""
    overrides = {**SMALL, "model.steps_per_execution": steps, **{key.replace("__", "."): v for key, v in more.items()}}
    lb.crossval(CONFIG, overrides=overrides, name=name, folds=[0])
    return Path("runs") / name / "crossval" / "fold_0"


def assert_equal(one: Path, other: Path) -> None:
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch"):
        assert same(checkpoint(one)[key], checkpoint(other)[key]), key
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
    predictions = [pd.read_parquet(folder / "predictions.parquet") for folder in (one, other)]
    assert predictions[0].equals(predictions[1])


@pytest.mark.parametrize(
    "options",
    [{}, {**CYCLE, **CLIP}, {**COSINE, **BY_VALUE}, {"data.drop_last": True, "model.l2": 0.01}, PARTS],
    ids=["plain", "step schedule and clipping", "epoch schedule and clipping", "penalty", "parts"],
)
def test_sixteen_at_once_are_sixteen_one_after_another(work: Path, options: dict[str, Any]) -> None:
    """With dropout and Adam; rows of the log, 4 steps apart, fall inside of calls."""
    one, many = trained("one", 1, **options), trained("many", 16, **options)
    assert_equal(one, many)
    assert "train_loss_step" in pd.read_csv(many / "metrics.csv").columns
    assert_equal(one, trained("five", 5, **options))


def test_they_are_taken_at_once_by_default_and_no_part_of_what_a_run_is(work: Path) -> None:
    experiment = opened({})
    run = build(experiment, 0, work / "x")
    assert steps_per_call(run) == 16
    whole = trained("run", None)
    shutil.copytree(whole, "kept")
    assert trained("run", 1) == whole  # the finished fold is kept
    assert_equal(whole, Path("kept"))


def opened(overrides: dict[str, Any]) -> Experiment:
    return open_files("crossval", [CONFIG], {**SMALL, **overrides})


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({"trainer.accumulate_grad_batches": 2}, "accumulate_grad_batches"),
        ({"trainer.max_steps": 7}, "max_steps"),
        ({"model.lr_scale": {"head": 2.0}}, "lr_scale"),
        ({"trainer.limit_train_batches": 3}, "limit_train_batches"),
        ({"trainer.val_check_interval": 0.5}, "val_check_interval"),
        ({"trainer.precision": "bf16-mixed"}, "precision"),
        ({"trainer.callbacks+": "lightning.pytorch.callbacks.EMAWeightAveraging"}, "EMAWeightAveraging"),
        ({"trainer.callbacks+": "tests.support.kills.Kill"}, "Kill"),
        (
            {
                "trainer.callbacks+": {
                    "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                    "init_args": {"every_n_train_steps": 3},
                }
            },
            "ModelCheckpoint",
        ),
        ({"model.optimizer": "torch.optim.LBFGS", "model.optimizer.lr": 0.1}, "LBFGS"),
    ],
)
def test_what_acts_at_each_step_has_them_taken_one_at_a_time(work: Path, overrides: dict[str, Any], why: str) -> None:
    run = build(opened(overrides), 0, work / "x")
    assert steps_per_call(run) == 1
    assert any(why in reason for reason in reasons(run))


def test_a_run_that_is_stopped_inside_an_epoch_goes_on_to_the_same_end(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that comes inside of a call is heeded at its end; the rest of the epoch is taken as it was begun."""
    options = {"trainer.max_epochs": 2, "data.batch_size": 32, **CYCLE}
    whole = trained("whole", 4, **options)
    monkeypatch.setenv("STOP_AT", "44")  # an epoch has 36 steps
    with pytest.raises(Stopped):
        trained("stopped", 4, **options, **{"model.network": STOPPING})
    kept = torch.load("runs/stopped/crossval/fold_0/checkpoints/step.ckpt", weights_only=True)
    assert kept["global_step"] == 44
    monkeypatch.delenv("STOP_AT")
    stopped = trained("stopped", 16, **options, **{"model.network": STOPPING})  # goes on by fours
    assert_equal(stopped, whole)


STOPPING = {"class_path": "tests.training.stopping.Stopping", "init_args": {"widths": [8]}}


def test_ends_of_epochs_are_kept_by_time_and_the_last_one_always(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_BASE_CHECKPOINT_SECONDS", "3600")
    written = trained("by_time", None)
    monkeypatch.setenv("LIGHTNING_BASE_CHECKPOINT_SECONDS", "0")
    assert_equal(written, trained("each", None))
    assert len(pd.read_csv(written / "metrics.csv")["epoch"].unique()) == 3
    monkeypatch.setenv("LIGHTNING_BASE_CHECKPOINT_SECONDS", "soon")
    with pytest.raises(lb.errors.ConfigError, match="'soon' is no number of seconds"):
        trained("wrong", None)
    assert "LIGHTNING_BASE_CHECKPOINT_SECONDS" in os.environ
