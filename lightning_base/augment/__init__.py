"""Batched augmentation on the batch's device, a function of each sample, the seed and the epoch alone."""

from lightning_base.augment.affine import RandomResizedCrop, Rotate, Scale
from lightning_base.augment.audio import AddNoise, Gain, SpecAugment, TimeShift
from lightning_base.augment.base import Augmentation, Context, augment
from lightning_base.augment.colour import ColorJitter
from lightning_base.augment.draw import Draw
from lightning_base.augment.mix import CutMix, MixUp
from lightning_base.augment.noise import GaussianBlur, GaussianNoise
from lightning_base.augment.occlude import Cutout, Erase
from lightning_base.augment.of import Of
from lightning_base.augment.randaugment import RandAugment
from lightning_base.augment.shift import Crop, Flip, Translate
from lightning_base.augment.size import Shrink
from lightning_base.augment.table import SwapNoise, TableNoise
from lightning_base.augment.text import TokenDropout, TokenSwap

__all__ = [
    "AddNoise",
    "Augmentation",
    "ColorJitter",
    "Context",
    "Crop",
    "CutMix",
    "Cutout",
    "Draw",
    "Erase",
    "Flip",
    "Gain",
    "GaussianBlur",
    "GaussianNoise",
    "MixUp",
    "Of",
    "RandAugment",
    "RandomResizedCrop",
    "Rotate",
    "Scale",
    "Shrink",
    "SpecAugment",
    "SwapNoise",
    "TableNoise",
    "TimeShift",
    "TokenDropout",
    "TokenSwap",
    "Translate",
    "augment",
]
