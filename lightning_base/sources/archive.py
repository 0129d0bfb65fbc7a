"""Unpacking an archive that nobody vouches for: each entry is checked and each byte counted before it is written."""

import bz2
import filecmp
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NoReturn, Protocol

from lightning_base.errors import DataError, UserError, one_line

STATE = ".fetch"  # the folder of `fetch` beside the content; no archive may write there
SUFFIXES = {".tar": "tar", ".tar.gz": "tar", ".tgz": "tar", ".tar.bz2": "tar", ".tar.xz": "tar", ".zip": "zip"}
CHUNK = 2**20
MAX_HEADER = 2**24  # bytes of one tar header (long names); tarfile would read any size into memory
MAX_ENTRIES = 5_000_000
MAX_DEPTH = 128  # folders in each other; Python's own rmtree gives up at 1,000
MAX_RATIO = 200  # bytes unpacked per byte of archive; zeros reach 1,000 with deflate, data seldom 20
RATIO_FROM = 100 * 10**6  # bytes unpacked from which the ratio counts
DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, ValueError, OverflowError),
)


@dataclass(frozen=True)
class Unpacked:
    """What was written: the number of files, their bytes, and the name of the file where a .gz holds just one."""

    files: int
    size: int
    single: str | None = None


def kind(name: str) -> str | None:
    """`"tar"`, `"zip"` or `"gz"` (one compressed file), as the file name ends, or None."""
    lower = name.lower()
    known = next((form for suffix, form in SUFFIXES.items() if lower.endswith(suffix)), None)
    return known or ("gz" if lower.endswith(".gz") else None)


def unpack(archive: Path, name: str, folder: Path, max_bytes: int, report: Callable[[str], None]) -> Unpacked:
    """Unpacks an archive called `name` into an empty folder; says what was written.

    Raises:
        UserError: the archive is damaged, encrypted or of no known form; an entry leads out of the folder, is a
            device, or is there twice with different content; it unpacks to more than `max_bytes`, or suspiciously
            much for its size. The folder is then half filled: the caller removes it.
    """
    writer = _Writer(archive, folder, max_bytes, report)
    try:
        match kind(name) or _kind_of_content(archive):
            case "tar":
                _untar(writer)
            case "zip":
                _unzip(writer)
            case "gz":
                single = name[:-3] if name.lower().endswith(".gz") else name
                with gzip.open(archive) as content:
                    writer.file(single, content)
                return Unpacked(1, writer.size, single)
            case _:
                raise DataError(f"{archive}: is no tar, zip or gz archive; set data.fetch.unpack to false")
        writer.make_links()
        if not any(folder.iterdir()):
            raise DataError(f"{archive}: is an archive of nothing; mend data.fetch.url")
    except OSError as error:
        if error.errno is not None:  # the disk's, not the decompressor's
            raise
        raise _damaged(archive, error) from error
    except DAMAGED as error:
        raise _damaged(archive, error) from error
    return Unpacked(writer.files, writer.size)


def _damaged(archive: Path, error: Exception) -> UserError:
    why = one_line(error) or type(error).__name__
    return DataError(f"{archive}: cannot be unpacked ({why}); it is damaged or of another format: fetch it again")


