"""Several values per sample, by a task and data of a user's own."""

import numpy as np
import pytest
import torch.nn.functional as F

from lightning_base.results.summary import read_summary
from lightning_base.results.tables import read_table
from tests.any_task.journey import Journey, config
from tests.support.forks import Forks

NETWORK = {"class_path": "models.mlp.MLP", "init_args": {"num_inputs": 3, "num_outputs": 3, "hidden": [8]}}
MODEL = {"class_path": "tests.any_task.three_outputs.Measures", "init_args": {"network": NETWORK}}
DATA = {"class_path": "tests.any_task.three_outputs.Bodies", "init_args": {"batch_size": 2}}


@pytest.fixture(scope="module")
def journey(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    made = Journey(forks, config("three", MODEL, DATA, epochs=3), tmp_path_factory.mktemp("three"))
    made.cross_validates()
    return made


def test_the_scores_are_numpys_of_the_stored_predictions(journey: Journey) -> None:
    summary = read_summary(journey.directory())
    for fold in (0, 1):
        found = read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet")
        off = np.stack(list(found["pred"])) - np.stack(list(found["target"]))
        assert off.shape == (8, 3)
        assert summary.metrics["mae"].folds[fold] == pytest.approx(abs(off).mean(), rel=1e-5)


def test_the_ensemble_scores_the_sealed_samples(journey: Journey) -> None:
    assert len(journey.tests()) == 4
    assert np.stack(list(journey.predicts()["pred"])).shape == (20, 3)


def test_kills_change_nothing(journey: Journey) -> None:
    journey.survives_kills(step=5)


def test_two_processes_train_as_one(journey: Journey) -> None:
    journey.trains_in_two_processes(["pred"], atol=1e-3)


def test_the_weights_are_those_of_a_plain_loop(journey: Journey) -> None:
    journey.equals_a_plain_loop(lambda task, batch: F.huber_loss(task.network(batch.x), batch.y, delta=10.0))
