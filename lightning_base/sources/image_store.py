"""What is kept of decoded images in the cache folder: an array of pixels, and a row on each file."""

import hashlib
import os
import shutil
import struct
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lightning_base.errors import DataError
from lightning_base.runtime.pictures import Size
from lightning_base.samples.payload import Payload
from lightning_base.sources.images import LEVELS, OWN, Decoded, Form, ImageFiles, Reading, count_frames, decode, probe
from lightning_base.tools.checksums import intact, write_sums
from lightning_base.tools.console import console

COLUMNS = {
    "name": "str",
    "file": "str",
    "frame": "int64",
    "size": "int64",
    "mtime_ns": "int64",
    "ctime_ns": "int64",
    "width": "int64",
    "height": "int64",
    "mode": "str",
    "turn": "int64",
    "frames": "int64",
    "kind": "int64",
    "note": "str",
    "error": "str",
    "content": "uint64",
    "look": "uint64",
}
ERROR, KIND, FRAMES = (list(COLUMNS).index(name) for name in ("error", "kind", "frames"))
TICK, COARSE = 50_000_000, 2_000_000_000  # ns: no filesystem's clock is slower, but for those that count seconds
MOST_FRAMES = 100_000  # of a file
BUFFER = 1 << 22  # bytes that are written at a time
SMALL = 8192  # bytes of a file
TOGETHER = 32  # files that a thread is given at a time, at most
T = TypeVar("T")


class Entry(NamedTuple):
    """One image that is to be packed: its file, as it was listed, and the frame of it."""

    file: str
    size: int
    mtime_ns: int
    ctime_ns: int
    frame: int = 0


class Kept(NamedTuple):
    """What a pack holds: a row of COLUMNS for each image, and the pixels (M, C, H, W) of those without an error."""

    rows: pd.DataFrame
    images: Payload
    form: Form


_Row: TypeAlias = tuple[Any, ...]
_Known: TypeAlias = dict[Entry, tuple[_Row, int]]  # its row, and its place among the images or -1


class _Deeper(Exception):
    """An image needs more than 8 bits, so that all are kept as floats."""


