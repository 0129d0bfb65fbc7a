"""Claims about suspicions: a planted fault is told, as itself alone; real data have none; none refuses a training."""

import gzip
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold

from datamodules.arrays import Arrays
from datamodules.table import Table
from lightning_base.auditing.audit import audit
from lightning_base.auditing.gate import LeakWarning, tell
from lightning_base.auditing.suspicions.between import between
from lightning_base.auditing.suspicions.columns import is_time
from lightning_base.auditing.suspicions.copies import rounded, why_no_copies
from lightning_base.auditing.suspicions.evidence import agreement, areas, telling_value
from lightning_base.auditing.suspicions.groups import plain
from lightning_base.auditing.suspicions.moved import moved_copies
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import AuditError, UserError
from lightning_base.samples.samples import Samples
from tests.helpers import shared
from tests.support.planted import PLANTED, cancer, crops, flipped, pictures, table


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_suspected(tmp_path: Path, fault: str) -> None:
    kind, make = PLANTED[fault]
    found = audit(make(tmp_path, np.random.default_rng(2)))
    assert [leak.kind for leak in found if leak.level == "suspicious"] == [kind]
    assert all("\n" not in leak.detail for leak in found)
    assert [leak.kind for leak in found if leak.level == "leak"] == []


def test_a_suspicion_refuses_no_training(tmp_path: Path) -> None:
    found = audit(PLANTED["dates"][1](tmp_path, np.random.default_rng(0)))
    assert "declare data.time: seen" in found[0].detail
    with pytest.warns(LeakWarning, match="suspicious: undeclared_time"):  # nothing is printed in a test
        tell("fail", found)
    leak = audit(Arrays(source="iris", split=KFold(5)))  # one flower stands there twice, and classes are in row order
    with pytest.raises(AuditError) as error:
        tell("fail", [*leak, *found])
    assert "undeclared_time" not in str(error.value)


@pytest.mark.parametrize("data", ["german-credit", "bank-marketing"])
def test_real_tables_are_not_suspected(tmp_path: Path, data: str) -> None:
    if data == "german-credit":
        path = str(shared("german-credit") / "german.data")
        made = Table(path=path, target="column_21", header=False, clean=Cleaning(empty="drop"))
    else:
        with gzip.open(shared("bank-marketing") / "bank-full.csv.gz", "rt") as lines:
            (tmp_path / "bank.csv").write_text("".join(islice(lines, 5000)))
        made = Table(path=str(tmp_path / "bank.csv"), target="y", na_values=["unknown"], known_after=["duration"])
        assert "duration" not in [feature.name for feature in made.samples("pool").features]
        assert made.findings["pool"].query("kind == 'known_after'")["id"].tolist() == ["duration"]
    assert [leak for leak in audit(made) if leak.level == "suspicious"] == []


def test_what_is_known_after_the_target_is_no_input(tmp_path: Path) -> None:
    frame = cancer()
    data = table(tmp_path, frame, known_after=["worst area"], split=KFold(2))
    names = [feature.name for feature in data.samples("pool").features]
    assert names == [name for name in frame.columns if name not in ("worst area", "target")]
    np.testing.assert_allclose(data.samples("pool").inputs[np.arange(3)], frame[names].to_numpy()[:3], rtol=1e-6)
    with pytest.raises(UserError, match=r"data\.known_after: 'worst area' stands in data\.columns too"):
        table(tmp_path, frame, known_after=["worst area"], columns=["worst area", "mean area"]).samples("pool")
    with pytest.raises(UserError, match="wurst area"):
        table(tmp_path, frame, known_after=["wurst area"]).samples("pool")


def test_areas_are_those_of_scikit_learn_for_each_two_classes() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    x = np.round(rng.normal(size=200) + y, 1)  # ties
    found = areas(x, y)
    for one in range(3):
        for two in range(one):
            rows = np.isin(y, [one, two])
            area = roc_auc_score(y[rows] == one, x[rows])
            assert found[one, two] == found[two, one] == pytest.approx(max(area, 1 - area))
    u = mannwhitneyu(x[y == 2], x[y == 0]).statistic
    assert found[0, 2] == pytest.approx(u / ((y == 2).sum() * (y == 0).sum()))


def test_a_value_tells_a_class_only_beyond_chance() -> None:
    y = np.repeat([0, 1], [500, 500])
    assert telling_value(np.where(np.arange(1000) < 49, 1, 0), y) is None  # 24.5 of the other class would be expected
    found = telling_value(np.where(np.arange(1000) < 60, 1, 0), y)
    assert found is not None
    assert (found.value, found.label, found.size, found.others) == (1, 0, 60, 0)
    rare = np.repeat([0, 1], [990, 10])
    assert telling_value(np.where(np.arange(1000) < 900, 1, 0), rare) is None  # nearly all are of class 0 anyway


