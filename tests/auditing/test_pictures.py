"""Claims about the picture of augmentations: what stands where in it, for images, boxes, words, numbers and sound."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import KFold

from datamodules.arrays import Arrays
from lightning_base.auditing import pictures as show
from lightning_base.auditing import sheet
from lightning_base.augment import CutMix, Flip, TableNoise, TokenDropout
from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import UserError
from lightning_base.preprocess import Preprocess, Vocabulary
from lightning_base.samples.payload import Ragged
from lightning_base.samples.samples import Feature
from lightning_base.samples.targets import Targets

LEFT, TOP, GAP = 120, sheet.LINE + 6, 6


def cell(path: Path, row: int, column: int, size: tuple[int, int], lines: int = 1) -> np.ndarray[Any, Any]:
    """The pixels (H, W, 3) of a cell of width and height `size`, over captions of so many lines."""
    width, height = size
    x, y = LEFT + column * (width + GAP), TOP + row * (height + lines * sheet.LINE + GAP)
    return pixels(path)[y : y + height, x : x + width]


def pixels(path: Path) -> np.ndarray[Any, Any]:
    """The whole picture (H, W, 3)."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def images(tmp_path: Path, n: int = 24) -> str:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, 3, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x=x, y=np.arange(n) % 3, classes=np.array(["ant", "bee", "cat"]))
    return str(tmp_path / "images.npz")


def test_images_stand_before_and_after_as_the_network_gets_them(tmp_path: Path) -> None:
    data = Arrays(source=images(tmp_path), augment=[Flip()])
    out = tmp_path / "deep" / "augment.png"
    show.draw_samples(data, out, n=3, copies=4)
    rows, pool = show.pick(data, 3), data.samples("pool")
    assert pixels(out).shape == (TOP + 3 * (96 + sheet.LINE + GAP), LEFT + 5 * (96 + GAP), 3)
    flips = []
    for r, row in enumerate(rows):
        expected = np.kron(np.asarray(pool.inputs[np.array([row])])[0].transpose(1, 2, 0), np.ones((12, 12, 1)))
        assert np.array_equal(cell(out, r, 0, (96, 96)), expected)
        for copy in range(1, 5):
            shown = cell(out, r, copy, (96, 96))
            flipped = np.array_equal(shown, expected[:, ::-1])
            assert flipped or np.array_equal(shown, expected)
            flips.append(flipped)
    assert 0 < sum(flips) < len(flips)
    assert [path.name for path in out.parent.iterdir()] == ["augment.png"]


