"""Claims about cleaning: what each kind finds, what each policy does, and that the raw data stays as it is."""

import string
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.faults import KINDS, findings, judge, plant
from lightning_base.clean import findings as finders
from lightning_base.clean.cleaning import Cleaning, clean
from lightning_base.errors import UserError
from lightning_base.samples import payload
from lightning_base.samples.payload import Ragged, hash_payload
from lightning_base.samples.samples import Feature, Samples
from lightning_base.samples.targets import Targets
from tests.helpers import shared
from tests.support.lookalikes import encoded, image_samples, text_samples

pytestmark = pytest.mark.usefixtures("cache")
KEEP = Cleaning()


def table(n: int = 12, **columns: Any) -> Samples:
    """A table of age, weight and town, with two classes in turn; columns replace or join those of the sample table."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.uniform(20, 60, n), rng.normal(70, 5, n), rng.integers(0, 2, n)]).astype(np.float32)
    x[:2, 2] = 0, 1
    features = (Feature("age"), Feature("weight"), Feature("town", ("Bonn", "Ulm")))
    own = {"id": [f"{i:02d}" for i in range(n)], "target": np.arange(n) % 2} | columns
    return Samples(x, pd.DataFrame(own), ("no", "yes"), "people.csv", features)


def changed(samples: Samples, *cells: tuple[Any, Any, float]) -> Samples:
    """The samples with other values at (row, column)."""
    x = np.array(samples.inputs)
    for row, column, value in cells:
        x[row, column] = value
    return replace(samples, inputs=x)


def told(samples: Samples, **kinds: str) -> Samples:
    """The samples with one finding of reading a kind, about these ids."""
    rows = [(name, kind, "as reading says") for kind, name in kinds.items()]
    return replace(samples, findings=pd.DataFrame(rows, columns=["id", "kind", "detail"], dtype=str))


def found(samples: Samples, policy: Cleaning = KEEP) -> set[tuple[str, str, str]]:
    rows = clean(samples, policy)[1]
    return set(zip(rows["id"], rows["kind"], rows["action"], strict=True))


CASES = {
    "unreadable": (told(table(), unreadable="99"), "99", "people.csv: 99: as reading says"),
    "empty": (told(table(), empty="03"), "03", "people.csv: 03: as reading says"),
    "escape": (told(table(), escape="../x"), "../x", r"\.\./x: as reading says"),
    "encoding": (told(table(), encoding="03"), "03", "03: as reading says"),
    "mode": (told(table(), mode="03"), "03", "data.clean.mode: fix to convert them"),
    "size": (told(table(), size="03"), "03", "data.clean.size: fix to resize them"),
    "rate": (told(table(), rate="03"), "03", "data.clean.rate: fix to resample them"),
    "target": (table(target=[0, 1, 7, *[0, 1, 0] * 3]), "02", r"row '02' has target 7, out of range for 2 classes"),
    "non_finite": (changed(table(), (3, 0, np.inf)), "03", "row '03' has an infinite value in column 'age'"),
    "outlier": (changed(table(), (3, 0, 200)), "03", "row '03' has 200 in column 'age', outside 0 to 120"),
    "duplicate": (changed(table(), (5, slice(None), 1), (3, slice(None), 1)), "05", "the same content as '03'"),
}
RULE: dict[str, Any] = {"ranges": {"age": (0, 120)}}


@pytest.mark.parametrize("kind", CASES)
def test_a_kind_that_fails_is_one_line_with_the_row_and_the_mend(kind: str) -> None:
    samples, _, message = CASES[kind]
    with pytest.raises(UserError, match=message) as error:
        clean(samples, Cleaning(**{kind: "fail"} | (RULE if kind == "outlier" else {})))
    assert str(error.value).startswith("people.csv: ")
    assert f"data.clean.{kind}: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", CASES)
def test_what_is_dropped_leaves_the_others_as_they_were_and_is_not_found_again(kind: str) -> None:
    samples, name, _ = CASES[kind]
    policy = Cleaning(**{kind: "drop"} | (RULE if kind == "outlier" else {}))
    raw = np.array(samples.inputs)
    left, log = clean(samples, policy)
    assert [tuple(row) for row in log[["id", "kind", "action"]].to_numpy()] == [(name, kind, "drop")]
    rows = np.flatnonzero(samples.table["id"] != name)
    assert left.table["id"].tolist() == samples.table["id"].iloc[rows].tolist()
    assert np.array_equal(left.inputs[np.arange(len(left))], raw[rows])
    assert np.array_equal(samples.inputs, raw)
    assert np.array_equal(left.content, hash_payload(raw[rows]))
    again, log = clean(left, policy)
    assert log.empty
    assert again.fingerprint == left.fingerprint


@pytest.mark.parametrize("kind", ["mode", "size", "rate", "type"])
def test_what_reading_has_fixed_stays(kind: str) -> None:
    samples = told(table(), **{kind: "age" if kind == "type" else "03"})
    left, log = clean(samples, Cleaning(**{kind: "fix"}))
    assert (len(left), log["action"].tolist()) == (12, ["fix"])


def test_the_first_failing_kind_is_named_and_the_others_are_counted() -> None:
    samples = table(target=[0, 1, 7, 9, *[0, 1] * 4])
    samples = told(changed(samples, (4, 1, -np.inf)), unreadable="99", size="03")
    with pytest.raises(UserError) as error:
        clean(samples, KEEP)
    message = str(error.value)
    assert message.startswith("people.csv: 99: as reading says (1 of kind unreadable, ")
    for others in ("2 of kind target", "1 of kind size", "1 of kind non_finite"):
        assert others in message


def test_clean_data_has_no_findings_and_stays() -> None:
    samples = table()
    left, log = clean(samples, KEEP)
    assert log.empty
    assert list(log.columns) == ["id", "kind", "detail", "action"]
    assert left.inputs is samples.inputs
    assert left.fingerprint == samples.fingerprint


def test_missing_targets_are_dropped_and_class_numbers_are_whole_again() -> None:
    target = [0.0, 1.0, np.nan, 0.5, -1.0, *[0.0, 1.0] * 3, np.inf]
    left, log = clean(table(target=target), Cleaning(target="drop"))
    assert log["id"].tolist() == ["02", "03", "04", "11"]
    assert left.target is not None
    assert left.target.dtype == np.int64
    assert left.target.tolist() == [0, 1, *[0, 1] * 3]
    assert pd.api.types.is_integer_dtype(left.table["target"])
    regression = replace(table(target=np.arange(12.0)), classes=())
    assert found(regression) == set()
    regression.table.loc[4, "target"] = np.nan
    with pytest.raises(UserError, match=r"row '04' has target nan \(1 of kind target\)"):
        clean(regression, KEEP)


def test_a_target_that_reading_told_of_is_told_once() -> None:
    samples = told(table(target=[0, 1, -1, *[0, 1, 0] * 3]), target="02")
    left, log = clean(samples, Cleaning(target="drop"))
    assert log["detail"].tolist() == ["as reading says"]
    assert len(left) == 11


def test_detection_images_stay_when_boxes_of_theirs_are_left_out() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    boxes = Ragged.of([np.ones((k, 5), np.float32) for k in (2, 0, 1)], np.zeros((0, 5), np.float32))
    samples = Samples(
        pixels, pd.DataFrame({"id": ["a", "b", "c"]}), ("cell", "platelet"), targets=Targets(boxes, "boxes")
    )
    left, log = clean(told(samples, target="b"), Cleaning(target="drop"))
    assert (len(left), log["action"].tolist()) == (3, ["drop"])
    left, _ = clean(told(samples, size="a"), Cleaning(size="drop"))
    assert left.boxes is not None
    assert left.boxes.lengths(np.arange(2)).tolist() == [0, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_arrays_may_hold_no_value_that_is_not_finite(value: float) -> None:
    x = np.zeros((9, 2, 3), dtype=np.float32)
    x += np.arange(9, dtype=np.float32)[:, None, None]
    x[7, 1, 2] = value
    samples = Samples(x, pd.DataFrame({"id": [str(i) for i in range(9)]}), origin="a.npz")
    with pytest.raises(UserError, match=r"a\.npz: row '7' has NaN or infinite inputs"):
        clean(samples, KEEP)
    assert len(clean(samples, Cleaning(non_finite="drop"))[0]) == 8
    with pytest.raises(UserError, match=r"data\.clean\.non_finite: fix .* no table: row '7'"):
        clean(samples, Cleaning(non_finite="fix"))
    ragged = Samples(Ragged.of(list(x.reshape(9, 6)), x[:0, 0, 0]), samples.table)
    assert found(ragged, Cleaning(non_finite="drop")) == {("7", "non_finite", "drop")}


def test_missing_values_of_a_table_are_no_finding() -> None:
    assert found(changed(table(), (4, 0, np.nan), (5, 2, np.nan))) == set()


def test_infinite_values_and_outliers_are_fixed_in_a_view_of_the_data() -> None:
    samples = changed(table(), (3, 0, np.inf), (4, 0, 200), (5, 1, -9), (6, 0, np.nan))
    raw = np.array(samples.inputs)
    policy = Cleaning(non_finite="fix", outlier="fix", ranges={"age": (18, 120), "weight": (30, None)})
    left, log = clean(samples, policy)
    expected = raw.copy()
    expected[3, 0], expected[4, 0], expected[5, 1] = np.nan, 120, 30
    assert np.array_equal(left.inputs[np.arange(12)], expected, equal_nan=True)
    assert np.array_equal(left.inputs[4], expected[4])
    assert np.array_equal(samples.inputs, raw, equal_nan=True)
    assert np.array_equal(left.content, hash_payload(expected))
    assert set(zip(log["id"], log["kind"], strict=True)) == {
        ("03", "non_finite"),
        ("04", "outlier"),
        ("05", "outlier"),
    }
    assert clean(left, policy)[1].empty


def test_hashes_of_the_source_change_only_where_values_do() -> None:
    samples = changed(table(), (4, 0, 200))
    own = replace(samples, hashes=np.arange(12, dtype=np.uint64))
    left, _ = clean(own, Cleaning(outlier="fix", **RULE))
    assert np.flatnonzero(left.content != np.arange(12)).tolist() == [4]
    assert own.content.tolist() == list(range(12))


def test_quartiles_find_what_lies_far_from_them() -> None:
    samples = changed(table(40), (7, 1, 130), (9, 1, np.nan))
    weight = samples.inputs[:, 1].astype(np.float64)
    q1, q3 = np.nanpercentile(weight, [25, 75])
    far = np.flatnonzero((weight < q1 - 3 * (q3 - q1)) | (weight > q3 + 3 * (q3 - q1)))
    assert far.tolist() == [7]
    assert found(samples, Cleaning(iqr=3)) == {("07", "outlier", "keep")}
    fixed, _ = clean(samples, Cleaning(iqr=3, outlier="fix"))
    assert np.isclose(fixed.inputs[7][1], q3 + 3 * (q3 - q1))
    assert clean(samples, Cleaning(iqr=3), pool=False)[1].empty
    assert found(samples, Cleaning(iqr=3, ranges={"weight": (None, None)})) == set()  # the declared one stands


def test_columns_of_arrays_are_called_by_their_numbers() -> None:
    x = np.arange(20, dtype=np.float32).reshape(10, 2)
    samples = Samples(x, pd.DataFrame({"id": [str(i) for i in range(10)]}))
    assert found(samples, Cleaning(ranges={"1": (None, 18)})) == {("9", "outlier", "keep")}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"ranges": {"agee": (0, 1)}}, r"data\.clean\.ranges: 'agee' is no column of people.csv; did you mean 'age'"),
        ({"ranges": {"town": (0, 1)}}, r"data\.clean\.ranges: 'town' is no number"),
        ({"ranges": {"age": (2, 1)}}, r"age: 2 is above 1"),
        ({"iqr": 0}, r"data\.clean\.iqr: 0 is not positive"),
        ({"outlier": "drop"}, r"data\.clean\.outlier: drop has no rule"),
    ],
)
def test_rules_that_are_none_are_refused(policy: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        clean(table(), Cleaning(**policy))


def test_rules_for_samples_without_columns_are_refused() -> None:
    samples = Samples(np.zeros((2, 3, 4, 4), dtype=np.uint8), pd.DataFrame({"id": ["a", "b"]}), origin="faces")
    with pytest.raises(UserError, match="the samples of faces are no table"):
        clean(samples, Cleaning(iqr=3))


def test_of_duplicates_the_first_id_stays_whatever_the_order_of_rows() -> None:
    samples = changed(table(), (slice(2, 9, 2), slice(None), 1))  # 02, 04, 06, 08, all of class no
    order = np.random.default_rng(1).permutation(12)
    for rows in (np.arange(12), order):
        left, log = clean(samples.take(rows), Cleaning(duplicate="drop"))
        assert log["id"].tolist() == ["04", "06", "08"]
        assert log["detail"].unique().tolist() == ["the same content as '02'"]
        assert set(left.table["id"]) == set(samples.table["id"]) - {"04", "06", "08"}


def test_of_conflicting_labels_none_stays() -> None:
    samples = changed(table(), (slice(2, 5), slice(None), 1), (slice(7, 10, 2), slice(None), 2))
    left, log = clean(samples, Cleaning(conflict="drop"))  # 02, 03, 04 are no, yes, no; 07, 09 both yes
    details = log[log["kind"] == "conflict"].set_index("id")["detail"]
    assert details.to_dict() == {
        "02": "target no, and '03' of the same content has yes",
        "03": "target yes, and '02' of the same content has no",
        "04": "target no, and '03' of the same content has yes",
    }
    assert log["id"][log["kind"] == "duplicate"].tolist() == ["09"]
    assert set(samples.table["id"]) - set(left.table["id"]) == {"02", "03", "04"}


def test_constant_columns_are_dropped_with_their_names() -> None:
    samples = changed(table(), (slice(None), 0, np.nan), (slice(None), 2, 1))
    raw = np.array(samples.inputs)
    left, log = clean(samples, Cleaning(constant="drop"))
    assert dict(zip(log["id"], log["detail"], strict=True)) == {
        "age": "missing values only",
        "town": "one value only: 'Ulm'",
    }
    assert [feature.name for feature in left.features] == ["weight"]
    assert np.array_equal(left.inputs[np.arange(12)], raw[:, [1]])
    assert clean(left, Cleaning(constant="drop"))[1].empty
    with pytest.raises(UserError, match=r"column 'age' has missing values only .*data\.clean\.constant: drop"):
        clean(samples, Cleaning(constant="fail"))
    with pytest.raises(UserError, match="every column is constant"):
        clean(changed(samples, (slice(None), 1, 1)), Cleaning(constant="drop"))


def test_a_column_that_is_missing_here_and_there_is_not_constant() -> None:
    assert found(changed(table(), (slice(None), 0, 1), (3, 0, np.nan))) == set()


def test_of_a_chain_of_near_duplicates_only_neighbours_go(tiles: Any) -> None:
    tile = tiles[55]
    pixels = np.stack([tile, tiles[42], encoded(tile, 60), tiles[61], encoded(tile, 85)])
    left, log = clean(image_samples(pixels), Cleaning(near_duplicate="drop"))
    assert log[["id", "kind", "detail"]].to_numpy().tolist() == [
        ["002", "near_duplicate", "nearly the content of '000'"],
        ["004", "near_duplicate", "nearly the content of '000'"],
    ]
    assert left.table["id"].tolist() == ["000", "001", "003"]
    assert clean(left, Cleaning(near_duplicate="drop"))[1].empty
    words = list(string.ascii_lowercase)
    chain = text_samples([" ".join([*words, *["new"] * k]) for k in (0, 5, 10)])  # the ends share too little
    log = clean(chain, Cleaning(near_duplicate="drop"))[1]
    assert log["id"].tolist() == ["001"]


def test_near_duplicates_are_not_searched_unless_asked_for(tiles: Any) -> None:
    assert clean(image_samples(np.stack([tiles[55], encoded(tiles[55], 60)])), KEEP)[1].empty


def test_test_and_predict_sources_keep_what_only_repeats() -> None:
    samples = changed(table(target=0), (slice(None), slice(None), 1))
    policy = Cleaning(duplicate="fail", conflict="fail", constant="fail")
    left, log = clean(samples, policy, pool=False)
    assert (len(left), len(log)) == (12, 0)


def test_too_little_left_is_said() -> None:
    with pytest.raises(UserError, match=r"people\.csv: cleaning leaves no samples: all are dropped for target"):
        clean(table(target=7), Cleaning(target="drop"))
    with pytest.raises(UserError, match=r"people\.csv: all samples are of class 'no'; a classifier needs"):
        clean(table(target=0), KEEP)
    with pytest.raises(UserError, match="cleaning leaves only samples of class 'yes'"):
        clean(table(target=[-1, *[1] * 11]), Cleaning(target="drop"))


def test_a_finding_of_no_kind_is_refused() -> None:
    with pytest.raises(UserError, match="reading found 'odd', which is no kind"):
        clean(told(table(), odd="03"), KEEP)


class Unread(np.ndarray[Any, Any]):
    """An array of which nothing may be read."""

    def __getitem__(self, rows: Any) -> Any:
        pytest.fail("the values were read")


def test_images_are_not_read_for_what_bytes_cannot_be() -> None:
    pixels = np.zeros((4, 3, 8, 8), dtype=np.uint8).view(Unread)
    hashes = np.array([1, 2, 2, 3], dtype=np.uint64)
    samples = Samples(pixels, pd.DataFrame({"id": list("abcd"), "target": [0, 1, 1, 0]}), ("x", "y"), hashes=hashes)
    assert found(samples) == {("c", "duplicate", "keep")}


def test_large_arrays_are_read_once_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finders, "LARGE", 1)
    monkeypatch.setattr(payload, "BLOCK", 4096)
    x = np.random.default_rng(0).normal(size=(500, 10)).astype(np.float32)
    x[321, 4] = np.nan
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    samples = Samples(mapped, pd.DataFrame({"id": [str(i) for i in range(500)]}), hashes=hash_payload(mapped))
    policy = Cleaning(non_finite="drop")
    left, log = clean(samples, policy)
    assert log["id"].tolist() == ["321"]
    assert len(left) == 499
    assert clean(replace(samples, inputs=mapped.view(Unread)), policy)[1].equals(log)


@pytest.mark.slow
def test_planted_faults_among_real_images_are_found_and_nothing_else(tmp_path: Path) -> None:
    with tarfile.open(shared("cifar10.tar.gz")) as tar:
        for member in tar:  # 63 images of each class
            path = Path(member.name)
            if path.parts[0] == "train" and path.suffix == ".jpg" and int(path.stem) % 80 == 0:
                tar.extract(member, tmp_path, filter="data")
    planted = plant(tmp_path / "train", tmp_path / "images", 600, 16)
    table, extra = judge(planted, findings(tmp_path / "images"))
    assert table["planted"].to_dict() == dict.fromkeys(KINDS, 2)
    assert table["missed"].sum() == 0, table
    assert len(extra) == 0, extra
