"""Images with masks: a folder of images, and a folder of masks of the same names that say each pixel's class."""

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source, Targets
from lightning_base.errors import ConfigError, DataError, NoSourceError
from lightning_base.runtime.formats import SUFFIXES
from lightning_base.runtime.pictures import Mode, Range, Size
from lightning_base.runtime.readers import Reader
from lightning_base.samples.samples import findings_table
from lightning_base.sources.image_labels import by_pattern
from lightning_base.sources.image_pack import Pack, pack_images
from lightning_base.sources.images import Reading, image_reader
from lightning_base.sources.listing import list_files
from lightning_base.sources.masks import Coding, pack_masks
from lightning_base.sources.patterns import compile_pattern

from .image_folder import check_size, predict_samples


@dataclass(kw_only=True, eq=False)
class ImageMasks(BaseDataModule):
    """Images (N, C, H, W) and their masks (N, H, W) uint8 of class numbers, as targets of kind "array".

    An image and its mask have the same path below their folders, but for the ending. Images are read as by
    `ImageFolder`. Masks are PNG, BMP, TIFF or PGM of class numbers, in grey levels or places of a palette, or of
    colours; JPEG and other formats that may change a pixel are refused. An image without a mask, a mask of another
    size than its image, and one with a value that stands for no class are findings `target`; a mask without an image is
    one of kind `unmatched`. A mask of an image that EXIF turns is turned with it where its size shows that it was
    drawn before. Images are resized as elsewhere (bilinear), masks by nearest neighbour.

    Args:
        images: the folder of images.
        masks: the folder of their masks.
        class_names: the classes, in the order of their numbers.
        values: what stands for each of them in masks: numbers, or colours such as "#ff0000"; by default 0, 1, 2, ….
        ignore: what stands in masks for pixels that count for nothing, a number or a colour; they are 255 in targets.
        test_images: a folder of sealed test images.
        test_masks: that of their masks.
        predict: a folder of images that `predict` reads.
        image_size: height and width that images and masks are resized to; by default the images' most common size, and
            images that have another one are findings.
        mode: RGB (3 channels) or L (grey, 1 channel).
        range: [low, high] of the values that become 0 and 1, of images beyond 8 bits; values outside stay outside.
        window: [center, width] of such values, the rest of which is clipped.
        pattern: of an image's path below its folder, such as "{group}_{take}.png": `group` is what must stay on one
            side of a split.
        pack: keep the decoded images in the cache folder; false decodes them whenever they are needed. Masks are kept
            in any case.

    Raises:
        UserError: for folders that are not there, or one of which lies in the other; classes, values or colours that
            are none; or where no image has a mask that can be used.
    """

    images: str
    masks: str
    class_names: list[str]
    values: list[int | str] | None = None
    ignore: int | str | None = None
    test_images: str | None = None
    test_masks: str | None = None
    predict: str | None = None
    image_size: Size | None = None
    mode: Mode = "RGB"
    range: Range | None = None
    window: Range | None = None
    pattern: str | None = None
    pack: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.image_size)
        self._reading = Reading(self.mode, "first", self.range, self.window)
        self._coding = Coding(tuple(self.class_names), None if self.values is None else tuple(self.values), self.ignore)
        self._pattern = None if self.pattern is None else compile_pattern(self.pattern, "group")
        if (self.test_images is None) != (self.test_masks is None):
            raise ConfigError("data.test_images: give both test_images and test_masks, or none")

    def readers(self) -> dict[str, Reader]:
        """Images in the pool's size."""
        exact = self.image_size is None and self.clean.size != "fix"
        return {"image": image_reader(self._reading, self.samples("pool"), exact)}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        return None if self.test_images is None else f"data.test_images ({self.test_images})"

    def dataset(self, source: Source) -> Samples:
        """The images of a source that have masks: (N, C, H, W) uint8, or float32 where a file has more than 8 bits."""
        if source == "predict":
            return predict_samples(self.predict, self._reading, self.image_size, self.pack)
        if source == "pool":
            return self._masked(_paired(self.images, self.masks, ""), self.image_size)
        if self.test_images is None or self.test_masks is None:
            raise NoSourceError(
                f"{self.images} has no test images; seal a share with data.test_size, e.g. 0.2, or give "
                "data.test_images"
            )
        size = self.image_size or self._packed(_paired(self.images, self.masks, ""), None).size
        return self._masked(_paired(self.test_images, self.test_masks, "test_"), size)

    def _packed(self, pairs: "_Pairs", size: Size | None) -> Pack:
        """The images that have a mask, decoded."""
        return pack_images(pairs.images, pairs.files, self._reading, size, self.pack, part="masked")

    def _masked(self, pairs: "_Pairs", size: Size | None) -> Samples:
        """The samples whose images and masks can be used."""
        pack = self._packed(pairs, size)
        readable = pack.readable
        place = pd.Index(pairs.files["name"]).get_indexer(pd.Index(readable["file"]))
        masks, rows = pack_masks(
            pairs.masks,
            pairs.masks_of.iloc[place].reset_index(drop=True),
            readable[["width", "height", "turn"]],
            self._coding,
            pack.size,
        )
        used = (rows["error"] == "").to_numpy()
        if not used.any():
            mask = pairs.masks_of["name"].iloc[place[0]]
            raise DataError(f"{pairs.masks / mask}: {rows['error'][0]}; nor can any other mask be used: mend them")
        table = pd.DataFrame({"id": readable["name"]})
        if self._pattern is not None and self.pattern is not None:
            told = by_pattern(pairs.images, list(readable["file"]), self._pattern, self.pattern)
            table["group"] = told.table["group"].to_numpy()
        names = [os.path.relpath(pairs.masks / name, pairs.images) for name in pairs.masks_of["name"].iloc[place]]
        wrong = [
            (id_, kind, f"its mask {name} {error}")
            for id_, name, error, kind in zip(table["id"], names, rows["error"], rows["kind"], strict=True)
            if error
        ]
        samples = Samples(
            pack.images,
            table,
            tuple(self.class_names),
            str(pairs.images),
            hashes=readable["content"].to_numpy(),
            looks=readable["look"].to_numpy(),
            files=pack.headers,
            white=pack.white,
        ).take(np.flatnonzero(used))
        found = _with_notes(
            pack.findings(self.image_size is not None), dict(zip(table["id"], rows["note"], strict=True))
        )
        return replace(
            samples,
            targets=Targets(masks, "array"),
            findings=pd.concat([findings_table([*pairs.findings, *wrong]), found], ignore_index=True),
        )