@dataclass(frozen=True)
class Store:
    """Where the packs of one folder and one way of reading stand, and how they are made."""

    home: Path
    folder: Path
    reading: Reading
    size: Size | None
    keep: bool

    def load(self, path: Path) -> Kept | None:
        """The pack of that folder, or None where there is none that is whole."""
        if not path.is_dir():
            return None
        if not intact(path):
            console().print(f"{path}: is damaged; its images are packed anew", soft_wrap=True, markup=False)
            return None
        try:
            rows = pd.read_parquet(path / "rows.parquet").astype(COLUMNS)
            usable = rows[rows["error"] == ""]
            height, width, deep = map(int, (path / "form").read_text().split())
            form = Form(self.reading, (height, width), bool(deep))
            if self.keep:
                images: Payload = np.load(path / "images.npy", mmap_mode="r", allow_pickle=False)
            else:
                names = usable["file"].to_numpy(dtype=object)
                images = ImageFiles(self.folder, names, usable["frame"].to_numpy(), form)
        except (OSError, ValueError, KeyError, pa.ArrowException):
            return None
        return Kept(rows, images, form) if len(images) == len(usable) else None

    def find(self, files: pd.DataFrame) -> Kept | None:
        """The pack of just these files, where it is there."""
        return self.load(self.home / digest_of(files))

    def build(self, files: pd.DataFrame) -> Kept:
        """Packs the files, taking over what an older pack of this key holds of them; then removes the older ones."""
        for left in self.home.glob("*.tmp"):  # of a process that was killed: this one holds the lock
            shutil.rmtree(left)
        settled = settle(files)
        old = next((kept for path in self.home.iterdir() if path.is_dir() and (kept := self.load(path))), None)
        listing = [Entry(*row) for row in files[["name", "size", "mtime_ns", "ctime_ns"]].itertuples(index=False)]
        entries = self._entries(listing, old)
        known = {} if old is None else _by_entry(old, entries)
        size = self.size or self._common_size(entries, known)
        temporary = self.home / f"{os.getpid()}.tmp"
        try:
            deep = any(row[KIND] != LEVELS for row, _ in known.values())
            rows = self._tried(temporary, entries, Form(self.reading, size, deep), known, old, settled)
            self._check(rows)
            lasting = settled and (rows["mtime_ns"] >= 0).all()
            path = self.home / (digest_of(files) if lasting else f"{digest_of(files)}.again")
            shutil.rmtree(path, ignore_errors=True)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        if (kept := self.load(path)) is None:
            raise OSError(f"{path} cannot be read back")
        for older in self.home.iterdir():
            if older.is_dir() and older != path:
                shutil.rmtree(older, ignore_errors=True)  # who has it mapped keeps it
        return kept

    def _tried(
        self, to: Path, entries: list[Entry], form: Form, known: _Known, old: Kept | None, settled: bool
    ) -> pd.DataFrame:
        """Writes a pack of 8 bits, and one of floats where that turns out to be too few; returns the rows."""
        for deep in (False, True):
            if deep < form.deep:
                continue
            tried = form._replace(deep=deep)
            usable = old is not None and (old.form.size, old.form.deep) == (tried.size, deep)
            same = known if usable else {entry: found for entry, found in known.items() if found[1] < 0}
            shutil.rmtree(to, ignore_errors=True)
            to.mkdir()
            try:
                return self._write(to, entries, tried, same, old, settled)
            except _Deeper:
                continue
        raise AssertionError("floats hold every image")

    def _check(self, rows: pd.DataFrame) -> None:
        """Refuses files of which none can be read, or whose values have no scale in common.

        Raises:
            UserError: for such files, naming one.
        """
        if (rows["error"] != "").all():
            raise DataError(
                f"{self.folder / rows['file'][0]}: {rows['error'][0]}; no file of {self.folder} ({len(rows)} "
                "images by their names) can be read: mend them"
            )
        usable = rows[rows["error"] == ""]
        own = usable["kind"] == OWN
        if own.any() and not own.all():
            one, other = usable[own].iloc[0], usable[~own].iloc[0]
            raise DataError(
                f"{self.folder / one['file']}: its values ({one['mode']}) have units of their own, and those of "
                f"{other['file']} ({other['mode']}) go from black to white; say with data.range: [low, high] which of "
                "the former are black and white"
            )

    def _entries(self, listing: list[Entry], old: Kept | None) -> list[Entry]:
        """What is to be packed: each file, or each frame of each."""
        if self.reading.frames == "first":
            return listing
        rows = () if old is None else old.rows[list(COLUMNS)].itertuples(index=False, name=None)
        counted = {Entry(row[1], row[3], row[4], row[5]): row[FRAMES] for row in rows if row[ERROR] == ""}
        fresh = [entry for entry in listing if entry not in counted]
        with readers(fresh) as threads:
            counts = threads.map(count_frames, [os.path.join(self.folder, entry.file) for entry in fresh])
            counted |= dict(zip(fresh, counts, strict=True))
        for entry in listing:
            if counted[entry] > MOST_FRAMES:
                raise DataError(
                    f"{self.folder / entry.file}: {counted[entry]:,} frames, more than {MOST_FRAMES:,}; split it"
                )
        return [entry._replace(frame=frame) for entry in listing for frame in range(counted[entry])]

    def _common_size(self, entries: list[Entry], known: _Known) -> Size:
        """The most common height and width by the headers; of equally common ones the smallest."""
        counts = Counter((row[7], row[6]) for row, place in known.values() if place >= 0)
        with readers(entries) as threads:
            fresh = [os.path.join(self.folder, entry.file) for entry in entries if entry not in known]
            sizes = chain.from_iterable(threads.map(lambda paths: list(map(probe, paths)), batched(fresh)))
            counts.update(size for size in sizes if size is not None)
        return min(counts, key=lambda size: (-counts[size], size), default=(1, 1))  # none: all are tried, for errors

    def _write(
        self, to: Path, entries: list[Entry], form: Form, known: _Known, old: Kept | None, settled: bool
    ) -> pd.DataFrame:
        """Writes images and rows into a folder; returns the rows."""
        assert form.size is not None
        rows, count, shape = list[_Row](), 0, (form.channels, *form.size)
        many = {entry.file for entry in entries if entry.frame}
        with ExitStack() as stack:
            threads = stack.enter_context(readers(entries))
            out = stack.enter_context(open(to / "images.npy", "wb", buffering=BUFFER)) if self.keep else None
            if out:
                out.write(npy_header((0, *shape), form.dtype))
            for entry, found in self._decoded(threads, entries, form, known):
                if isinstance(found, Decoded):
                    if found.kind != LEVELS and not form.deep:
                        raise _Deeper
                    row, pixels = _row(entry, found, entry.file in many, settled), found.pixels
                else:
                    row, place = found
                    pixels = old.images[place].tobytes() if out and old and place >= 0 else b""
                rows.append(row)
                count += row[ERROR] == ""
                if out:
                    out.write(pixels)
            if out:
                out.seek(0)
                out.write(npy_header((count, *shape), form.dtype))
        table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
        table.to_parquet(to / "rows.parquet", index=False)
        (to / "form").write_text(f"{form.size[0]} {form.size[1]} {int(form.deep)}")
        write_sums(to)
        return table

    def _decoded(
        self, threads: ThreadPoolExecutor, entries: list[Entry], form: Form, known: _Known
    ) -> Iterator[tuple[Entry, Decoded | tuple[_Row, int]]]:
        """Each entry with its image, or what is known of it, in order; one opening gives a file's frames."""
        assert form.size is not None
        each = form.channels * form.size[0] * form.size[1] * form.dtype.itemsize
        at_once = max(16, min(1024, 2**26 // each))  # 64 MB of pixels wait at most

        def read(frames: list[Entry]) -> list[Decoded]:
            if frames[0].size == 0:
                return [Decoded(error="empty file")] * len(frames)
            return decode(os.path.join(self.folder, frames[0].file), form, [entry.frame for entry in frames])

        def read_some(files: list[list[Entry]]) -> list[Decoded]:
            return [found for frames in files for found in read(frames)]

        for start in range(0, len(entries), at_once):
            block = entries[start : start + at_once]
            fresh = [list(frames) for _, frames in groupby((e for e in block if e not in known), lambda e: e.file)]
            decoded = chain.from_iterable(threads.map(read_some, batched(fresh)))
            for entry in block:
                yield entry, known[entry] if entry in known else next(decoded)


def readers(entries: list[Entry]) -> ThreadPoolExecutor:
    """Threads that read files: Pillow decodes outside the interpreter's lock, but small files it mostly holds it for.

    Two threads that wait for it take 1.6 times as long as one, with 50,000 images of 32 × 32.
    """
    small = sum(entry.size for entry in entries) < SMALL * len(entries)
    return ThreadPoolExecutor(1 if small else None)


def batched(items: list[T]) -> list[list[T]]:
    """The items in lists for threads: of TOGETHER, or fewer, so that each thread has some."""
    size = min(TOGETHER, len(items) // (4 * (os.cpu_count() or 1)) + 1)
    return [items[start : start + size] for start in range(0, len(items), size)]


def digest_of(files: pd.DataFrame) -> str:
    """What the pack of a listing is named by."""
    digest = hashlib.sha256("\0".join(files["name"]).encode())
    for column in ("size", "mtime_ns", "ctime_ns"):
        digest.update(files[column].to_numpy().tobytes())
    return digest.hexdigest()[:32]


def settle(files: pd.DataFrame) -> bool:
    """Waits until a file that changes from now on gets another time of change than it was listed with.

    Within one tick of the filesystem's clock a file can be written, read and written again, and look the same after.

    Returns:
        False where that cannot be had by waiting: the filesystem's clock is ahead of this machine's.
    """
    changed: npt.NDArray[np.int64] = files["ctime_ns"].to_numpy(dtype=np.int64)
    if len(changed) == 0:
        return True
    tick = COARSE if not (changed % 1_000_000_000).any() else TICK
    wait = int(changed.max()) + tick - time.time_ns()
    if 0 < wait <= tick:
        time.sleep(wait / 1e9)
    return wait <= tick


def _row(entry: Entry, image: Decoded, many: bool, settled: bool) -> _Row:
    """A row of COLUMNS; without a time of change, so that the next start tries the file again, where it is due to."""
    name = f"{entry.file}#{entry.frame:04d}" if many or entry.frame else entry.file
    lasting = settled and not image.passing
    times = (entry.mtime_ns if lasting else -1, entry.ctime_ns)
    return (
        *(name, entry.file, entry.frame, entry.size, *times),
        *(image.width, image.height, image.mode, image.turn, image.frames, image.kind, image.note),
        *(image.error, image.content, image.look),
    )


def _by_entry(old: Kept, entries: list[Entry]) -> _Known:
    """What a pack holds of the entries."""
    wanted, known, place = set(entries), _Known(), 0
    for row in old.rows[list(COLUMNS)].itertuples(index=False, name=None):
        usable = row[ERROR] == ""
        if (entry := Entry(row[1], row[3], row[4], row[5], row[2])) in wanted:
            known[entry] = (row, place if usable else -1)
        place += usable
    return known


def npy_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """The 128 bytes before an array in a .npy file: of one length, so that the count can be written last."""
    text = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
