"""Folders of files by class: which parts are the pool and the test source, and what would be left out unsaid."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lightning_base.errors import DataError
from lightning_base.samples.samples import findings_table
from lightning_base.sources.listing import check_inside, list_files

PARTS = ("train", "val", "test")
TRAINING = ("train", "training", "trainset", "train_set", "training_set")  # what such folders are called elsewhere
HELD_OUT = (
    *("val", "valid", "validation", "dev", "eval", "valset", "val_set", "validation_set"),
    *("test", "tests", "testing", "testset", "test_set"),
)


@dataclass(frozen=True)
class Listed:
    """The files of a source.

    Attributes:
        folder: what names start from.
        files, findings: as `list_files` gives them.
        parts: the folders `train` and `val` where names begin with these; else one empty name.
    """

    folder: Path
    files: pd.DataFrame
    findings: pd.DataFrame
    parts: tuple[str, ...] = ("",)

    def within(self, name: str) -> str:
        """A name from its part's folder on."""
        return name.split("/", 1)[1] if len(self.parts) > 1 else name

    def roles(self, names: Iterable[str]) -> list[str] | None:
        """The part of each name; None where there is but one."""
        return [name.split("/", 1)[0] for name in names] if len(self.parts) > 1 else None


def list_all(folder: Path, suffixes: tuple[str, ...], key: str) -> Listed:
    """Every file below a folder.

    Raises:
        DataError: where it is not there or has none of these types; `key` begins the message.
    """
    if not folder.is_dir():
        raise DataError(f"{key}: no folder {folder}; mend the path")
    files, findings = list_files(folder, suffixes)
    if files.empty:
        raise DataError(f"{key}: {folder} has no files that are read{_types(findings)}; give {', '.join(suffixes)}")
    return Listed(folder, files, findings)


def list_pool(root: Path, suffixes: tuple[str, ...], key: str) -> Listed:
    """The files below `train`, and `val` where it is there; else below the root.

    What stands beside these folders, `test` excepted, is named in the findings.

    Raises:
        DataError: for `val` or `test` without `train`, or where there are no files.
    """
    if not (root / "train").is_dir():
        for part in PARTS[1:]:
            if (root / part).is_dir():
                raise DataError(f"{key}: {root} has a folder {part} and none named train; put what trains into train")
        return list_all(root, suffixes, key)
    parts = tuple(part for part in PARTS[:2] if (root / part).is_dir())
    listed = [list_all(check_inside(root, root / part), suffixes, key) for part in parts]
    if len(parts) == 1:
        folder, files, findings = listed[0].folder, listed[0].files, listed[0].findings
    else:
        pairs = list(zip(parts, listed, strict=True))
        files = pd.concat([one.files.assign(name=f"{part}/" + one.files["name"]) for part, one in pairs])
        findings = pd.concat([one.findings.assign(id=f"{part}/" + one.findings["id"]) for part, one in pairs])
        folder, files = root, files.reset_index(drop=True)
    return Listed(folder, files, pd.concat([findings, _beside(root)], ignore_index=True), parts)


def list_test(root: Path, suffixes: tuple[str, ...], key: str) -> Listed | None:
    """The files below `test`, where there is a `train` beside it."""
    return None if test_folder(root) is None else list_all(check_inside(root, root / "test"), suffixes, key)


def test_folder(root: Path) -> str | None:
    """The folder `test`, where there is a `train` beside it."""
    return str(root / "test") if (root / "train").is_dir() and (root / "test").is_dir() else None


def _beside(root: Path) -> pd.DataFrame:
    """What stands beside the folders of the parts."""
    found = []
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if not entry.name.startswith(".") and not (entry.name in PARTS and entry.is_dir()):
            what = "folder" if entry.is_dir() else "file"
            found.append((entry.name, "unused", f"a {what} beside train, which is not read"))
    return findings_table(found)


def by_folder(listed: Listed, key: str) -> list[str]:
    """The class of each file, which is its first folder.

    Raises:
        DataError: for a file in no folder, or a folder none of whose files are of a type that is read.
    """
    classes = []
    for name in listed.files["name"]:
        if "/" not in (inner := listed.within(name)):
            raise DataError(f"{listed.folder / name}: it is in no class's folder; move it into one{key}")
        classes.append(inner.split("/", 1)[0])
    demand_classes(classes, listed.folder)
    return classes


