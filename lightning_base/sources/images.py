"""Image files decoded to pixels: what their headers say, hashes of their content, and files read on demand."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from warnings import catch_warnings, simplefilter

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from lightning_base.errors import DataError, one_line
from lightning_base.samples.payload import content_hash

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
Mode: TypeAlias = Literal["RGB", "L"]
Size: TypeAlias = tuple[int, int]  # height, width


class Decoded(NamedTuple):
    """One image file, read.

    Attributes:
        width, height, mode: as the header says; 0 and "" where it cannot be read.
        error: why the file cannot be used; "" where it can.
        passing: whether the error is the machine's (rights, a file just removed) rather than the file's.
        content: BLAKE2b of the pixels, as `payload.hash_payload` gives it; 0 where unreadable.
        look: imagehash's 64-bit pHash of the converted and resized image, its first bit highest; 0 where unreadable.
        pixels: (C, H, W) uint8 as bytes.
    """

    width: int
    height: int
    mode: str
    error: str
    passing: bool
    content: int
    look: int
    pixels: bytes


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Pillow's limit of pixels refuses an image rather than warns, and its other warnings are not shown.

    Python's warning filters are the process's: enter this in the main thread, around the threads that decode.
    """
    with catch_warnings():
        simplefilter("ignore")
        simplefilter("error", Image.DecompressionBombWarning)
        yield


def probe(path: str) -> Size | None:
    """Height and width by the header alone, or None where it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except Exception:  # whatever a decoder raises on a damaged file; `decode` says what
        return None


def decode(path: str, mode: Mode, size: Size | None) -> Decoded:
    """One file as an image of a mode, resized to a size (bilinear) where it has another."""
    width, height, found = 0, 0, ""
    try:
        with Image.open(path) as image:
            width, height, found = image.width, image.height, image.mode
            converted = convert(image, mode, size)
            pixels = to_array(converted).tobytes()
            bits = np.packbits(imagehash.phash(converted).hash)
    except Exception as error:  # Pillow's decoders raise a dozen types on damaged files, struct.error among them
        passing = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None)
        return Decoded(width, height, found, _reason(error), passing, 0, 0, b"")
    look = int.from_bytes(bits.tobytes(), "big")
    return Decoded(width, height, found, "", False, content_hash(pixels), look, pixels)


def convert(image: Image.Image, mode: Mode, size: Size | None) -> Image.Image:
    """The image in a mode and size. 16-bit values are divided by 256; transparency is left out, not blended."""
    if image.mode.startswith("I;16"):  # Pillow itself would cut values above 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    converted = image.convert(mode)
    if size is not None and converted.size != size[::-1]:
        converted = converted.resize(size[::-1], Image.Resampling.BILINEAR)
    return converted


def to_array(image: Image.Image) -> npt.NDArray[np.uint8]:
    """(C, H, W) uint8 of an RGB or L image."""
    array = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def _reason(error: Exception) -> str:
    """Why a file cannot be used, without its path."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more than {Image.MAX_IMAGE_PIXELS} pixels by its header; not decoded"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error) or type(error).__name__


class ImageFiles:
    """Images decoded when they are asked for: a payload (N, C, H, W) uint8 that keeps nothing; for any thread.

    Args:
        folder: the folder that names start from.
        names: (N,) paths from it.
        mode: RGB or L.
        size: height and width.
    """

    def __init__(self, folder: Path, names: npt.NDArray[Any], mode: Mode, size: Size) -> None:
        self.folder, self.names, self.mode, self.size = folder, names, mode, size

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return (len(self.names), 3 if self.mode == "RGB" else 1, *self.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Any) -> npt.NDArray[np.uint8]:
        """(C, H, W) for a number, else (B, C, H, W).

        Raises:
            UserError: where a file was removed or damaged since it was first read.
        """
        if isinstance(rows, int | np.integer):
            return self._decode(self.names[rows])
        names = self.names[rows]
        out = np.empty((len(names), *self.shape[1:]), dtype=np.uint8)
        for i, name in enumerate(names):
            out[i] = self._decode(name)
        return out

    def _decode(self, name: str) -> npt.NDArray[np.uint8]:
        """(C, H, W) uint8 of one file."""
        try:
            with Image.open(self.folder / name) as image:
                return to_array(convert(image, self.mode, self.size))
        except Exception as error:  # as in `decode`
            raise DataError(
                f"{self.folder / name}: changed since the run began ({_reason(error)}); start the run again"
            ) from error