@dataclass(frozen=True)
class _Pairs:
    """Folders of images and masks; the files (N,) of each that are pairs, as `list_files` has them; what was found."""

    images: Path
    masks: Path
    files: pd.DataFrame
    masks_of: pd.DataFrame
    findings: list[tuple[str, str, str]]


def _paired(images: str, masks: str, part: str) -> _Pairs:
    """The images that have one mask each.

    Raises:
        UserError: for a folder that is not there or lies in the other one, or no pair.
    """
    homes = {f"data.{part}images": Path(images), f"data.{part}masks": Path(masks)}
    for key, home in homes.items():
        if not home.is_dir():
            raise ConfigError(f"{key}: no folder {home}; mend the path")
    real = [os.path.realpath(home) for home in homes.values()]
    if os.path.commonpath(real) in real:
        raise ConfigError(f"data.{part}masks: {masks} and {images} lie in one another; give each a folder of its own")
    home, other = homes.values()
    (files, found), (listed, more) = list_files(home, SUFFIXES), list_files(other, SUFFIXES)
    below = os.path.relpath(other, home)
    findings = [*found.itertuples(index=False, name=None)]
    findings += [(os.path.join(below, name), kind, detail) for name, kind, detail in more.itertuples(index=False)]
    stems, theirs = _by_stem(files["name"]), _by_stem(listed["name"])
    row_of = {name: row for row, name in enumerate(listed["name"])}
    pairs = list[tuple[int, int]]()
    for row, name in enumerate(files["name"]):
        fit = theirs.get(stem := _stem(name), [])
        if len(fit) == 1 and len(stems[stem]) == 1:
            pairs.append((row, row_of[fit[0]]))
        elif not fit:
            findings.append((name, "target", f"has no mask in {other}"))
        elif len(fit) > 1:
            findings.append((name, "target", f"has several masks in {other}: {', '.join(fit)}"))
        else:
            findings.append((name, "target", f"has one mask, {fit[0]}, with {', '.join(stems[stem])} together"))
    findings += [
        (os.path.join(below, name), "unmatched", f"is a mask without an image in {home}")
        for name in listed["name"]
        if _stem(name) not in stems
    ]
    if not pairs:
        first = "; ".join(f"{len(some)} in {at}" for at, some in ((home, files), (other, listed)))
        raise DataError(f"{home}: no image has a mask of its name in {other} ({first}); mend the paths or the names")
    ours, masks_rows = (np.array(rows, dtype=np.int64) for rows in zip(*pairs, strict=True))
    taken = [table.iloc[rows].reset_index(drop=True) for table, rows in ((files, ours), (listed, masks_rows))]
    return _Pairs(home, other, taken[0], taken[1], findings)


def _stem(name: str) -> str:
    """A path without the ending that tells its format."""
    end = max((one for one in SUFFIXES if name.lower().endswith(one)), key=len)
    return name[: -len(end)]


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    """Paths by what is left of them without their endings."""
    found = defaultdict[str, list[str]](list)
    for name in names:
        found[_stem(name)].append(name)
    return found


def _with_notes(found: pd.DataFrame, notes: dict[str, str]) -> pd.DataFrame:
    """Findings of images; those of turned ones say what their masks were drawn on."""
    details = [
        "; ".join(filter(None, [detail, notes.get(name, "")])) if kind == "orientation" else detail
        for name, kind, detail in found.itertuples(index=False, name=None)
    ]
    return found.assign(detail=pd.Series(details, dtype=str))
