"""Image files decoded to samples' pixels: 8 bits, or floats on a stated scale; hashes; and files read on demand."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from warnings import catch_warnings, simplefilter

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

from lightning_base.errors import ConfigError, DataError, one_line
from lightning_base.runtime.files import ImageReader
from lightning_base.runtime.formats import DICOM, NIFTI, MissingLibrary, check_pixels, open_image
from lightning_base.runtime.pictures import Mode, PixelForm, Range, Size, convert, own_limits, to_pixels, values_of
from lightning_base.runtime.pixels import Frame, frames_in, pillow_frames, upright_size
from lightning_base.samples.payload import content_hash
from lightning_base.samples.samples import Samples
from lightning_base.sources import medical

Frames: TypeAlias = Literal["first", "all"]
LEVELS, DEEP, OWN = 0, 1, 2  # kinds of values: 8-bit grey levels; more, with a known range; units of their own


@dataclass(frozen=True)
class Reading:
    """How image files are read.

    Args:
        mode: RGB (3 channels) or L (grey, 1 channel).
        frames: "first" takes the first of a file's frames, "all" makes each a sample.
        range: [low, high] of the values that become 0 and 1, of images beyond 8 bits; values outside stay outside.
        window: [center, width]: from center - width / 2 to center + width / 2 becomes 0 … 1, and what lies outside
            is clipped, as radiologists look at it.

    Raises:
        UserError: for a range or window that is none, or both.
    """

    mode: Mode = "RGB"
    frames: Frames = "first"
    range: Range | None = None
    window: Range | None = None

    def __post_init__(self) -> None:
        if self.range is not None and not -math.inf < self.range[0] < self.range[1] < math.inf:
            raise ConfigError(f"data.range: {list(self.range)} is no range; give [low, high]")
        if self.window is not None and not (math.isfinite(self.window[0]) and 0 < self.window[1] < math.inf):
            raise ConfigError(f"data.window: {list(self.window)} is no window; give [center, width]")
        if self.range is not None and self.window is not None:
            raise ConfigError("data.window: data.range is given too; give one of them")

    @property
    def limits(self) -> Range | None:
        """The declared values of black and white."""
        if self.window is not None:
            center, width = self.window
            return center - width / 2, center + width / 2
        return self.range


class Form(NamedTuple):
    """What samples are to be: how files are read, height and width, and whether pixels are float32, or else uint8."""

    reading: Reading
    size: Size | None
    deep: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """The pixels' type."""
        return np.dtype(np.float32 if self.deep else np.uint8)

    @property
    def pixels(self) -> PixelForm:
        """What the pixels are to be."""
        reading = self.reading
        return PixelForm(reading.mode, self.size, self.deep, reading.limits, reading.window is not None)

    @property
    def channels(self) -> int:
        """How many channels an image has."""
        return self.pixels.channels


