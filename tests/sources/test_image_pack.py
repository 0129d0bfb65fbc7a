"""Claims about packs of images: what is found wrong with files, and that each is decoded once."""

import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
from PIL import Image

from datamodules.image_folder import ImageFolder
from lightning_base.errors import UserError
from lightning_base.samples.payload import hash_payload
from lightning_base.samples.samples import Samples
from lightning_base.sources.images import Form, Reading, decode
from lightning_base.sources.listing import list_files
from tests.helpers import environment


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Collects the path of each image that Pillow is given."""
    paths: set[str] = set()
    whole = Image.open

    def noted(path: str | Path, *arguments: Any, **options: Any) -> Any:
        paths.add(str(path))
        return whole(path, *arguments, **options)

    monkeypatch.setattr(Image, "open", noted)
    return paths


def pool(root: Path, **arguments: Any) -> Samples:
    return ImageFolder(root=str(root), **arguments).dataset("pool")


def bomb(path: Path) -> None:
    """A PNG of a few bytes that declares 60,000 x 60,000 pixels of one bit."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def test_hashes_are_those_of_the_pixels(images: Path) -> None:
    samples = pool(images)
    assert samples.hashes is not None
    assert samples.looks is not None
    assert np.array_equal(samples.hashes, hash_payload(samples.inputs))
    for row in (3, 77):
        image = Image.fromarray(samples.inputs[row].transpose(1, 2, 0))
        assert int(samples.looks[row]) == int(str(imagehash.phash(image)), 16)


def test_a_pack_and_decoding_on_demand_give_the_same(folder: Path) -> None:
    Image.new("L", (40, 20), 9).save(folder / "train" / "class_3" / "odd.png")
    packed, lazy = pool(folder), pool(folder, pack=False)
    assert isinstance(packed.inputs, np.memmap)
    assert lazy.inputs.shape == packed.inputs.shape
    rows = np.array([120, 5, 5, 48])
    assert np.array_equal(lazy.inputs[rows], packed.inputs[rows])
    assert np.array_equal(lazy.take(rows[[0, 1, 3]]).inputs[np.arange(3)], packed.inputs[rows[[0, 1, 3]]])
    assert np.array_equal(lazy.inputs[7], packed.inputs[7])
    assert lazy.fingerprint == packed.fingerprint
    assert lazy.findings.equals(packed.findings)
    assert np.array_equal(lazy.looks, packed.looks)