def test_the_same_picture_is_drawn_again(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        show.draw_samples(Arrays(source=images(tmp_path), augment=[CutMix()]), tmp_path / name, n=2, copies=2)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_every_class_is_shown_in_turn(tmp_path: Path) -> None:
    data = Arrays(source=images(tmp_path))
    target = data.samples("pool").target
    assert target is not None
    assert target[show.pick(data, 6)].tolist() == [0, 1, 2, 0, 1, 2]
    assert set(show.pick(data, 6)) <= set(data.rows("train"))
    assert len(show.pick(data, 1000)) == len(data.rows("train"))


def test_mixed_targets_are_named_by_their_shares(tmp_path: Path) -> None:
    data = Arrays(source=images(tmp_path), augment=[CutMix()])
    data.setup("fit")
    batch = data.transform(data.loader("train").gather(show.pick(data, 12)), epoch=0)
    assert batch.y is not None
    captions = [show.caption(data.classes, batch, i) for i in range(12)]
    for text, shares in zip(captions, np.asarray(batch.y), strict=True):
        for line in text.split("\n"):
            share, _, name = line.rpartition(" ")
            assert abs(shares[data.classes.index(name)] - float(share or 1)) <= 0.005
    assert any("\n" in text for text in captions)


@dataclass(kw_only=True, eq=False)
class OneBox(BaseDataModule):
    """Black images with a white patch, and its box."""

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        x = np.zeros((10, 3, 20, 40), dtype=np.uint8)
        x[:, :, 5:15, 2:12] = 255
        box = np.array([[2, 5, 12, 15, 0]], dtype=np.float32)
        table = pd.DataFrame({"id": [f"{i}" for i in range(10)]})
        return Samples(x, table, ("patch",), targets=Targets(Ragged.of([box] * 10, box), "boxes"))


def test_boxes_are_drawn_round_what_they_hold(tmp_path: Path) -> None:
    data = OneBox(split=KFold(2), normalize="none", augment=[Flip(p=1.0)])
    show.draw_samples(data, tmp_path / "boxes.png", n=2, copies=1)
    factor = 5  # from 20×40 to 100×200
    for column, (left, right) in enumerate([(2, 12), (28, 38)]):
        shown = cell(tmp_path / "boxes.png", 0, column, (200, 100))
        frame = (shown == show.CLASSES[0]).all(axis=2)
        rows, columns = np.flatnonzero(frame.any(axis=1)), np.flatnonzero(frame.any(axis=0))
        assert (rows[0], rows[-1]) == (5 * factor, 15 * factor - 1)
        assert (columns[0], columns[-1]) == (left * factor, right * factor - 1)
        assert (shown[50, (left + right) * factor // 2] == 255).all()


def test_large_images_are_made_smaller(tmp_path: Path) -> None:
    x = np.zeros((8, 1, 300, 640), dtype=np.uint8)
    x[:, :, :, 320:] = 200
    np.savez(tmp_path / "large.npz", x=x + np.arange(8, dtype=np.uint8)[:, None, None, None], y=np.arange(8) % 2)
    show.draw_samples(Arrays(source=str(tmp_path / "large.npz"), split=KFold(2)), tmp_path / "out.png", n=1, copies=1)
    shown = cell(tmp_path / "out.png", 0, 0, (320, 150)).astype(int)
    assert abs(shown[:, :159] - shown[0, 0]).max() == 0
    assert (shown[:, 161:] - shown[0, 0] == 200).all()


@dataclass(kw_only=True, eq=False)
class Words(BaseDataModule):
    """Twenty texts of eight words."""

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        parts = [np.arange(i, i + 8, dtype=np.int32) for i in range(20)]
        table = pd.DataFrame({"id": [f"{i:02d}" for i in range(20)], "target": np.arange(20) % 2})
        words = Feature("text", tuple(f"word{i}" for i in range(27)))
        return Samples(Ragged.of(parts, parts[0]), table, ("no", "yes"), features=(words,))

    def make_preprocess(self) -> Preprocess:
        """See BaseDataModule."""
        return Vocabulary()


def red(shown: np.ndarray[Any, Any]) -> int:
    """How many pixels are red."""
    return int((shown[:, :, 0].astype(int) - shown[:, :, 1] > 60).sum())


def test_words_and_numbers_that_change_are_red(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    for data in (
        Words(augment=[TokenDropout(p=1.0)]),
        Arrays(source="wine", augment=[TableNoise(p=1.0)]),
    ):
        show.draw_samples(data, out, n=4, copies=2)
        assert sum(red(cell(out, r, 0, show.TEXT)) for r in range(4)) == 0
        assert sum(red(cell(out, r, k, show.TEXT)) for r in range(4) for k in (1, 2)) > 0
        data.augment = []
        show.draw_samples(data, out, n=4, copies=2)
        assert red(pixels(out)) == 0
        assert ((cell(out, 0, 0, show.TEXT) == sheet.INK).all(axis=2)).any()


@dataclass(kw_only=True, eq=False)
class Waves(BaseDataModule):
    """Sounds that are loud at their ends, as they are."""

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        parts = [np.concatenate([np.zeros(400), np.tile([900, -900], 200)]).astype(np.int16) for _ in range(10)]
        table = pd.DataFrame({"id": [f"{i}" for i in range(10)], "target": np.arange(10) % 2})
        return Samples(Ragged.of(parts, parts[0]), table, ("no", "yes"))


def test_a_wave_is_high_where_it_is_loud(tmp_path: Path) -> None:
    data = Waves(split=KFold(2), normalize="none")
    show.draw_samples(data, tmp_path / "out.png", n=1, copies=1)
    inked = (cell(tmp_path / "out.png", 0, 0, (show.LARGEST, show.SMALLEST)) == show.CLASSES[1]).all(axis=2)
    assert inked[:, : show.LARGEST // 2 - 1].sum(axis=0).max() == 1
    assert (inked[:, show.LARGEST // 2 + 1 :].sum(axis=0) == show.SMALLEST).all()


def test_an_augmentation_that_does_not_fit_is_told(tmp_path: Path) -> None:
    data = Arrays(source="wine", augment=[Flip()])
    with pytest.raises(UserError, match="Flip"):
        show.draw_samples(data, tmp_path / "out.png")
    assert not list(tmp_path.iterdir())
