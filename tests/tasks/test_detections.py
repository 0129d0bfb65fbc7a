"""Claims about detections of any detector: exact average precision, intervals over images, weighted boxes fusion."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.detection import MeanAveragePrecision

from lightning_base.errors import UserError
from lightning_base.samples.batch import Boxes
from lightning_base.tasks.detection import Detection
from lightning_base.tasks.detections import fuse
from lightning_base.tasks.given import demand_fits
from tests.support.coco import judge


def random_detections(rng: np.random.Generator, n: int, k: int, classes: int) -> tuple[Tensor, Boxes]:
    """Objects of all classes but the last, and detections near them, beside them and doubled; some images have none."""
    m = 6
    low = rng.integers(0, 60, (n, m, 2))
    boxes = np.concatenate([low, low + rng.integers(5, 40, (n, m, 2))], axis=2)
    labels = np.where(np.arange(m) < rng.integers(0, m + 1, (n, 1)), rng.integers(0, classes - 1, (n, m)), -1)
    near = rng.integers(0, m, (n, k))
    found = np.take_along_axis(boxes, near[..., None], axis=1) + rng.normal(0, 2.5, (n, k, 4))
    found[..., 2:] = np.maximum(found[..., 2:], found[..., :2] + 1)
    named = np.take_along_axis(labels, near, axis=1)
    named = np.where((rng.random((n, k)) < 0.2) | (named < 0), rng.integers(0, classes, (n, k)), named)
    score = -np.sort(-rng.random((n, k)), axis=1) * (np.arange(k) < rng.integers(0, k + 1, (n, 1)))
    preds = torch.tensor(np.concatenate([found, score[..., None], named[..., None]], axis=2)).float()
    padding = torch.tensor(labels < 0)[..., None]
    return preds, Boxes(torch.tensor(boxes).float().masked_fill(padding, 0), torch.tensor(labels))


def test_metrics_of_others_take_what_torchmetrics_detection_takes() -> None:
    """Its own map_50, over batches, is ours; a dictionary's number is named, and one that is not is refused."""
    preds, target = random_detections(np.random.default_rng(5), n=30, k=20, classes=4)
    given = {name: MeanAveragePrecision() for name in ("map_50", "map_75")}
    task = Detection(nn.Identity(), num_classes=4, metrics=dict(given), score="map_75")
    metric = task.all_metrics()
    for rows in torch.arange(30).split(7):
        metric.update(preds[rows], Boxes(*(part[rows] for part in target)))
    found = metric.compute()
    assert found["map_50"].item() == pytest.approx(found["map50"].item(), abs=1e-5)
    assert 0 < found["map_75"] < found["map50"]
    assert task.ordered(found)[:4] == ["map_75", "map_50", "map", "map50"]
    demand_fits(given, task.for_given, preds, target)
    with pytest.raises(UserError, match=r"some gives several numbers, map, map_50, .* name it"):
        demand_fits({"some": MeanAveragePrecision()}, task.for_given, preds, target)


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_pycocotools(seed: int) -> None:
    """With doubles, misses, images without objects or detections, a class without objects, one without detections."""
    preds, target = random_detections(np.random.default_rng(seed), n=30, k=20, classes=4)
    if seed == 3:  # class 1 is never detected
        preds = torch.where(preds[..., 5:] == 1, torch.tensor([0.0, 0, 0, 0, 0, 3]), preds)
        order = preds[..., 4:5].argsort(dim=1, descending=True, stable=True)
        preds = preds.gather(1, order.expand_as(preds))
    task = Detection(nn.Identity(), num_classes=4)
    metric, each = task.metrics(), task.details()
    for rows in torch.arange(30).split(7):
        for one in (metric, each):
            one.update(preds[rows], Boxes(*(part[rows] for part in target)))
    expected, found, by_class = judge(preds, target, 4), metric.compute(), each.compute()
    for name in ("map", "map50", "recall"):
        assert float(found[name]) == pytest.approx(expected[name], abs=1e-6), name
    for name in ("ap", "ap50", "recall"):
        np.testing.assert_allclose(by_class[name], expected[f"{name}_c"], atol=1e-6)
    assert math.isnan(by_class["ap"][3])
    assert 0.05 < float(found["map"]) < 0.9


def test_recalls_that_fall_on_a_reading_point_are_read_as_pycocotools_does() -> None:
    """With 20 objects every recall is one of the 101 at which precision is read, to the last digit or not."""
    boxes = torch.tensor([[10.0, 10, 30, 30]]).expand(20, 1, 4)
    target = Boxes(boxes, torch.zeros(20, 1, dtype=torch.int64))
    preds = torch.zeros(20, 2, 6)
    preds[:, 0, :4], preds[:, 1, :4] = boxes[:, 0], torch.tensor([50.0, 50, 60, 60])  # one finds it, one finds nothing
    preds[:, 0, 4] = torch.linspace(0.9, 0.5, 20)
    preds[:, 1, 4] = torch.linspace(0.89, 0.3, 20)
    expected, metrics = judge(preds, target, 1), Detection(nn.Identity(), num_classes=1).metrics()(preds, target)
    assert float(metrics["map"]) == pytest.approx(expected["map"], abs=1e-6)


def test_intervals_score_the_images_that_were_drawn() -> None:
    preds, target = random_detections(np.random.default_rng(5), n=12, k=10, classes=3)
    task = Detection(nn.Identity(), num_classes=3)
    rows = torch.tensor(np.random.default_rng(6).integers(0, 12, 12))
    drawn = task.scorer(preds, target)(rows)
    expected = judge(preds[rows], Boxes(*(part[rows] for part in target)), 3)
    for name, value in drawn.items():
        assert float(value) == pytest.approx(expected[name], abs=1e-6)


def test_fusion_keeps_what_all_members_agree_on_and_halves_what_one_alone_has() -> None:
    same, other = [10.0, 10, 30, 30, 0.8, 1], [40.0, 40, 60, 60, 0.6, 0]
    members = torch.zeros(2, 1, 3, 6)
    members[0, 0, :2], members[1, 0, 0] = torch.tensor([same, other]), torch.tensor(same)
    found = fuse(members)[0]
    torch.testing.assert_close(found[0], torch.tensor(same))
    torch.testing.assert_close(found[1], torch.tensor([*other[:4], 0.3, 0]))
    assert (found[2] == 0).all()
