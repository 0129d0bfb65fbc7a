"""Mistakes in a task or data of the user's own: one line, before anything is trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch.nn.functional as F
from sklearn.model_selection import KFold
from torch import Tensor
from torchmetrics import MetricCollection

import lightning_base as lb
from lightning_base.data import Batch, Samples, Targets
from lightning_base.errors import ConfigError, DataError, UserError
from lightning_base.tasks import BaseModule, Output
from lightning_base.tasks.regression import Regression
from models.linear import Linear
from tests.helpers import refused

QUICK: dict[str, Any] = {"max_epochs": 1, "accelerator": "cpu", "logger": False}
X = np.random.default_rng(0).normal(size=(24, 3))


class NoMetric(BaseModule):
    """A task that scores nothing."""

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.outputs(x)[:, 0]
        return found

    def step(self, batch: Batch) -> Output:
        found = self(batch.x)
        return Output(F.mse_loss(found, batch.y), found.detach(), batch.y)

    def metrics(self) -> MetricCollection:
        return MetricCollection({})


class EachSample(Regression):
    """A task whose loss is one of each sample."""

    def step(self, batch: Batch) -> Output:
        found = self(batch.x)
        return Output(F.mse_loss(found, batch.y, reduction="none"), found.detach(), batch.y)


class Tuple(Regression):
    """A task whose step gives no Output."""

    def step(self, batch: Batch) -> Output:
        return super().step(batch).loss  # type: ignore[return-value]


class NoStep(BaseModule):
    """A task without what every task must have."""


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (NoMetric, "NoMetric has no metrics"),
        (EachSample, r"`step` of EachSample gives a loss \(2,\); give Output"),
        (Tuple, "`step` of Tuple gives Tensor; give Output"),
    ],
)
def test_a_task_that_does_not_say_what_it_must_is_refused_before_training(
    task: type[BaseModule], said: str, work: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        lb.crossval(task=lambda: task(Linear(3, 1)), x=X, y=X[:, 0], trainer=QUICK, data={"split": KFold(2)}, name="t")
    assert not (work / "runs" / "t").exists()


def test_a_class_without_its_methods_is_told_which(capsys: pytest.CaptureFixture[str], work: Path) -> None:
    model = ["--model", "tests.verbs.test_own_tasks.NoStep", "--model.network", "models.linear.Linear"]
    data = ["--data", "datamodules.arrays.Arrays", "--data.source", "diabetes"]
    refused(capsys, ["crossval", *model, *data, "--name", "t"], "NoStep", "has no", "metrics", "step")


def test_a_kind_of_targets_that_is_none_names_those_there_are() -> None:
    with pytest.raises(DataError, match="'arrays' is no kind of them; give one of values, labels, array, sequence"):
        Targets(np.zeros((4, 2)), "arrays")  # type: ignore[arg-type]


def test_a_sample_table_without_ids_is_told() -> None:
    with pytest.raises(UserError, match="the sample table has no column `id`"):
        Samples(X, pd.DataFrame({"target": X[:, 0]}))
