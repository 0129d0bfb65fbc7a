"""RandAugment: a few ops of random kind but common strength on each image (Cubuk et al. 2020)."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from lightning_base.augment.affine import How, centred, warp
from lightning_base.augment.arrays import moved
from lightning_base.augment.base import Augmentation, Context, only, rounded
from lightning_base.augment.boxes import affine
from lightning_base.augment.colour import brightened, contrasted, saturated
from lightning_base.augment.draw import Draw
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch

LARGEST = 30.0  # the magnitude at which each op is at its strongest
OPS = (
    "identity",
    "autocontrast",
    "equalize",
    "rotate",
    "solarize",
    "color",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


def moves(kind: Tensor, signed: Tensor, height: int, width: int) -> Tensor:
    """(B, 2, 3) from old to new pixel coordinates of the ops that move pixels; the identity for other kinds.

    Args:
        kind: (B,) int64, each sample's place in OPS.
        signed: (B,) the magnitude as a share of the largest, negative for the other direction.
        height: of the image.
        width: of the image.
    """
    angle, shear_x, shear_y, shift_x, shift_y = (signed * (kind == OPS.index(name)) for name in MOVES)
    angle = angle * (30 * math.pi / 180)
    one = torch.ones_like(signed)
    zero = torch.zeros_like(signed)
    cosine, sine = angle.cos(), angle.sin()  # of at most one op is anything but the identity, so the parts add up
    linear = centred(cosine, sine + 0.3 * shear_x, 0.3 * shear_y - sine, cosine, height, width)
    right, down = ((shift * (150 / 331 * size)).round() for shift, size in ((shift_x, width), (shift_y, height)))
    return linear + affine(one, zero, right, zero, one, down) - affine(one, zero, zero, zero, one, zero)


def recoloured(x: Tensor, change: Callable[[Tensor, Tensor], Tensor], factor: Tensor) -> Tensor:
    """uint8 images after a change made in float32."""
    return rounded(change(x.float(), factor), x)


def kernel(name: str, magnitude: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The op of that name, that does not move pixels, on uint8 images and their signed shares (n,)."""
    # Imported here: it takes as long as torch itself, and only this op needs it.
    from torchvision.transforms.v2 import functional

    def sharpness(x: Tensor, signed: Tensor) -> Tensor:
        out = x
        for sign in (-1, 1):
            sharp = partial(functional.adjust_sharpness, sharpness_factor=1 + sign * 0.9 * magnitude / LARGEST)
            out = only(signed * sign > 0, out, lambda x, index, sharp=sharp: sharp(x))  # type: ignore[misc]
        return out

    kernels: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "autocontrast": lambda x, signed: functional.autocontrast(x),
        "equalize": lambda x, signed: functional.equalize(x),
        "solarize": lambda x, signed: functional.solarize(x, 255 * (1 - magnitude / LARGEST)),
        "posterize": lambda x, signed: functional.posterize(x, 8 - round(4 * magnitude / LARGEST)),
        "color": lambda x, signed: recoloured(x, saturated, 1 + 0.9 * signed),
        "contrast": lambda x, signed: recoloured(x, contrasted, 1 + 0.9 * signed),
        "brightness": lambda x, signed: recoloured(x, brightened, 1 + 0.9 * signed),
        "sharpness": sharpness,
    }
    return kernels[name]


class RandAugment(Augmentation):
    """Applies ops of random kind to each uint8 image, one after the other (Cubuk et al. 2020).

    The kinds are identity, autocontrast, equalize, rotate, solarize, color, posterize, contrast, brightness,
    sharpness, and shear and translate along each axis; strengths are as in torchvision. Images stay uint8.

    Args:
        num_ops: how many ops each image gets; a kind may come twice.
        magnitude: their strength, from 0 to 30.
        p: the share of samples it is applied to.
    """

    def __init__(self, num_ops: int = 2, magnitude: float = 9.0, p: float = 1.0) -> None:
        super().__init__(p)
        self.num_ops, self.magnitude = num_ops, magnitude
        self.check("num_ops", num_ops, num_ops >= 1, "1 or more")
        self.check("magnitude", magnitude, 0 <= magnitude <= LARGEST, "from 0 to 30")

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the chosen images changed, and their boxes moved along."""
        self.need(batch, "B, C, H, W")
        if batch.x.dtype != torch.uint8 or batch.x.shape[1] not in (1, 3):
            raise ConfigError(
                f"RandAugment needs uint8 images of 1 or 3 channels, but these are {batch.x.dtype} of "
                f"{batch.x.shape[1]}: list it before ops that give float32, such as ColorJitter, and "
                "leave it out where images have more than 8 bits"
            )
        chosen = draw.chosen(self.p)
        for _ in range(self.num_ops):
            kind = draw.integers(len(OPS))[:, 0] * chosen  # the first kind is the identity
            signed = (draw.integers(2)[:, 0] * 2 - 1) * (self.magnitude / LARGEST)
            batch = self.once(batch, kind, signed)
        return batch

    def once(self, batch: Batch, kind: Tensor, signed: Tensor) -> Batch:
        """The batch after one op on each image: its kind, a place in OPS, and its signed share of LARGEST, (B,)."""
        height, width = batch.x.shape[-2:]
        moving = torch.isin(kind, torch.tensor([OPS.index(name) for name in MOVES], device=kind.device))
        matrix = moves(kind, signed, height, width)
        x = only(moving, batch.x, lambda x, index: warp(x, matrix[index]))
        for place, name in enumerate(OPS):
            if place and name not in MOVES:
                change = kernel(name, self.magnitude)
                index = (kind == place).nonzero()[:, 0]
                if len(index):
                    x = x.index_copy(0, index, change(x[index], signed[index]))

        def turned(y: Tensor) -> Tensor:
            how: How = "bilinear" if y.is_floating_point() else "nearest"
            return only(moving, y, lambda part, index: warp(part, matrix[index], how=how))

        return batch._replace(x=x, y=moved(batch.y, batch.x, matrix, moving, turned))
