"""Boxes of images that EXIF turns: whether they were drawn before or after, and where they are after."""

from typing import Literal

from lightning_base.sources.annotations import Box, Said

Drawn = Literal["raw", "upright", ""]


def drawn_on(said: Said, width: int, height: int, turn: int) -> tuple[Drawn, str]:
    """What an image's boxes were drawn on, by the size that their annotation says it has, and what is to be said of it.

    Args:
        said: the annotation's width and height; None where it says none.
        width: of the upright image.
        height: of the upright image.
        turn: EXIF's orientation, 1 to 8; 0 where it is not known.

    Returns:
        "upright", "raw" (as the file has its pixels, before it is turned), or "" where the size fits neither; and the
        text of a finding, "" where there is none.
    """
    raw = (height, width) if turn > 4 else (width, height)
    if said is not None and said not in ((width, height), raw):
        return "", f"is annotated as {said[0]:g}x{said[1]:g} pixels, and has {width}x{height}; its boxes are not used"
    if turn < 2:
        return "upright", ""
    if said is None:
        return "upright", "no size is annotated: boxes are taken as drawn on the upright image"
    if raw == (width, height):
        return "upright", "the annotated size fits before and after: boxes are taken as drawn on the upright image"
    if said == raw:
        return "raw", "boxes were drawn before, by the annotated size, and are turned with it"
    return "upright", "boxes were drawn on the upright image, by the annotated size"


def turned(box: Box, turn: int, width: int, height: int) -> Box:
    """A box in the pixels of a file of this width and height, where it is once EXIF's orientation is applied."""
    left, top, right, bottom, name = box
    if turn in (2, 3, 7, 8):
        left, right = width - right, width - left
    if turn in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return Box(top, left, bottom, right, name) if turn > 4 else Box(left, top, right, bottom, name)
