"""Claims about image folders: what is read, which classes, labels and roles it has, and what cannot be used."""

import hashlib
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import KFold
from torchvision.datasets import CIFAR10

from datamodules.image_folder import ImageFolder
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import UserError
from lightning_base.samples.samples import Samples
from lightning_base.splitters import ByColumn


def pool(root: Path, **arguments: Any) -> Samples:
    return ImageFolder(root=str(root), clean=Cleaning(unreadable="drop"), **arguments).samples("pool")


@pytest.mark.parametrize("pack", [True, False])
def test_image_folders_are_read_as_they_are(images: Path, pack: bool) -> None:
    data = ImageFolder(root=str(images), pack=pack)
    found, sealed = data.samples("pool"), data.samples("test")
    assert (len(found), len(sealed), len(found.classes)) == (120, 30, 10)
    for row in (0, 57, 119):
        name = found.table["id"][row]
        expected = np.asarray(Image.open(images / "train" / name)).transpose(2, 0, 1)
        assert np.array_equal(found.inputs[row], expected)
        assert found.classes[found.table["target"][row]] == name.split("/")[0]


def test_other_sizes_fail_unless_a_size_or_a_policy_is_given(tmp_path: Path) -> None:
    for c in "ab":
        (tmp_path / c).mkdir()
        for i, side in enumerate((8, 8, 9 if c == "b" else 8)):
            Image.new("L", (side, side), 100).save(tmp_path / c / f"{i}.png")
    with pytest.raises(UserError, match=r"b/2\.png.*9x9 pixels, not 8x8"):
        ImageFolder(root=str(tmp_path), mode="L").samples("pool")
    with pytest.raises(UserError, match=r"b/2\.png.*9x9 pixels, not 8x8"):
        ImageFolder(root=str(tmp_path), mode="L", image_size=(8, 8)).samples("pool")
    for mode, channels in (("RGB", 3), ("L", 1)):
        data = ImageFolder(root=str(tmp_path), image_size=(4, 6), mode=mode)
        assert data.samples("pool").inputs.shape == (6, channels, 4, 6)
    assert set(data.findings["pool"]["kind"]) <= {"duplicate", "conflict"}
    with pytest.raises(UserError, match=r"data\.image_size: \[0, 8\]"):
        ImageFolder(root=str(tmp_path), image_size=(0, 8))


def test_test_images_take_the_pools_size(folder: Path) -> None:
    for path in (folder / "test").rglob("*.jpg"):
        Image.open(path).resize((20, 20)).save(path)
    sealed = ImageFolder(root=str(folder)).dataset("test")
    assert sealed.inputs.shape == (30, 3, 32, 32)
    assert (sealed.findings["kind"] == "size").sum() == 30


def test_a_folder_val_gives_roles(folder: Path) -> None:
    shutil.copytree(folder / "test", folder / "val")
    data = ImageFolder(root=str(folder), split=ByColumn(test=None))
    samples = data.samples("pool")
    assert len(samples) == 150
    for role, n in (("train", 120), ("val", 30)):
        ids = samples.table["id"][data.rows(role)]
        assert len(ids) == n
        assert all(name.startswith(f"{role}/class_") for name in ids)
    row = samples.table["id"].tolist().index("val/class_4/0001.jpg")
    assert np.array_equal(
        samples.inputs[row], np.asarray(Image.open(folder / samples.table["id"][row])).transpose(2, 0, 1)
    )
    assert samples.classes[samples.table["target"][row]] == "class_4"
    assert len(data.samples("test")) == 30


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_labels_correct_targets_of_the_pool(folder: Path, tmp_path: Path, suffix: str) -> None:
    (folder / "train" / "class_9" / "0000.jpg").write_bytes(b"")  # unreadable, but known
    path, before = str(tmp_path / f"labels.{suffix}"), pool(folder)

    def given(rows: list[tuple[str, str]]) -> Samples:
        table = pd.DataFrame(rows, columns=["id", "target"])
        table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
        return pool(folder, labels=path)

    after = given([("class_0/0001.jpg", "class_5"), ("class_9/0000.jpg", "class_0")])
    changed = np.flatnonzero(after.table["target"] != before.table["target"])
    assert after.table["id"][changed].tolist() == ["class_0/0001.jpg"]
    assert after.table["target"][changed].tolist() == [5]
    assert after.fingerprint != before.fingerprint
    with pytest.raises(UserError, match=r"row 1 \(id 'class_0/x\.jpg'\): no such image"):
        given([("class_0/x.jpg", "class_5")])
    with pytest.raises(UserError, match=r"row 2 .*'clas_5' is none of .* did you mean 'class_5'"):
        given([("class_0/0001.jpg", "class_5"), ("class_0/0002.jpg", "clas_5")])
    with pytest.raises(UserError, match=r"row 2 .* another target"):
        given([("class_0/0001.jpg", "class_5"), ("class_0/0001.jpg", "class_6")])