def _kind_of_content(archive: Path) -> str | None:
    """What the file is by its content: "tar", "zip" or "gz"; None where it is none of them."""
    try:
        with _open_tar(archive) as stream, _Forward(stream) as forward:
            tarfile.open(fileobj=forward, mode="r:").close()
        return "tar"
    except tarfile.TarError:
        pass
    with archive.open("rb") as stream:
        magic = stream.read(2)
    return "zip" if zipfile.is_zipfile(archive) else "gz" if magic == b"\x1f\x8b" else None


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Writer:
    """Writes entries below one folder. No link is made before the last file is written, so none is written through."""

    def __init__(self, archive: Path, folder: Path, max_bytes: int, report: Callable[[str], None]) -> None:
        self.archive, self.root, self.max_bytes, self.report = archive, folder, max_bytes, report
        self.archive_size = archive.stat().st_size
        self.entries = self.files = self.size = 0
        self.links: dict[Path, tuple[str, str]] = {}  # where: (entry, target)
        self.folders: set[Path] = {folder}
        self.told = time.monotonic()

    def refuse(self, entry: str, why: str, mend: str = "get a clean archive, or unpack it by hand") -> NoReturn:
        raise DataError(f"{self.archive}: entry {entry!r} {why}; {mend}")

    def count_entry(self, entry: str) -> None:
        """Counts an entry, and refuses one too many."""
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            self.refuse(entry, f"is beyond the {MAX_ENTRIES:,} that are unpacked")

    def _count(self, entry: str, size: int) -> None:
        """Counts bytes about to be written, and refuses what makes them too many."""
        self.size += size
        if self.size > self.max_bytes:
            mend = "raise data.fetch.max_bytes if that much is right"
            self.refuse(entry, f"makes it more than the {self.max_bytes:,} bytes allowed", mend)
        if self.size > RATIO_FROM and self.size > MAX_RATIO * self.archive_size:
            why = f"makes it over {MAX_RATIO} times the size of the archive, as in a decompression bomb"
            self.refuse(entry, why, "unpack it by hand if you trust it")
        if time.monotonic() - self.told > 10:
            self.told = time.monotonic()
            self.report(f"{self.archive.name}: {self.files:,} files, {self.size / 1e6:,.0f} MB unpacked")

    def path(self, entry: str) -> Path:
        """Where an entry goes: below the folder, whichever system's separators the name has."""
        portable = PureWindowsPath(entry)
        if "\0" in entry:
            self.refuse(entry, "has a NUL in its name")
        if portable.root:
            self.refuse(entry, "has an absolute path")
        if ".." in portable.parts:
            self.refuse(entry, "leads out of the folder with '..'")
        parts = PurePosixPath(entry).parts
        if len(parts) > MAX_DEPTH:
            self.refuse(entry[:80], f"is over {MAX_DEPTH} folders deep")
        if parts and parts[0].casefold() == STATE:
            self.refuse(entry, f"is in {STATE!r}, where the state of downloads is kept")
        return self.root.joinpath(*parts)

    def folder(self, entry: str) -> None:
        self._make(entry, self.path(entry))

    def _make(self, entry: str, path: Path) -> None:
        if path not in self.folders:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                self.refuse(entry, "needs a folder where the archive has a file")
            self.folders.add(path)

    def file(self, entry: str, content: _Readable, chunk: int = CHUNK, executable: bool = False) -> None:
        path = self.path(entry)
        self._make(entry, path.parent)
        try:
            self._write(entry, path, content, chunk, executable)
            self.files += 1
        except FileExistsError:  # twice in the archive, or a file system that does not tell A from a
            twin = self.root / f"{STATE}.twin"
            self._write(entry, twin, content, chunk, executable)
            if not filecmp.cmp(path, twin, shallow=False):
                self.refuse(entry, "is there twice, with different content (or in two cases the disk takes for one)")
            twin.unlink()

    def _write(self, entry: str, path: Path, content: _Readable, chunk: int, executable: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags, 0o777 if executable else 0o666), "wb") as out:
            while data := content.read(chunk):
                self._count(entry, len(data))
                out.write(data)

    def link(self, entry: str, target: str) -> None:
        """Notes a symbolic link. As '..' stands only at the start of a target, where folders are real, other links
        on the way cannot carry it out of the folder."""
        path, parts = self.path(entry), PurePosixPath(target).parts
        up = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
        absolute = PureWindowsPath(target).root or "\0" in target
        if absolute or up > len(path.relative_to(self.root).parts) - 1 or ".." in PureWindowsPath(target).parts[up:]:
            self.refuse(entry, f"is a link that may lead out of the folder, to {target!r}")
        self.links[path] = (entry, target)

    def make_links(self) -> None:
        """Makes the links that were noted."""
        for path, (entry, _) in self.links.items():
            self._make(entry, path.parent)
        for path, (entry, target) in self.links.items():
            try:
                path.symlink_to(target)
            except FileExistsError:
                self.refuse(entry, "is a link and a file or folder")


class _Forward(io.BufferedIOBase):
    """A stream for tarfile that neither goes back (forged sizes make loops) nor reads a huge header into memory."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self.stream, self.last = stream, b""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError("a header of forged size")
        self.last = self.stream.read(size)
        return self.last

    def tell(self) -> int:
        return self.stream.tell()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence or offset < self.stream.tell():
            raise tarfile.ReadError("an entry of forged size")
        return self.stream.seek(offset)


def _open_tar(archive: Path) -> io.BufferedIOBase:
    """The tar's bytes, decompressed as the first ones tell."""
    with archive.open("rb") as stream:
        magic = stream.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(archive)
    if magic.startswith(b"BZh"):
        return bz2.open(archive)
    return lzma.open(archive) if magic == b"\xfd7zXZ\0" else archive.open("rb")


def _untar(writer: _Writer) -> None:
    """Writes every entry of a tar."""
    with _open_tar(writer.archive) as stream, _Forward(stream) as forward:
        with tarfile.open(fileobj=forward, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # or each of a million entries stays in memory
                _untar_entry(writer, tar, member)
        if forward.last.strip(b"\0"):  # tarfile takes a broken header for the end
            raise tarfile.ReadError("a damaged header")
        while stream.read(CHUNK):  # the checksum of the compressed stream is at its end
            pass


def _untar_entry(writer: _Writer, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """Writes one entry of a tar."""
    name = member.name
    writer.count_entry(name)
    if member.isdir():
        writer.folder(name)
    elif member.issym():
        writer.link(name, member.linkname)
    elif member.islnk():
        source = writer.path(member.linkname)
        if not source.is_file():
            writer.refuse(name, f"is a hard link to {member.linkname!r}, which is no file before it")
        if source != writer.path(name):
            with source.open("rb") as content:  # a copy, so that a change of one is no change of the other
                writer.file(name, content)
    elif member.isreg() and (data := tar.extractfile(member)) is not None:
        with data:
            writer.file(name, data, executable=bool(member.mode & stat.S_IXUSR))
    else:
        writer.refuse(name, "is a device or another special file")


def _unzip(writer: _Writer) -> None:
    """Writes every entry of a zip, once all names are checked."""
    with zipfile.ZipFile(writer.archive) as archive:
        entries = archive.infolist()
        for entry in entries:
            name, form = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
            writer.count_entry(name)
            writer.path(name)
            if entry.flag_bits & 1:
                writer.refuse(name, "is encrypted", "unpack it by hand with its password")
            if form not in (0, stat.S_IFREG, stat.S_IFDIR):
                writer.refuse(name, "is a link" if form == stat.S_IFLNK else "is a device or another special file")
        for entry in entries:
            if entry.is_dir():
                writer.folder(entry.filename)
                continue
            # bz2 and lzma in a zip are decompressed whole for each read: little at a time keeps that small
            bounded = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            with archive.open(entry) as content:
                executable = bool(entry.external_attr >> 16 & stat.S_IXUSR)
                writer.file(entry.filename, content, CHUNK if bounded else 4096, executable)
