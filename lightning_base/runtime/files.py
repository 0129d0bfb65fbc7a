"""Readers of images and sounds; the libraries that decode them are imported with this file."""

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .readers import in_base64

IMAGES = "an image (JPEG, PNG, WebP, GIF, TIFF, BMP, PPM)"
SOUNDS = "a sound (WAV, FLAC, Ogg, MP3, AIFF)"
MOST_VALUES = 30_000_000  # of a sound that a model takes whole: 31 minutes at 16 kHz, 120 MB
MOST_PIXELS = 40_000_000  # of an image that is given to a server: 120 MB in colours


class Picture(NamedTuple):
    """An image as samples are.

    Attributes:
        pixels: (C, H, W).
        white: what white is in it: 255, 1 where the file had more than 8 bits, 0 for values in units of their own.
        size: height and width of the image that was given, upright.
    """

    pixels: npt.NDArray[Any]
    white: float
    size: tuple[int, int]


@dataclass(frozen=True)
class ImageReader:
    """An image in the form that a model was trained on.

    Args:
        mode: RGB or L.
        size: height and width.
        deep: whether the pixels that it was trained on were float32, or else uint8.
        limits, clip: as `PixelForm` has them.
        exact: whether images of another size are refused, or else resized.
    """

    mode: Any
    size: tuple[int, int]
    deep: bool = False
    limits: tuple[float, float] | None = None
    clip: bool = False
    exact: bool = False
    kind: ClassVar[str] = "image"

    def read(self, given: Any, field: str) -> Picture:
        """The image in base64."""
        return self.read_file(in_base64(given, field, IMAGES), field)

    def read_file(self, content: bytes, field: str) -> Picture:
        """The image of a file's content; of several images in it the first.

        Raises:
            InputError: for what is no image, is damaged, has too many pixels by its header, or another size than is
                wanted exactly.
        """
        from .formats import open_image
        from .pictures import PixelForm, own_limits, to_pixels
        from .pixels import opened_frames

        try:
            with open_image(BytesIO(content)) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise InputError(field, f"has {width}×{height} pixels, where {MOST_PIXELS} are the most")
                frame = next(opened_frames(image, [0]))
            if self.exact and frame.size != self.size:
                (height, width), (high, wide) = frame.size, self.size
                raise InputError(
                    field,
                    f"has {width}×{height} pixels, where the model was trained on {wide}×{high}; give it so, or train "
                    "with data.image_size, which resizes",
                )
            scaled = frame.image is None and (self.limits or own_limits(frame)) is not None
            deep = self.deep or frame.image is None
            pixels = to_pixels(frame, PixelForm(self.mode, self.size, deep, self.limits, self.clip))
        except InputError:
            raise
        except Exception as error:  # Pillow's decoders raise a dozen types on damaged files
            raise InputError(field, f"is no image that can be read; give {IMAGES}") from error
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise InputError(field, "has values that are not finite")
        white = (1.0 if deep else 255.0) if frame.image is not None or scaled else 0.0
        return Picture(pixels, white, frame.size)

    def schema(self) -> dict[str, Any]:
        """A string in base64."""
        return {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/*", "minLength": 1}


@dataclass(frozen=True)
class SoundReader:
    """A sound of one channel and sample rate, (T,) float32 in int16's scale.

    Args:
        rate: values per second.
        longest: values that the model takes at most; what follows is not decoded.
    """

    rate: int
    longest: int | None = None
    kind: ClassVar[str] = "sound"

    def read(self, given: Any, field: str) -> npt.NDArray[np.float32]:
        """The sound in base64."""
        return self.read_file(in_base64(given, field, SOUNDS), field)

    def read_file(self, content: bytes, field: str) -> npt.NDArray[np.float32]:
        """The sound of a file's content, its channels averaged, resampled where its rate is another.

        Raises:
            InputError: for what is no sound, is damaged, or is not as long as its header says.
        """
        from .waves import read_header, read_waves

        held = os.memfd_create("sound")  # libsndfile reads files; this one is in memory
        try:
            with open(held, "wb", closefd=False) as file:
                file.write(content)
            path = Path(f"/proc/self/fd/{held}")
            parts, length, header = list[npt.NDArray[np.float32]](), 0, read_header(path)
            if self.longest is None and header.frames * self.rate > MOST_VALUES * header.rate:
                seconds = header.frames / header.rate
                raise ValueError(f"{seconds:.0f} s of sound, where {MOST_VALUES / self.rate:.0f} s are the most")
            for part, _ in read_waves(path, header, self.rate):
                parts.append(part)
                length += len(part)
                if self.longest is not None and length >= self.longest:
                    break
        except ValueError as error:
            raise InputError(field, f"{error}; give {SOUNDS}") from error
        except Exception as error:  # libsndfile's and soxr's, on damaged files
            raise InputError(field, f"is no sound that can be read; give {SOUNDS}") from error
        finally:
            os.close(held)
        wave = np.concatenate(parts)[: self.longest] if parts else np.zeros(0, np.float32)
        if not len(wave):
            raise InputError(field, "has no sound")
        if not np.isfinite(wave).all():
            raise InputError(field, "has values that are not finite")
        return wave

    def schema(self) -> dict[str, Any]:
        """A string in base64."""
        return {"type": "string", "contentEncoding": "base64", "contentMediaType": "audio/*", "minLength": 1}
