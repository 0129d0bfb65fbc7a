"""Collecting raw data: downloads that resume, are verified, unpacked whole or not at all, and never fetched twice."""

import contextlib
import fcntl
import filecmp
import json
import os
import re
import shutil
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning_base.errors import DataError, UserError, one_line
from lightning_base.sources.archive import STATE, Unpacked, kind, unpack
from lightning_base.sources.transfer import digest, download, mismatch, write_json


@dataclass(frozen=True)
class Resource:
    """One thing to fetch.

    Args:
        url: an http(s):// or file:// URL, or a local path.
        into: the folder the file, or with `unpack` its content, goes to.
        sha256: the file's SHA-256, 64 hex digits; only for a local file it may be left out.
        unpack: whether to unpack; None unpacks what ends in .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip or .gz.
        max_bytes: the most bytes that unpacking may write.
    """

    url: str
    into: str
    sha256: str | None = None
    unpack: bool | None = None
    max_bytes: int = 100 * 2**30


@dataclass(frozen=True)
class _Done:
    """The marker of a finished fetch: the file it came from, and what was put into the folder."""

    url: str
    sha256: str
    size: int
    mtime_ns: int | None  # of a local file
    unpacked: bool
    content: Unpacked
    entries: list[str]  # files and folders, as deep as a short list goes


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def fetch(resource: Resource, report: Callable[[str], None] = _say) -> Path:
    """Fetches, verifies and unpacks one resource unless that is done; returns the file, or the folder unpacked into.

    Raises:
        UserError: the source is missing or not reachable, lacks its SHA-256 or has another one; the archive is
            unsafe; a file of the user's is in the way; the folder cannot be written.
    """
    local, name = _source(resource)
    into = Path(resource.into)
    try:
        if (done := _finished(resource, local, name)) is None:
            (into / STATE).mkdir(parents=True, exist_ok=True)
            with _lock(into / STATE / f"{name}.lock", report):
                done = _finished(resource, local, name) or _collect(resource, local, name, report)
    except OSError as error:
        mend = "make room, make it writable, or give another data.fetch.into"
        raise DataError(f"{resource.url}: cannot be fetched into {into} ({one_line(error)}): {mend}") from error
    return into / done.content.single if done.content.single else into


def demand_fetched(resource: Resource) -> None:
    """Refuses to go on without a resource that an earlier fetch has not left whole; fetches nothing.

    Raises:
        DataError: naming it, and the command that fetches.
    """
    local, name = _source(resource)
    if _finished(resource, local, name) is None:
        raise DataError(
            f"data.fetch: {resource.url} is not in {resource.into}, and scoring fetches nothing; look whether you want "
            "it, then lightning-base prepare --config with this configuration"
        )


def _source(resource: Resource) -> tuple[Path | None, str]:
    """The path of a local file (None for a download) and the file's name."""
    url, sha256 = resource.url, resource.sha256
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise DataError(f"{url}: data.fetch.sha256 is {sha256!r}, not 64 hexadecimal digits")
    try:
        parsed = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise DataError(f"{url}: is not a URL ({one_line(error)}); mend data.fetch.url") from error
    if parsed.scheme in ("http", "https") and parsed.netloc:
        local, name = None, urllib.parse.unquote(parsed.path).rpartition("/")[2]
    elif "://" not in url or (parsed.scheme == "file" and parsed.netloc in ("", "localhost")):
        local = Path(urllib.request.url2pathname(parsed.path) if parsed.scheme == "file" else url)
        name = local.name
    else:
        raise DataError(f"{url}: only http(s)://, file:/// and local paths are fetched; mend data.fetch.url")
    if name in ("", ".", "..") or name.casefold() == STATE or not name.isprintable():
        raise DataError(f"{url!r}: does not end in a file name; mend data.fetch.url")
    if local is None and sha256 is None:
        raise DataError(f"{url}: has no SHA-256; give data.fetch.sha256, as published or as sha256sum prints it")
    return local, name


def _finished(resource: Resource, local: Path | None, name: str) -> _Done | None:
    """The marker of an earlier fetch whose result is there, or None.

    Raises:
        UserError: the folder holds the result of another version of the file.
    """
    into = Path(resource.into)
    try:
        found = json.loads((into / STATE / f"{name}.done.json").read_text())
        done = _Done(**found | {"content": Unpacked(**found["content"])})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    there = _there(into, done.entries)
    wanted = resource.sha256.lower() if resource.sha256 else done.sha256
    if resource.sha256 is None and local and local.is_file():
        status = local.stat()
        same = (done.url, done.size, done.mtime_ns) == (resource.url, status.st_size, status.st_mtime_ns)
        wanted = done.sha256 if same else digest(local)
    if wanted != done.sha256 and there:
        what = f"{into / min(there)}: is from {done.url} with SHA-256 {done.sha256}, not {wanted}"
        raise DataError(f"{what}; delete it or give another data.fetch.into")
    single, size = done.content.single, done.content.size
    whole = len(there) == len(done.entries) and (single is None or (into / single).stat().st_size == size)
    return done if whole and wanted == done.sha256 and done.unpacked == _unpacks(resource, name) else None


