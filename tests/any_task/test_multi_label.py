"""Several labels per sample, by a task and data of a user's own."""

from pathlib import Path

import numpy as np
import pytest
import torch.nn.functional as F
from sklearn.metrics import average_precision_score

from lightning_base.results.summary import read_summary
from lightning_base.results.tables import read_table
from tests.any_task.journey import Journey, config
from tests.support.forks import Forks

NETWORK = {"class_path": "models.mlp.MLP", "init_args": {"num_inputs": 64, "num_outputs": 3, "hidden": [16]}}
MODEL = {"class_path": "tests.any_task.multi_label.Tagging", "init_args": {"network": NETWORK}}
DATA = {"class_path": "tests.any_task.multi_label.Properties", "init_args": {"batch_size": 20}}


@pytest.fixture(scope="module")
def journey(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    made = Journey(forks, config("labels", MODEL, DATA, epochs=4), tmp_path_factory.mktemp("labels"))
    made.cross_validates()
    return made


def stacked(table: "object", column: str) -> np.ndarray:  # type: ignore[type-arg]
    return np.stack(list(table[column]))  # type: ignore[index]


def test_the_scores_are_scikit_learns_of_the_stored_predictions(journey: Journey) -> None:
    summary = read_summary(journey.directory())
    for fold in (0, 1):
        found = read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet")
        y, p = stacked(found, "target"), stacked(found, "pred")
        assert y.shape == p.shape == (160, 3)
        assert summary.metrics["match"].folds[fold] == pytest.approx(((p > 0.5) == y).all(axis=1).mean(), abs=1e-6)
        assert summary.metrics["ap"].folds[fold] == pytest.approx(average_precision_score(y, p), abs=1e-5)


def test_the_ensemble_is_the_mean_of_the_folds_probabilities(journey: Journey) -> None:
    assert journey.tests()["id"].nunique() == 80
    found = stacked(journey.predicts(), "pred")
    members = []
    for fold in (0, 1):
        home = journey.directory() / f"fold_{fold}"
        assert journey.run("predict", "--ckpt_path", home / "checkpoints" / "last.ckpt") == [0]
        members.append(stacked(read_table(home / "predict.parquet"), "pred"))
    assert found.shape == (30, 3)
    np.testing.assert_allclose(found, np.mean(members, axis=0), rtol=0, atol=1e-6)


def test_kills_change_nothing(journey: Journey) -> None:
    journey.survives_kills(step=9)


def test_two_processes_train_as_one(journey: Journey) -> None:
    journey.trains_in_two_processes(["pred"])


def test_the_weights_are_those_of_a_plain_loop(journey: Journey, tmp_path: Path) -> None:
    journey.equals_a_plain_loop(lambda task, batch: F.binary_cross_entropy_with_logits(task.network(batch.x), batch.y))
