"""Claims about tables: what is read, how columns are told apart, and what is said of rows that cannot be used."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

from datamodules.table import Table
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import DataError, UserError
from lightning_base.preprocess.base import Unseen
from lightning_base.samples.batch import Batch
from lightning_base.samples.loader import BatchLoader
from lightning_base.samples.samples import Samples
from lightning_base.sources import records, tables
from lightning_base.sources.columns import Layout
from lightning_base.sources.frames import frame_form, read_frame
from tests.helpers import change_unseen, shared

CARS = """name,doors,price,colour,sold
a,2,10.5,red,yes
b,4,,blue,no
c,2,8,,no
d,5,1e3,red,yes
"""


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return str(path)


def cars(tmp_path: Path, text: str = CARS, **changes: object) -> Table:
    settings: dict[str, object] = {"path": write(tmp_path / "cars.csv", text), "target": "sold", "ids": "name"}
    return Table(**{**settings, **changes})  # type: ignore[arg-type]


def whole(data: Table) -> Batch:
    """The pool as one batch, in row order."""
    pool = data.samples("pool")
    loader = BatchLoader(pool, np.arange(len(pool)), len(pool), encoder=data.preprocess.encoder(pool))
    return next(iter(loader))


def test_columns_are_told_apart_and_missing_values_stay_missing(tmp_path: Path) -> None:
    samples = cars(tmp_path, categorical=["doors"]).dataset("pool")
    assert [(f.name, f.categories) for f in samples.features] == [
        ("doors", ("2", "4", "5")),
        ("price", None),
        ("colour", ("blue", "red")),
    ]
    expected = [[0, 10.5, 1], [1, np.nan, 0], [0, 8, np.nan], [2, 1000, 1]]
    assert np.array_equal(samples.inputs[np.arange(4)], np.array(expected, np.float32), equal_nan=True)
    assert samples.classes == ("no", "yes")
    assert samples.table.to_dict("list") == {"id": ["a", "b", "c", "d"], "target": [1, 0, 0, 1]}
    assert samples.findings.empty


def test_the_batch_is_imputed_standardised_and_one_hot(tmp_path: Path) -> None:
    data = cars(tmp_path, categorical=["doors"], missing=True)
    pool = data.samples("pool")
    data.preprocess.fit(pool, np.arange(4))
    x = data.transform(whole(data)).x.numpy()
    price = np.array([10.5, 10.5, 8, 1000])  # the median takes the gap's place
    known = np.array([10.5, 8, 1000])
    assert np.allclose(x[:, 0], (price - known.mean()) / known.std(), atol=1e-5)
    assert x[:, 1].tolist() == [0, 1, 0, 0]
    assert x[:, 2:].tolist() == [[1, 0, 0, 0, 1], [0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 1, 0, 1]]


def test_csv_and_parquet_give_the_same_samples(tmp_path: Path) -> None:
    frame = load_wine(as_frame=True).frame.assign(origin=lambda f: np.where(f["hue"] > 1, "north", "south"))
    frame.loc[3, "alcohol"] = np.nan
    frame.to_csv(tmp_path / "wine.csv", index=False)
    frame.to_parquet(tmp_path / "wine.parquet")
    csv, parquet = (
        Table(path=str(tmp_path / f"wine.{s}"), target="target").dataset("pool") for s in ("csv", "parquet")
    )
    expected = frame.drop(columns=["target", "origin"]).to_numpy(np.float64)
    assert np.array_equal(csv.inputs[np.arange(178)][:, :13], expected, equal_nan=True)
    assert np.array_equal(csv.inputs[np.arange(178)], parquet.inputs[np.arange(178)], equal_nan=True)
    assert csv.features == parquet.features
    assert csv.classes == parquet.classes == ("0", "1", "2")
    assert np.array_equal(csv.content, parquet.content)
    assert csv.table.equals(parquet.table)


def test_equal_rows_hash_alike_in_every_file_whatever_their_target(tmp_path: Path) -> None:
    first = cars(tmp_path, CARS).dataset("pool").content
    text = "name,doors,price,colour,sold\nx,5,1000,red,no\ny,9,1,green,yes\nz,2,8,,yes\n"
    other = cars(tmp_path, text, path=write(tmp_path / "b.csv", text)).dataset("pool").content
    assert (other[0], other[2]) == (first[3], first[2])
    assert len({*first, *other}) == 5


def test_a_table_larger_than_memory_is_packed_once_and_is_the_same(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CARS.replace("blue,no", "blue,perhaps").replace("8,,no", "8,,no\n\nshort,2")
    data = cars(tmp_path, text, class_names=["no", "yes"])
    plain = data.dataset("pool")
    monkeypatch.setattr(tables, "IN_MEMORY", 10)
    packed = data.dataset("pool")
    assert isinstance(packed.inputs, np.memmap)
    assert not list(cache.rglob("*.tmp"))
    [pack] = cache.rglob("x.npy")
    written = pack.stat().st_mtime_ns
    for samples in (packed, data.dataset("pool")):
        assert samples.fingerprint == plain.fingerprint
        assert samples.findings.equals(plain.findings)
        assert samples.features == plain.features
    assert pack.stat().st_mtime_ns == written
    assert set(plain.findings["kind"]) == {"empty", "unreadable", "target"}
    change_unseen(tmp_path / "cars.csv", b"10.5", b"99.5")  # its size and time of change are as before
    assert data.dataset("pool").inputs[0][1] == 99.5


def test_rows_that_cannot_be_read_are_findings_and_no_samples(tmp_path: Path) -> None:
    text = CARS.replace("b,4,,blue,no\n", "\nb,4,blue,no\n").replace("d,5", 'x,1,2,"a\nb",yes,7\nd,5') + "\n\n"
    samples = cars(tmp_path, text).dataset("pool")
    assert samples.table["id"].tolist() == ["a", "c", "d"]
    assert samples.findings.to_numpy().tolist() == [
        ["line 3", "empty", "it is blank"],
        ["line 4", "unreadable", "4 fields where there are 5 columns"],
        ["line 7", "unreadable", "6 fields where there are 5 columns"],
    ]
    assert len(cars(tmp_path, text, clean=Cleaning(empty="drop", unreadable="drop")).samples("pool")) == 3
    with pytest.raises(UserError, match=r"line 3: it is blank .*data\.clean\.empty: drop"):
        cars(tmp_path, text).samples("pool")


def test_words_between_numbers_are_a_finding_that_names_column_value_and_line(tmp_path: Path) -> None:
    rows = [f"r{i},{i if i != 17 else 'many'},{i % 2}" for i in range(40)]
    text = "\n".join(["id,x,y", *rows]) + "\n"
    data = Table(path=write(tmp_path / "t.csv", text), target="y", ids="id")
    message = (
        r"t\.csv: x: a column of \d+ values, 1 of them no numbers, the first 'many' in line 19 .*data\.clean\.type"
    )
    with pytest.raises(UserError, match=message):
        data.samples("pool")
    fixed = Table(path=str(tmp_path / "t.csv"), target="y", ids="id", clean=Cleaning(type="fix")).samples("pool")
    x = fixed.inputs[np.arange(40)][:, 0]
    assert np.flatnonzero(np.isnan(x)).tolist() == [17]
    declared = Table(path=str(tmp_path / "t.csv"), target="y", ids="id", categorical=["x"]).samples("pool")
    assert declared.features[0].categories is not None
    assert "many" in declared.features[0].categories


@pytest.mark.parametrize("chunk", [1, 2, 50])
def test_a_column_with_many_words_is_categorical_unless_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(records, "CHUNK", chunk)
    path = write(tmp_path / "t.csv", "x,y\n1,a\n2,b\nold,a\nnew,b\n")
    assert Table(path=path, target="y").samples("pool").features[0].categories == ("1", "2", "new", "old")
    with pytest.raises(UserError, match="x: a column of 4 values, 2 of them no numbers, the first 'old' in line 4"):
        Table(path=path, target="y", numeric=["x"]).samples("pool")


def test_targets_that_are_none_of_the_classes_are_named(tmp_path: Path) -> None:
    text = CARS.replace("8,,no", "8,,maybe").replace("red,yes\nb", "red,\nb")
    with pytest.raises(UserError, match=r"a: line 2 has no target \(2 of kind target"):
        cars(tmp_path, text, class_names=["no", "yes"]).samples("pool")
    found = cars(tmp_path, text, class_names=["no", "yes"]).dataset("pool")
    assert found.findings["detail"].tolist() == [
        "line 2 has no target",
        "line 4 has target maybe, none of the classes no, yes",
    ]
    assert found.table["target"].tolist() == [-1, 0, -1, 1]
    price = Table(
        path=write(tmp_path / "p.csv", "a,b\n1,2.5\n2,x\n3,9\n"), target="b", task="regression", target_range=(0, 5)
    )
    assert price.dataset("pool").findings["detail"].tolist() == [
        "line 3 has target x, not a number from 0 to 5",
        "line 4 has target 9, not a number from 0 to 5",
    ]


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ("b a b", "auto", ("a", "b")),
        ("10 9 10", "auto", ("9", "10")),
        ("1.5 2 3", "auto", ()),
        (" ".join(map(str, range(21))), "auto", ()),
        (" ".join(map(str, range(20))), "auto", tuple(map(str, range(20)))),
        ("1 2 1", "regression", ()),
        ("1.5 2 1.5", "classification", ("1.5", "2")),
    ],
)
def test_the_target_says_whether_it_is_classes(
    tmp_path: Path, values: str, task: str, classes: tuple[str, ...]
) -> None:
    text = "x,y\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values.split()))
    assert Table(path=write(tmp_path / "t.csv", text), target="y", task=task).dataset("pool").classes == classes  # type: ignore[arg-type]


def test_times_and_groups_are_read_for_the_split(tmp_path: Path) -> None:
    text = "day,who,x,y\n2024-01-03,a,1,0\n2024-01-01,b,2,1\n2024-01-02,a,3,0\n"
    table = Table(path=write(tmp_path / "t.csv", text), target="y", time="day", group="who").dataset("pool").table
    assert np.argsort(table["time"].to_numpy()).tolist() == [1, 2, 0]
    assert table["group"].tolist() == ["a", "b", "a"]
    with pytest.raises(UserError, match="column 'day' has 'soon' in line 3, which is no time"):
        Table(path=write(tmp_path / "u.csv", text.replace("2024-01-01", "soon")), target="y", time="day").dataset(
            "pool"
        )
    with pytest.raises(UserError, match=r"line 4 has no 'who' \(data\.group\)"):
        Table(path=write(tmp_path / "v.csv", text.replace("02,a", "02,")), target="y", group="who").dataset("pool")


def test_test_and_predict_files_are_read_like_the_pool(tmp_path: Path) -> None:
    test = write(tmp_path / "test.csv", "sold,colour,price,doors,name\nno,green,7,2,t1\n")
    new = write(tmp_path / "new.csv", "name,doors,price,colour\nn1,7,red?,red\nn2,2,3,red\n")
    data = cars(tmp_path, test_path=test, predict=new, categorical=["doors"], clean=Cleaning(type="fix"))
    sealed, asked = data.dataset("test"), data.dataset("predict")
    assert [f.name for f in sealed.features] == ["doors", "price", "colour"]
    assert sealed.table.to_dict("list") == {"id": ["t1"], "target": [0]}
    data.preprocess.fit(data.samples("pool"), np.arange(4))
    encoder = data.preprocess.encoder(sealed)
    assert encoder is not None
    assert encoder(sealed.inputs[np.arange(1)]).tolist() == [[0, 7, -1]], "a colour not seen in training"
    assert "target" not in asked.table
    assert np.isnan(asked.inputs[np.arange(2)][:, 1]).tolist() == [True, False]


def test_a_predict_file_without_names_may_lack_the_target(tmp_path: Path) -> None:
    path, new = write(tmp_path / "t.csv", "1;a;2\n3;b;4\n"), write(tmp_path / "new.csv", "5;7\n6;8\n")
    data = Table(path=path, target="y", header=["x", "y", "z"], predict=new)
    asked = data.dataset("predict")
    assert [f.name for f in asked.features] == ["x", "z"]
    assert asked.inputs[np.arange(2)].tolist() == [[5, 7], [6, 8]]
    (tmp_path / "new.csv").write_text("5;a;7\n")
    assert data.dataset("predict").inputs[np.arange(1)].tolist() == [[5, 7]]


def test_infinite_numbers_are_found(tmp_path: Path) -> None:
    for value in ("inf", "1e60"):
        with pytest.raises(UserError, match="infinite value in column 'price'"):
            cars(tmp_path, CARS.replace("1e3", value)).samples("pool")


LATIN = CARS.replace("red,yes\nb", "rosé,yes\nb")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "solt"}, r"data\.target: .*cars\.csv has no column 'solt', only name, .*did you mean 'sold'\?"),
        ({"columns": ["doors", "weight"]}, r"data\.columns: .* has no column 'weight', only name, doors, price"),
        ({"numeric": ["size"]}, r"data\.numeric: .* no column 'size'"),
        ({"columns": ["doors", "sold"]}, r"data\.columns: 'sold' is the target"),
        ({"numeric": ["doors"], "categorical": ["doors"]}, r"data\.categorical: 'doors' stands in data\.numeric too"),
        ({"path": "nowhere.csv"}, r"data\.path: nowhere\.csv cannot be read"),
        ({"path": "nowhere.parquet"}, r"nowhere\.parquet is not readable Parquet"),
        ({"header": ["a", "b"]}, r"data\.header: 2 names for the 5 fields"),
        ({"separator": "\n"}, r"data\.separator: .*separates no fields"),
        ({"encoding": "latin-99"}, r"data\.encoding: 'latin-99' is not an encoding"),
        ({"normalize": "imagenet"}, r"data\.normalize: imagenet is for images"),
        (
            {"text": LATIN, "encoding": "utf-8"},
            r"cars\.csv: line 2 has byte 0xe9 at column 13.*data\.encoding: latin-1",
        ),
        ({"text": ""}, r"cars\.csv: no records"),
        ({"text": "name,doors,sold\n"}, r"cars\.csv: no records"),
        ({"text": CARS.replace("price", "doors")}, r"two columns are named 'doors'"),
        ({"text": CARS.replace("b,4", "a,4")}, r"id 'a' stands in two rows"),
        ({"text": CARS.replace("b,4", ",4")}, r"line 3 has no 'name' \(data\.ids\)"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    text = str(changes.pop("text", CARS))
    path = write(tmp_path / "cars.csv", text, "latin-1")
    with pytest.raises(UserError, match=message) as caught:
        Table(**{"path": path, "target": "sold", "ids": "name", **changes}).dataset("pool")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_other_encodings_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    latin = Table(path=write(tmp_path / "l.csv", LATIN, "latin-1"), target="sold", ids="name", encoding="latin-1")
    marked = Table(path=write(tmp_path / "m.csv", LATIN, "utf-8-sig"), target="sold", ids="name")
    assert latin.dataset("pool").features[2].categories == ("blue", "red", "rosé")
    assert marked.dataset("pool").fingerprint == latin.dataset("pool").fingerprint


def test_german_credit_has_a_thousand_rows_and_a_blank_line() -> None:
    path = shared("german-credit/german.data")
    data = Table(path=str(path), target="column_21", header=False, clean=Cleaning(empty="drop"))
    pool = data.samples("pool")
    lines = [re.split(r"\s+", line.strip()) for line in path.read_text().splitlines() if line.strip()]
    raw = pd.DataFrame(lines)
    assert pool.table["target"].tolist() == (raw[20].astype(int) - 1).tolist()
    words = [i for i in range(20) if not raw[i].str.fullmatch(r"\d+").all()]
    assert [i for i, f in enumerate(pool.features) if f.categories is not None] == words
    x = pool.inputs[np.arange(1000)]
    for i, feature in enumerate(pool.features):
        values = raw[i].tolist()
        assert (
            x[:, i] == [float(v) if feature.categories is None else feature.categories.index(v) for v in values]
        ).all()
    assert data.findings["pool"]["id"].tolist() == ["line 1"]


TRUTHS = [i % 3 == 0 for i in range(12)]
SPELT = {  # one column in every spelling that a program writes
    "pandas' CSV": (".csv", [str(one) for one in TRUTHS]),
    "a spreadsheet's CSV": (".csv", [str(one).upper() for one in TRUTHS]),
    "lower case": (".csv", [str(one).lower() for one in TRUTHS]),
    "numbers": (".csv", [int(one) for one in TRUTHS]),
    "floats": (".csv", [float(one) for one in TRUTHS]),
    "Parquet": (".parquet", TRUTHS),
    "Parquet of numbers": (".parquet", [int(one) for one in TRUTHS]),
    "a DataFrame": ("", TRUTHS),
    "a DataFrame of texts": ("", [str(one) for one in TRUTHS]),
}


def spelt(tmp_path: Path, case: str, data: Table | None = None) -> Samples:
    """The rows in a spelling, as the pool or, of a data module that is fitted, as what is predicted."""
    ending, flag = SPELT[case]
    frame = pd.DataFrame({"flag": flag, "n": range(12), "y": ["no", "yes"] * 6})
    path = str(tmp_path / f"file{ending}")
    if ending:
        frame.to_csv(path, index=False) if ending == ".csv" else frame.to_parquet(path)
    if data is None:
        return Table(path=path, target="y").dataset("pool")
    data.predict = path
    return data.dataset("predict") if ending else data.given(frame)


@pytest.mark.parametrize("trained", ["pandas' CSV", "Parquet", "numbers"])
def test_a_boolean_is_the_same_in_every_file(trained: str, tmp_path: Path) -> None:
    pool = spelt(tmp_path, trained)
    data = Table(path="x", target="y")
    data.preprocess.fit(pool, np.arange(12))
    for case in SPELT:
        asked = spelt(tmp_path, case, data)
        encode = data.preprocess.encoder(asked)
        assert encode is not None
        x = encode(np.asarray(asked.inputs[np.arange(12)]))
        spread = [int(row[0]) for row in x]
        kind = data.preprocess.state()["categories"]
        if kind:
            assert spread == [int(one) for one in TRUTHS], case
        else:
            shift = data.preprocess.state()["shift"][0]
            assert np.allclose(x[:, 0] + float(shift), TRUTHS), case
        assert not data.preprocess.unseen(asked, np.arange(12)), case


def test_a_category_and_a_class_are_the_same_as_integer_as_float_and_as_text(tmp_path: Path) -> None:
    for name, values in {"i": [7, 8], "f": [7.0, 8.0], "t": ["7", "8"], "tf": ["7.0", "8.0"]}.items():
        pd.DataFrame({"c": values, "n": [1, 2], "y": values}).to_parquet(tmp_path / f"{name}.parquet")
        pd.DataFrame({"c": values, "n": [1, 2], "y": values}).to_csv(tmp_path / f"{name}.csv", index=False)
        for ending in ("parquet", "csv"):
            path = str(tmp_path / f"{name}.{ending}")
            read = Table(path=path, target="y", categorical=["c"], task="classification").dataset("pool")
            assert read.features[0].categories == read.classes == ("7", "8"), path
    zip_codes = pd.DataFrame({"c": ["007", "7"], "n": [1, 2], "y": ["a", "b"]})
    assert read_frame(zip_codes, Layout(frame_form("x"), "y", categorical=["c"])).features[0].categories == ("007", "7")


def test_categories_that_training_has_not_seen_are_counted_and_a_column_of_them_alone_is_refused(
    tmp_path: Path,
) -> None:
    data = cars(tmp_path, CARS.replace("c,2,8,,", "c,2,8,blue,"))
    data.preprocess.fit(data.dataset("pool"), np.arange(4))
    frame = pd.DataFrame({"name": list("wxyz"), "doors": 4, "price": 1.0, "colour": ["red", "pink", "pink", None]})
    assert data.preprocess.unseen(data.given(frame), np.arange(4)) == {"colour": Unseen(2, ("pink",))}
    with pytest.raises(DataError, match=r"'colour': none of its values \('RED'\).*'blue', 'red'; spell them so"):
        data.preprocess.unseen(data.given(frame.assign(colour="RED")), np.arange(4))
    with pytest.raises(DataError, match=r"'price' was numbers before and holds none here, .*'cheap'"):
        data.given(frame.assign(price="cheap"))
