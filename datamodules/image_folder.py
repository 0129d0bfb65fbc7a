"""Image folders: one folder per class, or torchvision's CIFAR-10 layout; decoded once into a memory-mapped array."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import ConfigError, DataError, NoSourceError, one_line
from lightning_base.sources.image_pack import pack_images
from lightning_base.sources.images import SUFFIXES, Mode, Size
from lightning_base.sources.listing import check_inside, list_files

CIFAR10_FOLDER = "cifar-10-batches-py"


@dataclass(kw_only=True, eq=False)
class ImageFolder(BaseDataModule):
    """Images (N, C, H, W) uint8 from `<root>/train/<class>/*` (the pool) and `<root>/test/<class>/*` (sealed).

    Without a `train` folder the class folders stand in the root, and there is no test source. With a `val` folder
    beside `train` the pool is both: ids begin with `train/` or `val/`, and a column `role` says which, for
    `lightning_base.splitters.ByColumn`. Where the root holds torchvision's `cifar-10-batches-py`, that is read
    instead, through torchvision, which compares the files' MD5 sums first.

    Nothing is written to the root: decoded images are kept in the cache folder ($LIGHTNING_BASE_CACHE, else
    ~/.cache/lightning_base), and only files that are new or changed are decoded again. Files that cannot be read or
    have another mode or size are findings, which `clean` acts on. EXIF orientation is not applied.

    Args:
        root: the folder.
        image_size: height and width that every image is resized to (bilinear); by default the pool's most common
            size, and images that have another one are findings.
        mode: RGB (3 channels) or L (grey, 1 channel).
        predict: a folder of images that `predict` reads; its subfolders are no classes.
        download: fetch CIFAR-10 into the root with torchvision, if it is not there.
        pack: keep the decoded images in the cache folder; false decodes them whenever they are needed, for data
            larger than the disk: then give `workers`.

    Raises:
        UserError: for a folder without images, with one class only or an empty one, images outside class folders,
            or a download that fails; the message names the file.
    """

    root: str
    image_size: Size | None = None
    mode: Mode = "RGB"
    predict: str | None = None
    download: bool = False
    pack: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.image_size)

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

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        root = Path(self.root)
        if (root / CIFAR10_FOLDER).is_dir():
            return f"{root / CIFAR10_FOLDER} (test_batch)"
        there = root.is_dir() and pool_parts(root) != [""] and (root / "test").is_dir()
        return str(root / "test") if there else None

    def dataset(self, source: Source) -> Samples:
        """The images of a source: (N, C, H, W) uint8."""
        if source == "predict":
            return predict_samples(self.predict, self.mode, self.image_size, self.pack)
        root = Path(self.root)
        if not root.is_dir():
            raise ConfigError(f"data.root: no folder {root}; unpack the images there, or name their folder")
        if (root / CIFAR10_FOLDER).is_dir():
            return self._cifar10(root, source)
        parts = pool_parts(root)
        folder, files, found = list_parts(root, parts)
        classes, names = _classes(folder, parts, files, set(found["id"]))
        if source == "pool":
            samples = self._samples_of(folder, files, found, classes, names, self.image_size)
            if len(parts) > 1:
                role = [name.split("/", 1)[0] for name in samples.table["id"]]
                samples = replace(samples, table=samples.table.assign(role=role))
            return samples
        if parts == [""] or not (root / "test").is_dir():
            raise NoSourceError(
                f"{root} has no folders train and test, so no test samples; make them, or seal a share with "
                "data.test_size, e.g. 0.2"
            )
        size = self.image_size or pack_images(folder, files, self.mode, None, self.pack).size
        folder, files, found = list_parts(root, ["test"])
        return self._samples_of(folder, files, found, classes, _named(folder, files, classes, 0), size)

    def _samples_of(
        self, folder: Path, files: pd.DataFrame, found: pd.DataFrame, classes: list[str], names: list[str], size: Any
    ) -> Samples:
        """The samples of listed files; `names` holds each file's class."""
        pack = pack_images(folder, files, self.mode, size, self.pack)
        number = {name: i for i, name in enumerate(classes)}
        usable = (pack.rows["error"] == "").to_numpy()
        rows = pack.readable
        table = pd.DataFrame({"id": rows["name"], "target": np.array([number[name] for name in names])[usable]})
        findings = pd.concat([found, pack.findings(self.mode, self.image_size is not None)], ignore_index=True)
        return Samples(
            pack.images,
            table,
            tuple(classes),
            str(folder),
            findings=findings,
            hashes=rows["content"].to_numpy(),
            looks=rows["look"].to_numpy(),
            files=pack.headers,
        )

    def _cifar10(self, root: Path, source: Source) -> Samples:
        """CIFAR-10's training images as the pool, its test images as the test source."""
        if self.mode != "RGB" or self.image_size not in (None, (32, 32)):
            raise DataError(
                f"{root / CIFAR10_FOLDER}: is read as RGB images of 32x32; leave data.mode and data.image_size out"
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
        return Samples(inputs, table, tuple(data.classes), str(root))


def check_size(size: Size | None) -> None:
    """Refuses an image size that is none."""
    if size is not None and min(size) < 1:
        raise ConfigError(f"data.image_size: {list(size)} is no height and width; give two positive numbers, or null")


def predict_samples(predict: str | None, mode: Mode, size: Size | None, keep: bool) -> Samples:
    """The images below a folder, without targets; without a size, in the most common one among them."""
    if predict is None:
        raise NoSourceError("data.predict: not given; name a folder of images")
    folder = Path(predict)
    if not folder.is_dir():
        raise ConfigError(f"data.predict: no folder {folder}; name a folder of images")
    files, found = list_files(folder, SUFFIXES)
    if files.empty:
        raise DataError(f"{folder}: no images ({', '.join(SUFFIXES)}); name a folder that has some")
    pack = pack_images(folder, files, mode, size, keep)
    rows = pack.readable
    return Samples(
        pack.images,
        pd.DataFrame({"id": rows["name"]}),
        origin=str(folder),
        findings=pd.concat([found, pack.findings(mode, size is not None)], ignore_index=True),
        hashes=rows["content"].to_numpy(),
        looks=rows["look"].to_numpy(),
    )


def pool_parts(root: Path) -> list[str]:
    """The folders that make up the pool, as paths from the root: train, train and val, or the root itself."""
    if (root / "train").is_dir():
        return ["train", "val"] if (root / "val").is_dir() else ["train"]
    for part in ("val", "test"):
        if (root / part).is_dir():
            raise DataError(f"{root}: a folder {part} but none named train; put the training images into train")
    return [""]


def list_parts(root: Path, parts: Sequence[str]) -> tuple[Path, pd.DataFrame, pd.DataFrame]:
    """The folder that names start from (the part where there is one), and its files and findings as `list_files`.

    Raises:
        UserError: where a part is a link out of the root, or a folder cannot be read.
    """
    if len(parts) == 1:
        folder = check_inside(root, root / parts[0])
        return folder, *list_files(folder, SUFFIXES)
    listed = [list_files(check_inside(root, root / part), SUFFIXES) for part in parts]
    files = [table.assign(name=f"{part}/" + table["name"]) for part, (table, _) in zip(parts, listed, strict=True)]
    found = [table.assign(id=f"{part}/" + table["id"]) for part, (_, table) in zip(parts, listed, strict=True)]
    return root, pd.concat(files, ignore_index=True), pd.concat(found, ignore_index=True)


def _classes(
    folder: Path, parts: Sequence[str], files: pd.DataFrame, left_out: set[str]
) -> tuple[list[str], list[str]]:
    """The pool's classes, sorted, and each file's."""
    prefix = f"{parts[0]}/" if len(parts) > 1 else ""
    names = (path.name for path in (folder / prefix).iterdir() if path.is_dir() and not path.name.startswith("."))
    classes = sorted(name for name in names if prefix + name not in left_out)
    if len(classes) < 2:
        raise DataError(
            f"{folder / prefix}: {len(classes)} class folders; classification needs two or more, one per class"
        )
    named = _named(folder, files, classes, depth=len(parts) - 1)
    if empty := sorted(set(classes) - set(named)):
        raise DataError(
            f"{folder / prefix / empty[0]}: no images ({', '.join(SUFFIXES)}) in this class; put some there, or remove "
            "the folder"
        )
    return classes, named


def _named(folder: Path, files: pd.DataFrame, classes: list[str], depth: int) -> list[str]:
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
