"""Image folders: one folder a class, or torchvision's CIFAR-10 layout; decoded once into a memory-mapped array."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from torchvision.datasets import CIFAR10

from lightning_base.data import BaseDataModule, Normalize, Samples, Source
from lightning_base.errors import UserError, one_line
from lightning_base.files import replace
from lightning_base.split import Splitter

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
CIFAR10_FOLDER = "cifar-10-batches-py"


class ImageFolder(BaseDataModule):
    """Images (N, C, H, W) uint8 from `<root>/train/<class>/*` (the pool) and `<root>/test/<class>/*` (sealed).

    Without a `train` folder the class folders stand in the root, and there is no test source. Where the root holds
    torchvision's `cifar-10-batches-py`, that is read instead, through torchvision, which compares the files' MD5
    sums first. Decoded images are kept as `.npy` in `<root>/.packed`, keyed by every file's path, size and time.

    Args:
        root: the folder.
        image_size: height and width that every image is resized to (bilinear); by default all must have one size.
        mode: RGB (3 channels) or L (grey, 1 channel).
        predict: a folder of images that `predict` reads; its subfolders are no classes.
        download: fetch CIFAR-10 into the root with torchvision, if it is not there.
        split: see BaseDataModule, as are the arguments after it.
        batch_size: see BaseDataModule.
        eval_batch_size: see BaseDataModule.
        normalize: see BaseDataModule.
        drop_last: see BaseDataModule.

    Raises:
        UserError: for a folder without images or with one class only, an image that cannot be read or has another
            size than the first, or a download that fails; the message names the file.
    """

    def __init__(
        self,
        root: str,
        image_size: tuple[int, int] | None = None,
        mode: Literal["RGB", "L"] = "RGB",
        predict: str | None = None,
        download: bool = False,
        split: Splitter | None = None,
        batch_size: int | None = 64,
        eval_batch_size: int | None = None,
        normalize: Normalize = "standard",
        drop_last: bool = False,
    ) -> None:
        super().__init__(split, batch_size, eval_batch_size, normalize, drop_last)
        self.root, self.image_size, self.mode = Path(root), image_size, mode
        self.predict, self.download = predict, download

    def prepare_data(self) -> None:
        """Downloads CIFAR-10 where asked to."""
        if self.download and not (self.root / CIFAR10_FOLDER).is_dir():
            try:
                CIFAR10(str(self.root), download=True)
            except (OSError, RuntimeError) as error:
                raise UserError(
                    f"data.download: CIFAR-10 cannot be fetched into {self.root} ({one_line(error)}); put class "
                    f"folders or {CIFAR10_FOLDER} there by hand"
                ) from error

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        if source == "predict":
            if self.predict is None:
                raise UserError("data.predict: not given; name a folder of images")
            return self._folder(Path(self.predict), classes=None)
        if not self.root.is_dir():
            raise UserError(f"data.root: no folder {self.root}; unpack the images there, or name their folder")
        if (self.root / CIFAR10_FOLDER).is_dir():
            return self._cifar10(train=source == "pool")
        pool = self.root / "train" if (self.root / "train").is_dir() else self.root
        classes = sorted(p.name for p in pool.iterdir() if p.is_dir() and not p.name.startswith("."))
        if len(classes) < 2:
            raise UserError(f"{pool}: {len(classes)} class folders; classification needs two or more, one a class")
        if source == "test":
            if pool == self.root or not (self.root / "test").is_dir():
                raise UserError(f"{self.root} has no folders train and test, so no test samples; make them")
            pool = self.root / "test"
        return self._folder(pool, classes)

    def _cifar10(self, train: bool) -> Samples:
        try:
            data: Any = CIFAR10(str(self.root), train=train)
        except RuntimeError as error:
            raise UserError(
                f"{self.root / CIFAR10_FOLDER}: files are missing or damaged (their MD5 sums differ); fetch them again "
                "with data.download: true"
            ) from error
        part = "train" if train else "test"
        table = pd.DataFrame({"id": [f"{part}/{i:05d}" for i in range(len(data.data))], "target": data.targets})
        inputs = np.ascontiguousarray(data.data.transpose(0, 3, 1, 2))  # (N, H, W, C) -> (N, C, H, W)
        return Samples(inputs, table, tuple(data.classes), str(self.root))

    def _folder(self, folder: Path, classes: list[str] | None) -> Samples:
        """The images of one folder; ids are paths from it. `classes` None: no targets."""
        files = sorted(image_files(folder), key=lambda entry: entry[0])
        if not files:
            raise UserError(f"{folder}: no images ({', '.join(SUFFIXES)})")
        table = pd.DataFrame({"id": [name for name, _, _ in files]})
        if classes is not None:
            number = {name: i for i, name in enumerate(classes)}
            names = [name.split("/")[0] for name, _, _ in files]
            for name, (path, _, _) in zip(names, files, strict=True):
                if name not in number:
                    raise UserError(f"{folder / path}: {name!r} is none of the classes {', '.join(classes)}; move it")
            table["target"] = [number[name] for name in names]
        return Samples(self._pack(folder, files), table, tuple(classes or ()), str(folder))

    def _pack(self, folder: Path, files: list[tuple[str, int, int]]) -> npt.NDArray[np.uint8]:
        """The decoded images, memory-mapped; decoded only where the listing or the settings are new."""
        key = hashlib.sha256(repr((files, self.image_size, self.mode)).encode()).hexdigest()[:32]
        packed = folder / ".packed" / f"{key}.npy"
        if not packed.is_file():
            with ThreadPoolExecutor() as pool:  # PIL decodes outside the interpreter's lock
                images = pool.map(lambda entry: self._decode(folder / entry[0]), files, chunksize=64)
                first = next(images)
                with replace(packed) as temporary:
                    array = np.lib.format.open_memmap(
                        temporary, mode="w+", dtype=np.uint8, shape=(len(files), *first.shape)
                    )
                    array[0] = first
                    for i, image in enumerate(images, start=1):
                        if image.shape != first.shape:
                            raise UserError(
                                f"{folder / files[i][0]}: size {image.shape[1:]} where {files[0][0]} has "
                                f"{first.shape[1:]}; give data.image_size, and all are resized"
                            )
                        array[i] = image
                    array.flush()
        mapped: npt.NDArray[np.uint8] = np.load(packed, mmap_mode="r", allow_pickle=False)
        return mapped

    def _decode(self, path: Path) -> npt.NDArray[np.uint8]:
        """One image as (C, H, W) uint8."""
        try:
            with Image.open(path) as image:
                converted = image.convert(self.mode)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(f"{path}: not a readable image ({one_line(error)}); mend or remove it") from error
        if self.image_size is not None and converted.size != self.image_size[::-1]:
            converted = converted.resize(self.image_size[::-1], Image.Resampling.BILINEAR)
        array = np.asarray(converted, dtype=np.uint8)
        return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def image_files(folder: Path, prefix: str = "") -> list[tuple[str, int, int]]:
    """Every image below a folder as (path from it, bytes, time of change in ns), hidden folders left out."""
    found: list[tuple[str, int, int]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    found += image_files(folder / entry.name, f"{prefix}{entry.name}/")
                elif entry.name.lower().endswith(SUFFIXES):
                    status = entry.stat()
                    found.append((prefix + entry.name, status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise UserError(f"data: folder {folder} cannot be read ({error.strerror}); mend its path or rights") from error
    return found