def test_groups_agree_where_each_has_one_target() -> None:
    y = np.random.default_rng(0).integers(0, 2, 300)
    assert agreement(np.arange(300) // 3, np.repeat(y[:100], 3)) == 1
    assert abs(agreement(np.arange(300) // 3, y)) < 0.2
    assert agreement(np.arange(300), y) == 0  # groups of one


def test_names_of_groups_are_compared_without_blanks_capitals_and_zeros() -> None:
    assert plain("007") == plain("7") == plain(" 7 ")
    assert plain("A ") == plain("a")
    assert plain("P 07") == plain("p7")
    assert plain("1.05") != plain("1.5")
    assert plain("0") != plain("")
    assert plain("10") != plain("1")


def test_dates_are_told_from_numbers() -> None:
    days = pd.date_range("2020-01-01", periods=40)
    assert is_time(days.strftime("%Y%m%d").to_numpy().astype(np.float64), None, "day")
    seconds = np.linspace(1.5e9, 1.6e9, 40)
    assert is_time(seconds, None, "Timestamp")
    assert not is_time(seconds, None, "balance")
    assert is_time(np.arange(40.0), tuple(days.strftime("%d.%m.%Y")), "x")
    assert not is_time(np.arange(40.0), tuple(f"{i}-{i}-{i}" for i in range(40)), "x")


def test_the_previous_value_of_a_persistent_series_is_no_secret(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(3, 200)).cumsum(axis=1) * 2 + 100
    frame = pd.DataFrame(
        {"day": np.tile(np.arange(199), 3), "price": steps[:, :-1].ravel(), "next": steps[:, 1:].ravel()}
    )
    frame["symbol"] = np.repeat(["a", "b", "c"], 199)
    assert audit(table(tmp_path, frame, target="next", time="day", split=None)) == []
    frame["hint"] = frame["next"] + rng.normal(size=len(frame)) * 0.2  # far nearer than a day's change
    (leak,) = audit(table(tmp_path, frame, target="next", time="day", split=None))
    assert "column 'hint' alone" in leak.detail


def test_moved_copies_are_found_with_their_originals(tmp_path: Path) -> None:
    x = crops(np.random.default_rng(0), 60)[:, 4:36, 4:36]
    x = x[x.mean(axis=3)[:, 4:28, 4:28].std(axis=(1, 2)) > 20]
    shift = np.roll(x[:5], (3, -2), axis=(1, 2))
    data = pictures(tmp_path, np.concatenate([x, x[:5, :, ::-1], x[5:9, ::-1], shift]), np.random.default_rng(0))
    found = moved_copies([data.samples("pool")])
    n = len(x)
    mirrored = {(i, n + i): "flipped sideways and shifted" for i in range(5)}
    upside = {(5 + i, n + 5 + i): "flipped upside down and shifted" for i in range(4)}
    shifts = {(i, n + 9 + i): "shifted" for i in range(5)}
    both = {(n + i, n + 9 + i): "flipped sideways and shifted" for i in range(5)}
    told = {(int(a), int(b)): how for a, b, how in zip(found["id"], found["other"], found["how"], strict=True)}
    assert told == mirrored | upside | shifts | both


def test_moved_copies_of_the_test_source_are_found(tmp_path: Path) -> None:
    x = crops(np.random.default_rng(0), 60)[:, 4:36, 4:36].transpose(0, 3, 1, 2)
    y = np.arange(60) % 2
    np.savez(tmp_path / "a.npz", x=x[:50], y=y[:50], x_test=np.concatenate([x[50:], x[7:8, :, :, ::-1]]), y_test=y[:11])
    (leak,) = audit(Arrays(source=str(tmp_path / "a.npz")))
    assert (leak.kind, leak.level, leak.ids) == ("changed_copy", "suspicious", ("10",))
    assert leak.detail.startswith("1 test sample with a changed copy in the pool: '10' and '07' are flipped sideways")


def test_copies_that_stay_on_one_side_are_not_told(tmp_path: Path) -> None:
    group = np.arange(len(flipped(tmp_path, np.random.default_rng(0)).samples("pool"))) % 120  # that of the original
    with np.load(tmp_path / "images.npz") as arrays:
        np.savez(tmp_path / "grouped.npz", **arrays, group=group)
    assert audit(Arrays(source=str(tmp_path / "grouped.npz"))) == []


def test_points_of_a_grid_or_of_a_line_are_not_taken_for_made_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grid = rng.integers(0, 9, (500, 4)) / 10
    line = rng.normal(size=(500, 1)) * np.array([[1.0, 2.0, 3.0, 4.0]])
    for x in (grid, line, rng.normal(size=(500, 4))):
        np.savez(tmp_path / "a.npz", x=x, y=np.arange(500) % 2)
        assert len(between(Arrays(source=str(tmp_path / "a.npz")).samples("pool")).rows) == 0


@pytest.mark.parametrize("columns", range(3, 11))
def test_copies_that_differ_in_the_ninth_digit_are_found_in_few_columns(columns: int) -> None:
    x = np.random.default_rng(columns).normal(size=(220, columns))
    copies = x[:20] + np.eye(1, columns)[0] * 1e-9
    keys = rounded(np.concatenate([x, copies]))
    assert keys, "rows of so many broken numbers can be told apart"
    assert sum(keys[0][i] == keys[0][220 + i] for i in range(20)) >= 19  # one may lie on the edge of a cell
    assert len(np.unique(keys[0][:220])) == 220


def test_what_cannot_be_compared_is_not_said_to_be_looked_for() -> None:
    few = np.random.default_rng(0).normal(size=(5000, 1)).round(2)
    samples = Samples(few, pd.DataFrame({"id": [str(i) for i in range(5000)]}))
    assert why_no_copies([samples]) == "too few columns of broken numbers to tell rows apart"
    assert not rounded(few)
