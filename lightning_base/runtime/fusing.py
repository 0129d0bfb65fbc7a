"""Boxes of several detectors joined: weighted boxes fusion, as `lightning_base.tasks.detections.fuse` has it.

Source: Solovyev, Wang & Gabruseva 2021, Image and Vision Computing 107, section 3.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

TINY = float(np.finfo(np.float32).tiny)
Array = npt.NDArray[Any]


def fuse(members: Array, overlap: float = 0.55) -> Array:
    """One set of detections (k, 6) of an image from those of M detectors (M, k, 6).

    Args:
        members: rows (x1, y1, x2, y2, score, class number) by falling score; a score of 0 is padding.
        overlap: intersection over union above which two boxes are one object.
    """
    m, k, _ = members.shape
    boxes = members.reshape(m * k, 6).astype(np.float32)
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    boxes = boxes[boxes[:, 4] > 0]
    weighted, fused = np.zeros((len(boxes), 4), np.float32), np.zeros((len(boxes), 4), np.float32)
    score, size = np.zeros(len(boxes), np.float32), np.zeros(len(boxes), np.float32)
    label, n = np.full(len(boxes), -1, np.float32), 0
    for box in boxes:
        near = np.where(label[:n] == box[5], _iou(fused[:n], box[:4]), -1)
        at = int(near.argmax()) if n and near.max() > overlap else n
        n += at == n
        weighted[at] += box[4] * box[:4]
        score[at] += box[4]
        size[at] += 1
        label[at] = box[5]
        fused[at] = weighted[at] / max(float(score[at]), TINY)
    mean = score[:n] / np.maximum(size[:n], m)
    order = np.argsort(-mean, kind="stable")[:k]
    out = np.zeros((k, 6), np.float32)
    out[: len(order)] = np.concatenate([fused[order], mean[order, None], label[order, None]], axis=1)
    return out


def _iou(boxes: Array, one: Array) -> Array:
    """(n,): intersection over union of boxes (n, 4) and one (4,)."""
    low, high = np.maximum(boxes[:, :2], one[:2]), np.minimum(boxes[:, 2:], one[2:])
    both = np.clip(high - low, 0, None).prod(axis=1)
    areas = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) + np.clip(one[2:] - one[:2], 0, None).prod()
    found: Array = both / np.maximum(areas - both, TINY)
    return found
