"""Claims about splits: ratios, columns, files and manifests give the roles they promise, whatever the order of rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.model_selection import (
    BaseCrossValidator,
    KFold,
    LeavePOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

from lightning_base.errors import UserError
from lightning_base.splitters import ByColumn, ByFiles, Manifest, Ratio, TableSplitter
from lightning_base.splitters.manifest import read_manifest, write_manifest
from lightning_base.splitters.split import Split, default_splitter, make_split, seal
from lightning_base.tools.checksums import write_table


def table(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"s{i:04d}" for i in range(n)],
            "target": rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1]),
            "group": rng.choice([f"g{i}" for i in range(37)], n),
            "time": rng.integers(0, 90, n),
        }
    )


def roles(splitter: TableSplitter, samples: pd.DataFrame, seed: int = 0) -> pd.Series:
    """The role of each id, as BaseDataModule takes them: sealed first, then the folds of the rest."""
    sealed = splitter.sealed(samples, seed) if splitter.seals else np.array([], dtype=int)
    pool = samples.drop(index=sealed).reset_index(drop=True)
    ids = samples["id"].to_numpy(dtype=object)[sealed] if splitter.seals else None
    return make_split(pool, splitter, seed, sealed=ids).table().set_index("id")["role"]


@pytest.mark.parametrize("by", ["random", "group", "time"])
def test_ratio_gives_the_shares_it_names_and_uses_each_sample_once(by: str) -> None:
    samples = table(2000)
    found = roles(Ratio(val=0.2, test=0.1, by=by), samples)  # type: ignore[arg-type]
    assert sorted(found.index) == sorted(samples["id"])
    share = found.value_counts(normalize=True)
    assert share["val"] == pytest.approx(0.2, abs=0.04)
    assert share["test"] == pytest.approx(0.1, abs=0.04)
    joined = samples.set_index("id").join(found)
    if by == "group":
        assert (joined.groupby("group")["role"].nunique() == 1).all()
    if by == "time":
        ends = joined.groupby("role")["time"].agg(["min", "max"])
        assert ends.loc["train", "max"] < ends.loc["val", "min"] <= ends.loc["val", "max"] < ends.loc["test", "min"]
    else:
        classes = joined.groupby("role")["target"].value_counts(normalize=True).unstack()
        tolerance = 0.01 if by == "random" else 0.08
        np.testing.assert_allclose(classes.to_numpy(), np.tile([0.4, 0.3, 0.2, 0.1], (3, 1)), atol=tolerance + 0.02)


@pytest.mark.parametrize("splitter", [Ratio(0.2, 0.2, "random"), Ratio(0.2, 0.2, "group"), KFold(3, shuffle=True)])
def test_the_order_of_rows_does_not_matter(splitter: TableSplitter) -> None:
    samples = table()
    shuffled = samples.sample(frac=1, random_state=1).reset_index(drop=True)
    if isinstance(splitter, TableSplitter):
        first, second = roles(splitter, samples), roles(splitter, shuffled)
        pd.testing.assert_series_equal(first.sort_index(), second.sort_index())
    else:
        assert make_split(samples, splitter, 3).hash == make_split(shuffled, splitter, 3).hash
    assert {*samples["id"][seal(samples, 0.2, 0, "x")]} == {*shuffled["id"][seal(shuffled, 0.2, 0, "x")]}


def test_another_seed_draws_another_split() -> None:
    samples = table()
    assert not roles(Ratio(0.2), samples, 0).equals(roles(Ratio(0.2, by="random"), samples, 1))


def test_regression_is_split_without_strata() -> None:
    samples = table().drop(columns=["group", "time"]).assign(target=np.linspace(0, 1, 400))
    assert roles(Ratio(0.25, 0.25), samples).value_counts().to_dict() == {"train": 200, "val": 100, "test": 100}


def test_a_moment_is_never_on_both_sides_of_a_temporal_fold() -> None:
    samples = table()
    split = make_split(samples, TimeSeriesSplit(5), 0)
    time = samples["time"].to_numpy()
    for fold in split.folds:
        assert time[fold.train].max() < time[fold.val].min()


def test_the_default_split_respects_time_and_groups() -> None:
    samples = table()
    assert type(default_splitter(samples, True)).__name__ == "TimeSeriesSplit"
    grouped = samples.drop(columns="time")
    for classification in (True, False):
        for fold in make_split(grouped, default_splitter(grouped, classification), 0).folds:
            assert not set(grouped["group"][fold.train]) & set(grouped["group"][fold.val])
    assert type(default_splitter(grouped.drop(columns="group"), True)).__name__ == "StratifiedKFold"


def test_a_column_names_the_roles() -> None:
    samples = table(6).assign(role=["train", "val", "test", "train", "other", "val"])
    assert roles(ByColumn(), samples).to_dict() == {
        "s0000": "train",
        "s0001": "val",
        "s0002": "test",
        "s0003": "train",
        "s0005": "val",
    }
    with pytest.raises(UserError, match=r"no column 'part', only id, target, group, time, role"):
        roles(ByColumn("part"), samples)
    with pytest.raises(UserError, match="no sample has role = 'sealed'"):
        roles(ByColumn(test="sealed"), samples)


def test_files_name_the_roles(tmp_path: Path) -> None:
    samples = table(6)
    for name, ids in (("val", "s0001\ns0002\n"), ("test", "s0005\n"), ("bad", "s0001\nnobody\n")):
        (tmp_path / f"{name}.txt").write_text(ids)
    found = roles(ByFiles(str(tmp_path / "val.txt"), test=str(tmp_path / "test.txt")), samples)
    assert found[["s0001", "s0002", "s0005"]].tolist() == ["val", "val", "test"]
    assert (found == "train").sum() == 3
    with pytest.raises(UserError, match=r"bad\.txt lists 'nobody', which is no sample's id"):
        roles(ByFiles(str(tmp_path / "bad.txt")), samples)
    with pytest.raises(UserError, match=r"none\.txt cannot be read"):
        roles(ByFiles(str(tmp_path / "none.txt")), samples)


def manifest(path: Path) -> tuple[pd.DataFrame, Split]:
    samples = table()
    sealed = seal(samples, 0.2, 0, "x")
    pool = samples.drop(index=sealed).reset_index(drop=True)
    split = make_split(pool, KFold(4, shuffle=True), 5, "f" * 64, samples["id"].to_numpy(dtype=object)[sealed])
    write_manifest(path, split.table(), "f" * 64)
    return samples, split


def test_a_manifest_repeats_the_split_on_rows_in_another_order(tmp_path: Path) -> None:
    samples, split = manifest(tmp_path / "split.parquet")
    again = Manifest(str(tmp_path / "split.parquet"))
    shuffled = samples.sample(frac=1, random_state=2).reset_index(drop=True)
    sealed = again.sealed(shuffled, 0)
    assert sorted(shuffled["id"][sealed]) == sorted(split.sealed)
    pool = shuffled.drop(index=sealed).reset_index(drop=True)
    ids = shuffled["id"].to_numpy(dtype=object)[sealed]
    assert make_split(pool, again, 99, "f" * 64, ids).hash == split.hash
    with pytest.raises(UserError, match="was made on data ffffffffffff, this is 0000"):
        make_split(pool, again, 99, "0" * 64)
    with pytest.raises(UserError, match="of its samples are not in the data"):
        make_split(pool.iloc[5:].reset_index(drop=True), again, 99, "f" * 64)


def test_a_manifest_that_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.parquet"
    manifest(path)
    content = pq.read_table(path)
    moved = content.to_pandas()
    moved.loc[0, "role"] = "val" if moved.loc[0, "role"] == "train" else "train"
    forged = pa.Table.from_pandas(moved, preserve_index=False).replace_schema_metadata(content.schema.metadata)
    write_table(forged, path)
    with pytest.raises(UserError, match="changed after it was written"):
        read_manifest(path)
    path.write_text("no parquet")
    with pytest.raises(UserError, match="cannot be read as a split manifest"):
        Manifest(str(path))


BAD = {
    "no groups": (Ratio(0.2, by="group"), ["group"], "no `group` column"),
    "no time": (Ratio(0.2, by="time"), ["time"], "no `time` column"),
    "a class of one": (Ratio(0.2, by="random"), [], "cannot be divided"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_split_says_why(case: str) -> None:
    splitter, drop, message = BAD[case]
    samples = table(40).drop(columns=drop)
    if case == "a class of one":
        samples["target"] = [9] + [0, 1, 2] * 13
    with pytest.raises(UserError, match=message):
        roles(splitter, samples)


@pytest.mark.parametrize(("val", "test"), [(0, None), (0.5, 0.5), (1, None), (0.2, -0.1)])
def test_shares_that_are_none_are_refused(val: float, test: float | None) -> None:
    with pytest.raises(UserError, match="add up to less than 1"):
        Ratio(val, test)


def test_one_group_cannot_be_divided() -> None:
    samples = table(20).assign(group="only")
    with pytest.raises(UserError, match="all samples are of one group"):
        roles(Ratio(0.2, by="group"), samples)
    with pytest.raises(UserError, match="all samples have one time"):
        roles(Ratio(0.2, by="time"), samples.assign(time=3))


def test_a_class_with_fewer_samples_than_folds_is_named() -> None:
    samples = table(40).assign(target=[3] * 3 + [0, 1, 2] * 12 + [0])
    with pytest.raises(UserError, match=r"class 'dog' has 3 samples, too few for the folds of StratifiedKFold"):
        make_split(samples, StratifiedKFold(5), 0, classes=("a", "b", "c", "dog"))


class Theirs:
    """A splitter of another library: as many repeats of a k-fold, or draws, as it holds."""

    def __init__(self, *parts: BaseCrossValidator) -> None:
        self.parts = parts

    def __repr__(self) -> str:  # the test's name, which is the same in each process
        return f"Theirs{self.parts}"

    def split(self, x: object, y: object = None, groups: object = None) -> list[object]:
        return [pair for part in self.parts for pair in part.split(x)]


SHUFFLED = KFold(3, shuffle=True, random_state=1)


@pytest.mark.parametrize(
    ("splitter", "repeats"),
    [
        (KFold(3), [0, 0, 0]),
        (TimeSeriesSplit(3), [0, 0, 0]),
        (RepeatedKFold(n_splits=2, n_repeats=3), [0, 0, 1, 1, 2, 2]),
        (ShuffleSplit(6, test_size=0.04, random_state=0), [0, 1, 2, 3, 4, 5]),  # few overlap, and none is a partition
        (LeavePOut(39), list(range(40))),
        (Theirs(KFold(2), SHUFFLED), [0, 0, 1, 1, 1]),
        (Theirs(ShuffleSplit(2, test_size=1, random_state=0)), [0, 1]),  # disjoint, but no division of all samples
        (Theirs(KFold(2), ShuffleSplit(1, test_size=1)), [0, 1, 2]),
    ],
    ids=lambda value: "Theirs" if isinstance(value, Theirs) else str(value)[:40],
)
def test_repeats_are_what_the_splitter_says_or_the_folds_prove(splitter: KFold, repeats: list[int]) -> None:
    split = make_split(table(40), splitter, 0)
    assert [fold.repeat for fold in split.folds] == repeats
    for repeat in set(repeats):
        held = np.concatenate([fold.val for fold in split.folds if fold.repeat == repeat])
        assert len(set(held)) == len(held)
    assert not make_split(table(40).drop(columns="time"), KFold(3), 0).temporal
    assert make_split(table(40), TimeSeriesSplit(3), 0).temporal
