"""Detection folders: images with boxes, as Pascal VOC or COCO lays them out."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.data import BaseDataModule, Ragged, Samples, Source, Targets
from lightning_base.errors import ConfigError, DataError, NoSourceError
from lightning_base.runtime.pictures import Mode, Range, Size
from lightning_base.runtime.readers import Reader
from lightning_base.sources.annotations import Annotations, Box, problem, read_coco, read_voc
from lightning_base.sources.image_pack import Pack, pack_images
from lightning_base.sources.images import Reading, image_reader
from lightning_base.sources.listing import check_inside, unread
from lightning_base.sources.upright import drawn_on, turned

from .image_folder import check_size, predict_samples


@dataclass(kw_only=True, eq=False)
class Detection(BaseDataModule):
    """Images (N, C, H, W) with boxes, from a folder as Pascal VOC or COCO lays it out; of formats as for ImageFolder.

    VOC: `Annotations/*.xml` and `JPEGImages`; where `ImageSets/Main` has train.txt, val.txt or test.txt, a column
    `role` says which names the image, for `lightning_base.splitters.ByColumn`. COCO: one `annotations*.json` and
    the images. Either stands in the root, or in the only folder in it. The pool is `<root>/train` where that is
    there, and the test source `<root>/test`; else seal a share with `test_size`.

    Boxes are (x1, y1, x2, y2) in pixels of the resized image, x2 and y2 exclusive; VOC's, which count from 1 and
    include the last pixel, become (xmin - 1, ymin - 1, xmax, ymax). Impossible boxes are left out, and findings of
    kind "target". Images without boxes stay; VOC's without an XML file are "unreadable", since nothing says that
    they show nothing. VOC's `difficult` is not looked at; COCO's `iscrowd` regions are left out.

    Boxes move with images that EXIF turns upright: the annotated size says whether they were drawn before or after;
    where it fits both, or there is none, after, and the finding says so. An image whose annotated size fits neither is
    left out, a finding of kind "target": its boxes may be of another scale.

    Args:
        root: the folder.
        format: voc, coco, or auto, which looks for `Annotations`.
        image_size: height and width that every image is resized to (bilinear), and its boxes with it; by default the
            most common size, and images that have another one are findings.
        mode: RGB (3 channels) or L (grey, 1 channel).
        range: [low, high] of the values that become 0 and 1, of images beyond 8 bits.
        window: [center, width] of such values, the rest of which is clipped.
        predict: a folder of images that `predict` reads.
        class_names: the classes, in the order of their numbers; by default those that the pool names, sorted.
        annotations: COCO's file, as a path from the root; by default the only annotations*.json.
        images: COCO's folder of images, as a path from the root; by default images, or where the file stands.
        pack: keep the decoded images in the cache folder; false decodes them whenever they are needed.

    Raises:
        UserError: for a folder that is laid out otherwise, or without images or boxes; the message names it.
    """

    root: str
    format: Literal["auto", "voc", "coco"] = "auto"
    image_size: Size | None = None
    mode: Mode = "RGB"
    range: Range | None = None
    window: Range | None = None
    predict: str | None = None
    class_names: Sequence[str] | None = None
    annotations: str | None = None
    images: str | None = None
    pack: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.image_size)
        self._reading = Reading(self.mode, "first", self.range, self.window)

    def readers(self) -> dict[str, Reader]:
        """Images in the pool's size."""
        exact = self.image_size is None and self.clean.size != "fix"
        return {"image": image_reader(self._reading, self.samples("pool"), exact)}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        there = (Path(self.root) / "test").is_dir()
        return str(Path(self.root) / "test") if there else None

    def dataset(self, source: Source) -> Samples:
        """The images of a source (N, C, H, W), with their boxes."""
        if source == "predict":
            return predict_samples(self.predict, self._reading, self.image_size, self.pack)
        root = Path(self.root)
        if not root.is_dir():
            raise ConfigError(f"data.root: no folder {root}; unpack the images there, or name their folder")
        pool = root / "train" if (root / "train").is_dir() else root
        said = self._read_annotations(check_inside(root, pool))
        classes = tuple(self.class_names or said.names)
        if not classes:
            raise DataError(f"{pool}: no boxes that have a class; detection needs some")
        if source == "pool":
            said.findings += unread(root, said.folder, {*_walked(said, root), "test"})
            return self._boxed(said, classes, self.image_size)
        if not (root / "test").is_dir():
            raise NoSourceError(
                f"{root} has no folder test, so no test samples; seal a share with data.test_size, e.g. 0.2"
            )
        size = self.image_size or self._packed(said, None).size
        test = check_inside(root, root / "test")
        sealed = self._read_annotations(test)
        sealed.findings += unread(test, sealed.folder, _walked(sealed, test))
        return self._boxed(sealed, classes, size)

    def _read_annotations(self, folder: Path) -> Annotations:
        """What the folder, or the only one in it, says."""
        inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
        for home in (folder, *(inner if len(inner) == 1 else ())):
            check_inside(folder, home)
            if self.format != "coco" and (home / "Annotations").is_dir():
                return read_voc(home)
            if self.format != "voc" and (path := self._coco_file(home)):
                images = home / (self.images or "images")
                if self.images is None and not images.is_dir():
                    images = path.parent if path.parent.name != "annotations" else home
                if not images.is_dir():
                    raise ConfigError(f"data.images: no folder {images}; name COCO's folder of images")
                return read_coco(path, check_inside(folder, images))
        raise DataError(
            f"{folder}: holds neither VOC's Annotations and JPEGImages nor COCO's annotations*.json; name the folder "
            "that does, or data.annotations"
        )

    def _coco_file(self, home: Path) -> Path | None:
        """The JSON file of COCO's annotations, where there is one."""
        if self.annotations:
            path = check_inside(home, home / self.annotations)
            return path if path.is_file() else None
        found = sorted([*home.glob("*annotations*.json"), *home.glob("annotations/*.json")])
        if len(found) > 1:
            names = ", ".join(str(path.relative_to(home)) for path in found)
            raise DataError(f"{home}: more than one file of annotations ({names}); name one with data.annotations")
        return check_inside(home, found[0]) if found else None

    def _packed(self, said: Annotations, size: Size | None) -> Pack:
        """The annotated images, decoded."""
        files = said.files[said.files["name"].isin(said.boxes.keys())].reset_index(drop=True)
        if files.empty:
            found = "; ".join(f"{name}: {detail}" for name, _, detail in said.findings[:1])
            raise DataError(f"{said.folder}: no annotated images{found and f' ({found})'}; mend the annotations")
        return pack_images(said.folder, files, self._reading, size, self.pack, part="annotated")

    def _boxed(self, said: Annotations, classes: tuple[str, ...], size: Size | None) -> Samples:
        """The samples of what a folder says."""
        pack = self._packed(said, size)
        rows, findings, boxes, drawn = pack.readable, said.findings[:], dict[int, npt.NDArray[Any]](), dict[str, str]()
        row: Any
        for i, row in enumerate(rows.itertuples()):
            on, note = drawn_on(said.sizes.get(row.name), row.width, row.height, row.turn)
            if on:
                drawn[row.name] = note
                boxes[i] = _scaled(said.boxes[row.name], row, on == "raw", classes, pack.size, findings)
            else:
                findings.append((row.name, "target", note))
        if not boxes:
            raise DataError(
                f"{said.folder / rows['name'][0]}: {findings[-1][2]}; nor are those of any other; mend the data"
            )
        table = pd.DataFrame({"id": rows["name"]})
        if said.roles:
            table["role"] = [said.roles.get(name, "") for name in table["id"]]
        samples = Samples(
            pack.images,
            table,
            classes,
            str(said.folder),
            hashes=rows["content"].to_numpy(),
            looks=rows["look"].to_numpy(),
            white=pack.white,
        )
        return replace(
            samples.take(np.array(list(boxes), dtype=np.int64)),
            targets=Targets(Ragged.of(list(boxes.values()), np.zeros((0, 5), dtype=np.float32)), "boxes"),
            findings=_told(findings, pack.findings(self.image_size is not None), drawn),
        )


