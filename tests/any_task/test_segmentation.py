"""A mask per image, by a task and data of a user's own."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from lightning_base.errors import ArtefactError
from lightning_base.results.summary import read_summary
from lightning_base.results.tables import read_table
from tests.any_task.journey import Journey, config, first_run
from tests.any_task.segmentation import Ink
from tests.support.forks import Forks

NETWORK = {
    "class_path": "torch.nn.Conv2d",
    "init_args": {"in_channels": 1, "out_channels": 1, "kernel_size": 3, "padding": 1},
}
MODEL = {
    "class_path": "tests.any_task.segmentation.Segmentation",
    "init_args": {"network": NETWORK, "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1}}},
}
FLIP = {"class_path": "lightning_base.augment.Flip"}
DATA = {"class_path": "tests.any_task.segmentation.Ink", "init_args": {"batch_size": 20, "augment": [FLIP]}}


@pytest.fixture(scope="module")
def journey(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    made = Journey(forks, config("masks", MODEL, DATA, epochs=6), tmp_path_factory.mktemp("masks"))
    made.cross_validates()
    return made


def stacked(table: pd.DataFrame, column: str) -> npt.NDArray[np.floating]:
    return np.stack(list(table[column]))


def test_the_scores_are_numpys_of_the_stored_masks(journey: Journey) -> None:
    summary = read_summary(journey.directory())
    for fold in (0, 1):
        found = read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet")
        y, p = stacked(found, "target") == 1, stacked(found, "pred") > 0.5
        assert y.shape == p.shape == (160, 8, 8)
        iou, accuracy = (summary.metrics[name].folds[fold] for name in ("iou", "accuracy"))
        assert iou == pytest.approx((y & p).sum() / (y | p).sum(), abs=1e-6)
        assert accuracy == pytest.approx((y == p).mean(), abs=1e-6)
        assert iou > 0.9  # a mask that is a threshold is learnt


def test_the_masks_are_arrays_beside_the_table_that_a_change_in_them_is_told_of(journey: Journey) -> None:
    path = journey.directory() / "fold_0" / "predictions.parquet"
    ids = pd.read_parquet(path)["id"]
    file = path.with_name("predictions.target.npy")
    own = Ink().dataset("pool")
    assert own.targets is not None
    order = own.table.set_index("id").index.get_indexer(pd.Index(ids))
    np.testing.assert_array_equal(np.load(file), np.asarray(own.targets.payload)[order])
    kept = file.read_bytes()
    try:
        changed = np.load(file)
        changed[0, 0, 0] = 1 - changed[0, 0, 0]
        np.save(file, changed)
        with pytest.raises(ArtefactError, match=r"predictions\.target\.npy"):
            read_table(path)
    finally:
        file.write_bytes(kept)


def test_the_ensemble_is_the_mean_of_the_folds_masks(journey: Journey) -> None:
    found = journey.tests()
    assert found["id"].nunique() == 80
    assert stacked(found, "pred").shape == (80, 8, 8)


def test_predict_gives_masks_of_the_same_ids(journey: Journey) -> None:
    found = journey.predicts()
    assert found["id"].tolist() == [f"{i:04d}" for i in range(400)]
    assert stacked(found, "pred").shape == (400, 8, 8)


def test_kills_change_nothing(journey: Journey) -> None:
    journey.survives_kills(step=9)


def test_two_processes_train_as_one(journey: Journey) -> None:
    journey.trains_in_two_processes(["pred"])


def test_the_weights_are_those_of_a_plain_loop(journey: Journey) -> None:
    journey.equals_a_plain_loop(
        lambda task, batch: F.binary_cross_entropy_with_logits(task.network(batch.x)[:, 0], batch.y.float())
    )


def test_masks_move_with_their_images_in_a_training_batch(journey: Journey) -> None:
    """What is an ink mask stays one of the image that it belongs to, whether that was flipped or not."""
    _, data = first_run(journey)
    moved = 0
    loader = data.loader("train")
    for batch in loader:
        plain, other = data.transform(batch), data.transform(batch, 0)
        ink = (batch.x[:, 0] > 8).long()
        assert torch.equal(plain.y.long(), ink)
        flipped = (plain.x != other.x).flatten(1).any(dim=1)
        moved += int(flipped.sum())
        assert torch.equal(other.y.long(), torch.where(flipped[:, None, None], ink.flip(-1), ink))
    assert 40 < moved < 120  # half of 160