def test_a_file_that_changes_under_a_run_is_named(folder: Path) -> None:
    samples = pool(folder, pack=False)
    (folder / "train" / "class_0" / "0000.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"class_0/0000\.jpg: changed since the run began"):
        samples.inputs[np.array([0])]


@pytest.mark.parametrize("pack", [True, False])
def test_only_what_changed_is_decoded_again(
    folder: Path, tmp_path: Path, cache: Path, opened: set[str], monkeypatch: pytest.MonkeyPatch, pack: bool
) -> None:
    train = folder / "train"
    (train / "class_1" / "bad.jpg").write_text("no image")
    first = pool(folder, pack=pack)
    assert len(opened) == 121
    opened.clear()
    again = pool(folder, pack=pack)
    assert opened == set()
    assert again.fingerprint == first.fingerprint
    assert again.findings.equals(first.findings)
    Image.new("RGB", (32, 32), (1, 2, 3)).save(train / "class_4" / "0003.jpg")
    Image.new("RGB", (32, 32), (7, 8, 9)).save(train / "class_0" / "new.png")
    (train / "class_2" / "0000.jpg").unlink()
    changed = pool(folder, pack=pack)
    assert opened == {str(train / "class_0" / "new.png"), str(train / "class_4" / "0003.jpg")}
    assert changed.fingerprint != first.fingerprint
    assert len(list((cache / "images").glob("*/*/rows.parquet"))) == 1
    monkeypatch.setenv("LIGHTNING_BASE_CACHE", str(tmp_path / "another"))
    anew = pool(folder, pack=pack)
    assert np.array_equal(anew.inputs[np.arange(120)], changed.inputs[np.arange(120)])
    assert anew.fingerprint == changed.fingerprint
    assert anew.findings.equals(changed.findings)


def test_another_most_common_size_packs_all_anew(tmp_path: Path, opened: set[str]) -> None:
    for name in ("a/0", "a/1", "b/0", "b/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), 100).save(tmp_path / f"{name}.png")
    assert pool(tmp_path).inputs.shape == (4, 3, 8, 8)
    for i in range(5):
        Image.new("L", (9, 6), 100 + i).save(tmp_path / "a" / f"large{i}.png")
    opened.clear()
    samples = pool(tmp_path)
    assert samples.inputs.shape == (9, 3, 6, 9)
    assert len(opened) == 9
    assert np.array_equal(samples.hashes, hash_payload(samples.inputs))
    assert set(samples.findings["id"][samples.findings["kind"] == "size"]) == {
        "a/0.png",
        "a/1.png",
        "b/0.png",
        "b/1.png",
    }


def test_faults_of_every_kind_are_found_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    train = folder / "train"
    whole = (train / "class_0" / "0000.jpg").read_bytes()
    photograph = Image.open(train / "class_0" / "0001.jpg").copy()
    (train / "class_0" / "0000.jpg").write_bytes(whole[: len(whole) // 2])
    (train / "class_1" / "0000.jpg").write_bytes(b"")
    (train / "class_2" / "0000.jpg").write_text("this is text")
    bomb(train / "class_3" / "bomb.png")
    for name, mode in (("grey.png", "L"), ("cmyk.jpg", "CMYK"), ("palette.png", "P"), ("alpha.png", "RGBA")):
        photograph.convert(mode).save(train / "class_4" / name)
    photograph.resize((48, 32)).save(train / "class_5" / "wide.jpg")
    photograph.resize((48, 32)).convert("L").save(train / "class_5" / "wide_grey.jpg")
    secret = tmp_path / "secret.jpg"
    photograph.save(secret)
    (train / "class_6" / "out.jpg").symlink_to(secret)
    (train / "class_6" / "outside").symlink_to(tmp_path)
    (train / "class_6" / "circle").symlink_to("..")
    (train / "class_6" / "nothing.jpg").symlink_to("gone.jpg")
    (train / "class_6" / "inside.jpg").symlink_to("0001.jpg")
    samples = pool(folder)
    planted = {
        ("class_0/0000.jpg", "unreadable"),
        ("class_1/0000.jpg", "unreadable"),
        ("class_2/0000.jpg", "unreadable"),
        ("class_3/bomb.png", "unreadable"),
        *((f"class_4/{name}", "mode") for name in ("grey.png", "cmyk.jpg", "palette.png", "alpha.png")),
        ("class_5/wide.jpg", "size"),
        ("class_5/wide_grey.jpg", "size"),
        ("class_5/wide_grey.jpg", "mode"),
        ("class_6/out.jpg", "escape"),
        ("class_6/outside", "escape"),
        ("class_6/circle", "escape"),
        ("class_6/nothing.jpg", "unreadable"),
    }
    found = samples.findings
    assert set(zip(found["id"], found["kind"], strict=True)) == planted
    assert len(found) == len(planted)
    detail = dict(zip(found["id"], found["detail"], strict=True))
    assert detail["class_1/0000.jpg"] == "empty file"
    assert "truncated" in detail["class_0/0000.jpg"].lower()
    assert "pixels" in detail["class_3/bomb.png"]
    gone = {name for name, kind in planted if kind in ("unreadable", "escape")}
    assert not gone & set(samples.table["id"])
    assert len(samples) == 120 - 3 + 4 + 2 + 1
    grey = samples.table["id"].tolist().index("class_4/grey.png")
    assert np.array_equal(samples.inputs[grey], np.repeat(np.asarray(photograph.convert("L"))[None], 3, axis=0))
    with pytest.raises(UserError, match=r"unreadable|escape"):
        ImageFolder(root=str(folder)).samples("pool")


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    bomb(tmp_path / "bomb.png")
    start = time.monotonic()
    (image,) = decode(str(tmp_path / "bomb.png"), Form(Reading("RGB"), (32, 32), False))
    assert "pixels" in image.error
    assert (image.pixels, image.passing) == (b"", False)
    assert time.monotonic() - start < 1


def test_errors_of_the_machine_are_tried_again(folder: Path, opened: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: str, *arguments: Any, **options: Any) -> Any:
        if path.endswith("class_7/0003.jpg"):
            raise PermissionError(13, "Permission denied")
        return whole(path, *arguments, **options)

    whole = Image.open
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", denied)
        first = pool(folder)
    assert first.findings.to_numpy().tolist() == [["class_7/0003.jpg", "unreadable", "Permission denied"]]
    opened.clear()
    again = pool(folder)
    assert opened == {str(folder / "train" / "class_7" / "0003.jpg")}
    assert len(again) == 120
    assert again.findings.empty


def test_the_source_is_only_read(folder: Path) -> None:
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in everything}
    assert len(pool(folder)) == 120
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]} == before
    for path in everything:
        path.chmod(0o755)


def test_two_processes_pack_once(folder: Path, cache: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from PIL import Image
from lightning_base.sources.image_pack import pack_images
from lightning_base.sources.images import Reading
from lightning_base.sources.listing import list_files
whole, opened = Image.open, set()
def slow(path, *arguments, **options):
    opened.add(path)
    time.sleep(0.005)
    return whole(path, *arguments, **options)
Image.open = slow
root = Path(sys.argv[1])
pack = pack_images(root, list_files(root, (".jpg",))[0], Reading("RGB"))
print(len(opened), len(pack.images))
"""
    command = [sys.executable, "-c", script, str(folder / "train")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) for _ in range(2)]
    printed = [run.communicate()[0].split() for run in runs]
    assert sorted(int(count) for count, _ in printed) == [0, 120]
    assert [n for _, n in printed] == ["120", "120"]


def test_a_damaged_pack_is_made_again(folder: Path, cache: Path) -> None:
    expected = np.array(pool(folder).inputs)
    for path in cache.rglob("images.npy"):
        path.write_bytes(path.read_bytes()[:5000])
    assert np.array_equal(pool(folder).inputs, expected)
    for path in cache.rglob("rows.parquet"):
        path.write_bytes(b"")
    assert np.array_equal(pool(folder).inputs, expected)


def test_a_cache_that_cannot_be_written_says_what_to_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIGHTNING_BASE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="LIGHTNING_BASE_CACHE"):
        pool(folder)


def test_listings_leave_hidden_files_out_and_name_what_they_cannot_take(tmp_path: Path) -> None:
    for name in ("a/1.JPG", "a/b/2.jpg", "c.jpg", "text.txt", ".hidden.jpg", ".fetch/3.jpg", "a/.x/4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"1")
    files, found = list_files(tmp_path, (".jpg",))
    assert files["name"].tolist() == ["a/1.JPG", "a/b/2.jpg", "c.jpg"]
    assert files["size"].tolist() == [5, 5, 5]
    assert files["ctime_ns"].tolist() == [os.stat(tmp_path / name).st_ctime_ns for name in files["name"]]
    assert files["mtime_ns"].tolist() == [os.stat(tmp_path / name).st_mtime_ns for name in files["name"]]
    assert found.to_numpy().tolist() == [
        ["caf\\xe9.jpg", "unreadable", "its name is not UTF-8"],
        ["text.txt", "unused", "a .txt file, which is not read here"],
    ]
    with pytest.raises(UserError, match="nowhere cannot be read"):
        list_files(tmp_path / "nowhere", (".jpg",))
