"""Augmentation: what each op does, and that it depends on each sample, the seed and the epoch alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms.v2 import functional

from lightning_base import augment as lib
from lightning_base.augment import Augmentation, Context, Draw, augment
from lightning_base.augment.randaugment import OPS, RandAugment
from lightning_base.errors import UserError
from lightning_base.samples.batch import Batch, Boxes

SEED, EPOCH, COUNT, SIDE = 5, 2, 40, 16
CONTEXT = Context(num_classes=7, numeric=4)
KEY = torch.from_numpy(np.random.default_rng(1).integers(-(2**62), 2**62, COUNT))
PARTNER = torch.from_numpy(np.random.default_rng(2).permutation(COUNT))


def _samples(kind: str) -> tuple[Tensor, Tensor | Boxes, Tensor | None]:
    """Inputs, targets and lengths of COUNT samples of a kind of data; lengths differ where the kind has any."""
    rng = np.random.default_rng(3)
    classes = torch.from_numpy(rng.integers(0, 7, COUNT))
    lengths = torch.from_numpy(rng.integers(6, 30, COUNT))
    inside = torch.arange(30) < lengths[:, None]
    if kind in ("images", "floats", "boxes"):
        x = torch.from_numpy(rng.integers(0, 256, (COUNT, 3, SIDE, SIDE), dtype=np.uint8))
        corners = torch.from_numpy(rng.uniform(0, 8, (COUNT, 3, 4)).astype(np.float32))
        corners[..., 2:] += 8
        boxes = Boxes(corners, classes[:, None].repeat(1, 3))
        return x / 100 if kind == "floats" else x, boxes if kind == "boxes" else classes, None
    if kind == "waves":
        x = torch.from_numpy(rng.integers(-9000, 9000, (COUNT, 30), dtype=np.int16)) * inside.short()
        return x, classes, lengths
    if kind == "spectrograms":
        x = torch.from_numpy(rng.normal(size=(COUNT, 1, 12, 30)).astype(np.float32)) * inside[:, None, None]
        return x, classes, lengths
    if kind == "tokens":
        return torch.from_numpy(rng.integers(2, 99, (COUNT, 30))) * inside, classes, lengths
    return torch.from_numpy(rng.normal(size=(COUNT, 6)).astype(np.float32)), classes, None


def _batch(kind: str, rows: Sequence[int] | Tensor | None = None, partner: bool = True) -> Batch:
    """The batch of these samples (all by default), cut to the longest among them, with the same partner for each."""
    index = torch.arange(COUNT) if rows is None else torch.as_tensor(rows)
    x, y, lengths = _samples(kind)
    x, length = x[index], None if lengths is None else lengths[index]
    if length is not None:
        x = x[..., : int(length.max())]
    target = Boxes(*(part[index] for part in y)) if isinstance(y, Boxes) else y[index]
    other = _batch(kind, PARTNER[index], partner=False) if partner else None
    return Batch(x, target, index, KEY[index], length, other)


def _apply(batch: Batch, *ops: Augmentation, seed: int = SEED, epoch: int = EPOCH, context: Context = CONTEXT) -> Batch:
    """The batch after both stages."""
    for stage in ("raw", "ready"):
        batch = augment(batch, ops, stage, seed, epoch, context)
    return batch


def _draw(batch: Batch, op: Augmentation) -> Draw:
    """What a lone op draws from, past its choice of samples."""
    assert batch.key is not None
    draw = Draw(batch.key, SEED, EPOCH, 0)
    draw.chosen(op.p)
    return draw


def _rows(batch: Batch) -> list[list[Tensor]]:
    """Each sample's input, up to its length, and target."""
    out = []
    for i in range(len(batch.x)):
        y = batch.y
        assert y is not None
        length = batch.x.shape[-1] if batch.lengths is None else int(batch.lengths[i])
        out.append([batch.x[i][..., :length], *([part[i] for part in y] if isinstance(y, Boxes) else [y[i]])])
    return out


def _same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(a, b, strict=True))


