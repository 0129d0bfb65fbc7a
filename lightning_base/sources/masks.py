"""Masks: a class number per pixel, read from lossless images, brought to their image's size, and kept in the cache."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from lightning_base.errors import ConfigError
from lightning_base.runtime.formats import check_pixels, open_image
from lightning_base.runtime.pictures import Size
from lightning_base.runtime.pixels import TURNS, frames_in, turn_of
from lightning_base.samples.payload import Payload
from lightning_base.sources.images import reason, strict_pillow
from lightning_base.tools.cache import kept_folder

VERSION = 1  # of what is made of a file; another one reads anew
LOSSLESS = ("PNG", "BMP", "TIFF", "PPM")  # GIF keeps colours, but those who write it number them anew
LOSSY = ("jpeg", "tiff_jpeg", "webp")  # Pillow's names of what a TIFF may be compressed by
IGNORED = 255  # what stands in a target for pixels that count for nothing
SPREAD = {"L;2": 85, "L;4": 17}  # Pillow spreads grey levels of 2 and 4 bits over 0 … 255
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
SHOWN = 5
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Coding:
    """What stands for each class in masks.

    Args:
        names: of the classes, in the order of their numbers.
        values: what stands for each: numbers, or colours such as "#ff0000"; None for 0, 1, 2, ….
        ignore: what stands for pixels that count for nothing; None for nothing.

    Raises:
        ConfigError: for fewer than two classes or more than 255, a name or value twice, numbers beside colours.
    """

    names: tuple[str, ...]
    values: tuple[int | str, ...] | None = None
    ignore: int | str | None = None

    def __post_init__(self) -> None:
        names, values = self.names, self._values
        if not 2 <= len(names) <= IGNORED or len(set(names)) < len(names):
            raise ConfigError(f"data.class_names: {len(names)} names; give 2 to {IGNORED}, all different")
        if len(values) != len(names):
            raise ConfigError(f"data.values: {len(values)} values for {len(names)} classes; give one for each")
        every = [*values, *(() if self.ignore is None else (self.ignore,))]
        words = [one for one in every if isinstance(one, str)]
        if wrong := [one for one in words if not COLOUR.fullmatch(one)]:
            raise ConfigError(f"data.values: {wrong[0]!r} is no colour; write e.g. '#ff0000', or a number")
        if words and len(words) < len(every):
            raise ConfigError("data.values: numbers beside colours (data.ignore among them); give one kind of them")
        if len({self._code(one) for one in every}) < len(every):
            raise ConfigError("data.values: a value stands for two classes (or data.ignore); give each its own")

    @property
    def _values(self) -> Sequence[int | str]:
        return range(len(self.names)) if self.values is None else self.values

    @staticmethod
    def _code(value: int | str) -> int:
        return int(value[1:], 16) if isinstance(value, str) else value

    @property
    def colours(self) -> bool:
        """Whether colours stand for classes, rather than numbers."""
        return isinstance(self._values[0], str)

    def numbers(self, found: Numbers) -> npt.NDArray[np.uint8]:
        """(H, W) uint8 class numbers, IGNORED for pixels that count for nothing.

        Args:
            found: (H, W) int64 numbers of a mask, or its colours as 0xRRGGBB.

        Raises:
            ValueError: for a value that stands for no class, naming it.
        """
        codes = [*map(self._code, self._values), *([] if self.ignore is None else [self._code(self.ignore)])]
        targets = np.array([*range(len(self.names)), IGNORED][: len(codes)], dtype=np.uint8)
        order = np.argsort(codes)
        known = np.array(codes, dtype=np.int64)[order]
        place = np.minimum(np.searchsorted(known, found), len(known) - 1)
        strange = known[place] != found
        if strange.any():
            values, counts = np.unique(found[strange], return_counts=True)
            said = [f"{self._shown(v)} in {n} pixels" for v, n in zip(values[:SHOWN], counts[:SHOWN], strict=True)]
            more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
            wanted = ", ".join(map(str, [self._shown(code) for code in codes[:20]]))
            raise ValueError(f"has {', '.join(said)}{more}, where classes are {wanted} (data.values, data.ignore)")
        made: npt.NDArray[np.uint8] = targets[order][place]
        return made

    def _shown(self, code: int) -> str:
        return f"#{code:06x}" if self.colours else str(code)


class Beside(NamedTuple):
    """A mask, and the image that it is of: its name from the folder, and the image's width, height and turn."""

    name: str
    width: int
    height: int
    turn: int


