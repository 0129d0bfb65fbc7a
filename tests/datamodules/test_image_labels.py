"""Claims about what image files are told to be, by names or a table, and that no file of a folder vanishes."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from datamodules.image_folder import ImageFolder
from datamodules.text import Text
from lightning_base.errors import UserError
from lightning_base.samples.samples import Samples
from lightning_base.splitters import ByColumn


def shade(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)


def pool(root: Path, **arguments: Any) -> Samples:
    return ImageFolder(root=str(root), mode="L", **arguments).dataset("pool")


def shades(samples: Samples) -> list[int]:
    return [int(image[0, 0, 0]) for image in samples.inputs]


def kinds(samples: Samples) -> set[tuple[str, str]]:
    return set(zip(samples.findings["id"], samples.findings["kind"], strict=True))


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    """The rows as CSV, or as Parquet with its types."""
    frame = pd.DataFrame(rows)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)


def test_names_tell_classes_and_groups(tmp_path: Path) -> None:
    for i, name in enumerate(("cat_ann_0", "dog_ann_1", "dog_bob_0", "cat_eve_0")):
        shade(tmp_path / "deep" / f"{name}.png", i)
    samples = pool(tmp_path, pattern="deep/{target}_{group}_{take}.png")
    assert samples.classes == ("cat", "dog")
    assert [samples.classes[i] for i in samples.target] == [name.split("/")[1][:3] for name in samples.table["id"]]
    assert samples.table["group"].tolist() == ["ann", "eve", "ann", "bob"]
    with pytest.raises(UserError, match=r"cat_ann_0\.png: it does not fit data\.pattern"):
        pool(tmp_path, pattern="deep/{target}-{take}.png")
    with pytest.raises(UserError, match=r"data\.pattern: .* no \{target\}"):
        pool(tmp_path, pattern="{group}.png")
    with pytest.raises(UserError, match=r"data\.metadata is given too"):
        pool(tmp_path, pattern="{target}.png", metadata="x.csv")


@pytest.mark.parametrize(
    "parts", [("Train", "Test"), ("training", "testing"), ("TRAIN", "VAL"), ("Training Set", "dev")]
)
def test_parts_of_the_data_are_no_classes_whatever_they_are_called(tmp_path: Path, parts: tuple[str, str]) -> None:
    for i in range(8):
        name = tmp_path / parts[i % 2] / "ab"[i // 4] / f"{i}.png"
        shade(name, 30 * i)
        name.with_suffix(".txt").write_text(f"text {i}")
    for read in (ImageFolder(root=str(tmp_path)), Text(path=str(tmp_path))):
        with pytest.raises(UserError, match=f"its folders {parts[0]} and {parts[1]} would be two classes"):
            read.dataset("pool")
    (tmp_path / parts[1]).rename(tmp_path / "bus")  # beside which a train is a class
    assert set(pool(tmp_path).classes) == {parts[0], "bus"}


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.parquet", "labels.csv"])
def test_a_table_tells_class_group_time_and_role(tmp_path: Path, name: str) -> None:
    rows = [
        {"file_name": f"images/{i}.png", "target": c, "group": f"p{i % 2}", "time": f"2024-01-0{i + 1}", "role": role}
        for i, (c, role) in enumerate(zip("xyxyy", ("train", "train", "val", "test", "train"), strict=True))
    ]
    for i in range(5):
        shade(tmp_path / "images" / f"{i}.png", 10 * i)
    table(tmp_path / name, rows[::-1])
    given = {"metadata": name} if name == "labels.csv" else {}
    data = ImageFolder(root=str(tmp_path), mode="L", split=ByColumn(), **given)
    samples = data.dataset("pool")
    assert samples.findings.empty
    assert samples.classes == ("x", "y")
    assert samples.target.tolist() == [0, 1, 0, 1, 1]
    assert shades(samples) == [0, 10, 20, 30, 40]
    assert samples.table["group"].tolist() == ["p0", "p1", "p0", "p1", "p0"]
    assert samples.table["time"].tolist() == [pd.Timestamp(f"2024-01-0{i + 1}") for i in range(5)]
    assert samples.table["role"].tolist() == [row["role"] for row in rows]
    assert data.samples("test").table["id"].tolist() == ["images/3.png"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("given", "classes"), [([10, 2, 2], ("2", "10")), (["b", "a", "b"], ("a", "b"))])
def test_a_class_is_a_number_or_text_alike(tmp_path: Path, suffix: str, given: list[Any], classes: Any) -> None:
    for i in range(3):
        shade(tmp_path / f"{i}.png", i)
    table(tmp_path / f"metadata.{suffix}", [{"path": f"{i}.png", "target": c} for i, c in enumerate(given)])
    samples = pool(tmp_path)
    assert samples.classes == classes
    assert [samples.classes[i] for i in samples.target] == [str(c) for c in given]


def test_whole_numbers_that_parquet_holds_as_floats_are_the_same_classes(tmp_path: Path) -> None:
    for i in range(3):
        shade(tmp_path / f"{i}.png", i)
    table(tmp_path / "metadata.parquet", [{"path": f"{i}.png", "target": c} for i, c in enumerate((10.0, 2.0, None))])
    samples = pool(tmp_path)
    assert samples.classes == ("2", "10")
    assert kinds(samples) == {("2.png", "target")}


def test_a_table_without_targets_leaves_classes_to_folders(tmp_path: Path) -> None:
    for c in "ab":
        for i in range(2):
            shade(tmp_path / c / f"{i}.png", i)
    table(tmp_path / "metadata.csv", [{"path": f"{c}/{i}.png", "group": i} for c in "ab" for i in range(2)])
    samples = pool(tmp_path)
    assert samples.classes == ("a", "b")
    assert samples.target.tolist() == [0, 0, 1, 1]
    assert samples.table["group"].tolist() == [0, 1, 0, 1]


def test_parts_have_a_table_each_or_one_in_the_root(tmp_path: Path) -> None:
    rows = {part: [{"path": f"{i}.png", "target": i % 2} for i in range(4)] for part in ("train", "test")}
    for start, part in ((0, "train"), (100, "test")):
        for i in range(4):
            shade(tmp_path / part / f"{i}.png", start + i)
        table(tmp_path / part / "metadata.csv", rows[part])
    data = ImageFolder(root=str(tmp_path), mode="L")
    both = [data.dataset("pool"), data.dataset("test")]
    for part in rows:
        (tmp_path / part / "metadata.csv").unlink()
    table(tmp_path / "metadata.csv", [{**row, "path": f"{part}/{row['path']}"} for part in rows for row in rows[part]])
    for samples, before, start in ((data.dataset("pool"), both[0], 0), (data.dataset("test"), both[1], 100)):
        assert samples.fingerprint == before.fingerprint
        assert shades(samples) == [start + i for i in range(4)]
        assert samples.target.tolist() == [0, 1, 0, 1]
        assert samples.findings.empty


def test_faults_between_table_and_files_are_found(tmp_path: Path) -> None:
    for i in range(6):
        shade(tmp_path / "r" / f"{i}.png", i)
    shade(tmp_path / "secret.png", 9)
    lines = [
        "path,target",
        "0.png,a",
        "1.png,b",
        "gone.png,a",
        "../secret.png,a",
        "3.png,a",
        "3.png,b",
        "4.png,",
        "5.png",
    ]
    (tmp_path / "r" / "metadata.csv").write_text("\n".join(lines) + "\n")
    samples = pool(tmp_path / "r")
    assert samples.table["id"].tolist() == ["0.png", "1.png"]
    assert kinds(samples) == {
        ("2.png", "target"),
        ("3.png", "target"),
        ("4.png", "target"),
        ("5.png", "target"),
        ("metadata.csv line 4", "unreadable"),
        ("metadata.csv line 5", "escape"),
        ("metadata.csv line 9", "unreadable"),
    }


WRONG = {
    "no file": ({"metadata": "none.csv"}, "path,target\n", r"data\.metadata: no file .*none\.csv"),
    "no paths": (
        {"metadata": "labels.csv"},
        "name,target\n0.png,a\n",
        r"labels\.csv: has no column path or file_name, only",
    ),
    "no path": ({"metadata": "labels.csv"}, "path,target\n0.png,a\n,b\n", r"line 3 names no file"),
    "a time": ({"metadata": "labels.csv"}, "path,target,time\n0.png,a,noon\n1.png,b,1\n", "line 2 has 'noon' as time"),
    "one class": ({"metadata": "labels.csv"}, "path,target\n0.png,a\n1.png,a\n", r"classes \['a'\] alone"),
    "no image": ({"metadata": "labels.csv"}, "path,target\nx.png,a\n", r"labels no image .*line 2: names 'x\.png'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_tables_that_cannot_be_used_are_named(tmp_path: Path, case: str) -> None:
    arguments, text, message = WRONG[case]
    for i in range(2):
        shade(tmp_path / f"{i}.png", i)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        pool(tmp_path, **arguments)
    assert "\n" not in str(error.value)


def everything(root: Path) -> set[Path]:
    """Every file below a folder that is not hidden, links to folders followed."""
    found = set()
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found |= {Path(folder) / name for name in names if not name.startswith(".")}
    return found


def accounted(samples: Samples, folder: Path) -> set[Path]:
    """The files that are samples, and those that a finding names."""
    names = pd.concat([samples.table["id"], samples.findings["id"]]).str.replace(r"#\d{4}$", "", regex=True)
    return {Path(os.path.normpath(folder / name)) for name in names}


def nasty(root: Path) -> None:
    """Parts, siblings of parts, and files of every sort between."""
    for part in ("train", "val", "test"):
        for c in "ab":
            for i in range(3):
                shade(root / part / c / f"{i}.png", i)
    for name in (
        "train/a/notes.txt",
        "train/b/noending",
        "val/readme.md",
        "extra/1.png",
        "extra/deep/2.jpg",
        "license",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    for name in (
        "train/a/broken.png",
        "train/b/a.PSD",
        "test/a/Thumbs.db",
        "train/.DS_Store",
        ".git/x",
        "train2/a/9.png",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "train" / "a" / "link.png").symlink_to("0.png")
    (root / "train" / "a" / "out.png").symlink_to("/etc/hostname")
    (root / "train" / "b" / "dead.png").symlink_to("gone.png")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(
        root / "train" / "b" / "film.gif", save_all=True, append_images=[Image.fromarray(np.full((8, 8), 9, np.uint8))]
    )


@pytest.mark.parametrize("frames", ["first", "all"])
def test_no_file_of_an_image_folder_vanishes(tmp_path: Path, frames: Any) -> None:
    nasty(tmp_path)
    data = ImageFolder(root=str(tmp_path), mode="L", frames=frames)
    told = accounted(data.dataset("pool"), tmp_path) | accounted(data.dataset("test"), tmp_path / "test")
    assert told == everything(tmp_path)
    shutil.rmtree(tmp_path / "val")
    samples = data.dataset("pool")
    told = accounted(samples, tmp_path / "train") | accounted(data.dataset("test"), tmp_path / "test")
    assert told == everything(tmp_path)
    assert ("../extra/1.png", "unused") in kinds(samples)
    assert not samples.table["id"].str.startswith("..").any()


def test_no_file_vanishes_where_classes_stand_in_the_root_or_names_tell_them(tmp_path: Path) -> None:
    nasty(tmp_path)
    train = tmp_path / "train"
    assert accounted(pool(train), train) == everything(train)
    flat = pool(train, pattern="{target}/{name}.{ending}")
    assert accounted(flat, train) == everything(train)
    predicted = ImageFolder(root="unused", mode="L", predict=str(tmp_path)).dataset("predict")
    assert accounted(predicted, tmp_path) == everything(tmp_path)


def test_a_sibling_does_not_drop_a_sample_of_the_same_name(tmp_path: Path) -> None:
    for part in ("train/a", "train/b", "a"):
        shade(tmp_path / part / "0.png", 1)
    assert ImageFolder(root=str(tmp_path), mode="L").samples("pool").table["id"].tolist() == ["a/0.png", "b/0.png"]


def test_a_class_of_files_that_are_not_read_says_so(tmp_path: Path) -> None:
    for c in "ab":
        shade(tmp_path / c / "0.png", 1)
    (tmp_path / "c").mkdir()
    for i in range(3):
        (tmp_path / "c" / f"{i}.mat").write_bytes(b"x")
    with pytest.raises(UserError, match=r"c: no images .* 3 other files, the first a \.mat file"):
        pool(tmp_path)
