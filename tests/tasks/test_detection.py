"""Claims about detection: boxes found and scored exactly, out of fold and by the ensemble of folds."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from lightning_base.samples.batch import Batch, Boxes
from lightning_base.tasks.detection import Detection
from models.centre import CentreNet
from tests.helpers import CONFIGS, crossval, read_json, refused, run_in
from tests.support.coco import judge

SIZE = 64
SMALL: tuple[object, ...] = (
    *("--config", CONFIGS / "bccd_centre.yaml", "--trainer.accelerator", "cpu", "--data.image_size", [SIZE, SIZE]),
    *("--data.split.n_splits", 2, "--model.network.num_outputs", 2, "--model.network.widths", [16, 32]),
    *("--model.network.head", 16, "--model.optimizer.lr", 0.01),
)


def draw(root: Path, n: int, seed: int) -> None:
    """COCO's layout: n images of grey noise, with up to four bright or dark rectangles each."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    images, things = [], []
    for i in range(n):
        pixels = rng.integers(110, 146, (SIZE, SIZE, 3), dtype=np.uint8)
        images.append({"id": i, "file_name": f"{i:03d}.png", "width": SIZE, "height": SIZE})
        for quarter in range(rng.integers(0, 5)):
            w, h = rng.integers(10, 25, 2)
            x = 32 * (quarter % 2) + rng.integers(0, 33 - w)
            y = 32 * (quarter // 2) + rng.integers(0, 33 - h)
            category = int(rng.integers(0, 2))
            pixels[y : y + h, x : x + w] = 40 if category else 220
            box = [int(x), int(y), int(w), int(h)]
            things.append({"id": len(things), "image_id": i, "category_id": category, "bbox": box, "iscrowd": 0})
        Image.fromarray(pixels).save(root / "images" / f"{i:03d}.png")
    categories = [{"id": i, "name": name} for i, name in enumerate(("bright", "dark"))]
    content = {"images": images, "annotations": things, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished cross-validation of two folds, and what its ensemble and its members make of the sealed images."""
    work = tmp_path_factory.mktemp("detection")
    draw(work / "drawn", 80, seed=0)
    options = (*SMALL, "--trainer.max_epochs", 14, "--model.scheduler.T_max", 14, "--data.root", work / "drawn")
    run_in(work, "crossval", *options)
    directory = crossval("bccd_centre", work)
    for path in (directory, *(directory / f"fold_{k}" / "checkpoints" / "last.ckpt" for k in range(2))):
        run_in(work, "test", "--ckpt_path", path)
    return directory


def tensors(table: pd.DataFrame, k: int = 100) -> tuple[Tensor, Boxes]:
    """Detections (N, k, 6) and the objects of a prediction table."""
    preds = torch.zeros(len(table), k, 6)
    width = max(1, *map(len, table["target_labels"]))
    boxes, labels = torch.zeros(len(table), width, 4), torch.full((len(table), width), -1)
    for i, line in enumerate(table.itertuples()):
        n, m = len(line.scores), len(line.target_labels)
        preds[i, :n, :4] = torch.tensor(np.array(list(line.boxes))).reshape(n, 4)
        preds[i, :n, 4], preds[i, :n, 5] = torch.tensor(line.scores), torch.tensor(line.labels).float()
        boxes[i, :m] = torch.tensor(np.array(list(line.target_boxes), dtype=np.float32)).reshape(m, 4)
        labels[i, :m] = torch.tensor(line.target_labels)
    return preds, Boxes(boxes, labels)


@pytest.mark.slow
def test_each_image_is_predicted_once_with_its_boxes(finished: Path) -> None:
    oof, split = pd.read_parquet(finished / "oof.parquet"), pd.read_parquet(finished / "split.parquet")
    assert read_json(finished / "summary.json")["every_sample_once_per_repeat"]
    held_out = split[split["role"] == "val"].set_index("id")["fold"]
    assert oof["id"].is_unique
    assert len(oof) == 64
    assert oof.set_index("id")["fold"].equals(held_out.reindex(oof["id"]))
    annotations = read_json(finished.parents[2] / "drawn" / "annotations.json")["annotations"]
    for line in oof.itertuples():
        boxes = np.array(list(line.boxes))
        assert len(boxes) == len(line.scores) == len(line.labels)
        assert boxes.min() >= 0
        assert boxes.max() <= SIZE
        assert (np.diff(line.scores) <= 0).all()
        assert set(line.labels) <= {0, 1}
        mine = [a for a in annotations if a["image_id"] == int(line.id[:3])]
        corners = [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in mine)]
        assert [list(box) for box in line.target_boxes] == corners
        assert list(line.target_labels) == [a["category_id"] for a in mine]


def test_reported_scores_are_those_pycocotools_computes_from_the_predictions(finished: Path) -> None:
    oof, summary = pd.read_parquet(finished / "oof.parquet"), read_json(finished / "summary.json")
    assert set(summary["metrics"]) == {"map", "map50", "recall"}
    each = []
    for fold, part in oof.groupby("fold"):
        expected = judge(*tensors(part), 2)
        for name in ("map", "map50", "recall"):
            assert summary["metrics"][name]["folds"][fold] == pytest.approx(expected[name], abs=1e-5), name
        each.append(expected)
    for name in ("ap", "ap50", "recall"):
        np.testing.assert_allclose(summary["details"][name], np.mean([e[f"{name}_c"] for e in each], axis=0), atol=1e-5)
    low, high = summary["metrics"]["map50"]["ci95_folds"]
    assert low < summary["metrics"]["map50"]["mean"] < high
    assert summary["metrics"]["map50"]["ci95"] == [None, None], "what one covers was not simulated"


def test_beside_them_stand_each_classes_median_boxes(finished: Path) -> None:
    oof, summary = pd.read_parquet(finished / "oof.parquet"), read_json(finished / "summary.json")
    assert summary["trivial"] == "each class's median box in the training part, in every image"
    expected = []
    for fold, part in oof.groupby("fold"):
        train = oof[oof["fold"] != fold]
        boxes = np.concatenate([np.stack(one) for one in train["target_boxes"] if len(one)])
        labels = np.concatenate(train["target_labels"].to_list())
        same = torch.zeros(len(part), 2, 6)
        for place, label in enumerate(np.argsort(-np.bincount(labels), kind="stable")):
            own = np.sort(boxes[labels == label], axis=0)
            same[:, place, :4] = torch.from_numpy(own[(len(own) - 1) // 2].astype(np.float32))
            same[:, place, 4], same[:, place, 5] = float((labels == label).mean()), float(label)
        expected.append(judge(same, tensors(part)[1], 2))
    for name in ("map", "map50", "recall"):
        trivial = summary["metrics"][name]["trivial"]
        assert trivial == pytest.approx(np.mean([one[name] for one in expected]), abs=1e-6)
        assert trivial < summary["metrics"][name]["mean"]
    assert summary["metrics"]["recall"]["trivial"] > 0


def test_a_small_network_learns_to_find_rectangles_in_seconds(finished: Path) -> None:
    assert read_json(finished / "summary.json")["metrics"]["map50"]["mean"] > 0.6


def slow_fusion(members: Sequence[pd.Series], overlap: float = 0.55) -> list[tuple[float, int, list[float]]]:
    """(score, label, box) of one image by weighted boxes fusion, as the paper lists its steps."""
    clusters: list[list[tuple[float, int, list[float]]]] = []

    def mean(cluster: list[tuple[float, int, list[float]]]) -> list[float]:
        total = sum(s for s, _, _ in cluster)
        return [sum(s * box[i] for s, _, box in cluster) / total for i in range(4)]

    def iou(a: list[float], b: list[float]) -> float:
        both = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
        return both / (sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - both)

    boxes = [
        (float(s), int(c), [float(v) for v in box])
        for one in members
        for box, s, c in zip(one["boxes"], one["scores"], one["labels"], strict=True)
    ]
    for found in sorted(boxes, key=lambda one: -one[0]):
        near = [iou(mean(cluster), found[2]) if cluster[0][1] == found[1] else -1.0 for cluster in clusters]
        if near and max(near) > overlap:
            clusters[int(np.argmax(near))].append(found)
        else:
            clusters.append([found])
    m = len(members)
    fused = [(sum(s for s, _, _ in c) / len(c) * min(m, len(c)) / m, c[0][1], mean(c)) for c in clusters]
    return sorted(fused, key=lambda one: -one[0])[:100]


def test_the_ensemble_of_folds_is_weighted_boxes_fusion_of_its_members(finished: Path) -> None:
    tables = [pd.read_parquet(finished / f"fold_{k}" / "test.parquet").set_index("id") for k in range(2)]
    ensemble = pd.read_parquet(finished / "test.parquet").set_index("id")
    assert len(ensemble) == 16
    for name, line in ensemble.iterrows():
        scores, labels, boxes = zip(*slow_fusion([table.loc[name] for table in tables]), strict=True)
        np.testing.assert_allclose(line["scores"], scores, atol=1e-5)
        best = np.array(scores) > 0.05  # below, scores are so near each other that rounding changes the order
        assert [*line["labels"][best]] == [*np.array(labels)[best]]
        np.testing.assert_allclose(np.array(list(line["boxes"]))[best], np.array(boxes)[best], atol=1e-2)
    test = read_json(finished / "test.json")
    assert test["members"] == 2
    expected = judge(*tensors(ensemble.reset_index()), 2)
    for name, metric in test["metrics"].items():
        assert metric["value"] == pytest.approx(expected[name], abs=1e-5), name
        assert metric["ci95_bootstrap"][0] <= metric["value"] <= metric["ci95_bootstrap"][1]
        members = [read_json(finished / f"fold_{k}" / "test.json")["metrics"][name]["value"] for k in range(2)]
        assert metric["value"] > np.mean(members) - 0.05, "the ensemble is no worse than its members"


def test_predict_gives_held_out_images_the_boxes_that_were_scored(finished: Path) -> None:
    work, fold = finished.parents[2], finished / "fold_0"
    arguments = ["--ckpt_path", fold / "checkpoints" / "last.ckpt", "--data.predict", work / "drawn" / "images"]
    run_in(work, "predict", *arguments)
    predicted = pd.read_parquet(fold / "predict.parquet").set_index("id")
    scored = pd.read_parquet(fold / "predictions.parquet").set_index("id")
    assert "target_boxes" not in predicted
    assert len(predicted) == 80
    for name, line in scored.iterrows():
        np.testing.assert_allclose(predicted.loc[name, "scores"], line["scores"], atol=1e-5)


def test_targets_drawn_as_maps_are_read_back_as_the_same_boxes() -> None:
    task = Detection(nn.Identity(), num_classes=3, top=8)
    corners = torch.tensor([[4.0, 6, 20, 30], [40, 33, 63.5, 64], [3, 41, 5, 44], [0, 0, 0, 0]])
    heat, cell, shape = task.encode(Boxes(corners[None], torch.tensor([[2, 0, 2, -1]])), 16, 24, 4)
    assert heat.shape == (1, 3, 16, 24)
    assert (heat == 1).sum() == 3
    assert heat[0, 1].max() == 0
    maps = torch.zeros(1, 7, 16, 24)
    maps[:, :3] = torch.logit(heat.clamp(1e-6, 1 - 1e-6))
    maps[0, 3:].reshape(4, -1)[:, cell[0, :3]] = shape[0, :, :3]
    found = task.decode(maps, 4)
    assert found.shape == (1, 8, 6)
    best = {tuple(row[:4].round(decimals=3).tolist()): int(row[5]) for row in found[0] if row[4] > 0.5}
    assert best == {tuple(box): label for box, label in zip(corners[:3].tolist(), (2, 0, 2), strict=True)}


def test_the_loss_is_the_papers_written_as_loops() -> None:
    torch.manual_seed(0)
    task = Detection(CentreNet(2, widths=(4,), head=4), num_classes=2, size_weight=0.5, offset_weight=2.0).eval()
    nn.init.normal_(task.network.head[-1].weight)
    boxes = torch.tensor([[[4.0, 4, 21, 17], [10, 12, 31, 30]], [[1, 2, 9, 12], [0, 0, 0, 0]]])
    labels = torch.tensor([[0, 1], [1, -1]])
    x = torch.randn(2, 3, 32, 40)
    loss = float(task.step(Batch(x, Boxes(boxes, labels), torch.arange(2))).loss.detach())
    maps = task.network(x).detach().double().numpy()
    total, real = 0.0, [(i, j) for i in range(2) for j in range(2) if labels[i, j] >= 0]
    for i, c, row, column in np.ndindex(2, 2, 8, 10):
        t = 0.0
        for x1, y1, x2, y2 in (boxes[k, j].tolist() for k, j in real if k == i and labels[k, j] == c):
            sx, sy = 0.54 * (x2 - x1) / 4 / 6, 0.54 * (y2 - y1) / 4 / 6
            dx, dy = column - (x1 + x2) // 8, row - (y1 + y2) // 8
            t = max(t, math.exp(-(dx**2) / (2 * sx**2) - dy**2 / (2 * sy**2)))
        p = 1 / (1 + math.exp(-maps[i, c, row, column]))
        total -= (1 - p) ** 2 * math.log(p) if t == 1 else (1 - t) ** 4 * p**2 * math.log(1 - p)
    for i, j in real:
        x1, y1, x2, y2 = boxes[i, j].tolist()
        row, column = int((y1 + y2) // 8), int((x1 + x2) // 8)
        dx, dy, w, h = maps[i, 2:, row, column]
        total += 2.0 * (abs(dx - ((x1 + x2) / 8 - column)) + abs(dy - ((y1 + y2) / 8 - row)))
        total += 0.5 * (abs(w - math.log((x2 - x1) / 4)) + abs(h - math.log((y2 - y1) / 4)))
    assert loss == pytest.approx(total / 3, rel=1e-4)


DIGITS = ("--config", CONFIGS / "digits_cnn.yaml")
WRONG: dict[str, tuple[tuple[object, ...], str]] = {
    "classes with the detection task": (
        (*DIGITS, "--model", "lightning_base.tasks.Detection"),
        "Detection does not fit the data, which has classes; take lightning_base.tasks.Classification",
    ),
    "boxes with the classification task": (
        (*SMALL, "--model", "lightning_base.tasks.Classification", "--model.network", "models.lenet.LeNet"),
        "Classification does not fit the data, which has boxes; take lightning_base.tasks.Detection",
    ),
    "a number of classes": ((*SMALL, "--model.network.num_outputs", 5), "2 classes need maps of 6 channels"),
    "a size": ((*SMALL, "--data.image_size", [64, 62]), "do not divide images of 64×62"),
    "no boxes to predict": ((*SMALL, "--model.top", 0), "model.top: 0 is below 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_misuse_is_named_before_anything_is_written(
    case: str, finished: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = WRONG[case]
    if arguments[1] != DIGITS[1]:
        arguments = (*arguments, "--data.root", finished.parents[2] / "drawn")
    refused(capsys, ["crossval", *arguments], message)
    assert not (work / "runs").exists()