def pack_masks(
    folder: Path, files: pd.DataFrame, images: pd.DataFrame, coding: Coding, size: Size
) -> tuple[Payload, pd.DataFrame]:
    """Masks read once: a start with the same files reads nothing.

    Args:
        folder: where the masks' names start.
        files: name, size, mtime_ns, ctime_ns of each, as `list_files` gives them.
        images: of the image of each: width and height, upright, and the turn that EXIF gave it.
        coding: what stands for which class.
        size: height and width that all are brought to, by nearest neighbour.

    Returns:
        masks: (M, H, W) uint8 class numbers, memory-mapped: those without an error.
        rows: per file error ("" where it can be used), kind of its finding, and note, of masks of turned images.
    """
    settings = f"{VERSION} {folder.resolve()} {coding} {size}\n{files.to_csv(index=False)}{images.to_csv(index=False)}"
    given = [Beside(*row) for row in zip(files["name"], *(images[n] for n in Beside._fields[1:]), strict=True)]
    made = kept_folder("masks", settings, lambda to: _write(folder, given, coding, size, to))
    rows = pd.read_parquet(made / "rows.parquet").astype(str)
    count = int((rows["error"] == "").sum())
    shape = (count, *size)
    masks = np.memmap(made / "masks.u1", np.uint8, "r", shape=shape) if count else np.zeros(shape, np.uint8)
    return masks, rows


def _write(folder: Path, given: Sequence[Beside], coding: Coding, size: Size, to: Path) -> None:
    """Writes masks.u1 and rows.parquet."""
    rows = []
    with open(to / "masks.u1", "wb") as out, strict_pillow(), ThreadPoolExecutor() as threads:
        for start in range(0, len(given), 64):
            some = given[start : start + 64]
            for mask, *said in threads.map(lambda one: _read(folder, one, coding, size), some):
                if mask is not None:
                    out.write(mask.tobytes())
                rows.append(said)
    pd.DataFrame(rows, columns=["error", "kind", "note"], dtype=str).to_parquet(to / "rows.parquet", index=False)


def _read(
    folder: Path, given: Beside, coding: Coding, size: Size
) -> tuple[npt.NDArray[np.uint8] | None, str, str, str]:
    """A mask (H, W) of the wanted size, or None; then error, kind of its finding, note."""
    try:
        found = read_mask(folder / given.name, coding.colours)
    except Exception as error:  # as `images.decode`: Pillow's decoders raise a dozen types on damaged files
        return None, reason(error), "unreadable", ""
    turn, note = _drawn_on(found.shape, given)
    if turn is None:
        return None, note, "target", ""
    try:
        numbers = coding.numbers(found)
    except ValueError as error:
        return None, str(error), "target", ""
    if (numbers == IGNORED).all():
        return None, "has no pixel of a class, but only those that are ignored", "target", ""
    picture = Image.fromarray(numbers)
    picture = picture.transpose(TURNS[turn]) if turn > 1 else picture
    if picture.size != size[::-1]:
        picture = picture.resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(picture, dtype=np.uint8), "", "", note


