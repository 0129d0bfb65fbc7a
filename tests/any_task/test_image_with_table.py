"""Two inputs per sample, an image and a table's row, by data and a network of a user's own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.model_selection import KFold
from torch import Tensor

import lightning_base as lb
from lightning_base.augment import Of, Shrink
from lightning_base.data import Several
from lightning_base.data.trained import TrainedOn
from lightning_base.errors import DataError
from lightning_base.results.summary import read_summary
from lightning_base.results.tables import read_table
from lightning_base.tasks import Classification
from tests.any_task.image_with_table import Halves, TwoInputs
from tests.any_task.journey import Journey, config, first_run
from tests.support.forks import Forks

MODEL = {
    "class_path": "lightning_base.tasks.Classification",
    "init_args": {
        "network": {"class_path": "tests.any_task.image_with_table.TwoInputs"},
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
    },
}
FLIP: dict[str, Any] = {
    "class_path": "lightning_base.augment.Of",
    "init_args": {"name": "image", "op": {"class_path": "lightning_base.augment.Flip"}},
}
DATA = {"class_path": "tests.any_task.image_with_table.Halves", "init_args": {"batch_size": 20, "augment": [FLIP]}}


@pytest.fixture(scope="module")
def journey(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    made = Journey(forks, config("halves", MODEL, DATA, epochs=6), tmp_path_factory.mktemp("halves"))
    made.cross_validates()
    return made


def test_the_score_is_that_of_the_stored_predictions_and_far_above_chance(journey: Journey) -> None:
    summary = read_summary(journey.directory())
    for fold in (0, 1):
        found = read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet")
        prob = found.filter(like="prob_").to_numpy()
        right = float((prob.argmax(axis=1) == found["target"].to_numpy()).mean())
        assert summary.metrics["accuracy"].folds[fold] == pytest.approx(right, abs=1e-6)
        assert right > 0.6


def test_the_ensemble_scores_the_sealed_samples_and_predicts_new_ones(journey: Journey) -> None:
    assert journey.tests()["id"].nunique() == 80
    assert len(journey.predicts()) == 400


def test_kills_change_nothing(journey: Journey) -> None:
    journey.survives_kills(step=9)


def test_two_processes_train_as_one(journey: Journey) -> None:
    journey.trains_in_two_processes(["prob_0", "prob_9"])


def test_the_weights_are_those_of_a_plain_loop(journey: Journey) -> None:
    journey.equals_a_plain_loop(
        lambda task, batch: F.cross_entropy(task.network(image=batch.x["image"], table=batch.x["table"]), batch.y)
    )


def test_each_input_is_prepared_by_its_own_statistics_of_the_training_role(journey: Journey) -> None:
    _, data = first_run(journey)
    image, table = (Halves().dataset("pool").inputs[:][name] for name in ("image", "table"))
    ids = data.samples("pool").table["id"].astype(int).to_numpy()
    train = ids[data.rows("train")]
    batch = data.transform(data.loader("val").gather(data.rows("val")[:9]))
    held = ids[data.rows("val")[:9]]
    # as the training role has it, by NumPy
    mean, std = image[train].mean(), image[train].std()
    np.testing.assert_allclose(batch.x["image"].numpy(), (image[held] - mean) / std, atol=1e-5)
    numbers = table[:, :4]
    expected = (numbers[held] - numbers[train].mean(axis=0)) / numbers[train].std(axis=0)
    np.testing.assert_allclose(batch.x["table"][:, :4].numpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(batch.x["table"][:, 4:].numpy(), np.eye(2)[table[held, 4].astype(int)])


def test_an_augmentation_of_one_input_leaves_the_other(journey: Journey) -> None:
    _, data = first_run(journey)
    batch = next(iter(data.loader("train")))
    plain, other = data.transform(batch), data.transform(batch, 0)
    assert torch.equal(plain.x["table"], other.x["table"])
    image: Tensor = plain.x["image"]
    flipped = (image != other.x["image"]).flatten(1).any(dim=1)
    assert 0 < flipped.sum() < len(image)
    assert torch.equal(other.x["image"][flipped], image.flip(-1)[flipped])


def test_an_image_beside_a_table_is_smaller_in_its_share_of_the_training(work: Path) -> None:
    seen: list[tuple[bool, int, int]] = []

    class Watched(TwoInputs):
        def forward(self, image: Tensor, table: Tensor) -> Tensor:
            seen.append((self.training, *image.shape[-2:]))
            return super().forward(F.interpolate(image, (8, 4)), table)

    lb.crossval(
        task=lambda: Classification(Watched(), steps_per_execution=1),
        data=lambda: Halves(batch_size=50, augment=[Of("image", Shrink(3, until=0.4))], split=KFold(2)),
        trainer={"accelerator": "cpu", "max_epochs": 2},
        folds=[0],
        name="smaller",
    )
    sizes = [size for training, *size in seen if training]
    assert sizes == [[3, 3]] * 4 + [[8, 4]] * 4  # 8 steps, of which those before 0.4 · 8 are small


def test_predicting_with_another_shape_or_other_inputs_is_refused_by_name(journey: Journey) -> None:
    _, data = first_run(journey)
    data.setup("fit")
    held = TrainedOn.of(data.state_dict())
    pool = data.samples("pool")
    held.demand_shape(pool)
    inputs = pool.inputs
    assert isinstance(inputs, Several)
    wide = np.zeros((len(pool), 1, 8, 5), dtype=np.uint8)
    with pytest.raises(DataError, match="image of shape 1 × 8 × 5, where the model was trained on 1 × 8 × 4"):
        held.demand_shape(replace(pool, inputs=Several({**inputs.parts, "image": wide})))
    with pytest.raises(DataError, match="samples have the inputs image, where the model was trained on image, table"):
        held.demand_shape(replace(pool, inputs=Several({"image": inputs.parts["image"]})))
    with pytest.raises(DataError, match="samples have one input, where the model was trained on several inputs"):
        held.demand_shape(pool.parts["image"])


@pytest.mark.parametrize("verb", ["audit", "doctor", "prepare"])
def test_the_other_verbs_know_several_inputs(journey: Journey, verb: str) -> None:
    assert journey.run(verb, home=verb) == [0], journey.log(verb)
    said = journey.log(verb)
    if verb == "audit":
        assert "target in a column in table" in said
        assert "moved copies of images in image" in said
    elif verb == "prepare":
        assert "table: 5 columns are inputs: 6 numbers a sample" in said
    else:
        assert "training batch" in said


def test_pictures_and_labels_are_audited(journey: Journey) -> None:
    picture = journey.folder / "show.png"
    assert journey.run("audit", "--show", picture, "--labels", journey.directory()) == [0], journey.log()
    assert picture.is_file()
    assert (journey.directory() / "label_issues.png").is_file()
    table = read_table(journey.directory() / "label_issues.parquet")
    assert sorted(table["id"]) == sorted(read_table(journey.directory() / "oof.parquet")["id"])
