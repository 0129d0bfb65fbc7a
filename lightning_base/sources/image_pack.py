"""Packs of images: each file is decoded once, and kept in a memory-mapped array in the cache folder."""

import hashlib
import os
import shutil
import struct
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from filelock import FileLock

from lightning_base.errors import DataError, one_line
from lightning_base.samples.payload import Payload
from lightning_base.sources.images import Decoded, ImageFiles, Mode, Size, decode, probe, strict_pillow
from lightning_base.tools.cache import cache_root
from lightning_base.tools.checksums import intact, write_sums
from lightning_base.tools.console import console

VERSION = 1  # of what `images.decode` makes of a file; another one packs anew
COLUMNS = {
    "name": "str",
    "size": "int64",
    "mtime_ns": "int64",
    "width": "int64",
    "height": "int64",
    "mode": "str",
    "error": "str",
    "content": "uint64",
    "look": "uint64",
}
SAME_TYPE = {".jpeg": ".jpg", ".tiff": ".tif"}
_File: TypeAlias = tuple[str, int, int]  # name, size, mtime_ns
_Known: TypeAlias = dict[_File, tuple[tuple[Any, ...], int]]  # its row, and its place among the images or -1


@dataclass(frozen=True)
class Pack:
    """Image files of one folder, read.

    Attributes:
        rows: one per file, sorted by name: name, size (bytes), mtime_ns, width, height and mode by the header, error
            ("" where the file can be used), content and look (uint64: hash of the pixels, perceptual hash; else 0).
        images: (M, C, H, W) uint8: the M files without an error, in order.
    """

    rows: pd.DataFrame
    images: Payload

    @property
    def readable(self) -> pd.DataFrame:
        """The M rows without an error."""
        return self.rows[self.rows["error"] == ""].reset_index(drop=True)

    @property
    def headers(self) -> pd.DataFrame:
        """M rows on the files of the images, for `Samples.files`: mode, width, height, type."""
        rows = self.readable
        ending = [SAME_TYPE.get(end, end) for end in (os.path.splitext(name)[1].lower() for name in rows["name"])]
        return rows[["mode", "width", "height"]].assign(type=pd.Series(ending, dtype=str))

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.images.shape[2], self.images.shape[3]

    def findings(self, mode: Mode, declared: bool = False) -> pd.DataFrame:
        """Files that cannot be used ("unreadable"), and those of another "mode" or "size", which were converted.

        Where a size is declared that most files do not have, resizing is what was asked for, and no finding.
        """
        height, width = self.size
        usable = self.rows["error"] == ""
        odd = usable & ((self.rows["height"] != height) | (self.rows["width"] != width))
        if declared and 2 * odd.sum() >= usable.sum():
            odd[:] = False
        return pd.concat(
            [
                self._found(~usable, "unreadable", lambda row: row.error),
                self._found(usable & (self.rows["mode"] != mode), "mode", lambda row: f"{row.mode}, not {mode}"),
                self._found(odd, "size", lambda row: f"{row.width}x{row.height} pixels, not {width}x{height}"),
            ],
            ignore_index=True,
        )

    def _found(self, which: "pd.Series[bool]", kind: str, detail: Callable[[Any], str]) -> pd.DataFrame:
        """Findings of one kind: id, kind, detail of the rows chosen."""
        rows = [(row.name, kind, detail(row)) for row in self.rows[which].itertuples()]
        return pd.DataFrame(rows, columns=["id", "kind", "detail"], dtype=str)


def pack_images(
    folder: Path, files: pd.DataFrame, mode: Mode, size: Size | None = None, keep: bool = True, part: str = ""
) -> Pack:
    """The images of files, decoded once: a start with the same files decodes nothing, another only what has changed.

    Packs stand below `cache_root()`, one per (folder, mode, size, keep, part); the folder itself is not written to. Two
    processes that start at once pack once. EXIF orientation is not applied; of several frames the first is read.

    Args:
        folder: the folder that the files' names start from.
        files: what `list_files` found: name, size, mtime_ns, sorted by name.
        mode: RGB (3 channels) or L (grey, 1 channel).
        size: height and width that all are resized to; None takes the most common one by the files' headers.
        keep: keep the pixels in one memory-mapped .npy; else only what was learnt of the files, and decode on demand.
        part: tells apart who reads other files of the same folder.

    Raises:
        UserError: where no file is a readable image, or the cache cannot be written.
    """
    key = repr((os.path.realpath(folder), mode, size, keep, part, VERSION))
    home = cache_root() / "images" / hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
    store = _Store(home, folder, mode, size, keep)
    try:
        if (pack := store.load(home / _digest(files))) is None:
            home.mkdir(parents=True, exist_ok=True)
            with FileLock(home / "lock"), strict_pillow():
                pack = store.load(home / _digest(files)) or store.build(files)
    except OSError as error:
        raise DataError(
            f"{home}: the packed images of {folder} cannot be written ({one_line(error)}); make room, or set the "
            "environment variable LIGHTNING_BASE_CACHE to a folder that has it"
        ) from error
    return pack


