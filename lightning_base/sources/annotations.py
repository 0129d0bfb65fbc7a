"""Boxes as Pascal VOC's XML files or a COCO JSON file annotate them."""

import json
import math
import posixpath
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from lightning_base.errors import DataError, one_line
from lightning_base.runtime.formats import SUFFIXES
from lightning_base.sources.listing import check_inside, leaves, list_files

Said: TypeAlias = tuple[float, float] | None  # width and height that an annotation says its image has


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
        files: the images below the folder, as `list_files` gives them.
        boxes: by image, sorted by name; images that have none have an empty list.
        sizes: by image, the width and height that it is said to have; None where none is said.
        read: the files and folders that were read, images and annotations.
        roles: by image, where the folder gives roles: "train", "val" or "test"; else "".
        findings: (id, kind, detail).
    """

    folder: Path
    names: list[str] = field(default_factory=list)
    files: pd.DataFrame = field(default_factory=pd.DataFrame)
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    sizes: dict[str, Said] = field(default_factory=dict)
    read: set[Path] = field(default_factory=set)
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


def read_voc(home: Path) -> Annotations:
    """What Annotations/*.xml say of JPEGImages; roles from ImageSets/Main/{train,val,test}.txt where they are there.

    VOC counts pixels from 1 and includes the last: (xmin, ymin, xmax, ymax) becomes (xmin - 1, ymin - 1, xmax, ymax).
    """
    folder = check_inside(home, home / "JPEGImages")
    if not folder.is_dir():
        raise DataError(f"{home}: a folder Annotations but none JPEGImages; put the images there")
    out = _listed(folder)
    listed = set(out.files["name"])
    stems = {name.rsplit(".", 1)[0]: name for name in sorted(listed)}
    out.read |= {folder, home / "Annotations"}
    files, found = list_files(check_inside(home, home / "Annotations"), (".xml",))
    out.findings += [(f"Annotations/{name}", kind, detail) for name, kind, detail in found.itertuples(index=False)]
    unannotated = set(listed)
    for xml in files["name"]:
        where, own = f"Annotations/{xml}", stems.get(xml.removesuffix(".xml"), "")
        unannotated.discard(own)
        try:
            named, boxes, size = parse_voc((home / where).read_bytes())
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
            out.boxes[name], out.sizes[name] = boxes, size
        elif all(name != found for found, _, _ in out.findings):
            out.findings.append((where, "unreadable", f"names image {named!r}, which is not in {folder.name}"))
    out.findings += [(name, "unreadable", "has no annotation file") for name in sorted(unannotated)]
    out.names = sorted({box.name for boxes in out.boxes.values() for box in boxes if box.name is not None})
    _read_roles(home, stems, out)
    return out


def _read_roles(home: Path, stems: dict[str, str], out: Annotations) -> None:
    """Takes the role of each image that VOC's ImageSets name.

    Raises:
        UserError: for an image with two roles.
    """
    for role in ("train", "val", "test"):
        path = home / "ImageSets" / "Main" / f"{role}.txt"
        if not path.is_file():
            continue
        out.read.add(path)
        for number, line in enumerate(check_inside(home, path).read_text(errors="replace").splitlines(), start=1):
            if not line.strip():
                continue
            name = stems.get(line.split()[0])
            where = f"ImageSets/Main/{role}.txt line {number}"
            if name is None:
                out.findings.append((where, "unreadable", f"names {line.split()[0]!r}, which is no image there"))
            elif out.roles.setdefault(name, role) != role:
                raise DataError(
                    f"{path}: line {number} names {name}, which {out.roles[name]}.txt does too; take one out"
                )


def _listed(folder: Path) -> Annotations:
    """The images below a folder, and what listing them found; no annotations yet."""
    files, found = list_files(folder, SUFFIXES)
    return Annotations(folder, files=files, findings=list(found.itertuples(index=False, name=None)))


def parse_voc(content: bytes) -> tuple[str, list[Box], Said]:
    """The image's name, "" where there is none, the boxes, and the image's size, of one XML file.

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
    size = _said(root.findtext("size/width"), root.findtext("size/height"))
    return (root.findtext("filename") or "").strip(), boxes, size


def read_coco(path: Path, folder: Path) -> Annotations:
    """What a COCO JSON file says; (x, y, width, height) become corners, and regions of crowds (iscrowd) are left out.

    Raises:
        UserError: for a file that is no COCO JSON, or that has an id twice, for different things.
    """
    try:
        content = json.loads(path.read_bytes())
        classes = _by_id(path, content["categories"], "category", lambda one: str(one["name"]))
        images = _by_id(path, content["images"], "image", lambda one: str(one["file_name"]))
        out = _listed(folder)
        out.names, out.read = sorted(set(classes.values())), {path, folder}
        out.findings = [found for found in out.findings if folder / found[0] != path]
        sizes = {image["id"]: _said(image.get("width"), image.get("height")) for image in content["images"]}
        listed, known = set(out.files["name"]), {found[0] for found in out.findings}
        for number, name in images.items():
            _take_image(path, posixpath.normpath(name), sizes[number], out, listed, known)
        _take_boxes(path, content["annotations"], images, classes, out)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: is not read as COCO's JSON ({type(error).__name__}: {one_line(error)}); it needs images (id, "
            "file_name), annotations (image_id, category_id, bbox) and categories (id, name)"
        ) from error
    out.findings += [
        (name, "unused", f"{path.name} does not list it") for name in out.files["name"] if name not in out.boxes
    ]
    return out


def _by_id(path: Path, things: list[Any], kind: str, value: Callable[[Any], str]) -> dict[Any, str]:
    """By id, the name of each thing.

    Raises:
        UserError: for an id that two things of different names have.
    """
    found: dict[Any, str] = {}
    for thing in things:
        if found.setdefault(thing["id"], value(thing)) != value(thing):
            raise DataError(
                f"{path}: {kind} id {thing['id']} is {found[thing['id']]!r} and {value(thing)!r}; give each its own"
            )
    return found


def _take_image(path: Path, name: str, size: Said, out: Annotations, listed: set[str], known: set[str]) -> None:
    """Takes an image that COCO's file lists; it is one of those listed below the folder, or `known` for a finding."""
    if leaves(name):
        out.findings.append((name, "escape", f"{path.name} names it, and it leaves {out.folder.name}"))
    elif name in out.boxes:
        out.findings.append((name, "unreadable", f"{path.name} lists it twice"))
    elif name in listed:
        out.boxes[name], out.sizes[name] = [], size
    elif name not in known:
        out.findings.append((name, "unreadable", f"{path.name} names it, but it is not in {out.folder}"))


def _take_boxes(
    path: Path, things: list[Any], images: dict[Any, str], classes: dict[Any, str], out: Annotations
) -> None:
    """Takes the annotations of COCO's file.

    Raises:
        UserError: for an id that two annotations of different content have.
    """
    seen: dict[Any, Any] = {}
    for thing in things:
        image, category, number = thing["image_id"], thing["category_id"], thing.get("id")
        if number is not None and seen.setdefault(number, thing) is not thing:
            if seen[number] != thing:
                raise DataError(f"{path}: two annotations have id {number}, and differ; give each its own")
            out.findings.append((f"annotation {number}", "target", "comes twice; one is read"))
        elif image not in images:
            out.findings.append((f"annotation {number}", "target", f"its image_id {image} is no image"))
        elif not thing.get("iscrowd") and (name := posixpath.normpath(images[image])) in out.boxes:
            out.boxes[name].append(_coco_box(thing.get("bbox"), classes.get(category)))


def _coco_box(box: Any, name: str | None) -> Box:
    """The corners of COCO's (x, y, width, height); NaN where there are no four numbers."""
    if not isinstance(box, list) or len(box) != 4:
        return Box(math.nan, math.nan, math.nan, math.nan, name)
    x, y, width, height = map(_number, box)
    return Box(x, y, x + width, y + height, name)


def _said(width: Any, height: Any) -> Said:
    """A size, where it is one; tools that do not know it write 0."""
    size = _number(width), _number(height)
    return size if min(size) > 0 and all(map(math.isfinite, size)) else None


def _number(value: Any) -> float:
    """The value as a number; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
