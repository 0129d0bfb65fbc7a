"""Claims about boxes and the images they belong to: turned with them, of their size, of one id, and none left out."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from datamodules.detection import Detection
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import UserError
from lightning_base.samples.samples import Samples
from tests.datamodules.test_image_labels import accounted, everything, kinds, shade

RAW = (24, 40)  # height and width of the pixels in the file
BOX = (5, 3, 17, 9)  # x1, y1, x2, y2, exclusive, in them


def painted(path: Path, turn: int, raw: tuple[int, int] = RAW) -> tuple[int, int, int, int]:
    """A white box on black, to be turned by EXIF; returns the box's corners as they are seen, found in the pixels."""
    x1, y1, x2, y2 = BOX
    pixels = np.zeros(raw, np.uint8)
    pixels[y1:y2, x1:x2] = 255
    exif = Image.Exif()
    exif[274] = turn
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif)
    # what each orientation says of where the file's first row and first column are seen (EXIF 2.3, 4.6.4)
    seen = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.T,
        6: pixels[::-1].T,
        7: pixels[::-1, ::-1].T,
        8: pixels[:, ::-1].T,
    }[turn]
    return extent(seen)


def extent(pixels: Any) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero(pixels > 127)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def voc(root: Path, name: str, box: tuple[int, int, int, int], size: tuple[int, int] | None) -> None:
    """An XML file; size is (width, height)."""
    said = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    corners = "".join(
        f"<{key}>{value}</{key}>"
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), (box[0] + 1, box[1] + 1, *box[2:]), strict=True)
    )
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    (root / "Annotations" / f"{Path(name).stem}.xml").write_text(
        f"<annotation><filename>{name}</filename>{said}<object><name>x</name><bndbox>{corners}</bndbox></object>"
        "</annotation>"
    )


def coco(root: Path, images: list[dict[str, Any]], things: list[dict[str, Any]], /, **more: Any) -> None:
    root.mkdir(parents=True, exist_ok=True)
    content = {"images": images, "annotations": things, "categories": [{"id": 1, "name": "x"}], **more}
    (root / "annotations.json").write_text(json.dumps(content))


def read(root: Path, **arguments: Any) -> Samples:
    return Detection(root=str(root), mode="L", **arguments).dataset("pool")


def boxes(samples: Samples) -> list[list[float]]:
    assert samples.boxes is not None
    return [samples.boxes[i][:, :4].tolist() for i in range(len(samples))]


@pytest.mark.parametrize("form", ["voc", "coco"])
@pytest.mark.parametrize("drawn", ["raw", "upright"])
def test_boxes_move_with_images_that_exif_turns(tmp_path: Path, form: str, drawn: str) -> None:
    """Turns that swap sides, whose annotated size tells what the boxes were drawn on."""
    images, things = [], []
    for turn in range(5, 9):
        folder = tmp_path / ("JPEGImages" if form == "voc" else "images")
        seen = painted(folder / f"{turn}.png", turn)
        box, size = (BOX, RAW[::-1]) if drawn == "raw" else (seen, RAW)
        voc(tmp_path, f"{turn}.png", box, size)
        images.append({"id": turn, "file_name": f"{turn}.png", "width": size[0], "height": size[1]})
        wide = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
        things.append({"id": turn, "image_id": turn, "category_id": 1, "bbox": wide})
    if form == "coco":
        coco(tmp_path, images, things)
    samples = read(tmp_path, format=form)
    assert samples.inputs.shape == (4, 1, 40, 24)
    for pixels, found in zip(samples.inputs, boxes(samples), strict=True):
        assert found == [list(extent(pixels[0]))]
    said = samples.findings["detail"][samples.findings["kind"] == "orientation"]
    what = "drawn before" if drawn == "raw" else "drawn on the upright image"
    assert len(said) == 4
    assert said.str.contains(what).all()


