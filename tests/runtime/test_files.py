"""Claims about images and sounds that are given to a model: what a file may hold, and what it takes to read it."""

import io
import struct
import time
import tracemalloc

import numpy as np
import pytest
import soundfile
from PIL import Image

from lightning_base.runtime.errors import InputError
from lightning_base.runtime.files import ImageReader, SoundReader

FIELDS = ((256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (278, 1), (279, 1))  # an image of one pixel


def tiff_of(frames: int) -> bytes:
    """A TIFF with so many directories, all of the same pixel."""
    size, parts = 6 + 12 * len(FIELDS), [struct.pack("<4sII", b"II*\0", 12, 0x80)]
    for i in range(frames):
        fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in FIELDS)
        parts.append(struct.pack("<H", len(FIELDS)) + fields)
        parts.append(struct.pack("<I", 12 + (i + 1) * size if i < frames - 1 else 0))
    return b"".join(parts)


def written(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_images_the_first_is_read(form: str) -> None:
    colours = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    content = written(colours[0], form, save_all=True, append_images=colours[1:])
    read = ImageReader("RGB", (6, 8)).read_file(content, "image")
    assert read.pixels.reshape(3, -1).mean(axis=1) == pytest.approx([255, 0, 0], abs=3)
    assert read.size == (6, 8)


def test_images_behind_the_first_take_no_time() -> None:
    content = tiff_of(100_000)
    began = time.perf_counter()
    assert ImageReader("L", (1, 1)).read_file(content, "image").pixels.shape == (1, 1, 1)
    assert time.perf_counter() - began < 1  # over 10 s where they are counted


def test_sixteen_bits_are_scaled_in_float64_without_the_memory_of_it() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (2000, 1500)).astype(np.uint16)
    content = written(Image.fromarray(values), "PNG", compress_level=1)
    tracemalloc.start()
    read = ImageReader("L", (2000, 1500)).read_file(content, "image")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(read.pixels[0], (values.astype(np.float64) / 65535).astype(np.float32))
    assert most < 14 * values.size  # 2 bytes of the file's, 4 of the answer, and copies; float64 alone would be 16


def test_a_sound_that_decodes_to_more_than_a_model_takes_is_refused_by_its_header() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(31_000_000, np.int16), 8000, format="FLAC")
    assert len(file.getvalue()) < 200_000
    with pytest.raises(InputError, match="3875 s of sound, where 3750 s are the most"):
        SoundReader(8000).read_file(file.getvalue(), "sound")
    assert SoundReader(8000, longest=100).read_file(file.getvalue(), "sound").shape == (100,)
