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
from lightning_base.samples.batch import Batch
from lightning_base.tasks import Classification
from lightning_base.tasks.predictor import Output
from lightning_base.training.experiment import Experiment
from lightning_base.training.grouping import bytes_of_batch, logs_itself, reasons, steps_per_call
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
LIGHTNING = "lightning.pytorch.callbacks"
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


class Logs(Classification):
    """Logs at each step."""

    def step(self, batch: Batch) -> Output:
        out = super().step(batch)
        if self.training:
            self.log("seen", float(len(batch.rows)))
        return out


def test_a_task_that_logs_at_each_step_has_them_taken_one_at_a_time() -> None:
    assert logs_itself(Logs) == "step"
    assert logs_itself(Classification) is None


def test_batches_that_take_much_room_are_not_held_together(work: Path) -> None:
    run = build(opened({}), 0, work / "x")
    sample = 4 * 8 * 8 + 3 * 8  # a float32 image; its row, key and target
    assert bytes_of_batch(run) == 64 * sample
    run.datamodule.batch_size = 2**26 // sample // 3
    assert steps_per_call(run) == 3
    run.datamodule.batch_size = 2**20
    assert steps_per_call(run) == 1


@pytest.mark.parametrize(
    "callback",
    [
        {"class_path": f"{LIGHTNING}.StochasticWeightAveraging", "init_args": {"swa_lrs": 0.01, "swa_epoch_start": 1}},
        {"class_path": f"{LIGHTNING}.GradientAccumulationScheduler", "init_args": {"scheduling": {1: 2}}},
        {"class_path": f"{LIGHTNING}.EarlyStopping", "init_args": {"monitor": "train_loss_step", "patience": 1}},
        {"class_path": f"{LIGHTNING}.LearningRateMonitor", "init_args": {"logging_interval": "step"}},
    ],
    ids=["swa", "accumulation by epoch", "follows a step's loss", "rate by step"],
)
def test_callbacks_find_what_they_find_one_at_a_time(work: Path, callback: dict[str, Any]) -> None:
    options = {"trainer.callbacks": [callback]}
    assert_equal(trained("one", 1, **options), trained("many", 16, **options))


def test_what_a_callback_changes_while_training_is_refused(work: Path) -> None:
    options = {"trainer.callbacks": ["tests.training.stopping.Accumulating"]}
    with pytest.raises(lb.errors.FoldsFailed, match=r"give model\.steps_per_execution: 1"):
        trained("x", 16, **options)
    trained("one", 1, **options)


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
    shutil.copytree("runs/stopped", "kept")
    stopped = trained("stopped", 16, **options, **{"model.network": STOPPING})  # goes on by fours
    assert_equal(stopped, whole)
    shutil.rmtree("runs/stopped")
    shutil.move("kept", "runs/stopped")
    assert_equal(trained("stopped", 1, **options, **{"model.network": STOPPING}), whole)  # goes on one by one


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
