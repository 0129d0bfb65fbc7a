"""Claims about the audit: a planted leak of each kind is found, that kind alone, and clean data has none."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console
from sklearn.datasets import load_iris, load_sample_images
from sklearn.model_selection import GroupKFold, KFold, RepeatedKFold, StratifiedKFold

from datamodules.arrays import Arrays
from datamodules.image_folder import ImageFolder
from datamodules.table import Table
from lightning_base.auditing.audit import audit, read_test_source
from lightning_base.auditing.coverage import coverage, told
from lightning_base.auditing.gate import tell
from lightning_base.auditing.report import Leak, show_leaks
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import BaseDataModule, Samples, Source, Targets
from lightning_base.errors import AuditError, DataError, NoSourceError, UserError
from lightning_base.samples.payload import Ragged
from lightning_base.splitters import ByColumn, ByFiles
from tests.support.clean_data import N, arrays, kinds, source


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris", "diabetes"])
def test_clean_data_has_no_leak(name: str) -> None:
    assert audit(Arrays(source=name, test_size=0.2, clean=Cleaning(duplicate="drop"))) == []


def test_clean_arrays_have_no_leak(tmp_path: Path) -> None:
    path = source(tmp_path, x_test=np.random.default_rng(1).normal(size=(30, 4)), y_test=np.arange(30) % 3)
    assert audit(Arrays(source=path)) == []
    assert audit(Arrays(source=path, split=RepeatedKFold(n_splits=5, n_repeats=10))) == []


def test_the_flower_that_stands_in_iris_twice_is_found() -> None:
    x = pd.DataFrame(load_iris().data)
    twins = sorted(f"{row:03d}" for row in np.flatnonzero(x.duplicated(keep=False)))
    assert len(twins) == 2
    data = Arrays(source="iris", split=StratifiedKFold(5))  # of the 50 of a class, ten a fold in row order
    (leak,) = audit(data)
    assert (leak.kind, leak.fold) == ("duplicate", None)
    assert leak.detail == (
        f"1 val sample is in train too ({twins[0]!r} is {twins[1]!r}) in 2 of 5 folds, first fold 0; "
        "set data.clean.duplicate: drop"
    )
    assert leak.ids == (twins[0],)


def test_a_duplicate_is_told_by_the_one_fold_that_has_it(tmp_path: Path) -> None:
    x = arrays()["x"]
    x[140] = x[7]
    (tmp_path / "val.txt").write_text("\n".join(f"{row:03d}" for row in range(120, N)))
    (leak,) = audit(Arrays(source=source(tmp_path, x=x), split=ByFiles(val=str(tmp_path / "val.txt"))))
    assert (leak.kind, leak.fold, leak.ids) == ("duplicate", 0, ("140",))
    assert "('140' is '007') in fold 0" in leak.detail
    assert "with another target (data.clean.conflict: drop leaves both out)" in leak.detail  # of class 2 and of class 1
    assert audit(Arrays(source=source(tmp_path, x=x), split=KFold(5), clean=Cleaning(conflict="drop"))) == []


def test_a_duplicate_between_pool_and_test_is_found(tmp_path: Path) -> None:
    x_test = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    x_test[4] = arrays()["x"][9]
    (leak,) = audit(Arrays(source=source(tmp_path, x_test=x_test, y_test=np.arange(30) % 3)))
    assert (leak.kind, leak.fold, leak.ids) == ("duplicate", None, ("04",))
    assert leak.detail == (
        "1 test sample is in the pool too, 1 of them with another target ('04' is '009'); take them out of the pool or "
        "out of the test source"
    )


def test_a_picture_compressed_again_is_a_near_duplicate(tmp_path: Path) -> None:
    photographs, rng = load_sample_images().images, np.random.default_rng(0)
    crops = []
    for i in range(40):
        top, left = 32 * (i // 4) + 16, 100 * (i % 4) + 20
        crops.append(photographs[i % 2][top : top + 32, left : left + 32])
    again = io.BytesIO()
    Image.fromarray(crops[15]).save(again, "JPEG", quality=75)
    crops[36] = np.asarray(Image.open(again))
    path = source(tmp_path, x=np.stack(crops).transpose(0, 3, 1, 2), y=rng.permutation(np.arange(40) % 2))
    data = Arrays(source=path, split=KFold(2))  # the halves in row order
    (leak,) = audit(data)
    assert (leak.kind, leak.fold) == ("near_duplicate", None)
    assert "('15' is like '36') in 2 of 2 folds" in leak.detail
    assert audit(data, near=False) == []


def test_a_group_on_both_sides_is_found(tmp_path: Path) -> None:
    group = np.arange(N) // 10
    path = source(tmp_path, group=group)
    assert audit(Arrays(source=path)) == []
    assert audit(Arrays(source=path, split=GroupKFold(5))) == []
    data = Arrays(source=path, split=KFold(4))
    (leak,) = audit(data)
    fold = data.folds.folds[0]
    both = np.intersect1d(group[fold.train], group[fold.val])
    assert leak.kind == "group"
    assert leak.detail.startswith(f"{len(both)} group in train and in val ('{both[0]}') in 4 of 4 folds")
    assert [int(i) // 10 for i in leak.ids] == [both[0]] * len(leak.ids)


def test_a_group_of_pool_and_test_is_found(tmp_path: Path) -> None:
    test = {"x_test": np.random.default_rng(1).normal(size=(9, 4)), "y_test": np.arange(9) % 3}
    path = source(tmp_path, group=np.arange(N) // 10, group_test=np.array([14] + [90] * 8), **test)
    (leak,) = audit(Arrays(source=path))
    assert (leak.kind, leak.ids) == ("group", ("0",))
    assert leak.detail.startswith("1 group in the pool and in test ('14'); take them out")


def test_the_future_in_training_is_found(tmp_path: Path) -> None:
    time = pd.date_range("2026-01-01", periods=N).to_numpy()
    path = source(tmp_path, time=time)
    assert audit(Arrays(source=path)) == []
    assert audit(Arrays(source=path, test_size=0.2)) == []
    (leak,) = audit(Arrays(source=path, split=KFold(5)))
    # the last fold of five in row order has only the past in training
    assert leak.kind == "future"
    assert leak.detail.startswith("120 samples of train at or after the first of val (2026-01-01 00:00:00) in 4 of 5")


def test_a_moment_on_both_sides_is_the_future(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("\n".join(f"{row:03d}" for row in range(100, N)))
    splitter = ByFiles(val=str(tmp_path / "val.txt"))
    assert audit(Arrays(source=source(tmp_path, time=np.arange(N)), split=splitter)) == []
    time = np.arange(N)
    time[99] = 100
    (leak,) = audit(Arrays(source=source(tmp_path, time=time), split=splitter))
    assert (leak.kind, leak.fold, leak.ids) == ("future", 0, ("099",))


def test_a_pool_from_after_the_test_is_the_future(tmp_path: Path) -> None:
    test = {"x_test": np.random.default_rng(1).normal(size=(9, 4)), "y_test": np.arange(9) % 3}
    path = source(tmp_path, time=np.arange(N), time_test=np.arange(9) + N - 2, **test)
    (leak,) = audit(Arrays(source=path))
    assert (leak.kind, leak.ids) == ("future", ("148", "149"))


def test_a_class_missing_from_a_fold_is_found(tmp_path: Path) -> None:
    path = source(tmp_path, y=np.repeat([0, 1, 2], N // 3), classes=np.array(["ant", "bee", "cat"]))
    assert audit(Arrays(source=path)) == []
    (leak,) = audit(Arrays(source=path, split=KFold(3)))  # a class a fold, in row order
    assert (leak.kind, leak.fold) == ("class", None)
    assert leak.detail.startswith("no 'ant' in train, no 'bee', 'cat' in val in 3 of 3 folds, first fold 0; ")


def test_a_class_missing_from_the_test_samples_is_found(tmp_path: Path) -> None:
    x_test = np.random.default_rng(1).normal(size=(9, 4))
    (leak,) = audit(Arrays(source=source(tmp_path, x_test=x_test, y_test=np.arange(9) % 2)))
    assert (leak.kind, leak.detail) == ("class", "no '2' in test; add samples of it to the test source")


@dataclass(kw_only=True, eq=False)
class RareBox(BaseDataModule):
    """Images with a box of class a each, and one, the first, with a box of class b too."""

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        if source != "pool":
            raise NoSourceError("no such source")
        boxes = [np.array([[0, 0, 4, 4, 0], [2, 2, 5, 5, 1]], dtype=np.float32)[: 1 + (i == 0)] for i in range(20)]
        x = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8)).astype(np.uint8)
        rows = pd.DataFrame({"id": [f"{i:02d}" for i in range(20)]})
        return Samples(x, rows, ("a", "b"), targets=Targets(Ragged.of(boxes, boxes[0]), "boxes"))


def test_a_class_whose_boxes_are_in_one_fold_is_found() -> None:
    (leak,) = audit(RareBox(split=KFold(4)), near=False)  # fold 0 holds the first image out
    assert (leak.kind, leak.fold) == ("class", None)
    assert leak.detail.startswith("no 'b' in train in 4 of 4 folds, first fold 0; ")


def test_a_test_source_that_cannot_be_read_is_no_clean_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, n in (("train", 24), ("test", 12)):
        for i in range(n):
            path = tmp_path / part / "ab"[i % 2] / f"{i:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(path)
            if part == "test":  # all of them are in training too
                path.write_bytes((tmp_path / "train" / "ab"[i % 2] / f"{i:02d}.png").read_bytes())
    data = ImageFolder(root=str(tmp_path))
    assert kinds(audit(data)) == ["duplicate"]
    first = tmp_path / "test" / "a" / "00.png"
    first.write_bytes(first.read_bytes()[:100])
    broken = ImageFolder(root=str(tmp_path))
    (leak,) = audit(broken)
    assert leak.kind == "unchecked"
    assert "test source: not looked at" in leak.detail
    assert "00.png" in leak.detail
    with pytest.raises(AuditError, match=r"audit: 1 check could not be made \(unchecked\)"):
        tell("fail", [leak])
    lines = dict(coverage(broken.samples("pool"), None, [leak]))
    assert lines["test source"] == "it cannot be read"
    with pytest.raises(DataError, match=r"00\.png"):  # who asks for the source is told
        read_test_source(broken)


def test_a_test_file_that_is_not_there_is_no_clean_one(tmp_path: Path) -> None:
    pd.DataFrame({"a": range(30), "y": list("xy") * 15}).to_csv(tmp_path / "t.csv", index=False)
    path = str(tmp_path / "t.csv")
    assert audit(Table(path=path, target="y")) == []
    (leak,) = audit(Table(path=path, target="y", test_path=str(tmp_path / "tset.csv")))
    assert (leak.kind, "tset.csv" in leak.detail) == ("unchecked", True)


def test_the_audit_says_what_it_looked_for_and_what_not(tmp_path: Path) -> None:
    test = {"x_test": np.random.default_rng(1).normal(size=(9, 4)), "y_test": np.arange(9) % 3}
    data = Arrays(source=source(tmp_path, group=np.arange(N), **test))
    done, left = told(coverage(data.samples("pool"), data.samples("test"), audit(data)))
    assert done == (
        "looked for: duplicates, groups, target in a column, statistics, scaling before, missing classes, "
        "duplicates in the test source"
    )
    assert left == (
        "not looked for: near duplicates (images of 8 bits and 16 pixels a side or more, and texts, have them), future "
        "(the data has no `time`), groups of the test source (it has no `group`)"
    )


def test_earlier_reads_of_the_test_samples_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"reads": ["2026-02-01T10:00:00+0000", "2026-02-03T10:00:00+0000"]}))
    (tmp_path / "b.json").write_text(json.dumps({"reads": ["2026-01-09T10:00:00+0000"]}))
    data = Arrays(source=source(tmp_path), test_size=0.2)
    (leak,) = audit(data, [str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    assert leak.kind == "test_read"
    assert "read 3 times before, first 2026-01-09T10:00:00+0000" in leak.detail
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(UserError, match=r"b\.json"):
        audit(data, [str(tmp_path / "b.json")])


def test_times_that_have_no_order_are_refused(tmp_path: Path) -> None:
    test = {"x_test": np.random.default_rng(1).normal(size=(9, 4)), "y_test": np.arange(9) % 3}
    path = source(tmp_path, time=np.arange(N), time_test=np.array(["2026-01-01"] * 9), **test)
    with pytest.raises(UserError, match=r"source\.npz.*`time` in pool and test are of different kinds"):
        audit(Arrays(source=path))


def test_roles_named_by_a_column_are_compared(tmp_path: Path) -> None:
    @dataclass(kw_only=True, eq=False)
    class WithRoles(Arrays):
        def dataset(self, source: Source) -> Samples:
            samples = super().dataset(source)
            samples.table["role"] = np.repeat(["train", "val", "test"], N // 3)
            return samples

    x = arrays()["x"]
    x[60], x[120] = x[3], x[4]
    leaks = audit(WithRoles(source=source(tmp_path, x=x), split=ByColumn()))
    assert [(leak.kind, leak.fold, leak.ids) for leak in leaks] == [
        ("duplicate", 0, ("060",)),
        ("duplicate", None, ("120",)),
    ]


def test_the_audit_changes_neither_data_nor_statistics(tmp_path: Path) -> None:
    data = Arrays(source=source(tmp_path), test_size=0.2)
    before = np.array(data.samples("pool").inputs[np.arange(len(data.samples("pool")))])
    audit(data)
    pool = data.samples("pool")
    assert np.array_equal(before, pool.inputs[np.arange(len(pool))])
    mean = before[data.rows("train")].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(data.preprocess.state()["mean"].numpy().ravel(), mean, rtol=1e-6)


def test_the_table_shows_every_leak_as_it_is() -> None:
    out = io.StringIO()
    leaks = [Leak("group", 3, "1 group in both ('[red]'); mend it", ("a[0]",)), Leak("target", None, "column 'x'")]
    Console(file=out, width=120, markup=False).print(show_leaks(leaks))
    for text in ("2 leaks", "group", "'[red]'", "a[0]", "target", "column 'x'"):
        assert text in out.getvalue()