CASES: list[tuple[str, str, Callable[[float], Augmentation]]] = [
    (f"{kind}-{name}", kind, op)
    for kind, ops in {
        "images": {
            "crop": lambda p: lib.Crop(4, p=p),
            "crop-reflect": lambda p: lib.Crop(4, "reflect", p=p),
            "crop-edge": lambda p: lib.Crop(4, "edge", p=p),
            "flip": lambda p: lib.Flip(p=p),
            "flip-vertical": lambda p: lib.Flip("vertical", p=p),
            "translate": lambda p: lib.Translate(0.3, p=p),
            "rotate": lambda p: lib.Rotate(40, p=p),
            "scale": lambda p: lib.Scale(0.6, 1.7, p=p),
            "resized": lambda p: lib.RandomResizedCrop((0.2, 0.9), p=p),
            "jitter": lambda p: lib.ColorJitter(0.4, 0.4, 0.4, 0.2, p=p),
            "noise": lambda p: lib.GaussianNoise(20, p=p),
            "blur": lambda p: lib.GaussianBlur(5, (0.5, 2.0), p=p),
            "erase": lambda p: lib.Erase(p=p),
            "erase-0": lambda p: lib.Erase(fill=0, p=p),
            "cutout": lambda p: lib.Cutout(7, p=p),
            "rand": lambda p: lib.RandAugment(3, 20, p=p),
        },
        "floats": {
            "rotate": lambda p: lib.Rotate(40, p=p),
            "jitter": lambda p: lib.ColorJitter(0.4, 0.4, 0.4, 0.2, p=p),
            "noise": lambda p: lib.GaussianNoise(0.2, p=p),
            "blur": lambda p: lib.GaussianBlur(5, (0.5, 2.0), p=p),
            "erase": lambda p: lib.Erase(p=p),
            "mixup": lambda p: lib.MixUp(1.0, p=p),
            "cutmix": lambda p: lib.CutMix(1.0, p=p),
        },
        "boxes": {
            "crop": lambda p: lib.Crop(4, p=p),
            "rotate": lambda p: lib.Rotate(40, p=p),
            "rand": lambda p: lib.RandAugment(3, 20, p=p),
        },
        "waves": {
            "shift": lambda p: lib.TimeShift(0.9, p=p),
            "shift-round": lambda p: lib.TimeShift(0.9, "circular", p=p),
            "gain": lambda p: lib.Gain((-9, -1), p=p),
            "noise": lambda p: lib.AddNoise((0, 20), p=p),
            "cutmix": lambda p: lib.CutMix(1.0, p=p),
        },
        "spectrograms": {
            "mask": lambda p: lib.SpecAugment(2, 8, 2, 6, p=p),
            "mixup": lambda p: lib.MixUp(1.0, p=p),
            "cutmix": lambda p: lib.CutMix(1.0, p=p),
        },
        "tokens": {
            "dropout": lambda p: lib.TokenDropout(0.4, p=p),
            "swap": lambda p: lib.TokenSwap(0.5, p=p),
            "cutmix": lambda p: lib.CutMix(1.0, p=p),
        },
        "table": {
            "noise": lambda p: lib.TableNoise(0.3, p=p),
            "swap": lambda p: lib.SwapNoise(0.5, p=p),
            "mixup": lambda p: lib.MixUp(1.0, p=p),
        },
    }.items()
    for name, op in ops.items()
]
each_op = pytest.mark.parametrize(("kind", "op"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])


@each_op
def test_a_sample_s_augmentation_does_not_depend_on_the_rest_of_its_batch(
    kind: str, op: Callable[[float], Augmentation]
) -> None:
    whole = _rows(_apply(_batch(kind), op(0.8)))
    for rows in ([3], [17, 4], list(range(COUNT - 1, -1, -1)), list(range(9, 26)), [5, 5, 0]):
        assert all(
            _same(part, whole[row]) for part, row in zip(_rows(_apply(_batch(kind, rows), op(0.8))), rows, strict=True)
        )


@each_op
def test_another_seed_epoch_or_position_gives_another_augmentation(
    kind: str, op: Callable[[float], Augmentation]
) -> None:
    first, again = (_rows(_apply(_batch(kind), op(0.5))) for _ in range(2))
    assert all(map(_same, first, again))
    other = lib.Gain(p=0)
    for changed in (
        _apply(_batch(kind), op(0.5), seed=SEED + 1),
        _apply(_batch(kind), op(0.5), epoch=EPOCH + 1),
        _apply(_batch(kind), other, op(0.5)),
    ):
        assert sum(map(_same, first, _rows(changed))) < 0.7 * COUNT


@each_op
def test_the_ratio_p_is_the_share_of_samples_that_change(kind: str, op: Callable[[float], Augmentation]) -> None:
    batch = _batch(kind)
    copy = _batch(kind)
    for p, least, most in ((0.0, 0, 0), (0.5, 0.15, 0.75), (1.0, 0.4, 1)):
        changed = _apply(batch, op(p))
        kept = sum(
            torch.equal(new[0][..., : old[0].shape[-1]].double(), old[0].double()) and new[0].shape == old[0].shape
            for new, old in zip(_rows(changed), _rows(batch), strict=True)
        )
        assert least * COUNT <= COUNT - kept <= most * COUNT
        assert changed.partner is None
    assert all(map(_same, _rows(batch), _rows(copy))), "the given batch was written to"
    for one, other in zip(batch, _apply(batch, op(0.0)), strict=True):
        assert one is batch.partner or one is other


@each_op
def test_unchosen_samples_come_back_bit_for_bit(kind: str, op: Callable[[float], Augmentation]) -> None:
    batch = _batch(kind)
    assert batch.key is not None
    chosen = Draw(batch.key, SEED, EPOCH, 0).chosen(0.5)
    assert 0.3 < chosen.double().mean() < 0.7
    for is_chosen, old, new in zip(chosen, _rows(batch), _rows(_apply(batch, op(0.5))), strict=True):
        if not is_chosen:
            assert torch.equal(old[0].to(new[0].dtype), new[0])
            one_hot = new[1].is_floating_point() and not old[1].is_floating_point()
            assert torch.equal(torch.eye(7)[old[1]] if one_hot else old[1], new[1])


def test_every_public_op_is_covered_above() -> None:
    ops = {name for name in lib.__all__ if name not in ("Augmentation", "Context", "Draw", "Of", "augment")}
    assert {type(op(1.0)).__name__ for _, _, op in CASES} == ops - {"Shrink"}  # draws nothing: test_size.py


