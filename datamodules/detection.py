"""Detection folders: images with boxes, as Pascal VOC or COCO lays them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import ConfigError, DataError, NoSourceError
from lightning_base.samples.payload import Ragged
from lightning_base.sources.annotations import Annotations, problem, read_coco, read_voc
from lightning_base.sources.image_pack import Pack, pack_images
from lightning_base.sources.images import SUFFIXES, Mode, Size
from lightning_base.sources.listing import check_inside, list_files

from .image_folder import check_size, predict_samples


@dataclass(kw_only=True, eq=False)
class Detection(BaseDataModule):
    """Images (N, C, H, W) uint8 with boxes, from a folder as Pascal VOC or COCO lays it out.

    VOC: `Annotations/*.xml` and `JPEGImages`; where `ImageSets/Main` has train.txt, val.txt or test.txt, a column
    `role` says which names the image, for `lightning_base.splitters.ByColumn`. COCO: one `annotations*.json` and
    the images. Either stands in the root, or in the only folder in it. The pool is `<root>/train` where that is
    there, and the test source `<root>/test`; else seal a share with `test_size`.

    Boxes are (x1, y1, x2, y2) in pixels of the resized image, x2 and y2 exclusive; VOC's, which count from 1 and
    include the last pixel, become (xmin - 1, ymin - 1, xmax, ymax). Impossible boxes are left out, and findings of
    kind "target". Images without boxes stay; VOC's without an XML file are "unreadable", since nothing says that
    they show nothing. VOC's `difficult` is not looked at; COCO's `iscrowd` regions are left out.

    Args:
        root: the folder.
        format: voc, coco, or auto, which looks for `Annotations`.
        image_size: height and width that every image is resized to (bilinear), and its boxes with it; by default the
            most common size, and images that have another one are findings.
        mode: RGB (3 channels) or L (grey, 1 channel).
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
    predict: str | None = None
    class_names: Sequence[str] | None = None
    annotations: str | None = None
    images: str | None = None
    pack: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.image_size)

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        there = (Path(self.root) / "test").is_dir()
        return str(Path(self.root) / "test") if there else None

    def dataset(self, source: Source) -> Samples:
        """The images of a source (N, C, H, W) uint8, with their boxes."""
        if source == "predict":
            return predict_samples(self.predict, self.mode, self.image_size, self.pack)
        root = Path(self.root)
        if not root.is_dir():
            raise ConfigError(f"data.root: no folder {root}; unpack the images there, or name their folder")
        pool = root / "train" if (root / "train").is_dir() else root
        said = self._read_annotations(check_inside(root, pool))
        classes = tuple(self.class_names or said.names)
        if not classes:
            raise DataError(f"{pool}: no boxes that have a class; detection needs some")
        if source == "pool":
            return self._boxed(said, classes, self.image_size)
        if not (root / "test").is_dir():
            raise NoSourceError(
                f"{root} has no folder test, so no test samples; seal a share with data.test_size, e.g. 0.2"
            )
        size = self.image_size or self._packed(said, None).size
        return self._boxed(self._read_annotations(check_inside(root, root / "test")), classes, size)

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
        files, _ = list_files(said.folder, SUFFIXES)
        files = files[files["name"].isin(said.boxes.keys())].reset_index(drop=True)
        if files.empty:
            found = "; ".join(f"{name}: {detail}" for name, _, detail in said.findings[:1])
            raise DataError(f"{said.folder}: no annotated images{found and f' ({found})'}; mend the annotations")
        return pack_images(said.folder, files, self.mode, size, self.pack, part="annotated")

    def _boxed(self, said: Annotations, classes: tuple[str, ...], size: Size | None) -> Samples:
        """The samples of what a folder says."""
        pack = self._packed(said, size)
        rows, number, findings, boxes = pack.readable, {name: i for i, name in enumerate(classes)}, said.findings[:], []
        height, width = pack.size
        for name, w, h in zip(rows["name"], rows["width"], rows["height"], strict=True):
            kept = []
            for i, box in enumerate(said.boxes[name], start=1):
                if why := problem(box, w, h, number):
                    corners = ", ".join(f"{value:g}" for value in box[:4])
                    findings.append((name, "target", f"box {i} ({corners}) {why}"))
                else:
                    x1, y1, x2, y2 = max(box.x1, 0), max(box.y1, 0), min(box.x2, w), min(box.y2, h)
                    kept.append(
                        [x1 * width / w, y1 * height / h, x2 * width / w, y2 * height / h, number[box.name or ""]]
                    )
            boxes.append(np.array(kept, dtype=np.float32).reshape(-1, 5))
        table = pd.DataFrame({"id": rows["name"]})
        if said.roles:
            table["role"] = [said.roles.get(name, "") for name in table["id"]]
        none: npt.NDArray[np.float32] = np.zeros((0, 5), dtype=np.float32)
        said_findings = pd.DataFrame(findings, columns=["id", "kind", "detail"], dtype=str)
        return Samples(
            pack.images,
            table,
            classes,
            str(said.folder),
            boxes=Ragged.of(boxes, none),
            findings=pd.concat(
                [said_findings, pack.findings(self.mode, self.image_size is not None)], ignore_index=True
            ),
            hashes=rows["content"].to_numpy(),
            looks=rows["look"].to_numpy(),
        )
