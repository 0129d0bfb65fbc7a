"""Claims about the audit of several inputs, and of targets that are no single value: each check is made in each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import KFold

from lightning_base.auditing.audit import audit
from lightning_base.auditing.coverage import coverage, told
from lightning_base.auditing.pictures import draw_samples, pick
from lightning_base.auditing.report import Leak
from lightning_base.auditing.suspicions.look import looked_for
from lightning_base.augment import Flip, Of, TableNoise
from lightning_base.data import BaseDataModule, Batch, Feature, Part, Samples, Several, Source, Targets
from lightning_base.errors import DataError, NoSourceError
from lightning_base.preprocess import Preprocess, Standardize, TablePreprocess
from lightning_base.preprocess import Several as SeveralPreprocess
from tests.support.lookalikes import Pixels, encoded

pytestmark = pytest.mark.usefixtures("cache")
N = 240
Array = npt.NDArray[Any]
Change = Callable[[dict[str, Array]], None]


@dataclass(kw_only=True, eq=False)
class Two(BaseDataModule):
    """An image and a table, of which a test has changed some."""

    read: dict[str, Samples]
    table: type[TablePreprocess] = TablePreprocess
    image: type[Standardize] = Standardize

    def dataset(self, source: Source) -> Samples:
        if source not in self.read:
            raise NoSourceError("no such source")
        return self.read[source]

    def make_preprocess(self) -> Preprocess:
        return SeveralPreprocess({"image": self.image(), "table": self.table()})


def arrays(tiles: Pixels) -> dict[str, Array]:
    """Images of 32 pixels, a table of four numbers and a category, and classes, none of which tells of another."""
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(5, 2, (N, 4)), rng.integers(0, 3, N)])
    order = rng.permutation(N)  # neighbouring tiles are of one photograph
    return {"image": tiles[:N].transpose(0, 3, 1, 2)[order].copy(), "table": table, "y": rng.integers(0, 2, N)}


def samples(given: dict[str, Array], targets: Targets | None = None, **columns: Any) -> Samples:
    features = (*map(Feature, "abcd"), Feature("town", ("Bonn", "Hof", "Ulm")))
    table = pd.DataFrame({"id": [f"{i:03d}" for i in range(N)], **columns})
    if targets is None:
        table["target"] = given["y"]
    inputs = Several({"image": given["image"], "table": Part(given["table"], features)})
    return Samples(inputs, table, () if targets else ("no", "yes"), "made", targets=targets)


def made(tiles: Pixels, change: Change | None = None, **more: Any) -> Two:
    given = arrays(tiles)
    if change is not None:
        change(given)
    return Two(read={"pool": samples(given)}, split=KFold(4), **more)


def found(data: BaseDataModule) -> list[tuple[str, str]]:
    leaks = audit(data)
    assert not any("\n" in leak.detail for leak in leaks)
    return [(leak.kind, leak.level) for leak in leaks]


def test_clean_samples_have_no_leak_and_no_suspicion(tiles: Pixels) -> None:
    assert audit(made(tiles)) == []


def tells(given: dict[str, Array]) -> None:
    given["table"][:, 1] = given["y"] + np.random.default_rng(1).normal(0, 0.01, N)


def gaps(given: dict[str, Array]) -> None:
    given["table"][(given["y"] == 1) & (np.random.default_rng(1).random(N) < 0.7), 2] = np.nan


def scaled(given: dict[str, Array]) -> None:
    given["table"] = given["table"][:, :5]
    numbers = given["table"][:, :4]
    given["table"][:, :4] = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)


def rounded(given: dict[str, Array]) -> None:
    given["table"][100] = given["table"][3]
    given["table"][100, :4] = given["table"][3, :4].round(8)


def flipped(given: dict[str, Array]) -> None:
    busy = int(np.argmax(given["image"][:40].std(axis=(1, 2, 3))))
    given["image"][100] = given["image"][busy][:, :, ::-1]


def between(given: dict[str, Array]) -> None:
    table, rng = given["table"], np.random.default_rng(2)
    ones = np.flatnonzero(given["y"] == 1)
    for row in ones[30:50]:
        first = rng.choice(ones[:25])
        near = ones[:25][np.argsort(((table[ones[:25], :4] - table[first, :4]) ** 2).sum(axis=1))[1]]
        table[row, :4] = table[first, :4] + rng.uniform(0.2, 0.8) * (table[near, :4] - table[first, :4])


def dates(given: dict[str, Array]) -> None:
    given["table"][:, 3] = 20240101 + np.arange(N) % 28


def same_image(given: dict[str, Array]) -> None:
    given["image"][100] = given["image"][3]


def near_image(given: dict[str, Array]) -> None:
    given["image"][100] = encoded(given["image"][3].transpose(1, 2, 0), 80).transpose(2, 0, 1)


def near_sample(given: dict[str, Array]) -> None:
    near_image(given)
    given["table"][100] = given["table"][3]


def copy(given: dict[str, Array]) -> None:
    same_image(given)
    given["table"][100] = given["table"][3]


PLANTED: dict[str, tuple[Change, str, str, str]] = {
    "a column that tells the target": (tells, "target", "leak", "input 'table': column 'b' alone predicts the target"),
    "gaps that tell the class": (gaps, "missing", "suspicious", "input 'table': where column 'c' is missing"),
    "rounded rows": (rounded, "changed_copy", "suspicious", "input 'table': 1 val sample with a changed copy"),
    "flipped images": (flipped, "changed_copy", "suspicious", "input 'image': 1 val sample with a changed copy"),
    "rows between others": (between, "interpolated", "suspicious", "input 'table': "),
    "dates": (dates, "undeclared_time", "suspicious", "input 'table': column 'd' of dates"),
    "an image twice": (same_image, "alike_input", "suspicious", "1 val sample has the same image as a sample of train"),
    "an image again": (near_image, "alike_input", "suspicious", "1 val sample has nearly the image of a sample of tra"),
    "nearly a copy": (near_sample, "near_duplicate", "leak", "1 pair of near duplicates between train and val"),
    "a copy": (copy, "duplicate", "leak", "1 val sample is in train too"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_what_is_planted_in_one_input_is_told_and_nothing_else(tiles: Pixels, fault: str) -> None:
    change, kind, level, said = PLANTED[fault]
    leaks = audit(made(tiles, change))
    assert [(leak.kind, leak.level) for leak in leaks] == [(kind, level)], leaks
    assert leaks[0].detail.startswith(said), leaks[0].detail
    assert "\n" not in leaks[0].detail


def test_a_table_scaled_before_the_split_is_found(tiles: Pixels) -> None:
    def change(given: dict[str, Array]) -> None:
        scaled(given)
        given["table"] = given["table"][:, :4]

    given = arrays(tiles)
    change(given)
    pool = samples({**given, "table": np.column_stack([given["table"], np.zeros(N)])})
    inputs = pool.inputs
    assert isinstance(inputs, Several)
    part = Part(given["table"], tuple(map(Feature, "abcd")))
    data = Two(read={"pool": replace(pool, inputs=Several({**inputs.parts, "table": part}))}, split=KFold(4))
    (leak,) = audit(data)
    assert (leak.kind, leak.level) == ("statistics", "leak")
    assert "made (table): inputs have mean 0 and deviation 1 over all 240 samples" in leak.detail


class EveryRow(TablePreprocess):
    """Fitted on all rows, held-out ones too."""

    def fit(self, samples: Samples, rows: Array) -> None:
        super().fit(samples, np.arange(len(samples)))


class EveryImage(Standardize):
    def fit(self, samples: Samples, rows: Array) -> None:
        super().fit(samples, np.arange(len(samples)))


@pytest.mark.parametrize("peeking", [{"table": EveryRow}, {"image": EveryImage}])
def test_preprocessing_of_one_input_that_is_fitted_on_held_out_rows_is_found(
    tiles: Pixels, peeking: dict[str, Any]
) -> None:
    (leak,) = audit(made(tiles, **peeking))
    assert (leak.kind, leak.level) == ("statistics", "leak")
    assert "Several of Two is fitted on samples outside the training role (`mean`" in leak.detail


class Scale(Preprocess):
    """The largest absolute value of targets."""

    honest = True

    def fit(self, samples: Samples, rows: Array) -> None:
        values = np.asarray(samples.inputs[rows if self.honest else np.arange(len(samples))])
        self.largest, self.fitted = float(abs(values).max()), True

    def apply(self, batch: Batch) -> Batch:
        return batch

    def state(self) -> dict[str, Any]:
        return {"largest": self.largest}

    def load(self, state: dict[str, Any]) -> None:
        self.largest, self.fitted = state["largest"], True


class Peeking(Scale):
    honest = False


@dataclass(kw_only=True, eq=False)
class Masks(BaseDataModule):
    """Images with masks, on which something is fitted."""

    read: Samples
    targets: type[Scale] = Scale

    def dataset(self, source: Source) -> Samples:
        if source != "pool":
            raise NoSourceError("no such source")
        return self.read

    def make_target_preprocess(self) -> Preprocess:
        return self.targets()


def masks(tiles: Pixels) -> Samples:
    x = tiles[:N].transpose(0, 3, 1, 2).copy()
    table = pd.DataFrame({"id": [f"{i:03d}" for i in range(N)]})
    return Samples(x, table, origin="made", targets=Targets(x[:, 0].astype(np.float32), "array"))


@pytest.mark.parametrize("normalize", ["standard", "unit"])
def test_what_is_fitted_on_held_out_targets_is_found(tiles: Pixels, normalize: Any) -> None:
    assert "statistics" not in dict(found(Masks(read=masks(tiles), normalize=normalize, split=KFold(4))))
    leaks = audit(Masks(read=masks(tiles), targets=Peeking, normalize=normalize, split=KFold(4)))
    (leak,) = [leak for leak in leaks if leak.kind == "statistics"]
    assert (
        "Peeking of Masks is fitted on samples outside the training role (`largest` changes with them)" in leak.detail
    )


def several_targets(tiles: Pixels, kind: Any, values: Array, names: tuple[str, ...], change: Change | None) -> Two:
    given = arrays(tiles)
    given["values"] = values
    if change is not None:
        change(given)
    pool = samples(given, Targets(given["values"], kind, names))
    return Two(read={"pool": pool}, split=KFold(4))


def test_a_column_that_tells_one_of_several_targets_is_found(tiles: Pixels) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, (N, 3)).astype(np.uint8)
    names = ("even", "prime", "large")
    assert audit(several_targets(tiles, "labels", labels, names, None)) == []

    def label(given: dict[str, Array]) -> None:
        given["table"][:, 1] = given["values"][:, 1] + rng.normal(0, 0.01, N)

    (leak,) = audit(several_targets(tiles, "labels", labels, names, label))
    assert leak.kind == "target"
    assert leak.detail.startswith("input 'table': column 'b' alone predicts target 'prime' (balanced accuracy 1.0000")
    values = rng.normal(size=(N, 2))

    def value(given: dict[str, Array]) -> None:
        given["table"][:, 0] = 3 * given["values"][:, 1] - 1

    (leak,) = audit(several_targets(tiles, "values", values, ("x", "y"), value))
    assert leak.detail.startswith("input 'table': column 'a' alone predicts target 'y' (R² ")


def test_a_label_that_a_side_lacks_is_told(tiles: Pixels) -> None:
    labels = np.random.default_rng(3).integers(0, 2, (N, 3)).astype(np.uint8)
    labels[30:, 2] = 0
    leaks = audit(several_targets(tiles, "labels", labels, ("even", "prime", "large"), None))
    (leak,) = leaks
    assert leak.kind == "class"
    assert leak.detail.startswith("no 'large' in train in 4 of 4 folds") or "no 'large' in" in leak.detail


def test_a_copy_with_another_mask_is_told_so(tiles: Pixels) -> None:
    read = masks(tiles)
    x, y = np.array(read.inputs), np.array(x_targets(read))
    x[100], y[100] = x[3], y[3]
    leaks = audit(Masks(read=replace(read, inputs=x, targets=Targets(y, "array")), split=KFold(4)))
    same = next(leak for leak in leaks if leak.kind == "duplicate")
    assert "with another target" not in same.detail
    y[100] += 1
    leaks = audit(Masks(read=replace(read, inputs=x, targets=Targets(y, "array")), split=KFold(4)))
    assert "1 of them with another target" in next(leak for leak in leaks if leak.kind == "duplicate").detail


def x_targets(read: Samples) -> Any:
    assert read.targets is not None
    return read.targets.payload


def test_each_check_is_said_to_be_made_in_an_input_or_not_with_its_reason(tiles: Pixels) -> None:
    data = made(tiles)
    done, left = told(coverage(data.samples("pool"), None, []))
    for what in ("near duplicates in image", "target in a column in table", "missing classes", "statistics"):
        assert f"{what}," in f"{done},"
    assert "target in a column in image (inputs are no columns of numbers)" in left
    assert "near duplicates in table (images of 8 bits and 16 pixels a side or more, and texts, have them)" in left
    said = looked_for([data.samples("pool")])
    doubted, not_doubted = said.split("; not looked for: ")
    for what in ("undeclared groups and times in table", "moved copies of images in image"):
        assert what in doubted
    assert "image that is alike beside other inputs" in doubted
    assert "table that is alike beside other inputs (columns and numbers are often alike by chance)" in not_doubted
    assert "undeclared groups and times in image (inputs are no columns of numbers)" in not_doubted


def test_what_is_not_looked_for_in_a_target_of_arrays_is_said(tiles: Pixels) -> None:
    given = arrays(tiles)
    pool = Samples(
        given["table"], pd.DataFrame({"id": [str(i) for i in range(N)]}), targets=Targets(given["image"], "array")
    )
    left = told(coverage(pool, None, []))[1]
    assert "target in a column (its target is an array)" in left
    assert "undeclared groups (its target is an array)" in looked_for([pool])
    many = tuple(f"label {i}" for i in range(20))
    labels = Targets(np.random.default_rng(0).integers(0, 2, (N, 20)).astype(np.uint8), "labels", many)
    assert (
        "each of many targets in a column (the first 16 of 20 are tried)"
        in told(coverage(replace(pool, targets=labels), None, []))[1]
    )


def test_a_test_source_of_other_inputs_is_refused(tiles: Pixels) -> None:
    pool = made(tiles).samples("pool")
    other = Samples(
        pool.parts["image"].inputs, pool.table.assign(id=[f"t{i}" for i in range(N)]), pool.classes, "other"
    )
    with pytest.raises(DataError, match="other: the test source has one input, where made has image, table"):
        audit(Two(read={"pool": pool, "test": other}, split=KFold(4)))


def test_both_inputs_are_drawn_before_and_after_augmentation(tiles: Pixels, tmp_path: Path) -> None:
    data = made(tiles, augment=[Of("image", Flip()), Of("table", TableNoise(0.5))])
    draw_samples(data, tmp_path / "show.png", n=3, copies=2)
    rows, pool = pick(data, 3), data.samples("pool")
    with Image.open(tmp_path / "show.png") as picture:
        shown = np.asarray(picture).astype(int)
    image = np.asarray(pool.parts["image"].inputs[rows[:1]])[0].transpose(1, 2, 0)
    factor = 96 // image.shape[0]
    expected = np.kron(image, np.ones((factor, factor, 1), dtype=int))
    top, left = 17 + 6, 120
    drawn = shown[top : top + 96, left : left + 96]
    assert abs(drawn - expected).max() <= 1  # standardised and back
    below = shown[top + 98 : top + 98 + 100, left : left + 240]
    assert (below == 255).all(axis=2).mean() > 0.5  # the table's numbers, on paper


def test_a_mask_is_drawn_below_its_image(tiles: Pixels, tmp_path: Path) -> None:
    data = Masks(read=masks(tiles), augment=[Flip(p=1)], normalize="none", split=KFold(4))
    draw_samples(data, tmp_path / "show.png", n=1, copies=1)
    with Image.open(tmp_path / "show.png") as picture:
        shown = np.asarray(picture).astype(float)
    top, left, side = 17 + 6, 120, 96
    mask = shown[top + side + 2 : top + 2 * side + 2, left : left + side].mean(axis=2)
    moved = shown[top + side + 2 : top + 2 * side + 2, left + side + 6 : left + 2 * side + 6].mean(axis=2)
    red = shown[top : top + side, left : left + side, 0]
    assert np.corrcoef(mask.ravel(), red.ravel())[0, 1] > 0.99  # the mask is the image's red
    np.testing.assert_allclose(moved, mask[:, ::-1], atol=1)


def test_leaks_of_two_inputs_are_told_apart(tiles: Pixels) -> None:
    def change(given: dict[str, Array]) -> None:
        rounded(given)
        flipped(given)

    leaks: list[Leak] = audit(made(tiles, change))
    assert sorted(leak.detail[:13] for leak in leaks) == ["input 'image'", "input 'table'"]