def demand_classes(names: Iterable[str], folder: Path) -> None:
    """Refuses folders that are no classes but parts of the data, called otherwise than here: Train and Test, say.

    Raises:
        DataError: naming two of them.
    """
    plain = {name.casefold().replace("-", "_").replace(" ", "_"): name for name in names}
    trains, held = (next((plain[one] for one in known if one in plain), None) for known in (TRAINING, HELD_OUT))
    if trains is not None and held is not None:
        raise DataError(
            f"{folder}: its folders {trains} and {held} would be two classes; where they are parts of the data, call "
            "them train, val and test, or name the one to read; where they are classes, call them otherwise"
        )


def silent_folders(listed: Listed, suffixes: tuple[str, ...]) -> pd.DataFrame:
    """Findings of kind "empty" for classes' folders without files.

    Raises:
        DataError: for one with files, all of other types: its class would be gone.
    """
    found = []
    for part in listed.parts if len(listed.parts) > 1 else ("",):
        for entry in sorted(os.scandir(listed.folder / part), key=lambda entry: entry.name):
            name = f"{part}/{entry.name}" if part else entry.name
            if entry.name.startswith(".") or not entry.is_dir() or (listed.findings["id"] == name).any():
                continue
            if listed.files["name"].str.startswith(name + "/").any():
                continue
            other = listed.findings[listed.findings["id"].str.startswith(name + "/")]
            if other.empty:
                found.append((name, "empty", "a class's folder without files"))
            elif (other["kind"] == "unused").all():
                raise DataError(
                    f"{listed.folder / name}: a class's folder with no file that is read{_types(other)}; give "
                    f"{', '.join(suffixes)}, or move the folder away"
                )
    return findings_table(found)


def demand_left(files: Sequence[str], classes: Sequence[str], left: Iterable[str], why: Callable[[str], str]) -> None:
    """Refuses a class of which no file was read: it would be gone.

    Args:
        files: (n,) names.
        classes: (n,) the class of each.
        left: the classes of those that were read.
        why: what is wrong with a file.

    Raises:
        DataError: naming the class and its first file.
    """
    first = dict(zip(reversed(classes), reversed(files), strict=True))
    for name in sorted(first.keys() - set(left)):
        raise DataError(
            f"{first[name]}: {why(first[name])}, and no file of class {name!r} can be read; mend them, or move them "
            "away"
        )


def _types(findings: pd.DataFrame) -> str:
    """The endings of files that are not read, most frequent first, in parentheses."""
    unused = findings["id"][findings["kind"] == "unused"]
    if unused.empty:
        return ""
    endings = [os.path.splitext(name)[1].lower() or "no ending" for name in unused]
    counts = pd.Series(endings).value_counts()
    return f" ({', '.join(f'{count} × {ending}' for ending, count in counts.head(5).items())})"


def pool_parts(root: Path) -> list[str]:
    """The folders that make up the pool, as paths from the root: train, train and val, or the root itself."""
    if (root / "train").is_dir():
        return ["train", "val"] if (root / "val").is_dir() else ["train"]
    for part in ("val", "test"):
        if (root / part).is_dir():
            raise DataError(f"{root}: a folder {part} but none named train; put the training images into train")
    return [""]


def list_parts(root: Path, parts: Sequence[str], suffixes: tuple[str, ...]) -> tuple[Path, pd.DataFrame, pd.DataFrame]:
    """The folder that names start from (the part where there is one), and its files and findings as `list_files`.

    Raises:
        UserError: where a part is a link out of the root, or a folder cannot be read.
    """
    if len(parts) == 1:
        folder = check_inside(root, root / parts[0])
        return folder, *list_files(folder, suffixes)
    listed = [list_files(check_inside(root, root / part), suffixes) for part in parts]
    files = [table.assign(name=f"{part}/" + table["name"]) for part, (table, _) in zip(parts, listed, strict=True)]
    found = [table.assign(id=f"{part}/" + table["id"]) for part, (_, table) in zip(parts, listed, strict=True)]
    return root, pd.concat(files, ignore_index=True), pd.concat(found, ignore_index=True)
