"""Claims about the sources: what is read, what is sealed, and what is said of data that cannot be used."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10

from datamodules.arrays import Arrays
from datamodules.image_folder import ImageFolder
from lightning_base.errors import UserError


def test_image_folders_are_read_as_they_are(images: Path) -> None:
    data = ImageFolder(str(images))
    pool, sealed = data.samples("pool"), data.samples("test")
    assert (len(pool), len(sealed), len(pool.classes)) == (120, 30, 10)
    for row in (0, 57, 119):
        name = pool.table["id"][row]
        expected = np.asarray(Image.open(images / "train" / name)).transpose(2, 0, 1)
        assert np.array_equal(pool.inputs[row], expected)
        assert pool.classes[pool.table["target"][row]] == name.split("/")[0]


def test_the_second_start_decodes_nothing(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ImageFolder(str(images)).samples("pool")
    monkeypatch.setattr(ImageFolder, "_decode", lambda *_: pytest.fail("an image was decoded again"))
    again = ImageFolder(str(images)).samples("pool")
    assert isinstance(again.inputs, np.memmap)
    assert again.fingerprint == first.fingerprint


def test_images_of_other_sizes_name_the_file_or_are_resized(tmp_path: Path) -> None:
    for c in "ab":
        (tmp_path / c).mkdir()
        for i, side in enumerate((8, 8, 9 if c == "b" else 8)):
            Image.new("L", (side, side), 100).save(tmp_path / c / f"{i}.png")
    with pytest.raises(UserError, match=r"b/2\.png: size \(9, 9\) where a/0\.png has \(8, 8\); give data\.image_size"):
        ImageFolder(str(tmp_path)).samples("pool")
    assert not list(tmp_path.glob(".packed/*"))
    assert ImageFolder(str(tmp_path), image_size=(4, 6)).samples("pool").inputs.shape == (6, 3, 4, 6)
    assert ImageFolder(str(tmp_path), image_size=(4, 6), mode="L").samples("pool").inputs.shape == (6, 1, 4, 6)


def test_folders_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        ImageFolder(str(tmp_path / "nowhere")).samples("pool")
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match="1 class folders"):
        ImageFolder(str(tmp_path)).samples("pool")
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match="no images"):
        ImageFolder(str(tmp_path)).samples("pool")
    (tmp_path / "b" / "x.jpg").write_text("no image")
    with pytest.raises(UserError, match=r"b/x\.jpg: not a readable image"):
        ImageFolder(str(tmp_path)).samples("pool")
    with pytest.raises(UserError, match="no test samples"):
        ImageFolder(str(tmp_path)).samples("test")


def test_torchvisions_cifar10_layout_is_read_after_its_checksums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rng, lists = tmp_path / "cifar-10-batches-py", np.random.default_rng(0), {}
    folder.mkdir()
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch", "batches.meta"]
    pixels = rng.integers(0, 256, (6, 4, 3072), dtype=np.uint8)
    for i, name in enumerate(names):
        content = {"label_names": list("abcdefghij")} if i == 6 else {"data": pixels[i], "labels": [i, 1, 2, 3]}
        (folder / name).write_bytes(pickle.dumps(content))
        lists[name] = hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest()
    with pytest.raises(UserError, match="damaged"):
        ImageFolder(str(tmp_path)).samples("pool")
    monkeypatch.setattr(CIFAR10, "train_list", [[n, lists[n]] for n in names[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[n, lists[n]] for n in names[5:6]])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": names[6], "key": "label_names", "md5": lists[names[6]]})
    data = ImageFolder(str(tmp_path))
    pool = data.samples("pool")
    assert np.array_equal(pool.inputs, pixels[:5].reshape(20, 3, 32, 32))
    assert pool.table["target"].tolist()[4] == 1
    assert len(data.samples("test")) == 4


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(self: CIFAR10) -> None:
        raise OSError("no network")

    monkeypatch.setattr(CIFAR10, "download", offline)
    with pytest.raises(UserError, match=r"cannot be fetched .* by hand"):
        ImageFolder(str(tmp_path), download=True).prepare_data()


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris", "diabetes"])
def test_the_sealed_share_and_the_pool_are_a_partition(name: str) -> None:
    whole, data = Arrays(name).samples("pool"), Arrays(name, test_size=0.2)
    pool, sealed = data.samples("pool").table["id"], data.samples("test").table["id"]
    assert not set(pool) & set(sealed)
    assert sorted([*pool, *sealed]) == whole.table["id"].tolist()


def test_named_classes_and_a_test_source_of_ones_own(tmp_path: Path) -> None:
    path = str(tmp_path / "own.npz")
    np.savez(path, x=np.zeros((4, 2)), y=["dog", "cat", "dog", "cat"], x_test=np.ones((2, 2)), y_test=["dog", "dog"])
    data = Arrays(path)
    assert data.samples("pool").classes == ("cat", "dog")
    assert data.samples("test").target.tolist() == [1, 1]
    np.savez(path, x=np.zeros((4, 2)), y=[-1, 1, 1, -1])
    assert Arrays(path).samples("pool").target.tolist() == [0, 1, 1, 0]


X, Y = np.zeros((6, 2)), np.arange(6) % 2
BAD = {
    "no target": ({"x": X}, "no array 'y', only x"),
    "another length": ({"x": X, "y": Y[:5]}, "y has shape"),
    "a missing value": ({"x": np.where(np.arange(12).reshape(6, 2) == 7, np.nan, 0), "y": Y}, "row '3' has NaN"),
    "a missing target": ({"x": X, "y": np.array([0, 1, np.nan, 0, 0, 0])}, "row '2' has target nan"),
    "an id twice": ({"x": X, "y": Y, "id": list("abcdda")}, "id 'd' stands in two rows"),
    "an unknown class": ({"x": X, "y": list("abcabz"), "classes": list("abc")}, "y has 'z'"),
    "words for numbers": ({"x": np.array([["a"]] * 6), "y": Y}, "inputs are numbers"),
    "no rows": ({"x": X[:0], "y": Y[:0]}, "no samples"),
}


@pytest.mark.parametrize("case", BAD)
def test_arrays_that_cannot_be_used_say_why(case: str, tmp_path: Path) -> None:
    arrays, message = BAD[case]
    path = str(tmp_path / "bad.npz")
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=message):
        Arrays(path).samples("pool")


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "bad.npz")
    np.savez(path, x=np.array([{"a": 1}], dtype=object), y=np.array([0]))
    with pytest.raises(UserError, match="plain arrays"):
        Arrays(path).samples("pool")