def _drawn_on(shape: tuple[int, ...], image: Beside) -> tuple[int | None, str]:
    """How a mask (H, W) is to be turned, as EXIF's orientation; None where it is of another size; and what to say."""
    upright, given = (image.width, image.height), (shape[1], shape[0])
    raw = upright[::-1] if image.turn > 4 else upright
    if given not in (upright, raw):
        return None, f"has {given[0]}x{given[1]} pixels, and its image {image.width}x{image.height}"
    if image.turn < 2:
        return 1, ""
    if raw == upright:
        return 1, "the mask's size fits before and after: it is taken as drawn on the upright image"
    if given == raw:
        return image.turn, "the mask was drawn before, by its size, and is turned with it"
    return 1, "the mask was drawn on the upright image, by its size"


def read_mask(path: Path, colours: bool) -> Numbers:
    """(H, W) int64 numbers of a mask's pixels as the file has them, or colours as 0xRRGGBB.

    Of palettes the places are the numbers. Grey levels of 1, 2 and 4 bits are 0 … 1, 3 and 15, and not spread.

    Raises:
        ValueError: for a format that keeps no numbers, and for what makes them doubtful.
    """
    with open_image(str(path)) as image:
        packed = image.info.get("compression") if image.format == "TIFF" else None
        if image.format not in LOSSLESS or packed in LOSSY:
            kind = f"TIFF compressed as {packed}" if packed in LOSSY else image.format
            raise ValueError(f"is {kind}, which does not keep class numbers for sure; save masks as PNG")
        check_pixels(*image.size)
        if frames_in(image) > 1:
            raise ValueError(f"has {frames_in(image)} frames; give one mask a file")
        written = _written(image)
        turned = turn_of(image) != 1  # of a TIFF, which Pillow turns as it loads it, and forgets that
        image.load()
        if turned or turn_of(image) != 1:
            raise ValueError("its EXIF says that it is turned; save masks upright")
        if image.mode not in ("1", "L", "P", "RGB", "RGBA", "LA", "PA", "I") and not image.mode.startswith("I;16"):
            raise ValueError(f"is of mode {image.mode}; give whole numbers, grey or of a palette, or RGB")
        if image.mode in ("RGBA", "LA", "PA") and np.asarray(image.getchannel("A")).min() < 255:
            raise ValueError("has transparent pixels; save masks without transparency")
        if colours:
            if image.mode.startswith("I"):
                raise ValueError("has grey levels of more than 8 bits, where classes are colours")
            return _coloured(image)
        if image.mode in ("RGB", "RGBA"):
            found = _coloured(image)
            if ((found >> 16) != (found & 255)).any() or ((found >> 8 & 255) != (found & 255)).any():
                raise ValueError("has colours; say which stand for classes with data.values: ['#000000', …]")
            return found & 255
        found = np.asarray(image.getchannel(0) if image.mode in ("LA", "PA") else image).astype(np.int64)
        return found if written is None else np.rint(found * written).astype(np.int64)


def _coloured(image: Image.Image) -> Numbers:
    """(H, W) int64 colours as 0xRRGGBB."""
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), dtype=np.int64), 2, 0)
    found: Numbers = red << 16 | green << 8 | blue
    return found


def _written(image: Image.Image) -> float | None:
    """What the numbers of an opened image, not yet loaded, are to be multiplied by; None where they stand as they are.

    Raises:
        ValueError: where Pillow would change them otherwise.
    """
    tile: Any = getattr(image, "tile", None)
    if not tile:
        return None
    decoder, arguments = tile[0][0], tile[0][3]
    if decoder in ("ppm", "ppm_plain") and isinstance(arguments, tuple) and len(arguments) > 1:
        return int(arguments[1]) / (65535 if image.mode == "I" else 255)
    raw = str(arguments if isinstance(arguments, str) else arguments[0] if arguments else "")
    if image.mode in ("RGB", "RGBA", "LA") and ";16" in raw:
        raise ValueError("has 16 bits a channel, of which Pillow reads the upper 8")
    if raw in SPREAD:
        return 1 / SPREAD[raw]
    if image.mode in ("1", "L", "P") and ";" in raw and not (image.mode == "P" or image.format == "BMP"):
        raise ValueError(
            f"has grey levels that are written as {raw!r}, which change when they are read; save it as PNG"
        )
    return None