def test_labels_without_the_columns_are_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,class\nx,y\n")
    with pytest.raises(UserError, match="no column 'target', only id, class"):
        pool(folder, labels=str(path))
    with pytest.raises(UserError, match=r"gone\.csv cannot be read"):
        pool(folder, labels=str(tmp_path / "gone.csv"))


def unknown_class(root: Path) -> None:
    (root / "test" / "class_x").mkdir()
    shutil.copy(root / "test" / "class_0" / "0000.jpg", root / "test" / "class_x" / "0000.jpg")


def linked_train(root: Path) -> None:
    (root / "train").rename(root.parent / "elsewhere")
    (root / "train").symlink_to(root.parent / "elsewhere")


WRONG: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no folder": (shutil.rmtree, "pool", r"no folder .*images"),
    "empty": (lambda root: (shutil.rmtree(root), root.mkdir()), "pool", "0 class folders"),
    "one class": (
        lambda root: [shutil.rmtree(root / "train" / f"class_{i}") for i in range(9)],
        "pool",
        "1 class folders",
    ),
    "empty class": (lambda root: (root / "train" / "new").mkdir(), "pool", r"train/new: no images"),
    "image beside classes": (
        lambda root: shutil.copy(root / "test" / "class_0" / "0000.jpg", root / "train" / "cover.jpg"),
        "pool",
        r"train/cover\.jpg: stands in no folder of the classes",
    ),
    "unknown test class": (unknown_class, "test", r"test/class_x/0000\.jpg: stands in no folder of the classes"),
    "test without train": (lambda root: shutil.rmtree(root / "train"), "pool", "a folder test but none named train"),
    "no test": (lambda root: shutil.rmtree(root / "test"), "test", "no test samples"),
    "a linked part": (linked_train, "pool", r"images/train: leads to .*elsewhere, outside"),
    "all unreadable": (
        lambda root: [path.write_text("text") for path in (root / "train").rglob("*.jpg")],
        "pool",
        r"class_0/0000\.jpg: not an image .* can be read",
    ),
    "no predict": (lambda root: None, "predict", r"data\.predict: not given"),
}


@pytest.mark.parametrize("case", WRONG)
def test_folders_that_cannot_be_used_are_named(folder: Path, case: str) -> None:
    change, source, message = WRONG[case]
    change(folder)
    with pytest.raises(UserError, match=message) as error:
        ImageFolder(root=str(folder)).dataset(source)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_predict_reads_any_images_below_a_folder(folder: Path) -> None:
    samples = ImageFolder(root="unused", predict=str(folder)).dataset("predict")
    assert len(samples) == 150
    assert "target" not in samples.table
    assert samples.table["id"][0] == "test/class_0/0000.jpg"


def test_what_a_network_gets_of_eight_bits_is_what_it_was_trained_on_with_sixteen(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(8):
        image = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        for folder, pixels in ((f"deep/{'ab'[i % 2]}", image.astype(np.uint16) * 257), ("flat", image)):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{'ab'[i % 2]}{i}.png")
    data = ImageFolder(root=str(tmp_path / "deep"), mode="L", predict=str(tmp_path / "flat"), split=KFold(2))
    data.setup("fit")
    given = data.transform(data.loader("predict").gather(np.arange(8))).x.numpy()
    deep, state = data.dataset("pool").inputs[np.arange(8)], data.preprocess.state()
    expected = (deep - state["mean"].numpy()) / state["std"].numpy()
    assert np.allclose(given, expected, atol=1e-5)
    assert abs(expected).max() > 1


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
        ImageFolder(root=str(tmp_path)).samples("pool")
    monkeypatch.setattr(CIFAR10, "train_list", [[n, lists[n]] for n in names[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[n, lists[n]] for n in names[5:6]])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": names[6], "key": "label_names", "md5": lists[names[6]]})
    data = ImageFolder(root=str(tmp_path))
    found = data.samples("pool")
    assert np.array_equal(found.inputs, pixels[:5].reshape(20, 3, 32, 32))
    assert found.table["target"].tolist()[4] == 1
    assert len(data.samples("test")) == 4
    with pytest.raises(UserError, match=r"leave data\.mode, data\.image_size and data\.class_folders out"):
        ImageFolder(root=str(tmp_path), mode="L").samples("pool")


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(self: CIFAR10) -> None:
        raise OSError("no network")

    monkeypatch.setattr(CIFAR10, "download", offline)
    with pytest.raises(UserError, match=r"cannot be fetched .* by hand"):
        ImageFolder(root=str(tmp_path), download=True).prepare_data()
