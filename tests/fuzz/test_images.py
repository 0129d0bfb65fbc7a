"""Claims about image files bent at random: each is an image or a finding, and never a fault."""

import math
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from lightning_base.errors import UserError
from lightning_base.sources.images import Form, Reading, count_frames, decode, probe, strict_pillow
from tests.support.medical import write_dicom

GREY = np.random.default_rng(0).integers(0, 256, (24, 20), dtype=np.uint8)
COLOUR = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
LARGE = np.kron(COLOUR, np.ones((3, 3, 1), np.uint8))
TRIES = 60  # of each format


def exif() -> Image.Exif:
    turned = Image.Exif()
    turned[274] = 6
    return turned


def framed(path: Path) -> None:
    Image.fromarray(GREY).save(path, save_all=True, append_images=[Image.fromarray(GREY[::-1])])


def volume(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.dstack([GREY, GREY]).astype(np.float32), np.eye(4)), path)


def scan(path: Path) -> None:
    write_dicom(path, np.stack([GREY, GREY]).astype(np.int16), RescaleSlope=2, RescaleIntercept=-5)


FORMATS: dict[str, Callable[[Path], object]] = {
    "a.jpg": lambda path: Image.fromarray(COLOUR).save(path, exif=exif()),
    "a.png": lambda path: Image.fromarray(GREY).save(path, exif=exif()),
    "deep.png": lambda path: Image.fromarray(GREY.astype(np.uint16) * 257).save(path),
    "a.bmp": lambda path: Image.fromarray(COLOUR).save(path),
    "a.webp": lambda path: Image.fromarray(COLOUR).save(path),
    "a.avif": lambda path: Image.fromarray(COLOUR).save(path),
    "a.heic": lambda path: pillow_heif.from_pillow(Image.fromarray(LARGE)).save(path),
    "raw.tif": lambda path: Image.fromarray(GREY.astype(np.float32)).save(path),
    "lzw.tif": lambda path: Image.fromarray(COLOUR).save(path, compression="tiff_lzw", exif=exif()),
    "pages.tif": framed,
    "a.gif": framed,
    "a.ppm": lambda path: Image.fromarray(COLOUR).save(path),
    "a.pgm": lambda path: path.write_bytes(b"P5 20 24 4095\n" + (GREY.astype(">u2") * 16).tobytes()),
    "a.dcm": scan,
    "a.nii": volume,
    "a.nii.gz": volume,
}


def bend(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed (in the header as a rule, which says sizes), left out, cut off, or spliced in from elsewhere."""
    bent = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 6])):
        at = rng.randrange(min(len(bent), rng.choice([64, 400, len(bent)])) or 1)
        length = rng.choice([1, 2, 4, 64])
        match rng.randrange(5):
            case 0 | 1:
                bent[at : at + length] = rng.choice([rng.randbytes(length), b"\xff" * length, bytes(length)])
            case 2:
                del bent[at : at + length]
            case 3:
                start = rng.randrange(len(content))
                bent[at:at] = content[start : start + rng.choice([8, 64, 400])]
            case 4:
                bent = bent[: rng.randrange(len(bent) + 1)]
        if not bent:
            break
    return bytes(bent)


@pytest.mark.parametrize("name", FORMATS)
def test_a_bent_image_is_an_image_or_a_finding(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    path, rng = tmp_path / name, random.Random(name)
    FORMATS[name](path)
    whole, good = path.read_bytes(), 0
    forms = [Form(Reading(mode, frames), (16, 16), True) for mode in ("RGB", "L") for frames in ("first", "all")]
    with warnings.catch_warnings(record=True) as shown, strict_pillow():
        for number in range(TRIES):
            path.write_bytes(bend(whole, rng) if number else whole)
            form = forms[number % 4]
            wanted = range(min(count_frames(str(path)), 3)) if form.reading.frames == "all" else [0]
            size = probe(str(path))
            for image in decode(str(path), form, list(wanted)):
                assert "\n" not in image.error
                assert not image.passing, image.error
                assert len(image.pixels) == (0 if image.error else 4 * form.channels * 16 * 16)
                assert size is None or min(size) > 0 or image.error
                good += not image.error
    assert not shown
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == "" or name == "lzw.tif"  # libtiff speaks for itself, beside the interpreter
    assert 1 <= good < 4 * TRIES


def test_a_file_of_one_format_under_the_name_of_another_is_never_a_fault(tmp_path: Path) -> None:
    contents = {}
    for name, write in FORMATS.items():
        write(tmp_path / name)
        contents[name] = (tmp_path / name).read_bytes()
    with strict_pillow():
        for name in contents:
            for content in contents.values():
                (tmp_path / name).write_bytes(content)
                (image,) = decode(str(tmp_path / name), Form(Reading("L"), (16, 16), True))
                assert image.error or len(image.pixels) == 4 * 16 * 16
                assert not image.passing


@pytest.mark.parametrize("value", [(1.0, 0.0), (3.0, -1.0), (0.0, math.nan), (0.0, math.inf), (math.nan, 1.0)])
def test_scales_that_are_none_are_refused(value: tuple[float, float]) -> None:
    with pytest.raises(UserError, match=r"data\.range: .* is no range"):
        Reading(range=value)
    with pytest.raises(UserError, match=r"data\.window: .* is no window"):
        Reading(window=value)
