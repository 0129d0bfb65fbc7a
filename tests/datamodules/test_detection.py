"""Claims about detection folders: blood cells as VOC has them, COCO made from them, and faults planted in both."""

import json
import shutil
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from datamodules.detection import Detection
from lightning_base.errors import UserError
from lightning_base.samples.batch import Boxes
from lightning_base.samples.samples import Samples
from lightning_base.splitters import ByColumn
from tests.helpers import read_json, shared


@pytest.fixture(scope="module")
def bccd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of the blood cells."""
    root = tmp_path_factory.mktemp("bccd")
    with tarfile.open(shared("bccd.tar.gz")) as archive:
        archive.extractall(root, filter="data")
    return root


@pytest.fixture
def cells(bccd: Path, tmp_path: Path) -> Path:
    """The first eight images, to be changed: JPEGImages and Annotations."""
    root = tmp_path / "cells"
    for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        (root / folder).mkdir(parents=True)
        for i in range(8):
            shutil.copy(bccd / "bccd" / folder / f"BloodImage_{i:05d}.{suffix}", root / folder)
    return root


def xml(root: Path, i: int) -> Path:
    return root / "Annotations" / f"BloodImage_{i:05d}.xml"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def read(root: Path, **arguments: Any) -> Samples:
    return Detection(root=str(root), **arguments).dataset("pool")


def found(samples: Samples) -> list[tuple[str, str]]:
    return sorted(zip(samples.findings["id"], samples.findings["kind"], strict=True))


def to_coco(voc: Path, root: Path) -> None:
    """The folder as COCO lays it out: from 0, with width and height."""
    images, things, ids = [], [], {"WBC": 7, "RBC": 3, "Platelets": 12}
    for i, path in enumerate(sorted((voc / "Annotations").glob("*.xml"))):
        tree = ElementTree.parse(path).getroot()
        images.append({"id": 100 + i, "file_name": tree.findtext("filename"), "width": 640, "height": 480})
        for thing in tree.findall("object"):
            x1, y1, x2, y2 = (int(thing.findtext(f"bndbox/{k}") or "") for k in ("xmin", "ymin", "xmax", "ymax"))
            things.append(
                {
                    "id": len(things),
                    "image_id": 100 + i,
                    "category_id": ids[thing.findtext("name") or ""],
                    "bbox": [x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    shutil.copytree(voc / "JPEGImages", root / "images")
    content = {"images": images, "annotations": things, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(content))


def test_all_blood_cells_are_read(bccd: Path) -> None:
    data = Detection(root=str(bccd), image_size=(120, 160), split=ByColumn())
    samples = data.dataset("pool")
    assert samples.inputs.shape == (364, 3, 120, 160)
    assert samples.boxes is not None
    assert len(samples.boxes.values) == 4888
    assert samples.classes == ("Platelets", "RBC", "WBC")
    assert np.bincount(samples.boxes.values[:, 4].astype(int)).tolist() == [361, 4155, 372]
    assert found(samples) == [
        (f"../{name}", "unused") for name in ("ImageSets/Main/trainval.txt", "LICENSE", "README.md")
    ]
    assert samples.table["role"].value_counts().to_dict() == {"train": 205, "val": 87, "test": 72}
    lists = {role: (bccd / "bccd/ImageSets/Main" / f"{role}.txt").read_text().split() for role in ("train", "val")}
    for role, names in lists.items():
        ids = data.samples("pool").table["id"][data.rows(role)]  # type: ignore[arg-type]
        assert sorted(ids) == sorted(f"{name}.jpg" for name in names)
    assert len(data.samples("test")) == 72


def test_boxes_are_where_the_cells_are_after_resizing(cells: Path) -> None:
    """Painted cells: each box is a colour of its own in the image, and its extent is found in the resized pixels."""
    for path in sorted((cells / "Annotations").glob("*.xml")):
        tree = ElementTree.parse(path)
        canvas = Image.new("RGB", (640, 480))
        for thing in tree.getroot().findall("object")[1:]:
            tree.getroot().remove(thing)
        corners = [int(tree.getroot().findtext(f"object/bndbox/{k}") or "") for k in ("xmin", "ymin", "xmax", "ymax")]
        # from 1 and with the last pixel, as VOC counts: rectangle() takes corners from 0, and paints the last
        ImageDraw.Draw(canvas).rectangle([c - 1 for c in corners], fill=(255, 255, 255))
        canvas.save(cells / "JPEGImages" / f"{path.stem}.png")
        (cells / "JPEGImages" / f"{path.stem}.jpg").unlink()
        tree.write(path, encoding="utf-8")
        edit(path, f"{path.stem}.jpg", f"{path.stem}.png")
    for size in ((480, 640), (240, 320), (300, 200)):
        samples = read(cells, image_size=size, format="voc")
        assert samples.boxes is not None
        for row in range(8):
            ((x1, y1, x2, y2, _),) = samples.boxes[row]
            bright = samples.inputs[row][0].astype(float) / 255  # sums of rows and columns keep fractions of pixels
            assert abs(bright.sum() - (x2 - x1) * (y2 - y1)) < 0.05 * max(x2 - x1, y2 - y1)
            ys, xs = np.nonzero(bright > 0.5)
            extent = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            assert np.abs(np.array(extent) - (x1, y1, x2, y2)).max() <= 0.5 + 1e-3


def test_coco_made_from_voc_gives_the_same_samples(cells: Path, tmp_path: Path) -> None:
    to_coco(cells, tmp_path / "coco")
    voc, coco = read(cells, image_size=(240, 320)), read(tmp_path / "coco", image_size=(240, 320))
    assert coco.classes == voc.classes
    assert voc.boxes is not None
    assert coco.boxes is not None
    assert coco.table.equals(voc.table)
    assert np.array_equal(coco.boxes.offsets, voc.boxes.offsets)
    assert np.array_equal(coco.boxes.values, voc.boxes.values)
    assert coco.fingerprint == voc.fingerprint
    official = tmp_path / "official"
    (official / "annotations").mkdir(parents=True)
    (tmp_path / "coco" / "images").rename(official / "train2017")
    (tmp_path / "coco" / "annotations.json").rename(official / "annotations" / "instances_train2017.json")
    (official / "annotations" / "captions_train2017.json").write_text("{}")
    arguments = {"annotations": "annotations/instances_train2017.json", "images": "train2017"}
    assert read(official, image_size=(240, 320), **arguments).fingerprint == voc.fingerprint


def test_batches_hold_each_images_boxes(cells: Path) -> None:
    for thing in ("<object>", "</object>"):
        text = xml(cells, 3).read_text()
        xml(cells, 3).write_text(text.replace(thing, thing.replace("object", "thing")))
    data = Detection(root=str(cells), test_size=0.25, batch_size=4)
    data.setup("fit")
    samples = data.samples("pool")
    assert samples.boxes is not None
    assert len(samples) == 6
    batch = data.loader("test").gather(np.arange(2))
    assert isinstance(batch.y, Boxes)
    sealed = data.samples("test")
    assert sealed.boxes is not None
    for i in range(2):
        boxes = batch.y.boxes[i][batch.y.labels[i] >= 0].numpy()
        assert np.array_equal(boxes, sealed.boxes[i][:, :4])
    counts = dict(zip(samples.table["id"], samples.boxes.lengths(np.arange(6)), strict=True))
    counts |= dict(zip(sealed.table["id"], sealed.boxes.lengths(np.arange(2)), strict=True))
    expected = {f"BloodImage_{i:05d}.jpg": xml(cells, i).read_text().count("<object>") for i in range(8)}
    assert counts == expected
    assert expected["BloodImage_00003.jpg"] == 0


def test_faults_of_every_kind_are_found_and_nothing_else(cells: Path, tmp_path: Path) -> None:
    whole = read(cells)
    images = cells / "JPEGImages"
    edit(xml(cells, 0), "<xmax>491</xmax>", "<xmax>700</xmax>")
    edit(xml(cells, 0), "<name>RBC</name>", "<name></name>")
    edit(xml(cells, 0), "<xmin>63</xmin>", "<xmin>170</xmin>")
    edit(xml(cells, 0), "<xmin>214</xmin>", "<xmin>one</xmin>")
    edit(xml(cells, 1), "<filename>BloodImage_00001.jpg", "<filename>../../secret.jpg")
    xml(cells, 2).write_text(xml(cells, 2).read_text()[:300])
    (images / "BloodImage_00003.jpg").unlink()
    edit(xml(cells, 4), "<annotation>", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>')
    jpeg = (images / "BloodImage_00005.jpg").read_bytes()
    (images / "BloodImage_00005.jpg").write_bytes(jpeg[:9000])
    xml(cells, 6).unlink()
    Image.open(images / "BloodImage_00007.jpg").save(tmp_path / "secret.jpg")
    (images / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    shutil.copy(xml(cells, 7), cells / "Annotations" / "again.xml")
    samples = read(cells)
    assert found(samples) == [
        ("Annotations/BloodImage_00001.xml", "escape"),
        ("Annotations/BloodImage_00002.xml", "unreadable"),
        ("Annotations/BloodImage_00003.xml", "unreadable"),
        ("Annotations/BloodImage_00004.xml", "unreadable"),
        ("Annotations/again.xml", "unreadable"),
        *[("BloodImage_00000.jpg", "target")] * 4,
        ("BloodImage_00005.jpg", "unreadable"),
        ("BloodImage_00006.jpg", "unreadable"),
        ("link.jpg", "escape"),
    ]
    details = "; ".join(samples.findings["detail"])
    for reason in ("outside the image", "no class", "no area", "are no numbers", "entities", "no XML", "leaves"):
        assert reason in details
    assert samples.table["id"].tolist() == ["BloodImage_00000.jpg", "BloodImage_00007.jpg"]
    assert samples.boxes is not None
    assert whole.boxes is not None
    assert np.array_equal(samples.boxes[0], whole.boxes[0][4:])  # the four that were spoilt are the file's first
    assert np.array_equal(samples.boxes[1], whole.boxes[7])


def test_coco_faults_are_found(cells: Path, tmp_path: Path) -> None:
    root = tmp_path / "coco"
    to_coco(cells, root)
    content = read_json(root / "annotations.json")
    of = {
        image["id"]: [t for t in content["annotations"] if t["image_id"] == image["id"]] for image in content["images"]
    }
    of[100][0]["bbox"][2] = -5
    of[101][0]["category_id"] = 99
    of[102][0]["bbox"] = [1, 2, 3]
    of[103][0]["iscrowd"] = 1
    of[104][0]["image_id"] = 5
    content["images"][5]["file_name"] = "../../secret.jpg"
    content["images"][6]["file_name"] = "gone.jpg"
    (root / "annotations.json").write_text(json.dumps(content))
    samples = read(root)
    assert found(samples) == [
        ("../../secret.jpg", "escape"),
        *((f"BloodImage_0000{i}.jpg", "target") for i in range(3)),
        *((f"BloodImage_0000{i}.jpg", "unused") for i in (5, 6)),
        (f"annotation {of[104][0]['id']}", "target"),
        ("gone.jpg", "unreadable"),
    ]
    assert samples.boxes is not None
    assert samples.boxes.lengths(np.arange(5)).tolist() == [len(of[100 + i]) - 1 for i in range(5)]
    assert [name[-5] for name in samples.table["id"]] == list("012347")


def test_boxes_may_touch_the_border_from_0_or_from_1(cells: Path) -> None:
    edit(xml(cells, 0), "<xmin>260</xmin>", "<xmin>0</xmin>")
    edit(xml(cells, 0), "<xmax>491</xmax>", "<xmax>640</xmax>")
    samples = read(cells)
    assert samples.findings.empty
    assert samples.boxes is not None
    assert samples.boxes[0][0].tolist() == [0, 176, 640, 376, 2]


def test_declared_classes_number_the_boxes_and_others_are_findings(cells: Path) -> None:
    whole, samples = read(cells), read(cells, class_names=["WBC", "RBC"])
    assert whole.boxes is not None
    assert samples.boxes is not None
    platelets = int((whole.boxes.values[:, 4] == 0).sum())
    assert platelets > 0
    assert samples.classes == ("WBC", "RBC")
    assert (samples.findings["kind"] == "target").sum() == platelets
    assert np.array_equal(samples.boxes.values[:, 4], 2 - whole.boxes.values[whole.boxes.values[:, 4] > 0, 4])


def test_a_folder_test_is_the_test_source(cells: Path, tmp_path: Path) -> None:
    root = tmp_path / "parts"
    shutil.copytree(cells, root / "train")
    shutil.copytree(cells, root / "test")
    edit(xml(root / "test", 0), "<name>WBC</name>", "<name>new</name>")
    data = Detection(root=str(root))
    assert (len(data.dataset("pool")), len(data.dataset("test"))) == (8, 8)
    assert data.dataset("test").classes == data.dataset("pool").classes
    assert found(data.dataset("test")) == [("BloodImage_00000.jpg", "target")]
    with pytest.raises(UserError, match="'new', which is none of Platelets, RBC, WBC"):
        data.samples("test")
    with pytest.raises(UserError, match="no folder test"):
        Detection(root=str(cells)).dataset("test")


def test_images_of_another_size_are_findings_and_their_boxes_are_scaled(cells: Path) -> None:
    path = cells / "JPEGImages" / "BloodImage_00001.jpg"
    whole = read(cells)
    Image.open(path).resize((1280, 480)).save(path)
    edit(xml(cells, 1), "<width>640</width>", "<width>1280</width>")
    samples = read(cells)
    assert found(samples) == [("BloodImage_00001.jpg", "size")]
    assert samples.boxes is not None
    assert whole.boxes is not None
    halved = whole.boxes[1] * np.array([0.5, 1, 0.5, 1, 1], dtype=np.float32)
    assert np.allclose(samples.boxes[1], halved)
    assert np.array_equal(samples.boxes[0], whole.boxes[0])


def only(root: Path, *names: str) -> None:
    """No XML, but JSON that is not COCO's."""
    shutil.rmtree(root / "Annotations")
    for name in names:
        (root / name).write_text('{"images": [{}]}')


def linked(root: Path) -> None:
    (root / "Annotations").rename(root.parent / "elsewhere")
    (root / "Annotations").symlink_to(root.parent / "elsewhere")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "no folder .*cells"),
    "nothing known": (only, "holds neither VOC's"),
    "no images": (lambda root: shutil.rmtree(root / "JPEGImages"), "none JPEGImages"),
    "all images missing": (lambda root: [p.unlink() for p in root.rglob("*.jpg")], "no boxes that have a class"),
    "two files": (lambda root: only(root, "annotations1.json", "annotations2.json"), r"1\.json, .*2\.json.*data\.anno"),
    "no COCO": (lambda root: only(root, "annotations.json"), r"annotations\.json: is not read as COCO's JSON"),
    "a linked folder": (linked, "Annotations: leads to .*elsewhere, outside"),
}


@pytest.mark.parametrize("case", WRONG)
def test_folders_that_cannot_be_used_are_named(cells: Path, case: str) -> None:
    change, message = WRONG[case]
    change(cells)
    with pytest.raises(UserError, match=message) as error:
        read(cells)
    assert "\n" not in str(error.value)
