"""Detections: what object detectors give, fused over several detectors, and scored the way COCO does it.

Detections are one tensor (N, k, 6) float32: for each of N images k rows (x1, y1, x2, y2, score, class number) by
falling score, corners in pixels. A score of 0 marks padding.
"""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lightning_base.samples.batch import Boxes

OVERLAPS = tuple(0.5 + 0.05 * i for i in range(10))  # COCO's ten thresholds of intersection over union


def iou(a: Tensor, b: Tensor) -> Tensor:
    """(..., n, m): intersection over union of boxes (..., n, 4) and (..., m, 4); 0 where both are empty."""
    low = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    high = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    both = (high - low).clamp_min(0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1) for boxes in (a, b)]
    return both / (areas[0][..., :, None] + areas[1][..., None, :] - both).clamp_min(torch.finfo(a.dtype).tiny)


class Matches(NamedTuple):
    """Which detections found an object: all that average precision needs of N images, and each image's by itself.

    Attributes:
        scores: (N, k) float32, 0 for padding.
        labels: (N, k) int64 class numbers.
        hits: (N, k, 10) bool, one per threshold of COCO's.
        counts: (N, C) int64, the objects of each class.
    """

    scores: Tensor
    labels: Tensor
    hits: Tensor
    counts: Tensor

    def take(self, rows: Tensor) -> "Matches":
        """The matches of these images, which may be drawn more than once."""
        return Matches(*(part[rows] for part in self))


def match(preds: Tensor, target: Boxes, num_classes: int, chunk: int = 256) -> Matches:
    """Gives each detection, the best score first, the free object of its class that it overlaps most.

    A detection is a hit where that overlap reaches the threshold, and its object is then taken; as in COCO's
    evaluation (Lin et al. 2014), without its limits by area and crowds.

    Args:
        preds: detections (N, k, 6).
        target: the objects of N images.
        num_classes: C.
        chunk: how many images are matched at a time.
    """
    starts = range(0, max(len(preds), 1), chunk)  # a chunk even of no images
    parts = [_match(preds[i : i + chunk], Boxes(*(t[i : i + chunk] for t in target)), num_classes) for i in starts]
    return Matches(*map(torch.cat, zip(*parts, strict=True)))


def _match(preds: Tensor, target: Boxes, num_classes: int) -> Matches:
    n, k = preds.shape[:2]
    scores, labels = preds[..., 4], preds[..., 5].long()
    fits = (labels[:, :, None] == target.labels[:, None]) & (scores > 0)[:, :, None]
    overlaps = iou(preds[..., :4], target.boxes).masked_fill(~fits, -1)  # (N, k, M)
    limits = torch.tensor(OVERLAPS, device=preds.device)
    free = torch.ones(n, len(OVERLAPS), target.labels.shape[1], dtype=torch.bool, device=preds.device)
    hits = torch.zeros(n, k, len(OVERLAPS), dtype=torch.bool, device=preds.device)
    for i in range(k):
        best, at = overlaps[:, i, None].where(free, overlaps.new_tensor(-1)).max(dim=2, keepdim=True)  # (N, 10, 1)
        hit = best >= limits[:, None]
        free.scatter_(2, at, free.gather(2, at) & ~hit)
        hits[:, i] = hit[..., 0]
    classes = torch.arange(num_classes, device=preds.device)
    return Matches(scores, labels, hits, (target.labels[:, :, None] == classes).sum(dim=1))


def average_precision(matches: Matches) -> tuple[Tensor, Tensor]:
    """Average precision and final recall, each (C, 10) float64, of every class at every threshold; on the CPU.

    Precision is made non-increasing and read at 101 recalls from 0 to 1 (COCO's evaluation; interpolation: Everingham
    et al. 2010, section 4.2). NaN for a class without objects.
    """
    scores, labels, hits, counts = (part.cpu() for part in matches)
    total = counts.sum(dim=0)  # (C,)
    precisions = torch.full((len(total), len(OVERLAPS)), torch.nan, dtype=torch.float64)
    recalls = precisions.clone()
    recalls_read = torch.from_numpy(np.linspace(0, 1, 101))  # NumPy's, as COCO's: torch's differ in the last digit
    at = recalls_read.expand(len(OVERLAPS), -1).contiguous()
    for c in total.nonzero().flatten().tolist():
        mine = (labels == c) & (scores > 0)
        order = scores[mine].argsort(descending=True, stable=True)
        found = hits[mine][order].double().cumsum(dim=0)  # (n, 10)
        recall = found / total[c]
        precision = found / torch.arange(1, len(found) + 1, dtype=torch.float64)[:, None]
        precision = precision.flip(0).cummax(dim=0).values.flip(0) if len(found) else precision
        place = torch.searchsorted(recall.T.contiguous(), at)  # (10, 101): the first detection that reaches a recall
        padded = torch.cat([precision, torch.zeros(1, len(OVERLAPS), dtype=torch.float64)])  # recalls never reached
        precisions[c] = padded.T.gather(1, place).mean(dim=1)
        recalls[c] = recall[-1] if len(found) else 0.0
    return precisions, recalls


