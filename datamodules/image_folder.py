"""Image folders: one folder per class, or torchvision's CIFAR-10 layout; decoded once into a memory-mapped array."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import ConfigError, DataError, NoSourceError, one_line
from lightning_base.runtime.formats import SUFFIXES
from lightning_base.runtime.pictures import Mode, Range, Size
from lightning_base.runtime.readers import Reader
from lightning_base.samples.samples import findings_table
from lightning_base.sources.class_folders import demand_classes, list_parts, pool_parts
from lightning_base.sources.image_labels import Labels, by_pattern, class_names, find_tables, read_labels
from lightning_base.sources.image_pack import Pack, pack_images
from lightning_base.sources.images import Frames, Reading, image_reader
from lightning_base.sources.label_pairs import Pairs
from lightning_base.sources.listing import list_files, unread
from lightning_base.sources.patterns import compile_pattern

CIFAR10_FOLDER = "cifar-10-batches-py"
PARTS = ("train", "val", "test")


@dataclass(kw_only=True, eq=False)
class ImageFolder(BaseDataModule):
    """Images (N, C, H, W) from `<root>/train/<class>/*` (the pool) and `<root>/test/<class>/*` (sealed).

    Without a `train` folder the class folders stand in the root, and there is no test source. With a `val` folder
    beside `train` the pool is both: ids begin with `train/` or `val/`, and a column `role` says which, for
    `lightning_base.splitters.ByColumn`. Where the root holds torchvision's `cifar-10-batches-py`, that is read
    instead, through torchvision, which compares the files' MD5 sums first.

    The class is also told by files' names (`pattern`), or by a table beside the images: `metadata`, or, where there is
    none, a metadata.csv or metadata.parquet in the pool's folder or the root that has a column path or file_name. It
    may have the columns target (the class; else the folder is), group, time and role. Files without a row are findings
    of kind "target", rows without a file "unreadable".

    Formats: JPEG, PNG, BMP, WebP, TIFF, GIF, PPM, AVIF where Pillow has it, HEIC (by pillow-heif), DICOM (by pydicom)
    and NIfTI (by nibabel), by content, whatever the name says. Images are turned upright by their EXIF. Pixels are
    uint8; where one image of a source has more than 8 bits, all are float32: 0 is black and 1 white. Floats, integers
    of 32 bits and medical images have units of their own, and stay as they stand unless `range` or `window` is given.

    Nothing is written to the root: decoded images are kept in the cache folder ($LIGHTNING_BASE_CACHE, else
    ~/.cache/lightning_base), and only files that are new or changed are decoded again. Files that cannot be read or
    have another mode or size are findings, which `clean` acts on, and so are all others below the root, hidden ones
    apart.

    Args:
        root: the folder.
        image_size: height and width that every image is resized to (bilinear); by default the pool's most common
            size, and images that have another one are findings.
        mode: RGB (3 channels) or L (grey, 1 channel).
        range: [low, high] of the values that become 0 and 1, of images beyond 8 bits; values outside stay outside.
        window: [center, width] of such values, the rest of which is clipped.
        frames: of files with several images (GIF, TIFF, volumes), first reads one; all makes each a sample
            `name#0003`, counted from 0, in one group a file unless another group is told.
        pattern: of a path below the part's folder, such as "{target}_{group}_{take}.png": `target` names the class,
            `group` what must stay on one side of a split, other names are free; a name takes no "/".
        metadata: a CSV or Parquet file with a row per image, as a path from the root.
        class_folders: false where folders are no classes: images then have the target that `pattern` or a table tells,
            or none, as beside another input that has it.
        label_pairs: in place of classes, a file with a row for each label of each image: its id (the path from its
            part's folder) and a label. An image whose labels are missing is a finding; a pair without a label says that
            there is none.
        test_label_pairs: that of the images in `test`.
        pair_columns: that file's columns of ids and of labels, where it has more than these two, in this order.
        unlabelled: true where an image that no pair names is one without labels.
        predict: a folder of images that `predict` reads; its subfolders are no classes.
        download: fetch CIFAR-10 into the root with torchvision, if it is not there.
        pack: keep the decoded images in the cache folder; false decodes them whenever they are needed, for data
            larger than the disk: then give `workers`.

    Raises:
        UserError: for a folder without images, with one class only or an empty one, images outside class folders,
            a table or pattern that does not fit, or a download that fails; the message names the file.
    """

    root: str
    image_size: Size | None = None
    mode: Mode = "RGB"
    range: Range | None = None
    window: Range | None = None
    frames: Frames = "first"
    pattern: str | None = None
    metadata: str | None = None
    class_folders: bool = True
    label_pairs: str | None = None
    test_label_pairs: str | None = None
    pair_columns: tuple[str, str] | None = None
    unlabelled: bool = False
    predict: str | None = None
    download: bool = False
    pack: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.image_size)
        self._reading = Reading(self.mode, self.frames, self.range, self.window)
        self._pattern = None if self.pattern is None else compile_pattern(self.pattern)
        self._pairs = Pairs(self.label_pairs, self.test_label_pairs, self.pair_columns, self.unlabelled)
        self._folders = self.class_folders and self.label_pairs is None
        if self.pattern is not None and self.metadata is not None:
            raise ConfigError("data.pattern: data.metadata is given too; give one of them")

    def prepare_data(self) -> None:
        """Fetches as BaseDataModule does, and downloads CIFAR-10 where asked to."""
        super().prepare_data()
        if self.download and not (Path(self.root) / CIFAR10_FOLDER).is_dir():
            from torchvision.datasets import CIFAR10  # imported where it is used: it takes a while

            try:
                CIFAR10(self.root, download=True)
            except (OSError, RuntimeError) as error:
                raise ConfigError(
                    f"data.download: CIFAR-10 cannot be fetched into {self.root} ({one_line(error)}); put class "
                    f"folders or {CIFAR10_FOLDER} there by hand"
                ) from error

    def readers(self) -> dict[str, Reader]:
        """Images in the pool's size."""
        exact = self.image_size is None and self.clean.size != "fix"
        return {"image": image_reader(self._reading, self.samples("pool"), exact)}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        root = Path(self.root)
        if (root / CIFAR10_FOLDER).is_dir():
            return f"{root / CIFAR10_FOLDER} (test_batch)"
        there = root.is_dir() and pool_parts(root) != [""] and (root / "test").is_dir()
        return str(root / "test") if there else None

    def dataset(self, source: Source) -> Samples:
        """The images of a source: (N, C, H, W) uint8, or float32 where a file has more than 8 bits."""
        if source == "predict":
            return predict_samples(self.predict, self._reading, self.image_size, self.pack)
        root = Path(self.root)
        if not root.is_dir():
            raise ConfigError(f"data.root: no folder {root}; unpack the images there, or name their folder")
        if (root / CIFAR10_FOLDER).is_dir():
            return self._cifar10(root, source)
        parts = pool_parts(root)
        pool = self._part(root, parts)
        classes = _classes(pool, root, parts, self._folders)
        if source == "pool":
            samples = self._pairs.on(self._samples_of(pool, classes, self.image_size))
            if len(parts) > 1:
                role = [name.split("/", 1)[0] for name in samples.table["id"]]
                samples = replace(samples, table=samples.table.assign(role=role))
            return samples
        if parts == [""] or not (root / "test").is_dir():
            raise NoSourceError(
                f"{root} has no folders train and test, so no test samples; make them, or seal a share with "
                "data.test_size, e.g. 0.2"
            )
        size = self.image_size or self._packed(pool, None).size
        sealed = self._samples_of(self._part(root, ["test"]), classes, size)
        return sealed if self.label_pairs is None else self._pairs.on(sealed, self.samples("pool").targets)

    def _part(self, root: Path, parts: Sequence[str]) -> "_Part":
        """The files of some folders below the root, and what is said of them."""
        folder, files, found = list_parts(root, parts, SUFFIXES)
        names, findings = list(files["name"]), list(found.itertuples(index=False, name=None))
        if parts != ["test"]:
            findings += unread(root, folder, {*(part or "." for part in parts), *PARTS})
        if self._pattern is not None and self.pattern is not None:
            labels = by_pattern(folder, names, self._pattern, self.pattern)
        elif tables := find_tables(root, parts, self.metadata):
            labels = read_labels(tables, folder, names, root)
        else:
            labels = Labels(pd.DataFrame(index=pd.Index(names, name="file")))
        read = {os.path.relpath(path, folder) for path in [*labels.read, *self._pairs.files]}
        findings = [*(one for one in findings if one[0] not in read), *labels.findings]
        if labels.read and labels.table.empty:
            first = "".join(f" ({name}: {detail})" for name, _, detail in labels.findings[:1])
            raise DataError(f"{labels.read[0]}: labels no image of {folder}{first}; mend the table")
        if files.empty and not self._folders:
            raise DataError(f"{folder}: no images ({', '.join(SUFFIXES)}); put some there, or name another data.root")
        if len(labels.table) < len(files):
            files = files[files["name"].isin(labels.table.index)].reset_index(drop=True)
        return _Part(folder, files, labels.table, findings, len(parts) - 1)

    def _packed(self, part: "_Part", size: Size | None) -> Pack:
        """The labelled images of a part, decoded."""
        return pack_images(part.folder, part.files, self._reading, size, self.pack)

    def _samples_of(self, part: "_Part", classes: list[str], size: Size | None) -> Samples:
        """The samples of a part."""
        named = part.named(classes, self._folders) if classes else None
        pack = self._packed(part, size)
        rows = pack.readable
        table = pd.DataFrame({"id": rows["name"]})
        if named is not None:
            table["target"] = pd.Index(classes).get_indexer(pd.Index(named.loc[rows["file"]])).astype(np.int64)
        for name in ("group", "time", "role"):
            if name in part.labels:
                table[name] = part.labels.loc[rows["file"], name].to_numpy()
        if "group" not in table and (rows["frame"] > 0).any():
            table["group"] = rows["file"]
        told = pd.DataFrame(part.findings, columns=["id", "kind", "detail"], dtype=str)
        return Samples(
            pack.images,
            table,
            tuple(classes),
            str(part.folder),
            findings=pd.concat([told, pack.findings(self.image_size is not None)], ignore_index=True),
            hashes=rows["content"].to_numpy(),
            looks=rows["look"].to_numpy(),
            files=pack.headers,
            white=pack.white,
        )

    def _cifar10(self, root: Path, source: Source) -> Samples:
        """CIFAR-10's training images as the pool, its test images as the test source."""
        if self.mode != "RGB" or self.image_size not in (None, (32, 32)) or not self._folders:
            raise DataError(
                f"{root / CIFAR10_FOLDER}: is read as RGB images of 32x32 with their classes; leave data.mode, "
                "data.image_size and data.class_folders out"
            )
        from torchvision.datasets import CIFAR10

        try:
            data: Any = CIFAR10(str(root), train=source == "pool")
        except RuntimeError as error:
            raise DataError(
                f"{root / CIFAR10_FOLDER}: files are missing or damaged (their MD5 sums differ); fetch them again "
                "with data.download: true"
            ) from error
        part = "train" if source == "pool" else "test"
        table = pd.DataFrame({"id": [f"{part}/{i:05d}" for i in range(len(data.data))], "target": data.targets})
        inputs = np.ascontiguousarray(data.data.transpose(0, 3, 1, 2))  # (N, H, W, C) -> (N, C, H, W)
        found = findings_table(unread(root, root, {CIFAR10_FOLDER}) if source == "pool" else ())
        return Samples(inputs, table, tuple(data.classes), str(root), findings=found, white=255.0)


@dataclass(frozen=True)
class _Part:
    """Files of one or more folders: where their names start, the listing, what is said of each, and what was found."""

    folder: Path
    files: pd.DataFrame
    labels: pd.DataFrame
    findings: list[tuple[str, str, str]]
    depth: int  # of the class folders in names

    def named(self, classes: list[str], class_folders: bool) -> "pd.Series[str]":
        """By file its class: as told, or else its folder.

        Raises:
            UserError: where it is none of the classes, or neither tells it.
        """
        known = set(classes)
        if "target" in self.labels:
            for name, target in self.labels["target"].items():
                if target not in known:
                    raise DataError(
                        f"{self.folder / str(name)}: is of class {target!r}, none of {', '.join(classes)}; mend it"
                    )
            return self.labels["target"]
        if not class_folders:
            raise DataError(f"{self.folder}: no table tells the classes, as one does of the pool; give it metadata.csv")
        return pd.Series(_by_folder(self.folder, self.files, classes, self.depth), index=self.labels.index, dtype=str)


def check_size(size: Size | None) -> None:
    """Refuses an image size that is none."""
    if size is not None and min(size) < 1:
        raise ConfigError(f"data.image_size: {list(size)} is no height and width; give two positive numbers, or null")


def predict_samples(predict: str | None, reading: Reading, size: Size | None, keep: bool) -> Samples:
    """The images below a folder, without targets; without a size, in the most common one among them."""
    if predict is None:
        raise NoSourceError("data.predict: not given; name a folder of images")
    folder = Path(predict)
    if not folder.is_dir():
        raise ConfigError(f"data.predict: no folder {folder}; name a folder of images")
    files, found = list_files(folder, SUFFIXES)
    if files.empty:
        raise DataError(f"{folder}: no images ({', '.join(SUFFIXES)}); name a folder that has some")
    pack = pack_images(folder, files, reading, size, keep)
    rows = pack.readable
    return Samples(
        pack.images,
        pd.DataFrame({"id": rows["name"]}),
        origin=str(folder),
        findings=pd.concat([found, pack.findings(size is not None)], ignore_index=True),
        hashes=rows["content"].to_numpy(),
        looks=rows["look"].to_numpy(),
        white=pack.white,
    )


def _classes(pool: _Part, root: Path, parts: Sequence[str], class_folders: bool) -> list[str]:
    """The pool's classes: those told, else the names of the folders in the first part, sorted; none without either."""
    if "target" in pool.labels:
        classes = class_names(pool.labels["target"])
        if len(classes) < 2:
            raise DataError(f"{pool.folder}: classes {classes} alone; classification needs two or more")
        return classes
    if not class_folders:
        return []
    home, prefix, left_out = (
        root / parts[0],
        f"{parts[0]}/" if len(parts) > 1 else "",
        {one[0] for one in pool.findings},
    )
    names = (path.name for path in home.iterdir() if path.is_dir() and not path.name.startswith("."))
    classes = sorted(name for name in names if prefix + name not in left_out)
    if len(classes) < 2:
        raise DataError(f"{home}: {len(classes)} class folders; classification needs two or more, one per class")
    demand_classes(classes, home)
    named = _by_folder(pool.folder, pool.files, classes, pool.depth)
    for empty in sorted(set(classes) - set(named))[:1]:
        others = [detail for name, _, detail in pool.findings if name.startswith(f"{prefix}{empty}/")]
        has = f"; it has {len(others)} other files, the first {others[0]}" if others else ""
        raise DataError(
            f"{home / empty}: no images ({', '.join(SUFFIXES)}) in this class{has}; put some there, or remove "
            "the folder"
        )
    return classes


def _by_folder(folder: Path, files: pd.DataFrame, classes: list[str], depth: int) -> list[str]:
    """The class of each file: the folder at that depth."""
    known, named = set(classes), []
    for name in files["name"]:
        steps = name.split("/")
        if len(steps) < depth + 2 or steps[depth] not in known:
            raise DataError(
                f"{folder / name}: stands in no folder of the classes {', '.join(classes)}; move or remove it"
            )
        named.append(steps[depth])
    return named