def _told(findings: list[tuple[str, str, str]], packed: pd.DataFrame, drawn: dict[str, str]) -> pd.DataFrame:
    """All findings; those of turned images say what their boxes were drawn on."""
    details = [
        "; ".join(filter(None, [detail, drawn.get(name, "its boxes are not used")]))
        if kind == "orientation"
        else detail
        for name, kind, detail in packed.itertuples(index=False, name=None)
    ]
    told = pd.DataFrame(findings, columns=["id", "kind", "detail"], dtype=str)
    return pd.concat([told, packed.assign(detail=pd.Series(details, dtype=str))], ignore_index=True)


def _walked(said: Annotations, root: Path) -> set[str]:
    """What was read of a folder, as paths from it."""
    return {os.path.relpath(path, root) for path in said.read}


def _scaled(
    given: Sequence[Box],
    row: Any,
    raw: bool,
    classes: Sequence[str],
    size: Size,
    findings: list[tuple[str, str, str]],
) -> npt.NDArray[np.float32]:
    """(n, 5) float32 possible boxes of an image, in pixels of the resized one, and class numbers.

    Args:
        given: its boxes as annotated.
        row: of the pack: name, width, height, turn.
        raw: whether they were drawn before the image was turned.
        classes: their names, in the order of their numbers.
        size: height and width of the resized image.
        findings: takes what is wrong with the others.
    """
    height, width = size
    w, h = (row.height, row.width) if raw and row.turn > 4 else (row.width, row.height)
    kept = []
    for i, box in enumerate(given, start=1):
        if why := problem(box, w, h, classes):
            corners = ", ".join(f"{value:g}" for value in box[:4])
            findings.append((row.name, "target", f"box {i} ({corners}) {why}"))
            continue
        inside = Box(max(box.x1, 0), max(box.y1, 0), min(box.x2, w), min(box.y2, h), box.name)
        x1, y1, x2, y2, name = turned(inside, row.turn, w, h) if raw else inside
        across = (x1 * width / row.width, x2 * width / row.width)
        down = (y1 * height / row.height, y2 * height / row.height)
        kept.append([across[0], down[0], across[1], down[1], classes.index(name or "")])
    return np.array(kept, dtype=np.float32).reshape(-1, 5)