def by_class(matches: Matches) -> dict[str, Tensor]:
    """The scores that `AveragePrecision` names, of each class (C,) float64; NaN for a class without objects."""
    precision, recall = average_precision(matches)
    return {"map": precision.mean(dim=1), "map50": precision[:, 0], "recall": recall.mean(dim=1)}


class AveragePrecision(Metric):
    """How well detections (N, k, 6) find Boxes, as COCO's evaluation has it.

    Args:
        num_classes: C.
        score: "map", the mean average precision over overlaps of 0.5, 0.55, … 0.95; "map50", that at 0.5 alone; or
            "recall", the share of objects that any of the k detections finds, a mean over the ten overlaps.
        each: give the score of each class (C,) instead of their mean, which leaves out classes without objects.
    """

    full_state_update = False
    higher_is_better = True
    scores: list[Tensor]
    labels: list[Tensor]
    hits: list[Tensor]
    counts: list[Tensor]

    def __init__(self, num_classes: int, score: Literal["map", "map50", "recall"], each: bool = False) -> None:
        super().__init__()
        self.num_classes, self.score, self.each = num_classes, score, each
        for name in Matches._fields:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Boxes) -> None:
        """Adds a batch."""
        for name, value in match(preds, target, self.num_classes)._asdict().items():
            getattr(self, name).append(value)

    def compute(self) -> Tensor:
        """The score, float32."""
        matches = Matches(*(dim_zero_cat(getattr(self, name)) for name in Matches._fields))
        value = by_class(matches)[self.score].to(self.device, torch.float32)
        return value if self.each else value.nanmean()


def fuse(members: Tensor, overlap: float = 0.55, chunk: int = 256) -> Tensor:
    """One set of detections (N, k, 6) from those of M detectors (M, N, k, 6): weighted boxes fusion.

    Boxes come by falling score; each joins the cluster of its class whose box it overlaps most, if by more than
    `overlap`, else begins one. A cluster's box is the mean of its boxes weighted by their scores. Its score is their
    mean, times the share of detectors that found it where that are not all.

    Args:
        members: detections of the same images.
        overlap: intersection over union above which two boxes are one object.
        chunk: how many images are fused at a time.

    Source: Solovyev, Wang & Gabruseva 2021, Image and Vision Computing 107, section 3.
    """
    m, n, k, _ = members.shape
    boxes = members.transpose(0, 1).reshape(n, m * k, 6)
    return torch.cat([_fuse(boxes[start : start + chunk], m, k, overlap) for start in range(0, n, chunk)])


def _fuse(boxes: Tensor, m: int, k: int, overlap: float) -> Tensor:
    order = boxes[..., 4].argsort(dim=1, descending=True, stable=True)
    boxes = boxes.gather(1, order[..., None].expand_as(boxes))  # (N, m·k, 6)
    n, width = boxes.shape[:2]
    width = min(width, int((boxes[..., 4] > 0).sum(dim=1).max()))  # behind it all is padding
    images = torch.arange(n, device=boxes.device)
    weighted = boxes.new_zeros(n, width + 1, 4)  # sums of score · corners; the last cluster takes the padding
    score, size = boxes.new_zeros(n, width + 1), boxes.new_zeros(n, width + 1)
    label = boxes.new_full((n, width + 1), -1)
    fused = boxes.new_zeros(n, width + 1, 4)
    clusters = torch.zeros(n, dtype=torch.int64, device=boxes.device)  # how many each image has
    for box in boxes[:, :width].unbind(dim=1):  # (N, 6)
        near = iou(fused, box[:, None, :4])[..., 0].masked_fill(label != box[:, 5:], -1)  # (N, width + 1)
        best, at = near.max(dim=1)
        real, fresh = box[:, 4] > 0, best <= overlap
        at = torch.where(real, torch.where(fresh, clusters, at), width)
        clusters += real & fresh
        weighted[images, at] += box[:, 4:5] * box[:, :4]
        score[images, at] += box[:, 4]
        size[images, at] += 1
        label[images, at] = torch.where(real, box[:, 5], -1)
        fused[images, at] = weighted[images, at] / score[images, at].clamp_min(torch.finfo(box.dtype).tiny)[:, None]
    score[:, width:] = 0
    score = score / size.clamp_min(m)  # the mean of T scores, times min(T, m) / m
    best, at = score.topk(min(k, width), dim=1)
    taken = torch.cat([fused, score[..., None], label[..., None]], dim=2).gather(1, at[..., None].expand(-1, -1, 6))
    taken = torch.where(best[..., None] > 0, taken, 0)
    return torch.cat([taken, taken.new_zeros(n, k - taken.shape[1], 6)], dim=1)


def listed(preds: Tensor, target: Boxes) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """Detections (N, k, 6) and Boxes as torchmetrics.detection takes them: of each image boxes, scores and labels."""
    kept = [image[image[:, 4] > 0] for image in preds]
    found = [{"boxes": one[:, :4], "scores": one[:, 4], "labels": one[:, 5].long()} for one in kept]
    real = zip(target.boxes, target.labels, target.labels >= 0, strict=True)
    return found, [{"boxes": boxes[there], "labels": labels[there]} for boxes, labels, there in real]