def test_boxes_of_a_turned_image_scale_with_it(tmp_path: Path) -> None:
    painted(tmp_path / "JPEGImages" / "a.png", 6)
    voc(tmp_path, "a.png", BOX, RAW[::-1])
    samples = read(tmp_path, image_size=(80, 48))
    assert np.abs(np.array(boxes(samples)[0][0]) - extent(samples.inputs[0][0])).max() <= 1


@pytest.mark.parametrize(
    ("turn", "raw", "size"), [(3, RAW, RAW[::-1]), (2, RAW, (0, 0)), (6, (30, 30), (30, 30)), (6, RAW, None)]
)
def test_where_the_size_does_not_tell_boxes_are_taken_as_seen_and_said_so(
    tmp_path: Path, turn: int, raw: tuple[int, int], size: tuple[int, int] | None
) -> None:
    seen = painted(tmp_path / "JPEGImages" / "a.png", turn, raw)
    voc(tmp_path, "a.png", seen, size)
    samples = read(tmp_path)
    assert boxes(samples) == [[list(seen)]]
    (detail,) = samples.findings["detail"][samples.findings["kind"] == "orientation"]
    assert "boxes are taken as drawn on the upright image" in detail


def test_boxes_annotated_at_another_scale_are_never_used(tmp_path: Path) -> None:
    for name, size in (("a.png", RAW[::-1]), ("b.png", (80, 48)), ("c.png", (41, 24))):
        painted(tmp_path / "JPEGImages" / name, 1)
        voc(tmp_path, name, BOX, size)
    samples = read(tmp_path)
    assert samples.table["id"].tolist() == ["a.png"]
    assert kinds(samples) == {("b.png", "target"), ("c.png", "target")}
    assert "is annotated as 80x48 pixels, and has 40x24" in samples.findings["detail"].iloc[0]
    with pytest.raises(UserError, match=r"b\.png: is annotated as 80x48.*data\.clean\.target"):
        Detection(root=str(tmp_path), mode="L").samples("pool")
    dropped = Detection(root=str(tmp_path), mode="L", clean=Cleaning(target="drop")).samples("pool")
    assert dropped.table["id"].tolist() == ["a.png"]
    voc(tmp_path, "a.png", BOX, (7, 7))
    with pytest.raises(UserError, match="nor are those of any other"):
        read(tmp_path)


def test_coco_without_sizes_is_read_in_the_images_own_pixels(tmp_path: Path) -> None:
    painted(tmp_path / "images" / "a.png", 1)
    coco(tmp_path, [IMAGE], [THING])
    samples = read(tmp_path)
    assert boxes(samples) == [[list(BOX)]]
    assert samples.findings.empty
    with contextlib.redirect_stdout(io.StringIO()):
        (thing,) = COCO(str(tmp_path / "annotations.json")).loadAnns([1])
    x, y, width, height = thing["bbox"]
    assert boxes(samples)[0][0] == [x, y, x + width, y + height]


IMAGE, THING = {"id": 1, "file_name": "a.png"}, {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 3, 12, 6]}
TWICE: dict[str, tuple[dict[str, Any], str]] = {
    "images": ({"images": [IMAGE, {"id": 1, "file_name": "b.png"}]}, "image id 1 is 'a.png' and 'b.png'"),
    "categories": (
        {"categories": [{"id": 1, "name": "x"}, {"id": 1, "name": "y"}]},
        "category id 1 is 'x' and 'y'",
    ),
    "annotations": ({"annotations": [THING, {**THING, "bbox": [0, 0, 9, 9]}]}, "two annotations have id 1, and differ"),
}


@pytest.mark.parametrize("what", TWICE)
def test_an_id_that_stands_for_two_things_is_refused(tmp_path: Path, what: str) -> None:
    for name in "ab":
        painted(tmp_path / "images" / f"{name}.png", 1)
    more, message = TWICE[what]
    coco(tmp_path, [IMAGE], [THING], **more)
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_an_annotation_that_comes_twice_is_read_once_and_named(tmp_path: Path) -> None:
    painted(tmp_path / "images" / "a.png", 1)
    coco(tmp_path, [IMAGE], [THING, THING])
    samples = read(tmp_path)
    assert boxes(samples) == [[list(BOX)]]
    assert kinds(samples) == {("annotation 1", "target")}


