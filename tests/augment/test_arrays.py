"""Masks and images as targets: they move with their images, and by NumPy's account as the images do."""

import numpy as np
import pytest
import torch
from torch import Tensor

import lightning_base.augment as lib
from lightning_base.augment import Augmentation, Context, augment
from lightning_base.augment.affine import Affine
from lightning_base.augment.draw import Draw
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch

COUNT, HEIGHT, WIDTH, SEED = 40, 12, 17, 3
CONTEXT = Context(0)
WHOLE: list[Augmentation] = [lib.Crop(4), lib.Crop(4, "reflect"), lib.Translate(0.3), lib.Flip(), lib.Flip("vertical")]
TURNING: list[Affine] = [
    lib.Rotate(90, p=0.7),
    lib.Scale(0.5, 2, p=0.7),
    lib.RandomResizedCrop((0.2, 1), (0.5, 2), p=0.7),
]


def batch_of(y: Tensor, x: Tensor | None = None) -> Batch:
    generator = torch.Generator().manual_seed(1)
    key = torch.randint(-(2**62), 2**62, (COUNT,), generator=generator)
    return Batch(images() if x is None else x, y, torch.arange(COUNT), key)


def images(channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (COUNT, channels, HEIGHT, WIDTH), generator=generator, dtype=torch.uint8)


def applied(batch: Batch, op: Augmentation) -> Batch:
    return augment(batch, [op], "raw", SEED, 0, CONTEXT)


@pytest.mark.parametrize("op", WHOLE, ids=lambda op: type(op).__name__)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
def test_whole_pixel_ops_move_a_mask_as_its_image(op: Augmentation, dtype: torch.dtype) -> None:
    mask = images()[:, 0].to(dtype)
    moved = applied(batch_of(mask), op)
    assert isinstance(moved.y, Tensor)
    assert moved.y.dtype == dtype
    assert torch.equal(moved.y, moved.x[:, 0].to(dtype))
    assert not torch.equal(moved.y, mask)
    several = applied(batch_of(images(3), images(3)), op)  # (B, C, H, W) as well
    assert isinstance(several.y, Tensor)
    assert torch.equal(several.y, several.x)


@pytest.mark.parametrize("direction", ["horizontal", "vertical"])
def test_a_flipped_mask_is_numpy_s(direction: str) -> None:
    mask = images()[:, 0] > 99
    moved = applied(batch_of(mask), lib.Flip(direction, p=1))  # type: ignore[arg-type]
    assert isinstance(moved.y, Tensor)
    assert np.array_equal(moved.y.numpy(), np.flip(mask.numpy(), 2 if direction == "horizontal" else 1))


@pytest.mark.parametrize("op", TURNING, ids=lambda op: type(op).__name__)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_classes_of_pixels_are_those_of_the_nearest_pixel_and_not_mixed(op: Affine, dtype: torch.dtype) -> None:
    mask = (images()[:, 0] % 5).to(dtype)
    batch = batch_of(mask)
    moved = applied(batch, op).y
    assert isinstance(moved, Tensor)
    assert moved.dtype == dtype
    assert batch.key is not None
    draw = Draw(batch.key, SEED, 0, 0)
    chosen, old = draw.chosen(op.p).numpy(), mask.numpy()
    matrix = op.matrix(draw, HEIGHT, WIDTH).numpy().astype(np.float64)
    centres = np.stack(np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5), axis=-1)  # (H, W, 2) x, y
    compared = 0
    for i in range(COUNT):
        if not chosen[i]:
            assert np.array_equal(moved[i].numpy(), old[i])
            continue
        where = (centres - matrix[i, :, 2]) @ np.linalg.inv(matrix[i, :, :2]).T
        place = np.floor(where).astype(np.int64)
        clear = (abs(where - np.round(where)) > 1e-3).all(axis=-1)  # not between two pixels
        inside = ((place >= 0) & (place < [WIDTH, HEIGHT])).all(axis=-1)
        column, row = np.clip(place[..., 0], 0, WIDTH - 1), np.clip(place[..., 1], 0, HEIGHT - 1)
        expected = np.where(inside | (op.outside == "border"), old[i, row, column], 0)
        assert np.array_equal(moved[i].numpy()[clear], expected[clear])
        compared += int(clear.sum())
    assert compared > COUNT * HEIGHT * WIDTH / 3
    assert 0 < chosen.sum() < COUNT


@pytest.mark.parametrize("op", TURNING, ids=lambda op: type(op).__name__)
def test_an_image_as_target_is_resampled_as_the_image_is(op: Affine) -> None:
    x = images(3).float()
    moved = applied(batch_of(x.clone(), x), op)
    assert isinstance(moved.y, Tensor)
    assert torch.equal(moved.y, moved.x)
    assert not torch.equal(moved.y, x)


@pytest.mark.parametrize("op", [lib.Flip(), lib.Rotate(), lib.Crop(), lib.Translate(), lib.Scale(), lib.RandAugment()])
def test_targets_of_another_size_are_refused(op: Augmentation) -> None:
    mask = torch.zeros(COUNT, HEIGHT // 2, WIDTH, dtype=torch.uint8)
    with pytest.raises(ConfigError, match=r"targets of shape \(6, 17\) do not move with images of 12 by 17"):
        applied(batch_of(mask), op)
    deep = torch.zeros(COUNT, 2, 2, HEIGHT, WIDTH)
    with pytest.raises(ConfigError, match="do not move with images"):
        applied(batch_of(deep), op)


@pytest.mark.parametrize("op", [lib.Flip(p=1), lib.Rotate(), lib.RandAugment()])
@pytest.mark.parametrize("y", [torch.arange(COUNT), torch.rand(COUNT, 3)])
def test_classes_and_values_stay(op: Augmentation, y: Tensor) -> None:
    assert applied(batch_of(y), op).y is y


@pytest.mark.parametrize("op", [lib.MixUp(), lib.CutMix()])
def test_masks_are_not_mixed(op: Augmentation) -> None:
    batch = batch_of(torch.zeros(COUNT, HEIGHT, WIDTH), images().float())
    with pytest.raises(ConfigError, match="mixes targets that are classes or values"):
        augment(batch._replace(partner=batch), [op], "ready", SEED, 0, CONTEXT)


def test_randaugment_moves_masks_and_leaves_them_where_it_changes_colours() -> None:
    mask = torch.full((COUNT, HEIGHT, WIDTH), 7, dtype=torch.uint8)
    moved = applied(batch_of(mask, images(3)), lib.RandAugment(2, 20)).y
    assert isinstance(moved, Tensor)
    assert set(moved.unique().tolist()) == {0, 7}  # a class, or what came in at the edges
    same = (moved == 7).flatten(1).all(dim=1)
    assert 0 < same.sum() < COUNT
