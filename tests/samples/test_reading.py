"""Claims about ids, groups and times: one reading of them, with its type, whatever they come from."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, TimeSeriesSplit

from datamodules.arrays import Arrays
from datamodules.table import Table
from lightning_base.auditing.audit import audit
from lightning_base.errors import DataError, UserError
from lightning_base.samples.reading import read_groups, read_times, texts
from lightning_base.splitters.split import make_split
from tests.support.clean_data import N, kinds, source


def test_a_number_is_one_name_however_it_is_written_and_text_another() -> None:
    assert [*texts([7, 7.0, "7", "7.0", np.int8(7), np.float32(7)])] == ["7"] * 6
    assert [*texts(["007", " 7", "7 ", "7a", 7.5, "v1.0"])] == ["007", " 7", "7 ", "7a", "7.5", "v1.0"]
    assert [*texts([None, np.nan, "", " "])] == [None] * 4
    for values in ([10, 2, 7], [10.0, 2.0, 7.0], ["10", "2", "7.0"]):
        groups, bad = read_groups(values)
        assert (groups.dtype.kind, groups.tolist(), bad.any()) == ("i", [10, 2, 7], False)
    assert read_groups(["10", "2", "007"])[0].tolist() == ["10", "2", "007"]


def test_times_are_put_in_order_as_what_they_are() -> None:
    whole = [str(i) for i in range(1, 121)]
    assert read_times(whole)[0].tolist() == list(range(1, 121))
    nanoseconds = ["1700000000000000001", "1700000000000000002"]  # a float64 cannot tell them apart
    assert np.diff(read_times(nanoseconds)[0]).tolist() == [1]
    moments = read_times(["2024-03-01", "2024-02-29T23:00-02:00"])[0]
    assert moments.astype("datetime64[h]").astype(str).tolist() == ["2024-03-01T00", "2024-03-01T01"]
    assert read_times(["1", "2024-01-01"])[1].tolist() == [True, False]


@pytest.mark.parametrize("kind", [int, float, str])
def test_nothing_later_trains_whatever_type_times_have(tmp_path: Path, kind: Any) -> None:
    time = np.random.default_rng(0).permutation(N) + 1
    path = source(tmp_path, time=time.astype(kind))
    data = Arrays(source=path, split=TimeSeriesSplit(5))
    at = pd.Series(time, index=[f"{i:03d}" for i in range(N)])
    ids = data.folds.ids
    for found, (_, held) in zip(data.folds.folds, TimeSeriesSplit(5).split(np.arange(N)), strict=True):
        assert at[ids[found.train]].max() < at[ids[found.val]].min()
        assert sorted(at[ids[found.val]]) == (held + 1).tolist()
    assert audit(data) == []


def test_folds_over_time_need_times(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="TimeSeriesSplit puts samples in order of time, and the data has no `time`"):
        _ = Arrays(source=source(tmp_path), split=TimeSeriesSplit(5)).folds


def test_whole_ids_are_in_order_as_numbers_where_nothing_is_drawn() -> None:
    numbers = pd.DataFrame({"id": [str(i) for i in range(1, 101)]})
    held = [fold.val.tolist() for fold in make_split(numbers, KFold(4), 0).folds]
    assert held == [val.tolist() for _, val in KFold(4).split(np.arange(100))]
    drawn = make_split(numbers, KFold(4, shuffle=True), 0)  # one that draws goes by the text, as before
    by_text = np.argsort(numbers["id"].to_numpy(dtype=object))
    first = next(KFold(4, shuffle=True, random_state=0).split(by_text))[1]
    assert drawn.folds[0].val.tolist() == sorted(by_text[first].tolist())


def test_a_group_is_the_same_in_every_file(tmp_path: Path) -> None:
    rng, files = np.random.default_rng(0), {}
    for name, groups in (("pool", [str(g) for g in range(60)]), ("test", [f"{g}.0" for g in range(5, 15)])):
        n = len(groups)
        frame = pd.DataFrame({"x": rng.normal(size=n), "y": np.arange(n) % 2, "g": groups})
        files[name] = str(tmp_path / f"{name}.csv")
        frame.to_csv(files[name], index=False)
    leaks = audit(Table(path=files["pool"], test_path=files["test"], target="y", group="g"))
    assert kinds(leaks) == ["group"]
    assert leaks[0].detail.startswith("10 groups in the pool and in test ('5', '6', '7' and 7 more)")


def test_groups_split_alike_as_numbers_and_as_text() -> None:
    group = np.random.default_rng(0).integers(0, 30, 200)
    table = pd.DataFrame({"id": [f"{i:03d}" for i in range(200)]})
    for splitter in (GroupKFold(5, shuffle=True), LeaveOneGroupOut()):
        hashes = {
            make_split(table.assign(group=values), splitter, 0).hash
            for values in (group, group.astype(float), group.astype(str), group.astype(float).astype(str))
        }
        assert len(hashes) == 1


@pytest.mark.parametrize(
    "values", [np.where(np.arange(N) % 50 == 7, np.nan, 1.0), np.where(np.arange(N) % 50 == 7, " ", "a")]
)
def test_samples_without_a_group_are_refused_with_their_number(tmp_path: Path, values: Any) -> None:
    with pytest.raises(DataError, match=r"sample '007' has no `group`; give every sample .* \(3 such samples\)"):
        Arrays(source=source(tmp_path, group=values)).samples("pool")
