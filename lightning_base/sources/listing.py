"""Listings of source files, and whether a path stays inside its folder."""

import os
import posixpath
from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd

from lightning_base.errors import DataError


def list_files(root: Path, suffixes: tuple[str, ...], but: Collection[str] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every file below a folder that ends in one of the suffixes, and what was found wrong on the way.

    Hidden files and folders are left out. Symbolic links are followed where they stay inside the folder.

    Args:
        root: the folder.
        suffixes: lower case, with the dot; a file's case does not matter.
        but: files and folders that are left out, as paths from the root.

    Returns:
        files: name (str; path from the root with "/"), size (int64 bytes), mtime_ns and ctime_ns (int64; times of the
            last change of content, and of anything); sorted by name.
        findings: id (that path), kind, detail: "escape" for a link that leaves the root or leads in a circle,
            "unreadable" for a link to nothing or a name that is not UTF-8, "unused" for a file of another type. None
            has a row in files; together they name every file that is not hidden.

    Raises:
        UserError: where the folder, or one below it, cannot be read.
    """
    top = os.path.realpath(root)
    files: list[tuple[str, int, int, int]] = []
    findings: list[tuple[str, str, str]] = []
    for name, entry in _walk(os.fspath(root), top, "", suffixes, findings, but):
        status = entry.stat()
        files.append((name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    files.sort()
    names, sizes, times, changes = zip(*files, strict=True) if files else ((), (), (), ())
    table = pd.DataFrame(
        {
            "name": pd.Series(names, dtype=str),
            "size": pd.Series(sizes, dtype="int64"),
            "mtime_ns": pd.Series(times, dtype="int64"),
            "ctime_ns": pd.Series(changes, dtype="int64"),
        }
    )
    return table, pd.DataFrame(sorted(findings), columns=["id", "kind", "detail"], dtype=str)


def unread(root: Path, folder: Path, but: Collection[str]) -> list[tuple[str, str, str]]:
    """Findings that name every file below a root which nobody reads, hidden ones apart.

    Args:
        root: the data's folder.
        folder: where the samples' names start: it is below the root, and names of files beside it begin with "../".
        but: the files and folders that are read, as paths from the root.
    """
    if "." in but:
        return []
    _, found = list_files(root, (), but)
    where = "it stands in none of the folders that are read"
    return [(os.path.relpath(root / name, folder), "unused", where) for name in found["id"]]


def leaves(name: str) -> bool:
    """Whether a path leads out of the folder it starts from."""
    return name.startswith("/") or posixpath.normpath(name).split("/")[0] == ".."


def check_inside(root: Path, path: Path) -> Path:
    """The path, where it does not lead out of the root.

    Raises:
        UserError: where a symbolic link in it does.
    """
    if not _inside(target := os.path.realpath(path), os.path.realpath(root)):
        raise DataError(f"{path}: leads to {target}, outside {root}; put the data itself there, or name another root")
    return path


def _walk(
    folder: str,
    top: str,
    prefix: str,
    suffixes: tuple[str, ...],
    findings: list[tuple[str, str, str]],
    but: Collection[str],
) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """(path from the root, entry) of every file below a folder."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(f"folder {folder} cannot be read ({error.strerror}); mend its path or rights") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        name, wanted = prefix + entry.name, entry.name.lower().endswith(suffixes)
        if name in but:
            continue
        if entry.is_symlink() and (wanted or entry.is_dir()):
            target = os.path.realpath(entry.path)
            if not _inside(target, top):
                findings.append((name, "escape", f"links to {target}, outside {top}"))
                continue
            if _inside(os.path.realpath(folder), target):
                findings.append((name, "escape", "links to a folder that it is in"))
                continue
            if not os.path.exists(target):
                findings.append((name, "unreadable", f"links to {target}, which does not exist"))
                continue
        if entry.is_dir():
            yield from _walk(entry.path, top, name + "/", suffixes, findings, but)
            continue
        readable = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
        if not entry.is_file():
            findings.append((readable, "unused", "it is no file"))
        elif not wanted:
            findings.append((readable, "unused", f"{_ending(entry.name)}, which is not read here"))
        elif readable != name:
            findings.append((readable, "unreadable", "its name is not UTF-8"))
        else:
            yield name, entry


def _ending(name: str) -> str:
    """A file's type by its name."""
    ending = os.path.splitext(name)[1]
    return f"a {ending.lower()} file" if ending else "a file without an ending"


def _inside(path: str, folder: str) -> bool:
    """Whether a resolved path is the resolved folder or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