def test_a_partner_is_augmented_by_its_own_key_until_it_is_mixed_in() -> None:
    alone = _apply(_batch("images", partner=False), lib.Crop(4), lib.Flip())
    seen = augment(_batch("images"), [lib.Crop(4), lib.Flip(), lib.MixUp()], "raw", SEED, EPOCH, CONTEXT).partner
    assert seen is not None
    assert torch.equal(seen.x, alone.x[PARTNER])


def test_swap_noise_leaves_the_partner_to_mixup_and_alone_leaves_none() -> None:
    assert _apply(_batch("table"), lib.SwapNoise()).partner is None
    y = _apply(_batch("table"), lib.SwapNoise(), lib.MixUp(1.0)).y
    assert isinstance(y, Tensor)
    assert y.shape == (COUNT, 7)
    with pytest.raises(UserError, match=r"CutMix .number 2 .*no other left"):
        _apply(_batch("table"), lib.MixUp(), lib.CutMix())


# Whole-pixel moves


@pytest.mark.parametrize(("mode", "numpy_mode"), [("zero", "constant"), ("reflect", "reflect"), ("edge", "edge")])
@pytest.mark.parametrize("kind", ["images", "floats"])
def test_crop_is_a_slice_of_the_padded_image(kind: str, mode: Any, numpy_mode: Any) -> None:
    batch, op = _batch(kind), lib.Crop(5, mode)
    padded = np.pad(batch.x.numpy(), ((0, 0), (0, 0), (5, 5), (5, 5)), mode=numpy_mode)
    offsets = _draw(batch, op).integers(11, 2).tolist()
    expected = [padded[n, :, i : i + SIDE, j : j + SIDE] for n, (i, j) in enumerate(offsets)]
    assert np.array_equal(_apply(batch, op).x.numpy(), np.stack(expected))
    assert len({tuple(offset) for offset in offsets}) > COUNT / 2


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 2), ("vertical", 1)])
def test_flip_is_numpy_s_flip_of_half_the_images(direction: Any, axis: int) -> None:
    batch = _batch("images")
    flipped = [
        (np.array_equal(new, np.flip(old, axis)), np.array_equal(new, old))
        for new, old in zip(_apply(batch, lib.Flip(direction)).x.numpy(), batch.x.numpy(), strict=True)
    ]
    assert all(a != b for a, b in flipped)
    assert 0.25 * COUNT < sum(a for a, _ in flipped) < 0.75 * COUNT


def test_whole_pixel_ops_hold_for_images_that_are_not_square() -> None:
    x = torch.arange(2 * 3 * 5 * 8, dtype=torch.uint8).reshape(2, 3, 5, 8)
    batch = Batch(x, None, torch.arange(2), KEY[:2])
    op = lib.Translate(0.5)
    draw = _draw(batch, op)
    down, right = draw.integers(5)[:, 0] - 2, draw.integers(9)[:, 0] - 4
    moved = _apply(batch, op).x
    for i in range(2):
        for y in range(5):
            for xx in range(8):
                a, b = y - int(down[i]), xx - int(right[i])
                expected = x[i, :, a, b] if 0 <= a < 5 and 0 <= b < 8 else torch.zeros(3, dtype=torch.uint8)
                assert torch.equal(moved[i, :, y, xx], expected)


# Affine ops and boxes


class _Fixed(Draw):
    """A draw in which every uniform number is the same."""

    value = 0.0

    def uniform(self, n: int = 1) -> Tensor:
        return torch.full_like(super().uniform(n), self.value)


@pytest.mark.parametrize(("value", "turns"), [(1.0, 1), (0.0, -1)])
def test_rotation_by_90_degrees_is_numpy_s_rot90(value: float, turns: int) -> None:
    batch = _batch("images", [0, 1, 2])
    draw = _Fixed(KEY[:3], 0, 0, 0)
    draw.value = value
    rotated = lib.Rotate(90).apply(batch, draw, CONTEXT).x
    assert np.array_equal(rotated.numpy(), np.rot90(batch.x.numpy(), turns, axes=(2, 3)))