class Decoded(NamedTuple):
    """One image, read.

    Attributes:
        width, height: upright, as in the file; 0 where it cannot be read.
        mode: of the file; "" where it cannot be read.
        turn: EXIF's orientation that was applied, 1 to 8; 0 where it cannot be read.
        frames: how many the file has.
        kind: LEVELS, DEEP or OWN.
        note: what is to be said of its values; "" for nothing.
        error: why the file cannot be used; "" where it can.
        passing: whether the error is the machine's (rights, a library, a file just removed) rather than the file's.
        content: BLAKE2b of the pixels, as `payload.hash_payload` gives it; 0 where unreadable.
        look: imagehash's 64-bit pHash of the converted and resized image, its first bit highest; 0 where unreadable.
        pixels: (C, H, W) as bytes, of the form's type; none where the form is of 8 bits and the kind another.
    """

    width: int = 0
    height: int = 0
    mode: str = ""
    turn: int = 1
    frames: int = 1
    kind: int = LEVELS
    note: str = ""
    error: str = ""
    passing: bool = False
    content: int = 0
    look: int = 0
    pixels: bytes = b""


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Pillow's limit of pixels refuses an image rather than warns, and other warnings are not shown.

    Python's warning filters are the process's: enter this in the main thread, around the threads that decode.
    """
    with catch_warnings():
        simplefilter("ignore")
        simplefilter("error", Image.DecompressionBombWarning)
        yield


def probe(path: str) -> Size | None:
    """Height and width, upright, by the header alone, or None where it cannot be read."""
    try:
        if path.lower().endswith(DICOM):
            return medical.dicom_size(path)
        if path.lower().endswith(NIFTI):
            return medical.nifti_size(path)
        with open_image(path) as image:
            return upright_size(image)
    except Exception:  # whatever a decoder raises on a damaged file; `decode` says what
        return None


def count_frames(path: str) -> int:
    """How many frames a file has; 1 where that cannot be read."""
    try:
        if path.lower().endswith(DICOM):
            return max(1, medical.dicom_count(path))
        if path.lower().endswith(NIFTI):
            return max(1, medical.nifti_count(path))
        with open_image(path) as image:
            return max(1, frames_in(image))
    except Exception:  # as in `probe`
        return 1


def read_frames(path: str, reading: Reading, wanted: Sequence[int]) -> Iterator[Frame]:
    """These frames (from 0, ascending) of a file."""
    if path.lower().endswith(DICOM):
        return medical.dicom_frames(path, wanted, reading.limits is not None)
    if path.lower().endswith(NIFTI):
        return medical.nifti_frames(path, wanted, reading.frames == "all")
    return pillow_frames(path, wanted)


def decode(path: str, form: Form, wanted: Sequence[int] = (0,)) -> list[Decoded]:
    """These frames (from 0, ascending) of one file, in the form; after one that fails, the others fail with it."""
    done: list[Decoded] = []
    try:
        for frame in read_frames(path, form.reading, wanted):
            done.append(_decoded(frame, form))
    except Exception as error:  # Pillow's decoders raise a dozen types on damaged files, struct.error among them
        passing = isinstance(error, MemoryError | MissingLibrary)
        passing = passing or (isinstance(error, OSError) and error.errno is not None)
        failed = Decoded(error=reason(error), passing=passing)
        return done + [failed] * (len(wanted) - len(done))
    return done


def _decoded(frame: Frame, form: Form) -> Decoded:
    """A frame in the form."""
    height, width = frame.size
    check_pixels(width, height)
    kind, note = _kind(frame, form.reading)
    found = Decoded(width, height, frame.mode, frame.turn, frame.frames, kind, note)
    if kind != LEVELS and not form.deep:
        return found  # the whole pack is to be deep
    pixels = to_pixels(frame, form.pixels).tobytes()
    picture = _shown(frame, form.pixels)
    look = int.from_bytes(np.packbits(imagehash.phash(picture).hash).tobytes(), "big")
    return found._replace(content=content_hash(pixels), look=look, pixels=pixels)


def _kind(frame: Frame, reading: Reading) -> tuple[int, str]:
    """What kind of values a frame has, and what is to be said of them."""
    if frame.image is not None:
        return LEVELS, frame.note
    limits = reading.limits or own_limits(frame)
    if limits is None:
        rounded = "whole numbers beyond 16,777,216 are rounded by float32" if _too_large(frame.values) else ""
        return OWN, "; ".join(filter(None, ["values as they stand", rounded, frame.note]))
    clipped = ", the rest clipped" if reading.window else ""
    return DEEP, "; ".join(filter(None, [f"{limits[0]:g} … {limits[1]:g} became 0 … 1{clipped}", frame.note]))


def _too_large(values: npt.NDArray[Any] | None) -> bool:
    """Whether there are whole numbers that float32 does not hold."""
    if values is None or values.dtype.kind not in "iu" or values.dtype.itemsize < 4:
        return False
    return bool((values != values.astype(np.float32).astype(np.float64)).any())


def _shown(frame: Frame, form: PixelForm) -> Image.Image:
    """A frame in 8 bits."""
    return _picture(values_of(frame, form)) if frame.image is None else convert(frame.image, form.mode, form.size)


def _picture(values: npt.NDArray[np.float32]) -> Image.Image:
    """The values (H, W) from their least to their greatest, as grey levels."""
    known = np.where(np.isfinite(values), values, 0).astype(np.float64)
    low = known.min()
    return Image.fromarray(np.rint(255 * (known - low) / max(known.max() - low, 1e-300)).astype(np.uint8))


def reason(error: Exception) -> str:
    """Why a file cannot be used, without its path."""
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more than {Image.MAX_IMAGE_PIXELS} pixels by its header; not decoded"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error) or type(error).__name__


def image_reader(reading: Reading, samples: Samples, exact: bool) -> ImageReader:
    """What reads a new image as these samples (N, C, H, W) are.

    Args:
        reading: theirs.
        samples: of the pool.
        exact: whether one of another size is refused, as `predict` does where nothing resizes.
    """
    _, _, height, width = samples.inputs.shape
    form = Form(reading, (height, width), samples.inputs.dtype != np.uint8).pixels
    return ImageReader(form.mode, (height, width), form.deep, form.limits, form.clip, exact)


class ImageFiles:
    """Images decoded when they are asked for: a payload (N, C, H, W) that keeps nothing; for any thread.

    Args:
        folder: the folder that names start from.
        names: (N,) paths from it.
        frames: (N,) which frame of the file each is.
        form: what they are to be; its size is given.
    """

    def __init__(self, folder: Path, names: npt.NDArray[Any], frames: npt.NDArray[np.int64], form: Form) -> None:
        self.folder, self.names, self.frames, self.form = folder, names, frames, form

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        assert self.form.size is not None
        return (len(self.names), self.form.channels, *self.form.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8, or float32 where one of the images needs more."""
        return self.form.dtype

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Any) -> npt.NDArray[Any]:
        """(C, H, W) for a number, else (B, C, H, W).

        Raises:
            UserError: where a file was removed or damaged since it was first read.
        """
        if isinstance(rows, int | np.integer):
            return self._decode(self.names[rows], int(self.frames[rows]))
        names, frames = self.names[rows], self.frames[rows]
        out = np.empty((len(names), *self.shape[1:]), dtype=self.dtype)
        for i, name in enumerate(names):
            out[i] = self._decode(name, int(frames[i]))
        return out

    def _decode(self, name: str, frame: int) -> npt.NDArray[Any]:
        """(C, H, W) of one file."""
        try:
            (found,) = read_frames(str(self.folder / name), self.form.reading, [frame])
            if found.image is None and not self.form.deep:
                raise ValueError(f"{found.mode}, which is of more than 8 bits")
            return to_pixels(found, self.form.pixels)
        except Exception as error:  # as in `decode`
            raise DataError(
                f"{self.folder / name}: changed since the run began ({reason(error)}); start the run again"
            ) from error
