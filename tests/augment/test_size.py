"""Flips that alternate, and images that are smaller in the first part of a training."""

import itertools

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from lightning_base.augment import Augmentation, Context, Flip, MixUp, Shrink, augment
from lightning_base.errors import UserError
from lightning_base.samples.batch import Batch, Boxes, Target

COUNT = 60
RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.normal(size=(COUNT, 3, 12, 8)).astype(np.float32))
KEY = torch.from_numpy(RNG.integers(-(2**62), 2**62, COUNT))


def applied(op: Augmentation, epoch: int = 0, progress: float | None = None, y: Target | None = None) -> Batch:
    batch = Batch(X, y, torch.arange(COUNT), KEY)
    for stage in ("raw", "ready"):
        batch = augment(batch, [op], stage, 5, epoch, Context(7, progress=progress))
    return batch


@pytest.mark.parametrize("p", [0.5, 0.2])
def test_alternating_flips_mirror_each_sample_in_every_other_epoch(p: float) -> None:
    op = Flip(p=p, alternating=True)
    mirrored = []
    for epoch in range(5):
        x = applied(op, epoch).x
        as_is, turned = ((x == other).flatten(1).all(1) for other in (X, torch.from_numpy(X.numpy()[..., ::-1].copy())))
        assert (as_is ^ turned).all()
        mirrored.append(turned)
    assert abs(int(mirrored[0].sum()) - p * COUNT) < 10
    for before, after in itertools.pairwise(mirrored):
        assert torch.equal(before, ~after)


def test_which_samples_are_mirrored_first_depends_on_each_sample_and_the_seed_alone() -> None:
    op = Flip(alternating=True)
    whole = applied(op, epoch=3).x
    rows = torch.tensor([7, 3, 50])
    part = augment(Batch(X[rows], None, rows, KEY[rows]), [op], "raw", 5, 3, Context(7)).x
    assert torch.equal(part, whole[rows])
    other = augment(Batch(X, None, torch.arange(COUNT), KEY), [op], "raw", 6, 3, Context(7)).x
    assert not torch.equal(other, whole)


def test_images_are_smaller_until_a_share_of_the_training_is_done() -> None:
    op = Shrink(6, until=0.5)
    small = functional.resize(X, [6, 6], antialias=True)
    for progress in (0.0, 0.2, 0.499):
        torch.testing.assert_close(applied(op, progress=progress).x, small)
    for progress in (0.5, 0.9, None):
        assert torch.equal(applied(op, progress=progress).x, X)
    assert torch.equal(applied(Shrink(8), progress=0.0).x, X), "no larger than that already"


def test_boxes_and_masks_shrink_with_their_images() -> None:
    corners = torch.tensor([[[2.0, 4.0, 6.0, 10.0]]]).repeat(COUNT, 1, 1)
    y = applied(Shrink(6, 1.0), progress=0.3, y=Boxes(corners, torch.zeros(COUNT, 1, dtype=torch.int64))).y
    assert isinstance(y, Boxes)
    torch.testing.assert_close(y.boxes[0, 0], torch.tensor([1.5, 2.0, 4.5, 5.0]))  # 6/8 across, 6/12 down
    mask = torch.arange(12 * 8).reshape(1, 12, 8).repeat(COUNT, 1, 1)
    moved = applied(Shrink(6, 1.0), progress=0.3, y=mask).y
    assert isinstance(moved, torch.Tensor)
    assert moved.shape == (COUNT, 6, 6)
    assert moved.dtype == torch.int64
    assert moved[0, :, 0].tolist() == [8 * row for row in (1, 3, 5, 7, 9, 11)], "pixels are picked, not mixed"


def test_classes_that_were_mixed_stay_as_they_are() -> None:
    batch = Batch(X, torch.arange(COUNT) % 7, torch.arange(COUNT), KEY)
    batch = batch._replace(partner=batch._replace(x=X.flip(0)))
    for stage in ("raw", "ready"):
        batch = augment(batch, [MixUp(), Shrink(6)], stage, 5, 0, Context(7, progress=0.0))
    assert batch.x.shape == (COUNT, 3, 6, 6)
    assert isinstance(batch.y, torch.Tensor)
    torch.testing.assert_close(batch.y.sum(1), torch.ones(COUNT))


@pytest.mark.parametrize(
    ("arguments", "said"), [({"size": 0}, "`size` must be 1"), ({"size": 4, "until": 1.5}, "`until` must be from 0")]
)
def test_sizes_and_shares_that_are_none_are_refused(arguments: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Shrink(**arguments)  # type: ignore[arg-type]
