"""Claims about the pixels of image files: each format, upright, with every bit, on the scale that is stated."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
import torch
from PIL import Image, ImageOps

from lightning_base.errors import UserError
from lightning_base.preprocess.standardize import Standardize
from lightning_base.runtime.formats import SUFFIXES
from lightning_base.samples.batch import Batch
from lightning_base.samples.samples import Samples
from lightning_base.sources.image_pack import Pack, pack_images
from lightning_base.sources.images import Reading
from lightning_base.sources.listing import list_files
from tests.helpers import ROOT
from tests.support.medical import write_dicom

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (9, 12), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (9, 12), dtype=np.uint16)
Array = npt.NDArray[Any]


def pack(folder: Path, reading: Reading | None = None, **arguments: Any) -> Pack:
    files, _ = list_files(folder, SUFFIXES)
    return pack_images(folder, files, reading or Reading(), **arguments)


def read(path: Path, reading: Reading | None = None) -> Array:
    """(C, H, W) of the only file in a folder."""
    return np.array(pack(path.parent, reading).images[0])


def found(packed: Pack) -> list[list[str]]:
    return packed.findings().to_numpy().tolist()


def tiff(
    path: Path, values: Array, order: str, kind: int, photometric: int = 1, more: Sequence[tuple[int, int]] = ()
) -> None:
    """An uncompressed grey TIFF, tag by tag. kind: 1 whole, 2 signed, 3 floating; more: further tags."""
    end = "little" if order == "<" else "big"
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    height, width = values.shape
    tags = [(256, width), (257, height), (258, 8 * values.dtype.itemsize), (259, 1), (262, photometric)]
    tags += [(273, 8), (277, 1), (278, height), (279, len(data)), (339, kind), *more]
    entries = b"".join(
        tag.to_bytes(2, end) + (4).to_bytes(2, end) + (1).to_bytes(4, end) + value.to_bytes(4, end)
        for tag, value in tags
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + (8 + len(data)).to_bytes(4, end)
    path.write_bytes(head + data + len(tags).to_bytes(2, end) + entries + bytes(4))


def saved(name: str, values: Array, **options: Any) -> Callable[[Path], Array]:
    """Writes an image; what comes of it is what Pillow, asked without us, makes of the file."""

    def write(folder: Path) -> Array:
        Image.fromarray(values).save(folder / name, **options)
        with Image.open(folder / name) as image:
            return np.asarray(image.convert("RGB"))

    return write


def plain(name: str, content: bytes, expected: Array) -> Callable[[Path], Array]:
    """Writes bytes whose meaning is known."""

    def write(folder: Path) -> Array:
        (folder / name).write_bytes(content)
        return expected

    return write


def heic(folder: Path) -> Array:
    pillow_heif.from_pillow(Image.fromarray(np.repeat(np.repeat(COLOUR, 8, 0), 8, 1))).save(folder / "a.heic")
    return np.asarray(pillow_heif.open_heif(folder / "a.heic"))


BITS = (GREY > 127).astype(np.uint8)
FORMATS: dict[str, Callable[[Path], Array]] = {
    "JPEG": saved("a.JPG", COLOUR),
    "JFIF": saved("a.jfif", COLOUR, format="JPEG"),
    "PNG": saved("a.png", COLOUR),
    "BMP": saved("a.bmp", COLOUR),
    "WebP": saved("a.webp", COLOUR, lossless=True),
    "TIFF": saved("a.tif", COLOUR, compression="tiff_lzw"),
    "AVIF": saved("a.avif", COLOUR),
    "GIF": saved("a.gif", GREY),
    "PPM": plain("a.ppm", b"P6 12 9 255\n" + COLOUR.tobytes(), COLOUR),
    "PGM": plain("a.pgm", b"P5 12 9 255\n" + GREY.tobytes(), np.repeat(GREY[..., None], 3, 2)),
    "PBM": plain(
        "a.pbm",
        b"P4 12 9\n" + np.packbits(BITS, axis=1).tobytes(),
        np.repeat(255 * (1 - BITS)[..., None], 3, 2),
    ),
    "HEIC": heic,
    "JPEG called PNG": saved("a.png", COLOUR, format="JPEG"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_the_pixels_that_another_reader_gives(tmp_path: Path, name: str) -> None:
    expected = FORMATS[name](tmp_path)
    packed = pack(tmp_path)
    assert np.array_equal(packed.images[0], expected.transpose(2, 0, 1))
    assert packed.images.dtype == np.uint8
    assert {kind for _, kind, _ in found(packed)} <= {"mode"}


UNREAD = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "PDF": b"%PDF-1.4\n",
    "Photoshop": b"8BPS\0\1" + bytes(40),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "ICO": b"\0\0\1\0\1\0" + bytes(40),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_a_format_that_is_not_listed_is_refused_by_name_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def started(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    Image.fromarray(COLOUR).save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_bytes(UNREAD[kind])
    assert found(pack(tmp_path)) == [["bad.jpg", "unreadable", f"not an image that can be read: {kind}"]]


@pytest.mark.parametrize(
    ("module", "name", "needed"), [("pillow_heif", "a.heic", "pillow-heif>=1.0"), ("pydicom", "a.dcm", "pydicom>=3.0")]
)
def test_a_missing_library_is_named_and_the_file_read_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, needed: str
) -> None:
    Image.fromarray(np.repeat(np.repeat(COLOUR, 8, 0), 8, 1)).save(tmp_path / "b.png")
    heic(tmp_path) if module == "pillow_heif" else write_dicom(tmp_path / name, GREY, bits=8)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, module, None)
        ((one, kind, detail),) = found(pack(tmp_path))
    assert (one, kind) == (name, "unreadable")
    assert f"pip install '{needed}'" in detail
    assert f'"{needed}"' in (ROOT / "pyproject.toml").read_text(), "the extra asks for the same"
    assert len(pack(tmp_path).images) == 2


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_images_are_turned_upright_as_pillow_turns_them(tmp_path: Path, suffix: str) -> None:
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[274] = turn
        Image.fromarray(COLOUR).save(tmp_path / f"{turn}.{suffix}", exif=exif)
    packed = pack(tmp_path, size=(9, 12))
    for row in packed.rows.itertuples():
        with Image.open(tmp_path / row.name) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        assert (row.width, row.height) == upright.size == ((9, 12) if row.turn > 4 else (12, 9))
        expected = np.asarray(upright.resize((12, 9), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        assert np.array_equal(packed.images[row.Index], expected)
    turned = [one for one in found(packed) if one[1] == "orientation"]
    assert turned == [[f"{i}.{suffix}", "orientation", f"turned upright, EXIF {i}"] for i in range(2, 9)]
    for path in tmp_path.glob(f"[1-5].{suffix}"):
        path.unlink()
    assert pack(tmp_path).size == (12, 9)  # the most common size is of upright images


def test_damaged_exif_leaves_the_pixels_and_is_said(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", exif=b"Exif\0\0nonsense and more of it")
    packed = pack(tmp_path)
    assert np.array_equal(packed.images[0], np.asarray(Image.open(tmp_path / "a.jpg")).transpose(2, 0, 1))
    assert found(packed) == [["a.jpg", "orientation", "its EXIF cannot be read: it is taken as upright"]]


def pgm(path: Path) -> None:
    path.write_bytes(b"P5 12 9 4095\n" + (DEEP >> 4).astype(">u2").tobytes())


SIXTEEN: dict[str, tuple[Callable[[Path], object], Array]] = {
    "a.png": (lambda path: Image.fromarray(DEEP).save(path), DEEP / 65535),
    "little.tif": (lambda path: tiff(path, DEEP, "<", 1), DEEP / 65535),
    "big.tif": (lambda path: tiff(path, DEEP, ">", 1), DEEP / 65535),
    "white_is_0.tif": (lambda path: tiff(path, DEEP, "<", 1, 0), 1 - DEEP / 65535),
    "a.pgm": (pgm, (DEEP >> 4) / 4095),
}


@pytest.mark.parametrize("name", SIXTEEN)
def test_sixteen_bits_are_kept_from_black_to_white(tmp_path: Path, name: str) -> None:
    write, expected = SIXTEEN[name]
    write(tmp_path / name)
    packed = pack(tmp_path, Reading("L"))
    assert packed.images.dtype == np.float32
    assert np.abs(packed.images[0][0] - expected).max() < 1e-6
    assert packed.white == 1
    high = 4095 if name == "a.pgm" else 65535
    assert f"0 … {high} became 0 … 1" in found(packed)[0][2]
    assert np.array_equal(pack(tmp_path, Reading("RGB")).images[0], np.repeat(packed.images[0], 3, 0))


OWN: dict[str, tuple[Array, int]] = {
    "int16": ((DEEP.astype(np.int32) - 32768).astype(np.int16), 2),
    "int32": ((DEEP.astype(np.int32) - 30_000) * 60, 2),
    "uint32": (DEEP.astype(np.uint32) * 65536, 1),
    "float32": (np.round(DEEP / 65535, 3).astype(np.float32), 3),
    "int8": (GREY.view(np.int8), 2),
}


@pytest.mark.parametrize(("name", "order"), [*((name, "<") for name in OWN), ("int16", ">"), ("float32", ">")])
def test_values_with_units_of_their_own_stay_as_they_stand(tmp_path: Path, name: str, order: str) -> None:
    values, kind = OWN[name]
    tiff(tmp_path / "a.tif", values, order, kind)
    packed = pack(tmp_path, Reading("L"))
    assert np.array_equal(packed.images[0][0], values.astype(np.float32))
    assert packed.white == 0
    assert "values as they stand" in found(packed)[0][2]
    scaled = read(tmp_path / "a.tif", Reading("L", range=(-100, 300)))[0]
    assert np.allclose(scaled, (values.astype(float) + 100) / 400, rtol=1e-6)
    window = read(tmp_path / "a.tif", Reading("L", window=(0.5, 0.5)))[0]
    assert np.allclose(window, np.clip((values.astype(float) - 0.25) / 0.5, 0, 1), atol=1e-6)


def test_whole_numbers_that_float32_rounds_are_said(tmp_path: Path) -> None:
    tiff(tmp_path / "a.tif", np.full((4, 4), 2**24 + 1, np.int32), "<", 2)
    assert "whole numbers beyond 16,777,216 are rounded by float32" in found(pack(tmp_path))[0][2]


def test_what_pillow_does_not_read_of_tiff_is_said(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    tiff(tmp_path / "a.tif", DEEP.astype(np.float64), "<", 3)
    assert "TIFF, damaged or of a kind that Pillow does not know" in found(pack(tmp_path))[0][2]


def test_colours_of_sixteen_bits_are_read_as_eight_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6 12 3 65535\n" + DEEP.astype(">u2").tobytes())
    packed = pack(tmp_path)
    assert np.abs(packed.images[0].astype(int) - DEEP.reshape(3, 12, 3).transpose(2, 0, 1) / 257).max() <= 0.5 + 1e-9
    assert found(packed) == [["a.ppm", "mode", "RGB; 16 bits a channel, of which Pillow reads the upper 8"]]


def test_eight_bits_beside_sixteen_have_one_scale(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(DEEP).save(tmp_path / "b.png")
    for keep in (True, False):
        images = pack(tmp_path, Reading("L"), keep=keep).images[np.arange(2)]
        assert images.dtype == np.float32
        assert np.allclose(images[:, 0], np.stack([GREY / 255, DEEP / 65535]), atol=1e-7)
    (tmp_path / "b.png").unlink()
    assert np.array_equal(read(tmp_path / "a.png", Reading("L"))[0], GREY)


def test_values_of_two_scales_are_refused_until_a_range_is_declared(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    tiff(tmp_path / "b.tif", OWN["float32"][0], "<", 3)
    with pytest.raises(UserError, match=r"b\.tif: its values \(F\) have units of their own.*a\.png.*data\.range"):
        pack(tmp_path, Reading("L"))
    images = pack(tmp_path, Reading("L", range=(0, 2))).images
    assert np.allclose(images[1][0], OWN["float32"][0] / 2)
    assert np.allclose(images[0][0], GREY / 255)


def test_a_float_image_is_resized_without_rounding(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (20, 1))
    tiff(tmp_path / "a.tif", ramp, "<", 3)
    half = pack(tmp_path, Reading("L"), size=(10, 20)).images[0][0]
    assert np.allclose(half[:, 1:-1], ramp.reshape(10, 2, 20, 2).mean((1, 3))[:, 1:-1], atol=1e-5)


def test_colours_are_right_whatever_the_mode(tmp_path: Path) -> None:
    alpha = RNG.integers(0, 256, (9, 12), dtype=np.uint8)
    palette = RNG.integers(0, 256, (16, 3), dtype=np.uint8)
    numbers = RNG.integers(0, 16, (9, 12), dtype=np.uint8)
    indexed = Image.fromarray(numbers)
    indexed.putpalette(palette.tobytes())
    indexed.save(tmp_path / "palette.png", transparency=bytes(range(16)))
    Image.fromarray(np.dstack([COLOUR, alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([GREY, alpha])).save(tmp_path / "la.png")
    ink = RNG.integers(0, 256, (9, 12, 4), dtype=np.uint8)
    Image.frombytes("CMYK", (12, 9), ink.tobytes()).save(tmp_path / "cmyk.tif")
    packed = pack(tmp_path)
    cyan = (255.0 - ink[..., :3]) * (255.0 - ink[..., 3:]) / 255
    expected = {"cmyk.tif": cyan, "la.png": GREY[..., None], "palette.png": palette[numbers], "rgba.png": COLOUR}
    for name, image in zip(packed.rows["name"], packed.images, strict=True):
        assert np.abs(image.transpose(1, 2, 0) - expected[name].astype(float)).max() <= 1
    assert {(name, kind) for name, kind, _ in found(packed)} == {(name, "mode") for name in expected}


def samples(packed: Pack) -> Samples:
    rows = packed.readable
    return Samples(packed.images, rows[["name"]].rename(columns={"name": "id"}), origin="x", white=packed.white)


@pytest.mark.parametrize("normalize", ["standard", "unit", "none"])
def test_a_model_sees_the_same_whether_pixels_have_eight_bits_or_sixteen(tmp_path: Path, normalize: Any) -> None:
    """Fitted on images of 16 bits, asked about the same ones of 8: numbers differ by the rounding alone."""
    for folder, image in (("deep", GREY.astype(np.uint16) * 257), ("flat", GREY)):
        (tmp_path / folder).mkdir()
        Image.fromarray(image).save(tmp_path / folder / "a.png")
    deep, flat = (samples(pack(tmp_path / folder, Reading("L"))) for folder in ("deep", "flat"))
    for fitted, asked in ((deep, flat), (flat, deep)):
        preprocess = Standardize(normalize)
        preprocess.fit(fitted, np.arange(1))
        loaded = Standardize(normalize)
        loaded.load(preprocess.state())
        outputs = []
        for one in (fitted, asked):
            encode = loaded.encoder(one) or (lambda x: x)
            x = np.array(encode(one.inputs[np.arange(1)]))
            outputs.append(loaded.apply(Batch(torch.from_numpy(x), None, torch.zeros(1))).x.numpy())
        assert np.allclose(*outputs, rtol=1e-5, atol=1e-5)


def test_images_of_other_units_than_those_fitted_on_are_refused(tmp_path: Path) -> None:
    for folder in ("own", "flat"):
        (tmp_path / folder).mkdir()
    tiff(tmp_path / "own" / "a.tif", OWN["float32"][0], "<", 3)
    Image.fromarray(GREY).save(tmp_path / "flat" / "a.png")
    own, flat = (samples(pack(tmp_path / folder, Reading("L"))) for folder in ("own", "flat"))
    for fitted, asked in ((own, flat), (flat, own)):
        preprocess = Standardize()
        preprocess.fit(fitted, np.arange(1))
        with pytest.raises(UserError, match=r"data\.range"):
            preprocess.encoder(asked)
    with pytest.raises(UserError, match=r"unit needs to know what black and white are.*data\.range"):
        Standardize("unit").fit(own, np.arange(1))
