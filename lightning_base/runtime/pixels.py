"""Pixels as they stand in a file: turned upright, and with every bit that they have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from .formats import check_pixels, open_image

TURNS = {  # EXIF's orientation, and what makes the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION = 274  # the tag of EXIF and TIFF
NO_TAGS = 14  # bytes of EXIF that has none: its header, and an empty directory
EXIF = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")  # where Pillow keeps what may hold it
BITS, PHOTOMETRIC, SAMPLE_FORMAT, TILE_WIDTH, TILE_LENGTH = 258, 262, 339, 322, 323  # tags of TIFF
FRAMED = ("GIF", "TIFF", "WEBP", "PNG", "AVIF", "HEIF")  # may hold several images; MPO's others are previews


@dataclass(frozen=True)
class Frame:
    """One image of a file, upright.

    Attributes:
        mode: what the file holds: Pillow's mode, or a medical format's.
        image: the image, where 8 bits hold it; else None.
        values: (H, W) of any numeric type, where they do not; else None.
        low, high: what black and white are by the type of the values; None where they have units of their own.
        inverted: whether the lowest value is white.
        mirror: of inverted values in units of their own, the sum of the least and the greatest that they can have.
        turn: EXIF's orientation that was applied; 1 for none, 0 where it cannot be read.
        frames: how many the file has.
        note: what else is to be said of it; "" for nothing.
    """

    mode: str
    image: Image.Image | None = None
    values: npt.NDArray[Any] | None = None
    low: float | None = None
    high: float | None = None
    inverted: bool = False
    mirror: float | None = None
    turn: int = 1
    frames: int = 1
    note: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        if self.image is not None:
            return self.image.height, self.image.width
        assert self.values is not None
        return self.values.shape[0], self.values.shape[1]


def pillow_frames(path: "str | BinaryIO", wanted: Sequence[int], counted: bool = True) -> Iterator[Frame]:
    """These frames (from 0, ascending) of a file that Pillow reads.

    Args:
        path: of the file, or the file.
        wanted: the frames' numbers.
        counted: count the file's frames, for which some formats are read to their end; else `Frame.frames` is 1.

    Raises:
        ValueError: for what is no image of the listed formats, or is too large; Pillow's decoders raise a dozen others.
    """
    with open_image(path) as image:
        yield from opened_frames(image, wanted, frames_in(image) if counted else 1)


def opened_frames(image: Image.Image, wanted: Sequence[int], count: int = 1) -> Iterator[Frame]:
    """As `pillow_frames`, of an opened image that is said to have so many frames."""
    for number in wanted:
        if number or count > 1:
            image.seek(number)
        check_pixels(*image.size)
        if image.format == "TIFF":  # a tile is decoded as a whole, however small the image
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            check_pixels(int(tags.get(TILE_WIDTH, 1)), int(tags.get(TILE_LENGTH, 1)))
        yield _frame(image, count)


def frames_in(image: Image.Image) -> int:
    """How many images an opened file has."""
    return int(getattr(image, "n_frames", 1)) if image.format in FRAMED else 1


def turn_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8, of an opened image; 1 where it has none, 0 where its EXIF cannot be read."""
    if image.format != "TIFF" and not any(key in image.info for key in EXIF):
        return 1
    try:
        tags = image.getexif()
        found = tags.get(ORIENTATION, 1)
        given = (image.info.get("exif") or b"").removeprefix(b"Exif\0\0")
    except Exception:  # damaged EXIF raises what it likes, and the pixels may be sound
        return 0
    if not tags and len(given) > NO_TAGS:
        return 0  # Pillow has found nothing in what should hold something
    return found if isinstance(found, int) and found in TURNS else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Height and width of an opened image, upright; Pillow swaps TIFF's itself."""
    width, height = image.size
    return (width, height) if image.format != "TIFF" and turn_of(image) > 4 else (height, width)


def _frame(image: Image.Image, count: int) -> Frame:
    """The frame that an opened image stands at."""
    turn, cut, scale = 1, _is_cut(image), _Scale.of(image)
    if image.format == "TIFF":  # Pillow turns these by itself, and forgets that it did
        turn = turn_of(image)
        image.load()
        upright = image
    else:
        image.load()  # first: PNG may have its EXIF at its end
        turn = turn_of(image)
        upright = image.transpose(TURNS[turn]) if turn > 1 else image
    if scale is not None:
        values = scale.values(upright)
        return Frame(
            image.mode,
            values=values,
            low=scale.low,
            high=scale.high,
            inverted=scale.inverted,
            turn=turn,
            frames=count,
            note=scale.note,
        )
    note = "16 bits a channel, of which Pillow reads the upper 8" if cut else ""
    return Frame(image.mode, upright.copy() if count > 1 else upright, turn=turn, frames=count, note=note)


def _is_cut(image: Image.Image) -> bool:
    """Whether an opened image, not yet loaded, of 8 bits in Pillow has more in its file."""
    if not image.mode.startswith(("RGB", "CMYK", "LA")) or not (tile := getattr(image, "tile", None)):
        return False
    arguments = tile[0][3]
    if isinstance(arguments, str) or not arguments:
        return ";16" in str(arguments)
    if tile[0][0] in ("ppm", "ppm_plain"):
        return bool(arguments[1] > 255)
    return ";16" in str(arguments[0])


@dataclass(frozen=True)
class _Scale:
    """How values of more than 8 bits, or with a sign, are to be understood: as in `Frame`.

    Attributes:
        dtype: what Pillow's bytes are; None where it knows.
        factor: Pillow has multiplied PGM's values with it.
    """

    low: float | None = None
    high: float | None = None
    inverted: bool = False
    dtype: Any = None
    factor: float = 1.0
    note: str = ""

    @staticmethod
    def of(image: Image.Image) -> "_Scale | None":
        """That of an opened image, not yet loaded; None where its values are grey levels or colours of 8 bits."""
        tags: Any = getattr(image, "tag_v2", {})
        bits, white_is_0 = int((tags.get(BITS) or (16,))[0]), tags.get(PHOTOMETRIC) == 0
        signed = tags.get(SAMPLE_FORMAT, (1,))[0] == 2
        if image.mode.startswith("I;16"):
            return _Scale(0, 2**bits - 1, white_is_0)
        if image.mode == "I" and image.format == "PPM":
            (tile,) = image.tile  # type: ignore[attr-defined]
            return _Scale(0, tile[3][1], factor=65535 / tile[3][1])
        if image.mode == "I":
            known = image.format == "PNG"
            return _Scale(0, 65535) if known else _Scale(dtype=None if signed else np.uint32, inverted=white_is_0)
        if image.mode == "F":
            return _Scale(inverted=white_is_0)
        return _Scale(dtype=np.int8, note="8 bits with a sign") if image.mode == "L" and signed else None

    def values(self, image: Image.Image) -> npt.NDArray[Any]:
        """(H, W) values of the loaded image."""
        values = np.asarray(image)
        if self.dtype is not None and values.dtype.itemsize == np.dtype(self.dtype).itemsize:
            values = values.view(self.dtype)
        return np.rint(values / self.factor) if self.factor != 1 else values.copy()
