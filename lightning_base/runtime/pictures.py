"""Pictures: an image's pixels in the form that a model was trained on: channels, size, scale."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from .pixels import Frame

Mode: TypeAlias = Literal["RGB", "L"]
Size: TypeAlias = tuple[int, int]  # height, width
Range: TypeAlias = tuple[float, float]
ROWS = 64  # of an image, whose float64 is held at once


@dataclass(frozen=True)
class PixelForm:
    """What pixels are to be.

    Args:
        mode: RGB (3 channels) or L (grey, 1 channel).
        size: height and width, bilinear; None leaves them.
        deep: float32, or else uint8.
        limits: of images beyond 8 bits, the values that become 0 and 1; None for what their type says.
        clip: what lies outside the limits is brought to them.
    """

    mode: Mode = "RGB"
    size: Size | None = None
    deep: bool = False
    limits: Range | None = None
    clip: bool = False

    @property
    def channels(self) -> int:
        """How many channels an image has."""
        return 3 if self.mode == "RGB" else 1


def to_pixels(frame: Frame, form: PixelForm) -> npt.NDArray[Any]:
    """(C, H, W) of a frame, in the form.

    Raises:
        ValueError: for values that are to be inverted, and nothing says about what.
    """
    if frame.image is not None:
        array: npt.NDArray[Any] = to_array(convert(frame.image, form.mode, form.size))
        return array / np.float32(255) if form.deep else array
    return np.repeat(values_of(frame, form)[None], form.channels, axis=0)


def values_of(frame: Frame, form: PixelForm) -> npt.NDArray[np.float32]:
    """(H, W) values, beyond 8 bits, on the stated scale and in the form's size."""
    return _resized(_scaled(frame, form), form.size)


def own_limits(frame: Frame) -> Range | None:
    """What black and white are by the type of the values."""
    return None if frame.low is None or frame.high is None else (frame.low, frame.high)


def _scaled(frame: Frame, form: PixelForm) -> npt.NDArray[np.float32]:
    """(H, W) values of a frame on the stated scale.

    Raises:
        ValueError: for values that are to be inverted, and nothing says about what.
    """
    values = np.asarray(frame.values)
    found = np.empty(values.shape, dtype=np.float32)
    for i in range(0, len(values), ROWS):
        found[i : i + ROWS] = _scaled_rows(values[i : i + ROWS], frame, form)
    return found


def _scaled_rows(values: npt.NDArray[Any], frame: Frame, form: PixelForm) -> npt.NDArray[np.float32]:
    """Some rows, computed in float64."""
    values, limits = values.astype(np.float64), form.limits or own_limits(frame)
    if limits is not None:
        values = (values - limits[0]) / (limits[1] - limits[0])
        values = np.clip(values, 0, 1) if form.clip else values
        values = 1 - values if frame.inverted else values
    elif frame.inverted:
        if frame.mirror is None:
            raise ValueError("its lowest value is white, and it has no range; give data.range: [low, high]")
        values = frame.mirror - values
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which cleaning finds
        return values.astype(np.float32)


def _resized(values: npt.NDArray[np.float32], size: Size | None) -> npt.NDArray[np.float32]:
    """(H, W) values, bilinear, in another size."""
    if size is None or values.shape == tuple(size):
        return values
    return np.asarray(Image.fromarray(values).resize(size[::-1], Image.Resampling.BILINEAR))


def convert(image: Image.Image, mode: Mode, size: Size | None) -> Image.Image:
    """An image of 8 bits in a mode and size; transparency is left out, not blended."""
    if image.mode in ("RGBa", "La"):  # colours that were multiplied by their opacity
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    converted = image.convert(mode)
    if size is not None and converted.size != size[::-1]:
        converted = converted.resize(size[::-1], Image.Resampling.BILINEAR)
    return converted


def to_array(image: Image.Image) -> npt.NDArray[np.uint8]:
    """(C, H, W) uint8 of an RGB or L image."""
    array = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))
