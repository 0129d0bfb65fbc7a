"""Claims about medical images, files of several frames, files that change unseen, and files made to do harm."""

import os
import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian

from datamodules.image_folder import ImageFolder
from lightning_base.errors import UserError
from lightning_base.samples.payload import hash_payload
from lightning_base.sources.images import Reading
from tests.sources.test_pixels import COLOUR, GREY, RNG, found, pack, read, tiff
from tests.support.medical import write_dicom

STORED = RNG.integers(-1000, 3000, (9, 12)).astype(np.int16)
HOUNSFIELD = {"RescaleSlope": 2, "RescaleIntercept": -24}
Array = npt.NDArray[Any]


def test_dicom_is_read_in_the_units_of_its_rescale(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", STORED, **HOUNSFIELD)
    packed = pack(tmp_path, Reading("L"))
    assert np.array_equal(packed.images[0][0], 2 * STORED.astype(float) - 24)
    assert found(packed) == [["a.dcm", "mode", "DICOM MONOCHROME2, not L; values as they stand"]]
    values = read(tmp_path / "a.dcm", Reading("L", window=(40, 400)))[0]
    assert np.allclose(values, np.clip((2.0 * STORED - 24 + 160) / 400, 0, 1), atol=1e-6)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", (STORED + 1000).astype(np.uint16), bits=12, kind="MONOCHROME1", **HOUNSFIELD)
    raw = pydicom.dcmread(tmp_path / "a.dcm").pixel_array.astype(float)
    packed = pack(tmp_path, Reading("L"))
    assert np.array_equal(packed.images[0][0], 2 * (4095 - raw) - 24)
    assert "inverted" in found(packed)[0][2]
    values = read(tmp_path / "a.dcm", Reading("L", range=(-24, 8166)))[0]
    assert np.allclose(values, 1 - raw / 4095, atol=1e-6)
    write_dicom(tmp_path / "a.dcm", GREY, bits=8, kind="MONOCHROME1")
    assert np.array_equal(read(tmp_path / "a.dcm", Reading("L"))[0], 255 - GREY)


def test_a_rescale_of_each_frame_is_found(tmp_path: Path) -> None:
    groups = []
    for slope in (1, 3):
        transformation, group = pydicom.Dataset(), pydicom.Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept = slope, 5
        group.PixelValueTransformationSequence = [transformation]
        groups.append(group)
    frames = np.stack([STORED, STORED[::-1]])
    write_dicom(tmp_path / "a.dcm", frames, PerFrameFunctionalGroupsSequence=groups)
    packed = pack(tmp_path, Reading("L", frames="all"))
    assert packed.rows["name"].tolist() == ["a.dcm#0000", "a.dcm#0001"]
    assert np.array_equal(packed.images[:, 0], np.stack([frames[0] + 5.0, 3.0 * frames[1] + 5]))


def test_dicom_of_eight_bits_and_colour_are_images(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", GREY, bits=8)
    write_dicom(tmp_path / "b.dcm", COLOUR, bits=8, kind="RGB")
    images = pack(tmp_path).images
    assert images.dtype == np.uint8
    assert np.array_equal(images[0], np.repeat(GREY[None], 3, 0))
    assert np.array_equal(images[1], COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_is_read_as_the_array_stands(tmp_path: Path, suffix: str) -> None:
    image = nibabel.Nifti1Image(STORED, np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / f"a{suffix}")
    expected = nibabel.load(tmp_path / f"a{suffix}").get_fdata()
    assert np.array_equal(read(tmp_path / f"a{suffix}", Reading("L"))[0], expected.astype(np.float32))


def test_a_volume_is_refused_or_a_sample_a_slice(tmp_path: Path) -> None:
    for patient in "ab":
        (tmp_path / patient).mkdir()
        volume = RNG.normal(size=(9, 12, 4)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / patient / "scan.nii.gz")
    with pytest.raises(UserError, match=r"a volume of 4 slices; data\.frames: all makes each a sample"):
        ImageFolder(root=str(tmp_path)).samples("pool")
    samples = ImageFolder(root=str(tmp_path), mode="L", frames="all").samples("pool")
    assert samples.table["id"].tolist() == [f"{p}/scan.nii.gz#000{i}" for p in "ab" for i in range(4)]
    assert samples.table["group"].tolist() == ["a/scan.nii.gz"] * 4 + ["b/scan.nii.gz"] * 4
    assert samples.table["target"].tolist() == [0] * 4 + [1] * 4
    expected = nibabel.load(tmp_path / "b" / "scan.nii.gz").get_fdata()[:, :, 2]
    assert np.array_equal(samples.inputs[6][0], expected.astype(np.float32))
    assert np.array_equal(samples.hashes, hash_payload(samples.inputs))


def animated(folder: Path) -> dict[str, list[Array]]:
    """A GIF of three frames, a TIFF of two and a PNG; by file the frames as Pillow has them."""
    shades = [Image.fromarray(RNG.integers(0, 256, (9, 12), dtype=np.uint8)) for _ in range(5)]
    shades[0].save(folder / "a.gif", save_all=True, append_images=shades[1:3], duration=100)
    shades[3].save(folder / "b.tif", save_all=True, append_images=shades[4:])
    shades[0].save(folder / "c.png")
    frames = {}
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            count = getattr(image, "n_frames", 1)
            frames[path.name] = [_at(image, i) for i in range(count)]
    return frames


def _at(image: Image.Image, frame: int) -> Array:
    image.seek(frame)
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def test_the_first_frame_is_read_and_said_or_each_is_a_sample(tmp_path: Path) -> None:
    frames = animated(tmp_path)
    first = pack(tmp_path)
    assert all(
        np.array_equal(image, frames[name][0]) for name, image in zip(first.rows["name"], first.images, strict=True)
    )
    assert [one for one in found(first) if one[1] == "frames"] == [
        ["a.gif", "frames", "the first of 3 frames; data.frames: all for all"],
        ["b.tif", "frames", "the first of 2 frames; data.frames: all for all"],
    ]
    every = pack(tmp_path, Reading(frames="all"))
    assert every.rows["name"].tolist() == [
        "a.gif#0000",
        "a.gif#0001",
        "a.gif#0002",
        "b.tif#0000",
        "b.tif#0001",
        "c.png",
    ]
    expected = [image for name in sorted(frames) for image in frames[name]]
    assert np.array_equal(every.images, np.stack(expected))
    assert not [one for one in found(every) if one[1] == "frames"]
    lazy = pack(tmp_path, Reading(frames="all"), keep=False)
    assert np.array_equal(lazy.images[np.array([4, 1, 5])], np.stack(expected)[[4, 1, 5]])
    Image.fromarray(GREY).save(tmp_path / "d.png")
    assert np.array_equal(pack(tmp_path, Reading(frames="all")).images[:6], every.images)


def test_a_file_that_changes_but_for_its_size_and_time_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    for value in range(12):  # at once, within a tick of the filesystem's clock
        path.write_bytes(b"P5 4 4 255\n" + bytes([value]) * 16)
        os.utime(path, ns=(10**18, 10**18))
        assert (read(path, Reading("L")) == value).all()


def test_files_of_the_future_are_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose clock is ahead: no waiting tells whether a file changed after it was read."""
    path, clock = tmp_path / "a.pgm", time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: clock() - 3600 * 10**9)
    path.write_bytes(b"P5 4 4 255\n" + bytes(16))
    begin = time.monotonic()
    assert (read(path, Reading("L")) == 0).all()
    assert (read(path, Reading("L")) == 0).all()
    assert time.monotonic() - begin < 2
    assert (pack(tmp_path, Reading("L")).rows["mtime_ns"] == -1).all()


def huge_tiff(path: Path) -> None:
    """Tags that say 60,000 x 60,000 values of 32 bits."""
    tiff(path, np.zeros((4, 4), np.float32), "<", 3)
    content = path.read_bytes()
    for tag in (256, 257, 278):
        old = tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + (4).to_bytes(4, "little")
        assert old in content
        content = content.replace(old, old[:8] + (60_000).to_bytes(4, "little"))
    path.write_bytes(content)


def huge_tiles(path: Path) -> None:
    tiff(path, np.zeros((4, 4), np.float32), "<", 3, more=[(322, 60_000), (323, 60_000)])


def huge_nifti(path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((30_000, 30_000))
    header.set_data_dtype(np.float64)
    header["magic"], header["vox_offset"] = b"n+1", 352
    path.write_bytes(header.binaryblock + bytes(100))


def huge_gif(path: Path) -> None:
    path.write_bytes(b"GIF89a" + b"\xff\xff\xff\xff" + b"\0\0\0" + b",\0\0\0\0\xff\xff\xff\xff\0\2\2D\1\0;")


def deflated(path: Path) -> None:
    """A few bytes that inflate to a gigabyte."""
    write_dicom(path, GREY, bits=8)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)
    squeeze = zlib.compressobj(wbits=-15)
    path.write_bytes(path.read_bytes()[:400] + squeeze.compress(bytes(10**8)) + squeeze.flush())


HOSTILE = {
    "a.tif": (huge_tiff, "more than 89478485 pixels"),
    "b.tif": (huge_tiles, "more than 89478485 pixels"),
    "a.nii": (huge_nifti, "more than 89478485 pixels"),
    "a.gif": (huge_gif, "more than 89478485 pixels"),
    "a.dcm": (lambda path: write_dicom(path, GREY, bits=8, Rows=65535, Columns=65535), "more than 89478485 pixels"),
    "b.dcm": (deflated, "deflated DICOM"),
    "c.dcm": (lambda path: write_dicom(path, GREY, bits=8, Rows=3000, Columns=3000), "bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_sizes_are_looked_at_before_memory_is_asked_for(tmp_path: Path, name: str) -> None:
    write, reason = HOSTILE[name]
    write(tmp_path / name)
    Image.fromarray(GREY).save(tmp_path / "good.png")
    tracemalloc.start()
    packed = pack(tmp_path, size=(9, 12))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    ((one, kind, detail),) = [one for one in found(packed) if one[1] == "unreadable"]
    assert (one, kind) == (name, "unreadable")
    assert reason in detail
    assert most < 5e7
