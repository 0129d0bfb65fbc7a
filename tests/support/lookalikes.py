"""Samples that are nearly the same: images compressed again, and texts."""

import io

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from lightning_base.samples.payload import Ragged
from lightning_base.samples.samples import Feature, Samples

Pixels = npt.NDArray[np.uint8]


def encoded(image: Pixels, quality: int) -> Pixels:
    """The image as a JPEG of this quality shows it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def image_samples(pixels: Pixels, prefix: str = "") -> Samples:
    """Samples of (N, H, W, C) pixels, with ids by number."""
    table = pd.DataFrame({"id": [f"{prefix}{i:03d}" for i in range(len(pixels))]})
    return Samples(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), table)


def text_samples(lines: list[str], prefix: str = "") -> Samples:
    """Samples of texts, with ids by number."""
    words = sorted({word for line in lines for word in line.split()})
    codes = [np.array([words.index(word) for word in line.split()], dtype=np.int32) for line in lines]
    table = pd.DataFrame({"id": [f"{prefix}{i:03d}" for i in range(len(lines))]})
    return Samples(Ragged.of(codes, np.zeros(0, np.int32)), table, features=(Feature("text", tuple(words)),))
