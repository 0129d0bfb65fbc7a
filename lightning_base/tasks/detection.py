"""Detection: trains any network that gives dense maps to find objects as points."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch, Boxes
from lightning_base.samples.nested import Nested
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.columns import objects
from lightning_base.tasks.detections import AveragePrecision, by_class, fuse, listed, match
from lightning_base.tasks.given import Change
from lightning_base.tasks.predictor import Output, Scorer
from lightning_base.tasks.settings import demand_weight

SPREAD = 0.54 / 6  # of a target's Gaussian, in widths of its box: Liu et al. 2020 (TTFNet), section 3.2
MOST_CELLS = 8.0  # logarithm of the widest box in cells, so that an untrained network gives no infinity


class Detection(BaseModule):
    """Objects as points (Zhou, Wang & Krähenbühl 2019): a box is the peak of its class's heat map at its centre.

    The network gives maps (B, C + 4, h, w) of h × w cells: a logit per class, then the centre's offset within its cell
    (x, y) and the logarithm of the box's width and height, all in cells. Targets are drawn on the device: a Gaussian at
    each centre, as wide and as high as the box asks (Liu et al. 2020, TTFNet). The loss is the penalty-reduced focal
    loss (Law & Deng 2018, equation 1; α = 2, β = 4) and L1 of offset and size at the centres, a mean over objects; the
    papers take sizes themselves, not their logarithms. Peaks are cells not below their eight neighbours; there is no
    other suppression of doubles.

    Predictions are the best `top` boxes per image, as tasks/detections.py has them; those of several networks are
    joined by weighted boxes fusion. Metrics: map (mean average precision over overlaps of 0.5 … 0.95), map50, recall
    (COCO's average recall); a class's in the reports. Metrics of others that are given take what torchmetrics.detection
    takes, corners in pixels; one of a dictionary is named: `metrics: {map_75: {class_path: …MeanAveragePrecision}}`.

    Args:
        network: gives maps (B, C + 4, H / stride, W / stride) for images (B, ., H, W).
        num_classes: C; by default what the data has.
        top: number of boxes predicted an image; COCO's evaluation takes 100.
        size_weight: of the size's loss.
        offset_weight: of the offset's loss.
        **kwargs: optimizer, scheduler, penalties and the other arguments of BaseModule.

    Raises:
        UserError: where the data has no boxes, or the maps do not fit its classes and images.
    """

    takes = ("boxes",)

    def __init__(
        self,
        network: nn.Module,
        num_classes: int | None = None,
        top: int = 100,
        size_weight: float = 1.0,
        offset_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, **kwargs)
        if top < 1:
            raise ConfigError(f"model.top: {top} is below 1; give a number of boxes, e.g. 100")
        for key, weight in (("size_weight", size_weight), ("offset_weight", offset_weight)):
            demand_weight(f"model.{key}", weight)
        self.classes = tuple(map(str, range(num_classes or 0)))
        self.top, self.size_weight, self.offset_weight = top, size_weight, offset_weight

    @classmethod
    def num_outputs(cls, key: str, data: BaseDataModule, options: Mapping[str, Any]) -> int | None:
        """The classes; what else a network's maps have is its own matter."""
        return len(data.classes) or None

    def use(self, data: BaseDataModule) -> None:
        """Takes the class names."""
        if self.classes and len(self.classes) != len(data.classes):
            raise ConfigError(
                f"model.num_classes: {len(self.classes)}, but the data has {len(data.classes)} classes; "
                "leave it out or give their number"
            )
        self.classes = data.classes

    def maps(self, x: Tensor) -> tuple[Tensor, int]:
        """The network's maps (B, C + 4, h, w) float32, and the pixels of a cell's side.

        Raises:
            ValueError: where they have another number of channels, or a cell is no square of whole pixels.
        """
        maps: Tensor = self.network(self.inputs(x)).float()
        c, (height, width) = len(self.classes) + 4, x.shape[-2:]
        if maps.ndim != 4 or maps.shape[1] != c:
            raise ValueError(
                f"it gives {tuple(maps.shape)}; {c - 4} classes need maps of {c} channels, one per class and 4"
            )
        stride = height // maps.shape[2]
        if (maps.shape[2] * stride, maps.shape[3] * stride) != (height, width):
            raise ValueError(
                f"its maps of {maps.shape[2]}×{maps.shape[3]} do not divide images of {height}×{width}; set "
                "data.image_size to multiples of its stride"
            )
        return maps, stride

    def forward(self, x: Tensor) -> Tensor:
        """Detections (B, top, 6) float32: see lightning_base.tasks.detections."""
        return self.decode(*self.maps(x))

    def decode(self, maps: Tensor, stride: int) -> Tensor:
        """Detections (B, top, 6) of maps (B, C + 4, h, w): the best local maxima over all classes."""
        heat, shape = maps[:, :-4].sigmoid(), maps[:, -4:].flatten(2)  # (B, C, h, w), (B, 4, h·w)
        b, c, h, w = heat.shape
        peaks = heat * (F.max_pool2d(heat, 3, stride=1, padding=1) == heat)
        score, index = peaks.flatten(1).topk(min(self.top, c * h * w), dim=1)  # (B, top)
        cell = index % (h * w)
        dx, dy, log_width, log_height = shape.gather(2, cell[:, None].expand(-1, 4, -1)).unbind(1)
        x, y = (cell % w + dx) * stride, (cell // w + dy) * stride
        half = [stride / 2 * side.clamp(max=MOST_CELLS).exp() for side in (log_width, log_height)]
        corners = [(x - half[0], w), (y - half[1], h), (x + half[0], w), (y + half[1], h)]
        found = torch.stack(
            [*(value.clamp(0, cells * stride) for value, cells in corners), score, (index // (h * w)).to(score.dtype)],
            2,
        )
        found = torch.where(score[..., None] == 0, 0, found)  # where it is NaN, that is shown
        return torch.cat([found, found.new_zeros(b, self.top - found.shape[1], 6)], dim=1)

    def encode(self, boxes: Boxes, h: int, w: int, stride: int) -> tuple[Tensor, Tensor, Tensor]:
        """What the maps should be: heat (B, C, h, w), cells of the centres (B, M), and there (B, 4, M) offset and size.

        Two objects of one class whose centres share a cell are one peak.
        """
        cells = boxes.boxes / stride
        size = (cells[..., 2:] - cells[..., :2]).clamp_min(torch.finfo(cells.dtype).eps)  # (B, M, 2)
        centre = (cells[..., :2] + cells[..., 2:]) / 2
        at = torch.minimum(centre.floor().clamp_min(0), centre.new_tensor([w - 1, h - 1]))
        sigma = (SPREAD * size).clamp_min(0.1)
        axes = [torch.arange(n, device=cells.device) for n in (w, h)]
        gx, gy = (
            torch.exp(-((axis - at[..., i : i + 1]) ** 2) / (2 * sigma[..., i : i + 1] ** 2))  # (B, M, w or h)
            for i, axis in enumerate(axes)
        )
        real = boxes.labels >= 0
        spots = gy[..., :, None] * gx[..., None, :] * real[..., None, None]  # (B, M, h, w)
        heat = spots.new_zeros(len(spots), len(self.classes), h, w)
        heat.scatter_reduce_(1, boxes.labels.clamp_min(0)[..., None, None].expand_as(spots), spots, "amax")
        shape = torch.cat([centre - at, size.log()], dim=2).transpose(1, 2)
        return heat, (at[..., 1] * w + at[..., 0]).long(), shape

    def step(self, batch: Batch) -> Output:
        """Focal and L1 loss () over the objects; detections (B, top, 6); the boxes; the number of objects ()."""
        assert isinstance(batch.y, Boxes)
        maps, stride = self.maps(batch.x)
        heat, cell, shape = self.encode(batch.y, maps.shape[2], maps.shape[3], stride)
        real = (batch.y.labels >= 0)[:, None]  # (B, 1, M)
        found = real.sum()
        n = found.clamp_min(1)
        logits = maps[:, :-4]
        p = logits.sigmoid()
        centre = -((1 - p) ** 2) * F.logsigmoid(logits)
        other = -((1 - heat) ** 4) * p**2 * F.logsigmoid(-logits)
        given = maps[:, -4:].flatten(2).gather(2, cell[:, None].expand(-1, 4, -1))  # (B, 4, M)
        off = ((given - shape).abs() * real).sum(dim=(0, 2)) / n  # (4,)
        loss = torch.where(heat == 1, centre, other).sum() / n
        loss = loss + self.offset_weight * off[:2].sum() + self.size_weight * off[2:].sum()
        return Output(loss, self.decode(maps.detach(), stride), batch.y, found)

    @property
    def for_given(self) -> Change:
        """Metrics of others take lists of dictionaries, as torchmetrics.detection has them."""
        return listed

    def metrics(self) -> MetricCollection:
        """map, map50 and recall, over detections (N, top, 6) and Boxes."""
        c = len(self.classes)
        return MetricCollection(
            {
                "map": AveragePrecision(c, "map"),
                "map50": AveragePrecision(c, "map50"),
                "recall": AveragePrecision(c, "recall"),
            },
            compute_groups=[["map", "map50", "recall"]],  # boxes are matched once for the three
        )

    def details(self) -> MetricCollection:
        """Average precision, that at an overlap of 0.5, and recall of each class (C,)."""
        c = len(self.classes)
        return MetricCollection(
            {
                "ap": AveragePrecision(c, "map", each=True),
                "ap50": AveragePrecision(c, "map50", each=True),
                "recall": AveragePrecision(c, "recall", each=True),
            }
        )

    def scorer(self, preds: Nested, target: Nested) -> Scorer:
        """The metrics of rows (n,) of these detections; they are matched to objects once, whatever is drawn."""
        matches = match(preds, target, len(self.classes))
        return lambda rows: {name: each.nanmean() for name, each in by_class(matches.take(rows)).items()}

    def trivial(self, train: Nested, n: int) -> tuple[Nested, str]:
        """Each class's median box, scored by the class's share of the boxes, in every image."""
        one = torch.zeros(self.top, 6)
        labels, boxes = train.labels[train.labels >= 0], train.boxes[train.labels >= 0].float()
        share = torch.bincount(labels, minlength=len(self.classes)) / max(len(labels), 1)
        for place, label in enumerate(share.argsort(descending=True, stable=True)[: self.top].tolist()):
            if share[label]:
                middle = boxes[labels == label].median(dim=0).values
                one[place] = torch.cat([middle, share[label, None], torch.tensor([float(label)])])
        return one.expand(n, -1, -1).clone(), "each class's median box in the training part, in every image"

    def combine(self, members: Nested) -> Tensor:
        """The detections (N, top, 6) of several networks' (M, N, top, 6), by weighted boxes fusion."""
        return fuse(members)

    def columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`boxes` (x1, y1, x2, y2 in pixels), `scores` and `labels`: lists, by falling score, without padding."""
        columns: dict[str, npt.NDArray[Any]] = {}
        kept = [image[image[:, 4] > 0].numpy() for image in preds]
        for name, values in (
            ("boxes", [list(image[:, :4]) for image in kept]),
            ("scores", [image[:, 4] for image in kept]),
            ("labels", [image[:, 5].astype(np.int64) for image in kept]),
        ):
            columns[name] = objects(values)
        return columns

    def answer_columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`boxes`, `scores` and `labels`, these by the classes' names."""
        columns = self.columns(preds)
        names = np.array(self.classes, dtype=object)
        return columns | {"labels": objects(names[found] for found in columns["labels"])}

    def target_columns(self, target: Nested) -> dict[str, npt.NDArray[Any]]:
        """`target_boxes` and `target_labels`: lists, without padding."""
        real = target.labels >= 0  # (N, M)
        boxes = [list(one[mask].numpy()) for one, mask in zip(target.boxes, real, strict=True)]
        labels = [one[mask].numpy() for one, mask in zip(target.labels, real, strict=True)]
        return {"target_boxes": objects(boxes), "target_labels": objects(labels)}