def test_resized_crop_of_half_the_sides_doubles_each_pixel_s_size() -> None:
    batch = _batch("floats", [0, 1])
    draw = _Fixed(KEY[:2], 0, 0, 0)  # area 1/4, ratio 1, at the top left corner
    grown = lib.RandomResizedCrop((0.25, 1), (1, 1)).apply(batch, draw, CONTEXT).x
    part = batch.x[:, :, : SIDE // 2 + 1, : SIDE // 2 + 1]
    expected = torch.nn.functional.interpolate(part, scale_factor=2, mode="bilinear")[..., :SIDE, :SIDE]
    torch.testing.assert_close(grown, expected, rtol=0, atol=1e-5)


MOVERS: list[Augmentation] = [
    lib.Crop(12),
    lib.Translate(0.3),
    lib.Flip(p=1),
    lib.Flip("vertical", p=1),
    lib.Rotate(90),
    lib.Scale(0.5, 2),
    lib.RandomResizedCrop((0.2, 1), (0.5, 2)),
    lib.RandAugment(2, 20),
]


@pytest.mark.parametrize("op", MOVERS, ids=lambda op: type(op).__name__)
def test_boxes_move_with_their_images(op: Augmentation) -> None:
    rng = np.random.default_rng(4)
    height, width, n = 48, 64, 60
    x = torch.zeros(n, 3, height, width, dtype=torch.uint8)
    low = np.stack([rng.integers(0, width - 24, n), rng.integers(0, height - 24, n)], 1)
    corners = np.concatenate([low, low + rng.integers(10, 24, (n, 2))], 1)
    for i, (x1, y1, x2, y2) in enumerate(corners):
        x[i, :, y1:y2, x1:x2] = 200
    boxes = torch.zeros(n, 2, 4)
    boxes[:, 0] = torch.from_numpy(corners)
    y = Boxes(boxes, torch.tensor([3, -1]).repeat(n, 1))
    key = torch.from_numpy(rng.integers(-(2**62), 2**62, n))
    if isinstance(op, RandAugment):  # kinds that change the colours of the ground would hide what moved
        moved = Batch(x, y, torch.arange(n), key)
        kind = torch.tensor([OPS.index(name) for name in ("rotate", "shear_x", "shear_y", "translate_x")])
        moved = op.once(moved, kind[torch.arange(n) % 4], torch.where(torch.arange(n) % 8 < 4, 0.7, -0.7))
    else:
        moved = _apply(Batch(x, y, torch.arange(n), key), op)
    assert isinstance(moved.y, Boxes)
    assert torch.equal(moved.y.boxes[:, 1], torch.zeros(n, 4)), "padding moved"
    assert (moved.y.labels[:, 1] == -1).all()
    kept = 0
    for image, box, label in zip(moved.x[:, 0].numpy(), moved.y.boxes[:, 0].numpy(), moved.y.labels[:, 0], strict=True):
        if label == -1:
            assert not box.any()
            continue
        turned = isinstance(op, lib.Rotate | RandAugment)
        if turned and (0 in box or box[2] == width or box[3] == height):
            continue  # the corner that gave the rectangle its width or height may lie outside
        kept += 1
        rows, columns = np.nonzero(image > (20 if turned else 100))  # a turned rectangle's corner is a faint point
        painted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(box, painted, atol=1.0)
    assert kept > n / 4


def test_boxes_of_which_under_a_fifth_is_left_become_padding() -> None:
    width, n = 40, 200
    x = torch.zeros(n, 1, width, width, dtype=torch.uint8)
    y = Boxes(torch.tensor([[[0.0, 10, 20, 20]]]).repeat(n, 1, 1), torch.full((n, 1), 2))
    batch = Batch(x, y, torch.arange(n), torch.arange(n))
    op = lib.Translate(0.5)
    draw = _draw(batch, op)
    down, right = draw.integers(41)[:, 0] - 20, draw.integers(41)[:, 0] - 20
    moved = _apply(batch, op).y
    assert isinstance(moved, Boxes)
    left = (20 + right).clamp(0, 20) * ((20 + down).clamp(0, 40) - (10 + down).clamp(0, 40)) / 200
    assert torch.equal(moved.labels[:, 0] == 2, left >= 0.2)
    assert 0 < (left < 0.2).sum() < n


# Colours, noise, holes


@pytest.mark.parametrize(
    ("name", "argument", "adjust"),
    [
        ("brightness", 0.6, functional.adjust_brightness),
        ("contrast", 0.6, functional.adjust_contrast),
        ("saturation", 0.6, functional.adjust_saturation),
        ("hue", 0.5, functional.adjust_hue),
    ],
)
def test_colours_are_torchvision_s_at_the_drawn_factors(
    name: str, argument: float, adjust: Callable[[Tensor, float], Tensor]
) -> None:
    batch, op = _batch("images"), lib.ColorJitter(**{name: argument})
    factors = _draw(batch, op).uniform(4)[:, ["brightness", "contrast", "saturation", "hue"].index(name)].tolist()
    low, high = (-0.5, 0.5) if name == "hue" else (0.4, 1.6)
    images = torch.cat([batch.x[:, :, :-1], batch.x[:, :1, -1:].expand(-1, 3, -1, -1)], dim=2)  # a last row of greys
    expected = [adjust(image / 255, low + (high - low) * factor) for image, factor in zip(images, factors, strict=True)]
    got = _apply(batch._replace(x=images), op).x
    assert got.dtype == torch.float32
    torch.testing.assert_close(got / 255, torch.stack(expected), rtol=0, atol=2e-5)


def test_colours_of_floating_point_images_are_not_clamped() -> None:
    batch = _batch("floats")
    assert _apply(batch, lib.ColorJitter(brightness=0.9)).x.max() > 1.3 * batch.x.max()
    assert _apply(_batch("images"), lib.ColorJitter(0.9, 0.9, 0.9, 0.3), lib.Flip()).x.max() <= 255


@pytest.mark.parametrize("place", range(len(OPS)), ids=OPS)
def test_randaugment_s_colour_ops_are_torchvision_s(place: int) -> None:
    batch, name = _batch("images", range(6)), OPS[place]
    signed = torch.tensor([0.6, -0.6] * 3)
    got = RandAugment(1, 18).once(batch, torch.full((6,), place), signed).x
    adjust: dict[str, Callable[[Tensor, float], Tensor]] = {
        "identity": lambda x, s: x,
        "autocontrast": lambda x, s: functional.autocontrast(x),
        "equalize": lambda x, s: functional.equalize(x),
        "solarize": lambda x, s: functional.solarize(x, 102.0),
        "posterize": lambda x, s: functional.posterize(x, 6),
        "color": lambda x, s: functional.adjust_saturation(x, 1 + 0.9 * s),
        "contrast": lambda x, s: functional.adjust_contrast(x, 1 + 0.9 * s),
        "brightness": lambda x, s: functional.adjust_brightness(x, 1 + 0.9 * s),
        "sharpness": lambda x, s: functional.adjust_sharpness(x, 1 + 0.9 * s),
        "rotate": lambda x, s: functional.rotate(x, 30 * s, functional.InterpolationMode.BILINEAR),
        "translate_x": lambda x, s: functional.affine(x, 0, [round(150 / 331 * SIDE * s), 0], 1, [0, 0]),
        "translate_y": lambda x, s: functional.affine(x, 0, [0, round(150 / 331 * SIDE * s)], 1, [0, 0]),
    }
    if name in adjust:
        expected = torch.stack([adjust[name](x, float(s)) for x, s in zip(batch.x, signed, strict=True)])
        assert (
            got.int() - expected.int()
        ).abs().max() <= 2  # torchvision truncates, grey and result, where this rounds
    else:
        assert got.shape == batch.x.shape
        assert not torch.equal(got, batch.x)


def test_blur_is_torchvision_s_at_the_drawn_widths() -> None:
    batch, op = _batch("floats"), lib.GaussianBlur(5, (0.5, 2.0))
    sigmas = (0.5 + 1.5 * _draw(batch, op).uniform()[:, 0]).tolist()
    expected = [functional.gaussian_blur(x, [5, 5], [sigma, sigma]) for x, sigma in zip(batch.x, sigmas, strict=True)]
    torch.testing.assert_close(_apply(batch, op).x, torch.stack(expected), rtol=0, atol=1e-5)


def test_gaussian_noise_has_the_given_deviation() -> None:
    batch = _batch("floats")
    noise = (_apply(batch, lib.GaussianNoise(0.3)).x - batch.x).flatten().numpy()
    assert stats.kstest(noise[:20000] / 0.3, "norm").pvalue > 1e-3
    assert _apply(_batch("images"), lib.GaussianNoise(90)).x.max() == 255


def test_erase_replaces_one_rectangle_within_its_range_of_areas() -> None:
    x = torch.full((300, 3, 32, 32), 9, dtype=torch.uint8)
    out = _apply(Batch(x, None, torch.arange(300), torch.arange(300)), lib.Erase((0.1, 0.3), (0.5, 2), 200, p=1)).x
    areas = []
    for image in out.numpy():
        assert set(np.unique(image)) == {9, 200}
        rows, columns = np.nonzero(image[0] == 200)
        h, w = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == h * w, "not a rectangle"
        assert (image == image[0]).all(), "channels differ"
        assert 0.5 * 0.85 <= w / h <= 2 / 0.85
        areas.append(h * w / 1024)
    assert 0.09 < min(areas) < 0.12
    assert 0.28 < max(areas) < 0.32


def test_erase_fills_with_random_pixels() -> None:
    x = torch.full((200, 3, 32, 32), 7, dtype=torch.uint8)
    out = _apply(Batch(x, None, torch.arange(200), torch.arange(200)), lib.Erase(p=1)).x
    counts = torch.bincount(out[out != 7].long(), minlength=256).double().numpy()
    assert stats.chisquare(np.delete(counts, 7)).pvalue > 1e-3


def test_cutout_hides_a_square_that_may_reach_past_the_edge() -> None:
    x = torch.full((400, 1, 20, 20), 5, dtype=torch.uint8)
    out = _apply(Batch(x, None, torch.arange(400), torch.arange(400)), lib.Cutout(6)).x
    hidden = (out == 0).flatten(1).sum(1)
    assert hidden.max() == 36
    assert 9 <= hidden.min() < 36
    assert 0.4 < (hidden == 36).double().mean() < 0.7  # of 20 by 20 places, 15 by 15 keep it inside


# Mixing


def test_mixup_mixes_inputs_and_classes_in_the_same_shares() -> None:
    batch = _batch("floats")
    assert batch.partner is not None
    mixed = _apply(batch, lib.MixUp(1.0))
    x, other = batch.x.double(), batch.partner.x.double()
    difference = x - other
    share = (((mixed.x - other) * difference).flatten(1).sum(1) / (difference**2).flatten(1).sum(1)).nan_to_num(1)
    expected = share[:, None] * torch.eye(7)[batch.y] + (1 - share[:, None]) * torch.eye(7)[batch.partner.y]
    assert isinstance(mixed.y, Tensor)
    assert mixed.y.dtype == torch.float32
    torch.testing.assert_close(mixed.y.double(), expected.double(), rtol=0, atol=1e-5)
    assert stats.kstest(share[torch.arange(COUNT) != PARTNER].numpy(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("shape", [(3, 16, 20), (50,), (50, 4)])
def test_cutmix_targets_are_the_shares_of_pixels(shape: tuple[int, ...]) -> None:
    x, n = torch.zeros(200, *shape), 200
    partner = Batch(x + 1, torch.full((n,), 2), torch.arange(n), torch.arange(n) + n)
    batch = Batch(x, torch.full((n,), 5), torch.arange(n), torch.arange(n), partner=partner)
    mixed = _apply(batch, lib.CutMix())
    share = mixed.x.flatten(1).mean(1)
    assert isinstance(mixed.y, Tensor)
    torch.testing.assert_close(mixed.y[:, 2], share, rtol=0, atol=1e-5)
    torch.testing.assert_close(mixed.y[:, 5], 1 - share, rtol=0, atol=1e-5)
    assert share.std() > 0.15
    values = _apply(
        batch._replace(y=torch.zeros(n), partner=partner._replace(y=torch.ones(n))),
        lib.CutMix(),
        context=Context(num_classes=0),
    ).y
    assert isinstance(values, Tensor)
    torch.testing.assert_close(values, share, rtol=0, atol=1e-5)


def test_mixing_pads_the_shorter_and_keeps_the_longer_length() -> None:
    partner = Batch(torch.ones(2, 9), torch.tensor([1, 1]), torch.arange(2), KEY[2:4], torch.tensor([9, 4]))
    batch = Batch(torch.ones(2, 6), torch.tensor([0, 0]), torch.arange(2), KEY[:2], torch.tensor([5, 6]), partner)
    for op in (lib.MixUp(1.0), lib.CutMix()):
        mixed = _apply(batch, op)
        assert mixed.x.shape == (2, 9)
        assert mixed.lengths is not None
        assert mixed.lengths.tolist() == [9, 6]


@pytest.mark.parametrize("op", [lib.MixUp(), lib.CutMix()])
def test_boxes_cannot_be_mixed(op: Augmentation) -> None:
    batch = _batch("boxes")
    assert batch.partner is not None
    floats = batch._replace(x=batch.x.float(), partner=batch.partner._replace(x=batch.partner.x.float()))
    with pytest.raises(UserError, match=f"{type(op).__name__} .*boxes"):
        _apply(floats, op)


# Sound, text, tables


@pytest.mark.parametrize("mode", ["circular", "zero"])
def test_time_shift_moves_within_the_true_length(mode: Any) -> None:
    batch, op = _batch("waves"), lib.TimeShift(0.5, mode)
    assert batch.lengths is not None
    most = batch.lengths // 2
    shifts = _draw(batch, op).integers(2 * most + 1)[:, 0] - most
    for new, old, length, shift in zip(
        _apply(batch, op).x.numpy(), batch.x.numpy(), batch.lengths.tolist(), shifts.tolist(), strict=True
    ):
        expected = np.roll(old[:length], shift)
        if mode == "zero" and shift:
            expected[slice(0, shift) if shift > 0 else slice(shift, None)] = 0
        assert np.array_equal(new[:length], expected)
        assert not new[length:].any()


def test_gain_is_in_decibels_and_clips_whole_numbers() -> None:
    batch, op = _batch("waves"), lib.Gain((-12.0, 12.0))
    db = -12 + 24 * _draw(batch, op).uniform().double()
    expected = (batch.x * 10 ** (db / 20)).clamp(-(2**15), 2**15 - 1)
    torch.testing.assert_close(_apply(batch, op).x.double(), expected, rtol=1e-5, atol=0)


def test_noise_has_the_drawn_ratio_to_the_signal() -> None:
    x = torch.sin(torch.arange(20000) / 7).repeat(20, 1) * 3
    lengths = torch.full((20,), 15000)
    x[:, 15000:] = 0
    batch, op = Batch(x, None, torch.arange(20), torch.arange(20), lengths), lib.AddNoise((0, 20))
    noise = _apply(batch, op).x - x
    assert not noise[:, 15000:].any()
    snr = 10 * torch.log10((x**2).sum(1) / (noise**2).sum(1))
    torch.testing.assert_close(snr, 20 * _draw(batch, op).uniform()[:, 0], rtol=0, atol=0.3)


def test_spectrogram_masks_stay_within_bounds_and_length() -> None:
    n, m, t = 400, 20, 50
    lengths = torch.from_numpy(np.random.default_rng(0).integers(3, t, n))
    batch = Batch(torch.ones(n, 1, m, t), None, torch.arange(n), torch.arange(n), lengths)
    times, bands = (
        _apply(batch, op).x[:, 0] == 0 for op in (lib.SpecAugment(1, 15, 0, 0), lib.SpecAugment(0, 0, 1, 8))
    )
    for hidden, length in zip(times, lengths.tolist(), strict=True):
        columns = hidden.all(0).nonzero()[:, 0]
        assert int(hidden.sum()) == m * len(columns), "a mask of time covers all rows"
        if len(columns):
            assert int(columns[-1]) < length
            assert int(columns[-1] - columns[0]) + 1 == len(columns) <= min(15, length)
    heights = bands.all(2).sum(1)
    assert set(heights.tolist()) == set(range(9))
    assert stats.chisquare(torch.bincount(heights).numpy()).pvalue > 1e-3


def test_token_dropout_replaces_the_given_share_of_true_tokens() -> None:
    batch = _batch("tokens")
    new = _apply(batch, lib.TokenDropout(0.3)).x
    assert torch.equal(new == 0, batch.x == 0)
    changed = new != batch.x
    assert (new[changed] == 1).all()
    assert stats.binomtest(int(changed.sum()), int((batch.x != 0).sum()), 0.3).pvalue > 1e-3


def test_token_swap_swaps_neighbours_within_the_length() -> None:
    batch = _batch("tokens")
    new = _apply(batch, lib.TokenSwap(0.5)).x
    moved = 0
    for before, after in zip(batch.x.tolist(), new.tolist(), strict=True):
        i = 0
        while i < len(before):
            if before[i] != after[i]:
                assert before[i : i + 2] == after[i : i + 2][::-1]
                moved += 2
                i += 1
            i += 1
        assert [token == 0 for token in before] == [token == 0 for token in after]
    assert 0.35 < moved / int((batch.x != 0).sum()) < 0.55


@pytest.mark.parametrize(("numeric", "noisy"), [(4, 4), (0, 0), (None, 6)])
def test_table_noise_is_on_continuous_columns_only(numeric: int | None, noisy: int) -> None:
    batch = _batch("table")
    change = _apply(batch, lib.TableNoise(0.2), context=Context(7, numeric)).x - batch.x
    assert (change[:, :noisy] != 0).all()
    assert (change[:, noisy:] == 0).all()
    if noisy == 6:
        assert stats.kstest(change.flatten().numpy() / 0.2, "norm").pvalue > 1e-3


def test_swap_noise_takes_the_partner_s_value_of_the_same_column() -> None:
    batch = _batch("table")
    assert batch.partner is not None
    swapped = _apply(batch, lib.SwapNoise(0.3))
    assert ((swapped.x == batch.x) | (swapped.x == batch.partner.x)).all()
    assert stats.binomtest(int((swapped.x != batch.x).sum()), batch.x.numel(), 0.3).pvalue > 1e-3
    assert swapped.y is batch.y


# Random numbers


def _flat(draw: Callable[[Draw], Tensor], key: Tensor, **changes: int) -> np.ndarray[Any, Any]:
    return draw(Draw(key, **{"seed": 0, "epoch": 0, "op": 0, **changes})).double().numpy()


def test_uniform_numbers_are_uniform_along_keys_and_along_lanes() -> None:
    for key, lanes in ((torch.arange(100_000), 1), (torch.tensor([0]), 100_000), (KEY, 2500)):
        u = _flat(lambda draw, n=lanes: draw.uniform(n), key).ravel()  # type: ignore[misc]
        assert u.min() >= 0
        assert u.max() < 1
        assert stats.kstest(u, "uniform").pvalue > 1e-3
        assert stats.chisquare(np.bincount((u * 256).astype(int), minlength=256)).pvalue > 1e-3


def test_numbers_of_other_lanes_keys_epochs_seeds_and_ops_are_uncorrelated() -> None:
    key = torch.arange(100_000)
    base = _flat(lambda draw: draw.uniform(2), key)
    columns = [base[:, 0], base[:, 1], np.roll(base[:, 0], 1)]
    columns += [_flat(lambda draw: draw.uniform()[:, 0], key, **{name: 1}) for name in ("seed", "epoch", "op")]
    columns += [_flat(lambda draw: draw.uniform()[:, 0], key, seed=-1), _flat(lambda d: d.uniform()[:, 0], key ^ 2**40)]
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 5 / np.sqrt(len(key))


def test_normal_numbers_have_the_normal_s_moments() -> None:
    z = _flat(lambda draw: draw.normal((10,)), torch.arange(20_000))
    assert z.shape == (20_000, 10)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    moments = [abs(np.mean(z**power) - value) for power, value in ((1, 0), (2, 1), (3, 0), (4, 3))]
    assert np.all(np.array(moments) < [0.01, 0.02, 0.04, 0.12])
    assert np.abs(np.corrcoef(z.T) - np.eye(10)).max() < 0.035


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 4.0, 30.0])
def test_beta_numbers_follow_the_beta_distribution(alpha: float) -> None:
    b = _flat(lambda draw: draw.beta(alpha), torch.arange(50_000))
    assert b.min() >= 0
    assert b.max() <= 1
    for x in (1e-5, 1e-3, 0.02, 0.1, 0.3, 0.45, 0.5, 0.6, 0.8, 0.95, 0.999, 1 - 1e-5):
        share = stats.beta(alpha, alpha).cdf(x)
        assert abs((b <= x).mean() - share) < 5 * np.sqrt(share * (1 - share) / len(b)) + 1e-4
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(b.mean() - 0.5) < 5 * np.sqrt(variance / len(b))
    assert abs(b.var() / variance - 1) < 0.03


def test_integers_are_uniform_below_each_sample_s_limit() -> None:
    high = torch.arange(100_000) % 7 + 1
    i = Draw(torch.arange(100_000), 0, 0, 0).integers(high)[:, 0]
    for limit in range(2, 8):
        assert stats.chisquare(torch.bincount(i[high == limit], minlength=limit).numpy()).pvalue > 1e-3
    big = Draw(torch.arange(1000), 0, 0, 0).integers(2**32 - 1, 5)
    assert big.min() >= 0
    assert big.max() < 2**32 - 1
    assert stats.kstest(big.flatten().numpy() / 2**32, "uniform").pvalue > 1e-3


def test_chosen_has_the_given_ratio() -> None:
    draw = Draw(torch.arange(100_000), 0, 0, 0)
    for p in (0.0, 0.1, 0.5, 1.0):
        assert abs(draw.chosen(p).double().mean() - p) < 5 * np.sqrt(p * (1 - p) / 1e5) + 1e-12


def test_the_first_numbers_of_a_call_do_not_depend_on_how_many_it_asks_for() -> None:
    for draw in (Draw.uniform, lambda d, n: d.integers(9, n), lambda d, n: d.normal((n,))):
        one, other = (draw(Draw(KEY, 1, 1, 1), n) for n in (7, 30))
        assert torch.equal(one, other[:, :7])


def test_numbers_are_these_on_every_machine() -> None:
    def mix(z: int) -> int:  # splitmix64 in Python's own integers
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    step = 0x9E3779B97F4A7C15
    common = 0
    for part in (11, 3, 2):
        common = mix((common + part + step) % 2**64)
    state = mix(mix((-77 + step) % 2**64) ^ common)
    expected = [mix((state + (lane + 1) * step) % 2**64) >> 40 for lane in range(5)]
    assert (Draw(torch.tensor([-77]), 11, 3, 2).uniform(5)[0] * 2**24).long().tolist() == expected


# Mistakes


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: lib.Flip(p=1.5), "p"),
        (lambda: lib.MixUp(p=float("nan")), "p"),
        (lambda: lib.Crop(-1), "padding"),
        (lambda: lib.Crop(1, "wrap"), "mode"),  # type: ignore[arg-type]
        (lambda: lib.Flip("diagonal"), "direction"),  # type: ignore[arg-type]
        (lambda: lib.Translate(2), "fraction"),
        (lambda: lib.Rotate(-3), "degrees"),
        (lambda: lib.Scale(0), "low"),
        (lambda: lib.Scale(1, 0.5), "high"),
        (lambda: lib.RandomResizedCrop((0.5, 1.5)), "scale"),
        (lambda: lib.RandomResizedCrop(ratio=(2, 1)), "ratio"),
        (lambda: lib.ColorJitter(contrast=-1), "contrast"),
        (lambda: lib.ColorJitter(hue=0.6), "hue"),
        (lambda: lib.GaussianNoise(-1), "std"),
        (lambda: lib.GaussianBlur(4), "kernel_size"),
        (lambda: lib.GaussianBlur(5, (0, 1)), "sigma"),
        (lambda: lib.Erase((0.5, 0.1)), "area"),
        (lambda: lib.Erase(ratio=(0, 1)), "ratio"),
        (lambda: lib.Erase(fill="white"), "fill"),  # type: ignore[arg-type]
        (lambda: lib.Cutout(0), "size"),
        (lambda: lib.RandAugment(0), "num_ops"),
        (lambda: lib.RandAugment(magnitude=31), "magnitude"),
        (lambda: lib.MixUp(0), "alpha"),
        (lambda: lib.CutMix(-1), "alpha"),
        (lambda: lib.TimeShift(-0.1), "fraction"),
        (lambda: lib.TimeShift(0.1, "wrap"), "mode"),  # type: ignore[arg-type]
        (lambda: lib.Gain((3, -3)), "db"),
        (lambda: lib.AddNoise((3, -3)), "snr_db"),
        (lambda: lib.SpecAugment(time_masks=-1), "time_masks"),
        (lambda: lib.TokenDropout(2), "ratio"),
        (lambda: lib.TokenSwap(-1), "ratio"),
        (lambda: lib.TableNoise(-1), "std"),
        (lambda: lib.SwapNoise(1.1), "ratio"),
    ],
)
def test_a_bad_argument_is_named(make: Callable[[], Augmentation], argument: str) -> None:
    with pytest.raises(UserError, match=rf"^[A-Z]\w+: `{argument}` must be "):
        make()


@pytest.mark.parametrize(
    ("op", "kind", "message"),
    [
        (lib.Crop(), "table", r"Crop needs inputs of shape \(B, C, H, W\), .* float32 of shape \(40, 6\)"),
        (lib.Crop(16, "reflect"), "images", "Crop: `padding` 16 is too much"),
        (lib.GaussianBlur(35), "images", "GaussianBlur: `kernel_size` 35 is too large"),
        (lib.RandAugment(), "floats", "RandAugment needs uint8 images"),
        (lib.TokenSwap(), "table", "TokenSwap needs integer inputs"),
        (lib.TableNoise(), "tokens", "TableNoise needs floating-point inputs"),
        (lib.MixUp(), "tokens", "MixUp needs inputs of floating-point numbers"),
    ],
)
def test_an_op_refuses_data_that_it_does_not_fit(op: Augmentation, kind: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        _apply(_batch(kind), op)
