"""Boxes as Pascal VOC's XML files or a COCO JSON file annotate them."""

import json
import math
import posixpath
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lightning_base.errors import DataError, one_line
from lightning_base.sources.images import SUFFIXES
from lightning_base.sources.listing import check_inside, list_files


class Box(NamedTuple):
    """Corners in pixels, x2 and y2 exclusive, NaN where they are no numbers; the class's name, None without one."""

    x1: float
    y1: float
    x2: float
    y2: float
    name: str | None


@dataclass
class Annotations:
    """What a detection folder says of its images.

    Attributes:
        folder: the folder that images' names start from.
        names: the classes it names, sorted.
        boxes: by image, sorted by name; images that have none have an empty list.
        roles: by image, where the folder gives roles: "train", "val" or "test"; else "".
        findings: (id, kind, detail).
    """

    folder: Path
    names: list[str] = field(default_factory=list)
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    findings: list[tuple[str, str, str]] = field(default_factory=list)


def problem(box: Box, width: int, height: int, names: Iterable[str]) -> str:
    """Why a box is impossible in an image of that size, or "".

    Corners may lie up to one pixel outside, as tools that count from 0 or from 1, or round, put them.
    """
    if box.name is None:
        return "has no class"
    if box.name not in names:
        return f"has class {box.name!r}, which is none of {', '.join(names)}"
    if not all(map(math.isfinite, box[:4])):
        return "has coordinates that are no numbers"
    if min(box.x1, box.y1) < -1 or box.x2 > width + 1 or box.y2 > height + 1:
        return f"lies outside the image of {width}x{height}"
    if min(box.x2, width) <= max(box.x1, 0) or min(box.y2, height) <= max(box.y1, 0):
        return "has no area"
    return ""


def leaves(name: str) -> bool:
    """Whether a path leads out of the folder it starts from."""
    return name.startswith("/") or posixpath.normpath(name).split("/")[0] == ".."


def read_voc(home: Path) -> Annotations:
    """What Annotations/*.xml say of JPEGImages; roles from ImageSets/Main/{train,val,test}.txt where they are there.

    VOC counts pixels from 1 and includes the last: (xmin, ymin, xmax, ymax) becomes (xmin - 1, ymin - 1, xmax, ymax).
    The image's size is taken from the image, not from the XML.
    """
    folder = check_inside(home, home / "JPEGImages")
    if not folder.is_dir():
        raise DataError(f"{home}: a folder Annotations but none JPEGImages; put the images there")
    out = Annotations(folder)
    listed, out.findings = listing(folder)
    stems = {name.rsplit(".", 1)[0]: name for name in sorted(listed)}
    files, found = list_files(check_inside(home, home / "Annotations"), (".xml",))
    out.findings += [(f"Annotations/{name}", kind, detail) for name, kind, detail in found.itertuples(index=False)]
    unannotated = set(listed)
    for xml in files["name"]:
        where, own = f"Annotations/{xml}", stems.get(xml.removesuffix(".xml"), "")
        unannotated.discard(own)
        try:
            named, boxes = parse_voc((home / where).read_bytes())
        except (ValueError, OSError) as error:
            out.findings.append((where, "unreadable", one_line(error)))
            continue
        name = named if "." in named else own  # some tools leave the suffix out
        unannotated.discard(name)
        if leaves(name):
            out.findings.append((where, "escape", f"names image {name!r}, which leaves {folder.name}"))
        elif name in out.boxes:
            out.findings.append((where, "unreadable", f"annotates {name}, which another file does"))
        elif name in listed:
            out.boxes[name] = boxes
        elif all(name != found for found, _, _ in out.findings):
            out.findings.append((where, "unreadable", f"names image {named!r}, which is not in {folder.name}"))
    out.findings += [(name, "unreadable", "has no annotation file") for name in sorted(unannotated)]
    out.names = sorted({box.name for boxes in out.boxes.values() for box in boxes if box.name is not None})
    out.roles = _roles(home, stems)
    return out


def _roles(home: Path, stems: dict[str, str]) -> dict[str, str]:
    """The role of each image that VOC's ImageSets name."""
    roles: dict[str, str] = {}
    for role in ("train", "val", "test"):
        path = home / "ImageSets" / "Main" / f"{role}.txt"
        if path.is_file():
            lines = check_inside(home, path).read_text(errors="replace").splitlines()
            roles |= {stems[line.split()[0]]: role for line in lines if line.strip() and line.split()[0] in stems}
    return roles


def listing(folder: Path) -> tuple[set[str], list[tuple[str, str, str]]]:
    """The images below a folder, and what listing them found."""
    files, found = list_files(folder, SUFFIXES)
    return set(files["name"]), list(found.itertuples(index=False, name=None))


def parse_voc(content: bytes) -> tuple[str, list[Box]]:
    """The image's name, "" where there is none, and the boxes of one XML file.

    Raises:
        ValueError: for what is no XML in UTF-8, or declares entities.
    """
    text = content.decode("utf-8-sig")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can expand without end, or read other files
        raise ValueError("declares a document type or entities, which are not read")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"no XML: {error}") from error
    boxes = []
    for thing in root.iter("object"):
        x1, y1, x2, y2 = (_number(thing.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax"))
        boxes.append(Box(x1 - 1, y1 - 1, x2, y2, (thing.findtext("name") or "").strip() or None))
    return (root.findtext("filename") or "").strip(), boxes


def read_coco(path: Path, folder: Path) -> Annotations:
    """What a COCO JSON file says; (x, y, width, height) become corners, and regions of crowds (iscrowd) are left out.

    Raises:
        UserError: for a file that is no COCO JSON.
    """
    try:
        content = json.loads(path.read_bytes())
        classes = {category["id"]: str(category["name"]) for category in content["categories"]}
        images = {image["id"]: str(image["file_name"]) for image in content["images"]}
        things = [(thing["image_id"], thing["category_id"], thing) for thing in content["annotations"]]
        out = Annotations(folder, sorted(set(classes.values())))
        listed, out.findings = listing(folder)
        known = {name for name, _, _ in out.findings}
        for name in map(posixpath.normpath, images.values()):
            if leaves(name):
                out.findings.append((name, "escape", f"{path.name} names it, and it leaves {folder.name}"))
            elif name not in listed and name not in known:
                out.findings.append((name, "unreadable", f"{path.name} names it, but it is not in {folder}"))
            elif name in out.boxes:
                out.findings.append((name, "unreadable", f"{path.name} lists it twice"))
            elif name in listed:
                out.boxes[name] = []
        for image, category, thing in things:
            if image not in images:
                out.findings.append((f"annotation {thing.get('id')}", "target", f"its image_id {image} is no image"))
            elif not thing.get("iscrowd") and (name := posixpath.normpath(images[image])) in out.boxes:
                out.boxes[name].append(_coco_box(thing.get("bbox"), classes.get(category)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: is not read as COCO's JSON ({type(error).__name__}: {one_line(error)}); it needs images (id, "
            "file_name), annotations (image_id, category_id, bbox) and categories (id, name)"
        ) from error
    return out


def _coco_box(box: Any, name: str | None) -> Box:
    """The corners of COCO's (x, y, width, height); NaN where there are no four numbers."""
    if not isinstance(box, list) or len(box) != 4:
        return Box(math.nan, math.nan, math.nan, math.nan, name)
    x, y, width, height = map(_number, box)
    return Box(x, y, x + width, y + height, name)


def _number(value: Any) -> float:
    """The value as a number; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