def test_an_image_of_two_roles_or_none_is_said(tmp_path: Path) -> None:
    painted(tmp_path / "JPEGImages" / "a.png", 1)
    voc(tmp_path, "a.png", BOX, None)
    sets = tmp_path / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\ngone\n")
    samples = read(tmp_path)
    assert samples.table["role"].tolist() == ["train"]
    assert kinds(samples) == {("ImageSets/Main/train.txt line 2", "unreadable")}
    (sets / "val.txt").write_text("\na\n")
    with pytest.raises(UserError, match=r"val\.txt: line 2 names a\.png, which train\.txt does too"):
        read(tmp_path)


def strew(root: Path) -> None:
    """Files of every sort about a folder."""
    shade(root / "extra" / "1.png", 3)
    for name in [
        "README.md",
        "images/notes.txt",
        "images/broken.png",
        "JPEGImages/Thumbs.db",
        "masks/a.npy",
        ".hidden/x",
    ]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def used_and_named(samples: Samples, root: Path, folder: Path, *read: str) -> set[Path]:
    """What is accounted for: samples and findings, named from a folder or from the root, and annotations read."""
    both = accounted(samples, folder) | accounted(samples, root) | {root / name for name in read}
    return both & everything(root)


def test_no_file_of_a_voc_folder_vanishes(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        painted(tmp_path / "JPEGImages" / f"{name}.png", 1)
        voc(tmp_path, f"{name}.png", BOX, None)
    (tmp_path / "Annotations" / "b.xml").unlink()
    (tmp_path / "Annotations" / "bad.xml").write_text("<annotation>")
    (tmp_path / "Annotations" / "a.json").write_text("{}")
    sets = tmp_path / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    for name in ("train", "val", "x_train"):
        (sets / f"{name}.txt").write_text("a\n" if name == "train" else "")
    strew(tmp_path)
    read_files = ("Annotations/a.xml", "Annotations/c.xml", "ImageSets/Main/train.txt", "ImageSets/Main/val.txt")
    samples = read(tmp_path, format="voc")
    assert used_and_named(samples, tmp_path, tmp_path / "JPEGImages", *read_files) == everything(tmp_path)
    assert samples.table["id"].tolist() == ["a.png", "c.png"]


@pytest.mark.parametrize("where", ["images", "."])
def test_no_file_of_a_coco_folder_vanishes(tmp_path: Path, where: str) -> None:
    for name in ("a", "b", "c"):
        painted(tmp_path / where / f"{name}.png", 1)
    strew(tmp_path)
    coco(tmp_path, [IMAGE, {"id": 2, "file_name": "c.png"}, {"id": 3, "file_name": "broken.png"}], [THING])
    samples = read(tmp_path, images=where)
    assert used_and_named(samples, tmp_path, tmp_path / where, "annotations.json") == everything(tmp_path)
    assert samples.table["id"].tolist() == ["a.png", "c.png"]
    assert ("b.png", "unused") in kinds(samples)


def test_no_file_of_a_folder_with_parts_vanishes(tmp_path: Path) -> None:
    for part in ("train", "test"):
        painted(tmp_path / part / "JPEGImages" / "a.png", 1)
        voc(tmp_path / part, "a.png", BOX, None)
        (tmp_path / part / "more.txt").write_text("x")
    strew(tmp_path)
    data, told = Detection(root=str(tmp_path), mode="L"), set[Path]()
    for part, samples in (("train", data.dataset("pool")), ("test", data.dataset("test"))):
        home = tmp_path / part
        told |= accounted(samples, home / "JPEGImages") | {home / "Annotations" / "a.xml"}
    assert told == everything(tmp_path)
