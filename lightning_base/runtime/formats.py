"""The formats that images are read from: how a file of each is opened, and what a file is that is not read."""

import importlib
from types import ModuleType
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError, features

PLAIN = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
    ".avif",
)
HEIC = (".heic", ".heif", ".hif")
DICOM = (".dcm", ".dicom")
NIFTI = (".nii", ".nii.gz")
SUFFIXES = (*PLAIN, *HEIC, *DICOM, *NIFTI)
PILLOW = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM", *(("AVIF",) if features.check("avif") else ()))
MOST_PIXELS = 89_478_485  # as Pillow's own limit: a quarter of a GB at 24 bits
# what files begin with that are not read, or are damaged where they are
MARKS = {
    b"%!PS": "EPS",
    b"\xc5\xd0\xd3\xc6": "EPS",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\x01\0": "ICO",
    b"<svg": "SVG",
    b"<?xml": "XML",
    b"SIMPLE  =": "FITS",
    b"\x89HDF": "HDF5",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\xff\xd8\xff": "a damaged JPEG",
    b"\x89PNG": "a damaged PNG",
    b"GIF8": "a damaged GIF",
    b"II*\0": "TIFF, damaged or of a kind that Pillow does not know",
    b"MM\0*": "TIFF, damaged or of a kind that Pillow does not know",
}
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


# libraries that need not be installed, with the lower bounds of the extras that pyproject.toml lists
BOUNDS = {"pillow_heif": "pillow-heif>=1.0", "pydicom": "pydicom>=3.0", "nibabel": "nibabel>=5.3"}


class MissingLibrary(Exception):
    """A file of a format whose library is not installed; the message names it."""


def library(module: str, what: str) -> ModuleType:
    """A module of a library that need not be installed.

    Raises:
        MissingLibrary: where it is not, with how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        needed = BOUNDS[module.split(".")[0]]
        package = needed.split(">")[0]
        raise MissingLibrary(f"{what} is read by {package}, which is not installed: pip install '{needed}'") from error


def open_image(path: str | BinaryIO) -> Image.Image:
    """A file, by path or opened, that Pillow reads, its header read alone: one of the formats listed here.

    Its name does not matter.

    Raises:
        MissingLibrary: for HEIC without its library.
        ValueError: for another format, which the message names.
    """
    if isinstance(path, str) and path.lower().endswith(HEIC):
        return _open_heic(path)
    try:
        return Image.open(path, formats=PILLOW)
    except UnidentifiedImageError as error:
        if (kind := what_is(path)) == "HEIC":
            return _open_heic(path)
        raise ValueError(f"not an image that can be read{kind and ': ' + kind}") from error


def _open_heic(path: str | BinaryIO) -> Image.Image:
    """A HEIC file, or another one that is called so."""
    library("pillow_heif", "HEIC").register_heif_opener()
    try:
        return Image.open(path, formats=(*PILLOW, "HEIF"))
    except UnidentifiedImageError as error:
        kind = what_is(path)
        raise ValueError(f"not an image that can be read{kind and ': ' + kind}") from error


def what_is(path: str | BinaryIO) -> str:
    """What a file is by its first bytes, where it is no image that Pillow is given; "" where that is not known."""
    if isinstance(path, str):
        with open(path, "rb") as file:
            head = file.read(132)
    else:
        path.seek(0)
        head = path.read(132)
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return (
            "HEIC"
            if brand in HEIC_BRANDS
            else "AVIF"
            if brand in (b"avif", b"avis")
            else "a video, or another ISO file"
        )
    if head[128:132] == b"DICM":
        return "DICOM under a name that does not end in .dcm"
    return next((kind for mark, kind in MARKS.items() if head.startswith(mark)), "")


def check_pixels(width: int, height: int) -> None:
    """Refuses a size before memory is asked for.

    Raises:
        ValueError: for more than `MOST_PIXELS`, or none.
    """
    if width < 1 or height < 1:
        raise ValueError(f"{width}x{height} pixels by its header")
    if width * height > MOST_PIXELS:
        raise ValueError(f"more than {MOST_PIXELS} pixels by its header; not decoded")
