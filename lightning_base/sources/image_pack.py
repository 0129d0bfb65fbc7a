"""Packs of images: each file is decoded once, and kept in a memory-mapped array in the cache folder."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from lightning_base.errors import DataError, one_line
from lightning_base.runtime.pictures import Size
from lightning_base.samples.payload import Payload
from lightning_base.samples.samples import findings_table
from lightning_base.sources.image_store import Store
from lightning_base.sources.images import OWN, Form, Reading, strict_pillow
from lightning_base.tools.cache import cache_root

VERSION = 2  # of what `images.decode` makes of a file; another one packs anew
SAME_TYPE = {".jpeg": ".jpg", ".jfif": ".jpg", ".tiff": ".tif", ".gz": ".nii", ".dicom": ".dcm"}


@dataclass(frozen=True)
class Pack:
    """Image files of one folder, read.

    Attributes:
        rows: one per image, sorted: name (the sample's id), file (path from the folder), frame (from 0), size (bytes),
            mtime_ns, ctime_ns, width and height (upright), mode and frames by the file, turn (EXIF's orientation that
            was applied), kind and note (of its values), error ("" where the image can be used), content and look
            (uint64: hash of the pixels, perceptual hash; else 0).
        images: (M, C, H, W) uint8 grey levels, or float32 where a file has more: the M images without an error.
        form: what they were made to be.
    """

    rows: pd.DataFrame
    images: Payload
    form: Form

    @property
    def readable(self) -> pd.DataFrame:
        """The M rows without an error."""
        return self.rows[self.rows["error"] == ""].reset_index(drop=True)

    @property
    def headers(self) -> pd.DataFrame:
        """M rows on the files of the images, for `Samples.files`: mode, width, height, type."""
        rows = self.readable
        ending = [SAME_TYPE.get(end, end) for end in (os.path.splitext(name)[1].lower() for name in rows["file"])]
        return rows[["mode", "width", "height"]].assign(type=pd.Series(ending, dtype=str))

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.images.shape[2], self.images.shape[3]

    @property
    def white(self) -> float:
        """The value that stands for white, for `Samples.white`: 255, 1, or 0 where values have units of their own."""
        if not self.form.deep:
            return 255.0
        return 0.0 if (self.readable["kind"] == OWN).any() else 1.0

    def findings(self, declared: bool = False) -> pd.DataFrame:
        """Files that cannot be used ("unreadable"), and what was changed: "mode", "size", "orientation", "frames".

        Args:
            declared: a size was. Where most files do not have it, resizing is what was asked for, and no finding.
        """
        (height, width), mode, rows = self.size, self.form.reading.mode, self.rows
        usable = rows["error"] == ""
        odd = usable & ((rows["height"] != height) | (rows["width"] != width))
        if declared and 2 * odd.sum() >= usable.sum():
            odd[:] = False
        converted = usable & ((rows["mode"] != mode) | (rows["note"] != ""))
        more = usable & (rows["frames"] > 1) & (self.form.reading.frames == "first")
        return pd.concat(
            [
                self._found(~usable, "unreadable", lambda row: row.error),
                self._found(converted, "mode", lambda row: _mode(row, mode)),
                self._found(odd, "size", lambda row: f"{row.width}x{row.height} pixels, not {width}x{height}"),
                self._found(usable & (rows["turn"] != 1), "orientation", _turn),
                self._found(more, "frames", lambda row: f"the first of {row.frames} frames; data.frames: all for all"),
            ],
            ignore_index=True,
        )

    def _found(self, which: "pd.Series[bool]", kind: str, detail: Callable[[Any], str]) -> pd.DataFrame:
        """Findings of one kind: id, kind, detail of the rows chosen."""
        if not which.any():
            return findings_table()
        rows = [(row.name, kind, detail(row)) for row in self.rows[which].itertuples()]
        return pd.DataFrame(rows, columns=["id", "kind", "detail"], dtype=str)


def _turn(row: Any) -> str:
    """How an image was turned."""
    return f"turned upright, EXIF {row.turn}" if row.turn else "its EXIF cannot be read: it is taken as upright"


def _mode(row: Any, mode: str) -> str:
    """What was converted of an image."""
    return "; ".join(filter(None, [f"{row.mode}, not {mode}" if row.mode != mode else row.mode, row.note]))


def pack_images(
    folder: Path, files: pd.DataFrame, reading: Reading, size: Size | None = None, keep: bool = True, part: str = ""
) -> Pack:
    """The images of files, decoded once: a start with the same files decodes nothing, another only what has changed.

    Packs stand below `cache_root()`, one per (folder, reading, size, keep, part); the folder itself is not written to.
    Two processes that start at once pack once. Images are turned upright by their EXIF. Pixels are uint8; where one
    image has more than 8 bits, those of all are float32: 0 is black and 1 white, or, where the files' values are
    floats, integers of 32 bits or medical and neither a range nor a window is declared, they are as they stand.

    Args:
        folder: the folder that the files' names start from.
        files: what `list_files` found: name, size, mtime_ns, ctime_ns, sorted by name.
        reading: how files are read.
        size: height and width that all are resized to; None takes the most common one by the files' headers.
        keep: keep the pixels in one memory-mapped .npy; else only what was learnt of the files, and decode on demand.
        part: tells apart who reads other files of the same folder.

    Raises:
        UserError: where no file is a readable image, values have no scale in common, or the cache cannot be written.
    """
    key = repr((os.path.realpath(folder), reading, size, keep, part, VERSION))
    home = cache_root() / "images" / hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
    store = Store(home, folder, reading, size, keep)
    try:
        if (kept := store.find(files)) is None:
            home.mkdir(parents=True, exist_ok=True)
            with FileLock(home / "lock"), strict_pillow():
                kept = store.find(files) or store.build(files)
    except OSError as error:
        raise DataError(
            f"{home}: the packed images of {folder} cannot be written ({one_line(error)}); make room, or set the "
            "environment variable LIGHTNING_BASE_CACHE to a folder that has it"
        ) from error
    return Pack(*kept)