def _collect(resource: Resource, local: Path | None, name: str, report: Callable[[str], None]) -> _Done:
    """The marker, once the file is verified and its result, made in a folder of its own, is moved into place."""
    into, state = Path(resource.into), Path(resource.into, STATE)
    file, sha256 = _obtain(resource, local, name, report)
    status, staging, unpacking = file.stat(), state / f"{name}.new", _unpacks(resource, name)
    content = Unpacked(files=1, size=status.st_size, single=name)
    shutil.rmtree(staging, ignore_errors=True)  # what a crash left
    try:
        staging.mkdir()
        if unpacking:
            report(f"{name}: unpacking into {into}")
            content = unpack(file, name, staging, resource.max_bytes, report)
        elif local is not None:
            shutil.copyfile(local, staging / name)
        elif file.parent == state:
            os.replace(file, staging / name)
        entries = _entries(staging) or [name]
        _check(staging, into)
        _move(staging, into)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    mtime_ns = status.st_mtime_ns if local else None
    done = _Done(resource.url, sha256, status.st_size, mtime_ns, unpacking, content, entries)
    write_json(state / f"{name}.done.json", asdict(done))
    if unpacking and local is None:
        file.unlink(missing_ok=True)
    return done


def _obtain(resource: Resource, local: Path | None, name: str, report: Callable[[str], None]) -> tuple[Path, str]:
    """The verified file, as it is for a local one, else downloaded or found in place, and its SHA-256."""
    sha256 = resource.sha256.lower() if resource.sha256 else ""
    if local is not None:
        if not local.is_file():
            raise DataError(f"{resource.url}: is not a file; mend data.fetch.url")
        found = digest(local)
        if sha256 and found != sha256:
            raise mismatch(resource.url, found, sha256)
        return local, found
    place, file = Path(resource.into, name), Path(resource.into, STATE, name)
    if not _unpacks(resource, name) and os.path.lexists(place):
        if not place.is_file() or digest(place) != sha256:
            raise _in_the_way(place)
        return place, sha256
    if not file.is_file() or digest(file) != sha256:  # there after a crash, or where something was in the way
        download(resource.url, file, sha256, report)
    return file, sha256


def _unpacks(resource: Resource, name: str) -> bool:
    return kind(name) is not None if resource.unpack is None else resource.unpack


def _entries(folder: Path) -> list[str]:
    """What is in a folder, replacing folders by their content level by level while that stays under 1,000 entries.

    The top level alone would not do: archives often share a folder, and the content of one is not the other's.
    """
    level = [Path(name) for name in sorted(os.listdir(folder))]
    while True:
        deeper: list[Path] = []
        for entry in level:
            real = folder / entry
            inside = sorted(os.listdir(real)) if real.is_dir() and not real.is_symlink() else []
            deeper += [entry / name for name in inside] or [entry]
        if len(deeper) > 1000 or deeper == level:
            return [str(entry) for entry in level]
        level = deeper


def _there(folder: Path, entries: list[str]) -> list[str]:
    """Which of the entries are in a folder, by one listing for each folder: a million look-ups take minutes."""
    listings: dict[str, set[str]] = {}
    for parent in {os.path.dirname(entry) for entry in entries}:
        with contextlib.suppress(OSError):
            listings[parent] = set(os.listdir(folder / parent))
    return [entry for entry in entries if os.path.basename(entry) in listings.get(os.path.dirname(entry), ())]


def _check(source: Path, target: Path) -> None:
    """Raises UserError where moving `source`'s content into `target` would replace other content."""
    for entry in list(os.scandir(source)):
        place = target / entry.name
        if not os.path.lexists(place):
            continue
        if entry.is_symlink() or place.is_symlink():
            same = entry.is_symlink() and place.is_symlink() and os.readlink(entry.path) == os.readlink(place)
        elif entry.is_dir() and place.is_dir():
            _check(Path(entry.path), place)
            same = True
        else:
            same = entry.is_file() and place.is_file() and filecmp.cmp(entry.path, place, shallow=False)
        if not same:
            raise _in_the_way(place)


def _move(source: Path, target: Path) -> None:
    """Moves `source`'s content into `target`, folder by folder where both have one; what is there already stays."""
    for entry in list(os.scandir(source)):
        place = target / entry.name
        if not os.path.lexists(place):
            os.rename(entry.path, place)
        elif entry.is_dir(follow_symlinks=False):
            _move(Path(entry.path), place)


def _in_the_way(path: Path) -> UserError:
    return DataError(f"{path}: exists with other content and is not overwritten; move it or change data.fetch.into")


@contextlib.contextmanager
def _lock(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Keeps other processes from fetching the same file meanwhile, where the file system has locks."""
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"{path}: waiting for another process that fetches the same file")
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError:
            pass
        yield
