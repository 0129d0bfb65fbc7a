"""Masks beside images: photographs cut up, and masks of them in the ways that masks are written."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from datamodules.image_masks import ImageMasks
from lightning_base.augment import Flip
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import Samples
from lightning_base.errors import ConfigError, DataError
from lightning_base.results.tables import read_table
from tests.helpers import Run, crossval, refused

Tiles = npt.NDArray[np.uint8]
N = 40


def numbers(tile: Tiles) -> Tiles:
    """What the masks here say: 0, 1 and 2 by how bright a pixel is, as Pillow tells it."""
    return np.digitize(np.asarray(Image.fromarray(tile).convert("L")), [85, 170]).astype(np.uint8)


def write(tiles: Tiles, images: Path, masks: Path, start: int = 0) -> None:
    """Images as JPEG in folders `a` and `b`, and their masks as PNG of grey levels."""
    for i, tile in enumerate(tiles, start=start):
        folder = "ab"[i % 2]
        for home in (images, masks):
            (home / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(tile).save(images / folder / f"{i:03d}.jpg", quality=95)
        Image.fromarray(numbers(tile)).save(masks / folder / f"{i:03d}.png")


@pytest.fixture
def few(tiles: Tiles) -> Tiles:
    """(40, 32, 32, 3)."""
    return tiles[::6][:N]


def of(work: Path, **given: Any) -> ImageMasks:
    return ImageMasks(images="images", masks="masks", class_names=["dark", "grey", "light"], **given)


def values(samples: Samples) -> npt.NDArray[Any]:
    assert samples.targets is not None
    return np.asarray(samples.targets.payload[np.arange(len(samples))])


def test_a_network_learns_masks_from_two_folders_and_the_stored_targets_are_pillows(
    run: Run, work: Path, few: Tiles
) -> None:
    """Through crossval, test and predict, by the task of a user's own."""
    write(few, Path("images"), Path("masks"))
    write(few[:5], Path("sealed"), Path("sealed_masks"), start=100)
    for path in [*Path("masks").rglob("*.png"), *Path("sealed_masks").rglob("*.png")]:
        bright = np.asarray(Image.open(path)) > 0
        Image.fromarray(np.where(bright, 255, 0).astype(np.uint8)).save(path)
    network = {"in_channels": 3, "out_channels": 1, "kernel_size": 3, "padding": 1}
    content = {
        "name": "masks",
        "seed_everything": 0,
        "trainer": {"accelerator": "cpu", "max_epochs": 8, "logger": False},
        "model": {
            "class_path": "tests.any_task.segmentation.Segmentation",
            "init_args": {
                "network": {"class_path": "torch.nn.Conv2d", "init_args": network},
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1}},
            },
        },
        "data": {
            "class_path": "datamodules.image_masks.ImageMasks",
            "init_args": {
                "images": "images",
                "masks": "masks",
                "test_images": "sealed",
                "test_masks": "sealed_masks",
                "predict": "sealed",
                "class_names": ["dark", "bright"],
                "values": [0, 255],
                "batch_size": 10,
                "pattern": "{group}/{number}.jpg",
                "split": {"class_path": "sklearn.model_selection.LeaveOneGroupOut"},
                "augment": [{"class_path": "lightning_base.augment.Flip"}],
            },
        },
    }
    Path("masks.yaml").write_text(yaml.safe_dump(content))
    run("crossval", "--config", "masks.yaml")
    found = read_table(crossval("masks") / "oof.parquet")
    assert set(found["id"].str[0][found["fold"] == 0]) in ({"a"}, {"b"})
    true = np.stack([np.asarray(Image.open(Path("masks") / id_.replace("jpg", "png"))) // 255 for id_ in found["id"]])
    np.testing.assert_array_equal(np.stack(list(found["target"])), true)
    pred = np.stack(list(found["pred"])) > 0.5
    assert (pred & (true == 1)).sum() / (pred | (true == 1)).sum() > 0.8
    run("test", "--ckpt_path", crossval("masks"))
    assert len(read_table(crossval("masks") / "test.parquet")) == 5
    run("predict", "--ckpt_path", crossval("masks"))
    assert np.stack(list(read_table(crossval("masks") / "ensemble.parquet")["pred"])).shape == (5, 32, 32)


@pytest.mark.parametrize("form", ["png", "tif", "bmp", "pgm", "palette", "rgb", "sixteen", "colours"])
def test_masks_are_the_numbers_that_were_written(work: Path, few: Tiles, form: str) -> None:
    write(few, Path("images"), Path("masks"))
    given: dict[str, Any] = {}
    palette = np.array([[10, 20, 30], [200, 0, 0], [255, 255, 255]], dtype=np.uint8)
    for i, path in enumerate(sorted(Path("masks").rglob("*.png"))):
        mask = Image.open(path)
        found = np.asarray(mask)
        path.unlink()
        if form == "palette":
            mask = Image.fromarray(found, mode="P") if i % 2 else mask.convert("P")
            mask.putpalette(palette.ravel().tolist())
        elif form == "rgb":
            mask = mask.convert("RGB")
        elif form == "sixteen":
            mask, given = Image.fromarray(found.astype(np.uint16) * 1000), {"values": [0, 1000, 2000]}
        elif form == "colours":
            given = {"values": ["#0A141e", "#c80000", "#ffffff"]}
            mask = Image.fromarray(palette[found])
            if i % 2:
                mask = mask.convert("P", palette=Image.Palette.ADAPTIVE, colors=3)
        mask.save(path.with_suffix(f".{form}" if form in ("tif", "bmp", "pgm") else ".png"))
    samples = of(work, **given).samples("pool")
    order = sorted(range(N), key=lambda i: "ab"[i % 2])
    np.testing.assert_array_equal(values(samples), np.stack([numbers(few[i]) for i in order]))
    assert samples.classes == ("dark", "grey", "light")


def test_masks_are_resized_by_nearest_neighbour_and_images_as_elsewhere(work: Path, few: Tiles) -> None:
    write(few, Path("images"), Path("masks"))
    given: dict[str, Any] = {"images": "images", "masks": "masks", "class_names": ["dark", "grey"], "ignore": 2}
    data = ImageMasks(**given, image_size=(20, 24), clean=Cleaning(target="drop"))
    samples, found = data.samples("pool"), data.findings["pool"].query("kind == 'target'")
    plain = [path for path in Path("masks").rglob("*.png") if (np.asarray(Image.open(path)) == 2).all()]
    assert sorted(found["id"]) == sorted(str(path.relative_to("masks").with_suffix(".jpg")) for path in plain)
    assert 0 < len(samples) == N - len(plain) < N
    images = samples.inputs[np.arange(len(samples))]
    for id_, mask, image in zip(samples.table["id"], values(samples), images, strict=True):
        with Image.open(Path("masks", id_).with_suffix(".png")) as known:
            resized = np.asarray(known.resize((24, 20), Image.Resampling.NEAREST))
        np.testing.assert_array_equal(mask, np.where(resized == 2, 255, resized))  # ignored pixels are 255
        with Image.open(Path("images", id_)) as known:
            resized = np.asarray(known.resize((24, 20), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(image, resized.transpose(2, 0, 1))


def test_every_file_of_both_folders_is_used_or_named(work: Path, few: Tiles, run: Run) -> None:
    write(few, Path("images"), Path("masks"))
    Path("masks/a/000.png").unlink()
    Path("images/b/001.jpg").unlink()
    Image.open("masks/a/002.png").resize((16, 32)).save("masks/a/002.png")
    strange = np.array(Image.open("masks/b/003.png"))
    strange[5, 6:9] = 7
    Image.fromarray(strange).save("masks/b/003.png")
    Image.open("masks/a/004.png").save("masks/a/004.jpg")
    Path("masks/a/004.png").unlink()
    Image.open("masks/a/012.png").save("masks/a/012.gif")
    Path("masks/a/012.png").unlink()
    Image.open("masks/b/005.png").save("masks/b/005.tif")
    Path("masks/a/006.png").write_bytes(Path("masks/a/008.png").read_bytes()[:60])
    Image.fromarray(few[0]).save("masks/b/007.png")
    Image.open("images/a/010.jpg").save("images/a/010.png")
    Image.new("L", (32, 32), 9).save("masks/b/009.png")
    Path("masks/notes.txt").write_text("beside")
    Path("images/b/011.jpg").write_bytes(b"none")
    with pytest.raises(DataError, match=r"a/000\.jpg: has no mask in masks .*data\.clean\.target: drop"):
        of(work, clean=Cleaning(unreadable="drop", unmatched="drop")).samples("pool")
    data = of(work, ignore=9, clean=Cleaning(target="drop", unreadable="drop", unmatched="drop"))
    left = data.samples("pool")
    found = data.findings["pool"].query("kind != 'mode'")
    said = {(row.id, row.kind): row.detail for row in found.itertuples()}
    expected = {
        ("a/000.jpg", "target"): "has no mask in masks",
        ("../masks/b/001.png", "unmatched"): "is a mask without an image in images",
        ("a/002.jpg", "target"): "its mask ../masks/a/002.png has 16x32 pixels, and its image 32x32",
        ("b/003.jpg", "target"): "its mask ../masks/b/003.png has 7 in 3 pixels, where classes are 0, 1, 2, 9",
        ("a/004.jpg", "unreadable"): "its mask ../masks/a/004.jpg is JPEG, which does not keep class numbers",
        ("a/012.jpg", "unreadable"): "its mask ../masks/a/012.gif is GIF, which does not keep class numbers",
        ("b/005.jpg", "target"): "has several masks in masks: b/005.png, b/005.tif",
        ("a/006.jpg", "unreadable"): "its mask ../masks/a/006.png",
        ("b/007.jpg", "unreadable"): "its mask ../masks/b/007.png has colours; say which stand for classes",
        ("b/009.jpg", "target"): "its mask ../masks/b/009.png has no pixel of a class",
        ("a/010.jpg", "target"): "has one mask, a/010.png, with a/010.jpg, a/010.png together",
        ("a/010.png", "target"): "has one mask, a/010.png, with a/010.jpg, a/010.png together",
        ("b/011.jpg", "unreadable"): "not an image that can be read",
        ("../masks/notes.txt", "unused"): "",
    }
    assert said.keys() == expected.keys()
    for key, start in expected.items():
        assert said[key].startswith(start), key
    named = {id_ for id_, _ in said if not id_.startswith("..")}
    every = {f"{'ab'[i % 2]}/{i:03d}.jpg" for i in range(N)} | {"a/010.png"}
    assert set(left.table["id"]) | named == every - {"b/001.jpg"}
    assert not set(left.table["id"]) & named


def test_masks_of_turned_images_are_turned_where_they_were_drawn_before(work: Path, few: Tiles) -> None:
    Path("images").mkdir()
    Path("masks").mkdir()
    for i, (before, orientation) in enumerate([(True, 6), (False, 6), (True, 8), (True, 1), (True, 5), (True, 3)]):
        tile = few[i][:20]  # 20 high, 32 wide
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(tile).save(f"images/{i}.png", exif=exif)
        mask = Image.fromarray(numbers(tile))
        turn = {5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}
        upright = mask.transpose(turn[orientation]) if orientation in turn else mask
        (mask if before else upright).save(f"masks/{i}.png")
    data = of(work, image_size=(32, 20), clean=Cleaning(size="fix"))
    samples, found = data.samples("pool"), data.findings["pool"].set_index("id")
    for i in (0, 1, 2, 4):  # as the image is, once it is upright
        image = Image.fromarray(np.asarray(samples.inputs[i]).transpose(1, 2, 0))
        assert (values(samples)[i] == numbers(np.asarray(image))).all(), i
    turned = found[found["kind"] == "orientation"]["detail"]
    assert turned["0.png"].endswith("the mask was drawn before, by its size, and is turned with it")
    assert turned["1.png"].endswith("the mask was drawn on the upright image, by its size")
    assert turned["5.png"].endswith("it is taken as drawn on the upright image")
    assert "3.png" not in turned
    exif = Image.Exif()
    exif[274] = 6
    Image.open("masks/3.png").copy().save("masks/3.png", exif=exif)
    with pytest.raises(DataError, match=r"3\.png: its mask \.\./masks/3\.png its EXIF says that it is turned"):
        of(work, image_size=(32, 20)).samples("pool")


def test_masks_move_with_their_images_in_a_training_batch(work: Path, few: Tiles) -> None:
    write(few, Path("images"), Path("masks"))
    data = of(work, augment=[Flip()], batch_size=8, normalize="none")
    data.setup("fit")
    batch = next(iter(data.loader("train")))
    plain, other = data.transform(batch), data.transform(batch, 0)
    moved = (plain.x != other.x).flatten(1).any(dim=1)
    assert 0 < moved.sum() < 8
    assert isinstance(plain.y, torch.Tensor)
    assert torch.equal(other.y, torch.where(moved[:, None, None], plain.y.flip(-1), plain.y))


def test_mistakes_are_one_line(work: Path, few: Tiles, capsys: pytest.CaptureFixture[str]) -> None:
    write(few, Path("images"), Path("masks"))
    with pytest.raises(ConfigError, match=r"data\.values: 2 values for 3 classes"):
        of(work, values=[0, 1])
    with pytest.raises(ConfigError, match=r"data\.values: 'red' is no colour"):
        of(work, values=["red", "#000000", "#ffffff"])
    with pytest.raises(ConfigError, match="numbers beside colours"):
        of(work, values=["#000001", "#000000", "#ffffff"], ignore=0)
    with pytest.raises(ConfigError, match="stands for two classes"):
        of(work, ignore=2)
    with pytest.raises(ConfigError, match="stands for two classes"):
        of(work, values=[0, 1, 1])
    with pytest.raises(ConfigError, match="lie in one another"):
        ImageMasks(images="images", masks="images/a", class_names=["a", "b"]).samples("pool")
    Path("other").mkdir()
    with pytest.raises(DataError, match=r"no image has a mask of its name in other \(40 in images; 0 in other\)"):
        ImageMasks(images="images", masks="other", class_names=["a", "b"]).samples("pool")
    content = {"class_path": "datamodules.image_masks.ImageMasks", "init_args": {"images": "images", "masks": "no"}}
    Path("x.yaml").write_text(yaml.safe_dump({"name": "x", "data": content}))
    refused(capsys, ["prepare", "--config", "x.yaml"], "class_names")
    content["init_args"]["class_names"] = ["a", "b"]  # type: ignore[index]
    Path("x.yaml").write_text(yaml.safe_dump({"name": "x", "data": content}))
    refused(capsys, ["prepare", "--config", "x.yaml"], "data.masks: no folder no")


def test_prepare_and_audit_know_masks(work: Path, few: Tiles, run: Run) -> None:
    write(few, Path("images"), Path("masks"))
    settings = {"images": "images", "masks": "masks", "class_names": ["dark", "grey", "light"], "test_size": 0.2}
    content = {"class_path": "datamodules.image_masks.ImageMasks", "init_args": settings}
    Path("x.yaml").write_text(yaml.safe_dump({"name": "x", "data": content}))
    run("prepare", "--config", "x.yaml")
    run("audit", "--config", "x.yaml", "--show", "grid.png")
    assert Path("grid.png").is_file()
    assert len(pd.read_parquet("runs/x/prepare/split.parquet")["id"].unique()) == N
