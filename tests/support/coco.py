"""The independent judge of detections: pycocotools' COCOeval."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from lightning_base.samples.batch import Boxes


def judge(preds: Tensor, target: Boxes, classes: int) -> dict[str, np.ndarray]:
    """What pycocotools gives for the same: of all classes, and of each (under names that end in _c)."""
    things: list[dict[str, object]] = []
    for i in range(len(preds)):
        for (x1, y1, x2, y2), c in zip(target.boxes[i].tolist(), target.labels[i].tolist(), strict=True):
            if c >= 0:
                area = (x2 - x1) * (y2 - y1)
                thing = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, "iscrowd": 0, "image_id": i}
                things.append({**thing, "id": len(things) + 1, "category_id": c + 1})
    found = [
        {"image_id": i, "category_id": int(c) + 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for i in range(len(preds))
        for x1, y1, x2, y2, score, c in preds[i].tolist()
        if score > 0
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        images, categories = [{"id": i} for i in range(len(preds))], [{"id": c + 1} for c in range(classes)]
        truth.dataset = {"info": {}, "images": images, "annotations": things, "categories": categories}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    # (10, 101, C) and (10, C), of objects of any size and 100 detections; -1 for a class without objects
    precision, recall = evaluation.eval["precision"][..., 0, 2], evaluation.eval["recall"][..., 0, 2]
    precision, recall = (np.where(a < 0, np.nan, a) for a in (precision, recall))
    return {
        "map": np.nanmean(precision),
        "map50": np.nanmean(precision[0]),
        "recall": np.nanmean(recall),
        "ap_c": precision.mean(axis=(0, 1)),
        "ap50_c": precision[0].mean(axis=0),
        "recall_c": recall.mean(axis=0),
    }
