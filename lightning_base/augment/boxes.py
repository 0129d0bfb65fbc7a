"""How the boxes of detection move with their images."""

import torch
from torch import Tensor

from lightning_base.samples.batch import Boxes

LEAST_LEFT = 0.2  # a box of which less than this share stays inside the image is given up


def affine(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor, f: Tensor) -> Tensor:
    """(B, 2, 3) of the rows (a, b, c) and (d, e, f), each (B,): x' = a·x + b·y + c, y' = d·x + e·y + f."""
    return torch.stack([a, b, c, d, e, f], dim=-1).reshape(-1, 2, 3)


def move(boxes: Boxes, matrix: Tensor, chosen: Tensor, height: int, width: int) -> Boxes:
    """The boxes after each chosen sample's pixels moved by its matrix.

    A box becomes the rectangle around its moved corners, clipped to the image. Where under a fifth of that
    rectangle's area is inside, or nothing, the box becomes padding.

    Args:
        boxes: of B samples.
        matrix: (B, 2, 3) from old to new pixel coordinates, in which pixel i covers [i, i + 1).
        chosen: (B,) bool; the boxes of others are not touched.
        height: of the image, in pixels.
        width: of the image, in pixels.
    """
    x = boxes.boxes[..., [0, 2, 0, 2]]  # (B, M, 4), the corners
    y = boxes.boxes[..., [1, 1, 3, 3]]
    a, b, c, d, e, f = matrix.flatten(1).unbind(1)
    new_x = a[:, None, None] * x + b[:, None, None] * y + c[:, None, None]
    new_y = d[:, None, None] * x + e[:, None, None] * y + f[:, None, None]
    low_x, high_x, low_y, high_y = new_x.amin(2), new_x.amax(2), new_y.amin(2), new_y.amax(2)  # (B, M)
    area = (high_x - low_x) * (high_y - low_y)
    low_x, high_x = low_x.clamp(0, width), high_x.clamp(0, width)
    low_y, high_y = low_y.clamp(0, height), high_y.clamp(0, height)
    left = (high_x - low_x) * (high_y - low_y)
    keep = (boxes.labels >= 0) & (left > 0) & (left >= LEAST_LEFT * area)
    moved = torch.stack([low_x, low_y, high_x, high_y], dim=-1) * keep[..., None]
    return Boxes(
        torch.where(chosen[:, None, None], moved, boxes.boxes),
        torch.where(chosen[:, None], boxes.labels.masked_fill(~keep, -1), boxes.labels),
    )