def _digest(files: pd.DataFrame) -> str:
    """What the pack of a listing is named by."""
    digest = hashlib.sha256("\0".join(files["name"]).encode())
    digest.update(files["size"].to_numpy().tobytes() + files["mtime_ns"].to_numpy().tobytes())
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class _Store:
    """Where the packs of one key stand, and how they are made."""

    home: Path
    folder: Path
    mode: Mode
    size: Size | None
    keep: bool

    def load(self, path: Path) -> Pack | None:
        """The pack of that folder, or None where there is none that is whole."""
        if not path.is_dir():
            return None
        if not intact(path):
            console().print(f"{path}: is damaged; its images are packed anew", soft_wrap=True, markup=False)
            return None
        try:
            rows = pd.read_parquet(path / "rows.parquet").astype(COLUMNS)
            names = rows["name"][rows["error"] == ""].to_numpy(dtype=object)
            if self.keep:
                images: Payload = np.load(path / "images.npy", mmap_mode="r", allow_pickle=False)
            else:
                height, width = map(int, (path / "size").read_text().split())
                images = ImageFiles(self.folder, names, self.mode, (height, width))
        except (OSError, ValueError, KeyError, pa.ArrowException):
            return None
        return Pack(rows, images) if len(images) == len(names) else None

    def build(self, files: pd.DataFrame) -> Pack:
        """Packs the files, taking over what an older pack of this key holds of them; then removes the older ones."""
        for left in self.home.glob("*.tmp"):  # of a process that was killed: this one holds the lock
            shutil.rmtree(left)
        old = next((pack for path in self.home.iterdir() if path.is_dir() and (pack := self.load(path))), None)
        listing: list[_File] = list(zip(files["name"], files["size"], files["mtime_ns"], strict=True))
        known = {} if old is None else _by_file(old, listing)
        size = self.size or self._common_size(listing, known)
        if old is not None and old.size != size:
            known = {file: found for file, found in known.items() if found[1] < 0}
        temporary = self.home / f"{os.getpid()}.tmp"
        temporary.mkdir()
        try:
            rows = self._write(temporary, listing, size, known, old)
            if (rows["error"] != "").all():
                raise DataError(
                    f"{self.folder / rows['name'][0]}: {rows['error'][0]}; no file of {self.folder} ({len(rows)} "
                    "images by their names) can be read: mend them"
                )
            path = self.home / _digest(rows)
            shutil.rmtree(path, ignore_errors=True)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        if (pack := self.load(path)) is None:
            raise OSError(f"{path} cannot be read back")
        for older in self.home.iterdir():
            if older.is_dir() and older != path:
                shutil.rmtree(older, ignore_errors=True)  # who has it mapped keeps it
        return pack

    def _common_size(self, listing: list[_File], known: _Known) -> Size:
        """The most common height and width by the headers; of equally common ones the smallest."""
        counts = Counter((row[4], row[3]) for row, place in known.values() if place >= 0)
        with ThreadPoolExecutor() as threads:
            fresh = [os.path.join(self.folder, file[0]) for file in listing if file not in known]
            counts.update(size for size in threads.map(probe, fresh) if size is not None)
        return min(counts, key=lambda size: (-counts[size], size), default=(1, 1))  # none: all are tried, for errors

    def _write(self, to: Path, listing: list[_File], size: Size, known: _Known, old: Pack | None) -> pd.DataFrame:
        """Writes images and rows into a folder; returns the rows."""
        channels, rows, count = 3 if self.mode == "RGB" else 1, [], 0
        at_once = max(16, min(1024, 2**26 // (channels * size[0] * size[1])))  # 64 MB of pixels wait at most
        with ExitStack() as stack:
            threads = stack.enter_context(ThreadPoolExecutor())  # Pillow decodes outside the interpreter's lock
            out = stack.enter_context(open(to / "images.npy", "wb")) if self.keep else None
            if out:
                out.write(npy_header((0, channels, *size)))
            for start in range(0, len(listing), at_once):
                block = listing[start : start + at_once]
                fresh = threads.map(lambda file: self._decode(file, size), [f for f in block if f not in known])
                for file in block:
                    if file in known:
                        row, place = known[file]
                        pixels = old.images[place].tobytes() if out and old and place >= 0 else b""
                    else:
                        image = next(fresh)
                        row, pixels = _row(file, image), image.pixels
                    rows.append(row)
                    count += row[6] == ""
                    if out:
                        out.write(pixels)
            if out:
                out.seek(0)
                out.write(npy_header((count, channels, *size)))
        table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
        table.to_parquet(to / "rows.parquet", index=False)
        (to / "size").write_text(f"{size[0]} {size[1]}")
        write_sums(to)
        return table

    def _decode(self, file: _File, size: Size) -> Decoded:
        """The file as an image; an empty one is unreadable."""
        if file[1] == 0:
            return Decoded(0, 0, "", "empty file", False, 0, 0, b"")
        return decode(os.path.join(self.folder, file[0]), self.mode, size)


def _row(file: _File, image: Decoded) -> tuple[Any, ...]:
    """A row of COLUMNS; a passing error gets no time of change, so that the next start tries the file again."""
    name, size, time = file
    return (
        name,
        size,
        -1 if image.passing else time,
        image.width,
        image.height,
        image.mode,
        image.error,
        image.content,
        image.look,
    )


def _by_file(old: Pack, listing: list[_File]) -> _Known:
    """What a pack holds of the files listed."""
    wanted, known, place = set(listing), {}, 0
    for row in old.rows.itertuples(index=False, name=None):
        usable = row[6] == ""
        if (file := (row[0], row[1], row[2])) in wanted:
            known[file] = (row, place if usable else -1)
        place += usable
    return known


def npy_header(shape: tuple[int, ...]) -> bytes:
    """The 128 bytes before a uint8 array in a .npy file: of one length, so that the count can be written last."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
