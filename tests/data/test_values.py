"""Claims about inputs and targets from Python: read as what they are, or refused in one line with the mend."""

import datetime
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
import torch

from lightning_base.data import Samples
from lightning_base.data.memory import Memory
from lightning_base.errors import ConfigError, DataError

N = 12
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
Y = np.arange(N) % 2
WORDS = np.where(Y == 1, "q", "p")
FRAME = pd.DataFrame(X, columns=list("abc"))


class Foreign:
    """Stands for a polars DataFrame, which is not installed here."""

    def to_pandas(self) -> pd.DataFrame:
        return FRAME


def read(x: Any = X, y: Any = Y, **options: Any) -> Samples:
    return Memory(x=x, y=y, **options).dataset("pool")


def column(values: Any) -> Samples:
    return read(FRAME.assign(o=values))


TARGETS = {  # values, and the class of each sample
    "whole numbers": Y,
    "a list": Y.tolist(),
    "a tensor": torch.from_numpy(Y),
    "text": WORDS,
    "a list of text": WORDS.tolist(),
    "booleans": Y == 1,
    "objects that are whole numbers": Y.astype(object),
    "Int64": pd.Series(Y, dtype="Int64"),
    "boolean": pd.Series(Y == 1, dtype="boolean"),
    "string": pd.Series(WORDS, dtype="string"),
    "categories, one unused": pd.Series(WORDS, dtype=pd.CategoricalDtype(["p", "q", "z"])),
    "a sparse series": pd.Series(pd.arrays.SparseArray(Y)),
}


@pytest.mark.parametrize("x", [X, FRAME], ids=["array", "frame"])
@pytest.mark.parametrize("name", TARGETS)
def test_targets_of_any_type_are_the_classes_that_they_name(name: str, x: Any) -> None:
    samples = read(x, TARGETS[name])
    assert len(samples.classes) == 2
    assert samples.target is not None
    np.testing.assert_array_equal(samples.target, Y)


@pytest.mark.parametrize("kind", [np.float32, np.float16, object])
def test_fractions_are_values_whatever_holds_them(kind: Any) -> None:
    y = X[:, 0].astype(np.float16).astype(kind)
    samples = read(y=y)
    assert samples.classes == ()
    assert samples.target is not None
    np.testing.assert_array_equal(samples.target, y.astype(np.float32))


INPUTS: dict[str, tuple[Any, Any]] = {  # values, and the column (N,) that results: codes of sorted categories
    "booleans with a gap": ([None, *(Y[1:] == 1)], [np.nan, *Y[1:]]),
    "Int64 with a gap": (pd.Series([None, *range(1, N)], dtype="Int64"), [np.nan, *range(1, N)]),
    "boolean with a gap": (pd.Series([None, *(Y[1:] == 1)], dtype="boolean"), [np.nan, *Y[1:]]),
    "string with a gap": (pd.Series([None, *WORDS[1:]], dtype="string"), [np.nan, *Y[1:]]),
    "categories, one unused": (pd.Series(WORDS, dtype=pd.CategoricalDtype(["z", "q", "p"])), Y),
    "sparse numbers": (pd.arrays.SparseArray(Y * 3), Y * 3),
    "decimals": ([Decimal(i) / 2 for i in range(N)], np.arange(N) / 2),
    "Arrow's numbers": (pd.Series(np.arange(N), dtype="int64[pyarrow]"), np.arange(N)),
}


@pytest.mark.parametrize("name", INPUTS)
def test_a_column_of_any_type_has_the_values_that_it_shows(name: str) -> None:
    values, expected = INPUTS[name]
    found = np.asarray(column(values).inputs[:])[:, 3]
    np.testing.assert_array_equal(found, np.asarray(expected, dtype=np.float32))


def test_columns_may_be_named_by_numbers_and_times_be_moments_or_text() -> None:
    assert [f.name for f in read(pd.DataFrame(X)).features] == ["0", "1", "2"]
    days = [datetime.date(2020, 1, 1 + i) for i in range(N)]
    expected = np.array([np.datetime64(day) for day in days])
    for times in (days, pd.to_datetime(days), pd.to_datetime(days).tz_localize("UTC"), [f"{day}" for day in days]):
        for x in (X, FRAME):
            found = read(x, times=times).table["time"].to_numpy()
            np.testing.assert_array_equal(found.astype("datetime64[D]"), expected)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "x a path": (lambda: read("a.csv"), "x: 'a.csv' is given; give the values"),
    "x bytes": (lambda: read(b"abc"), "x: b'abc' is given"),
    "x a number": (lambda: read(3), "x: a int is given"),
    "x a function": (lambda: read(lambda: X), "x: a function is given"),
    "x sparse": (lambda: read(scipy.sparse.csr_matrix(X)), "x: a sparse matrix (csr_matrix); give x.toarray()"),
    "x a sparse tensor": (lambda: read(torch.from_numpy(X).to_sparse()), "x: a sparse tensor; give x.to_dense()"),
    "x Arrow's": (lambda: read(pa.table({"a": X[:, 0]})), "x: a pyarrow Table; give x.to_pandas()"),
    "x another frame": (lambda: read(Foreign()), "x: a tests Foreign; give x.to_pandas()"),
    "x a dict": (lambda: read({"a": [1] * N}), "pandas.DataFrame(x)"),
    "x a generator": (lambda: read(row for row in X), "x: a generator, which can be read once; give list(x)"),
    "x masked": (lambda: read(np.ma.array(X)), "x: a masked array"),
    "x complex": (lambda: read(X * 1j), "x: complex numbers; give real ones"),
    "x text": (lambda: read(X.astype(str)), "x.astype('float32')"),
    "x objects": (lambda: read(X.astype(object)), "x.astype('float32')"),
    "x spans of time": (lambda: read(np.zeros((N, 3), "m8[D]")), "x: shape (12, 3) and type timedelta64[D]"),
    "x records": (lambda: read(FRAME.to_records()), "x: an array of records; give pandas.DataFrame(x)"),
    "x a series": (lambda: read(FRAME["a"]), "one sample per row: x.to_frame()"),
    "x flat": (lambda: read(X[:, 0]), "one sample per row: x.reshape(-1, 1)"),
    "x ragged": (lambda: read([[1], [1, 2]]), "x: no array can be made of it"),
    "x without rows": (lambda: read(np.zeros((0, 3)), []), "x: shape (0, 3), which holds no values"),
    "x without columns": (lambda: read(np.zeros((N, 0))), "x: shape (12, 0), which holds no values"),
    "a frame without rows": (lambda: read(FRAME[:0], []), "x: a DataFrame without rows"),
    "a frame without columns": (lambda: read(FRAME[[]]), "x: no columns beside y"),
    "y missing": (lambda: read(y=None), "y: missing; give the targets"),
    "y short": (lambda: read(y=Y[1:]), "y: shape (11,) where x has 12 rows; give one value per row"),
    "y a column": (lambda: read(y=Y[:, None]), "give one value per row: y.ravel()"),
    "y a frame": (lambda: read(y=pd.DataFrame({"t": Y})), "y: a DataFrame of 1 columns; give one of them: y['t']"),
    "y a name": (lambda: read(y="t"), "y: 't' would name a column, and x is no DataFrame"),
    "y a number": (lambda: read(y=3), "y: a int is given"),
    "y a set": (lambda: read(y={1, 2}), "y: a set, which has no order"),
    "y sparse": (lambda: read(y=scipy.sparse.csr_matrix(Y)), "give y.toarray()"),
    "y complex": (lambda: read(y=Y * 1j), "y: complex numbers"),
    "y bytes": (lambda: read(y=np.array([b"a", b"b"] * 6)), "y: bytes; give numbers or text: np.char.decode(y)"),
    "y objects of bytes": (lambda: read(y=pd.Series([b"a", b"b"] * 6)), "y: values of type bytes; decode them"),
    "y uuids": (lambda: read(y=[uuid.uuid4() for _ in Y]), "y: values of type UUID; give numbers or text"),
    "y dicts": (lambda: read(y=[{}] * N), "y: values of type dict"),
    "y numbers and text": (lambda: read(y=[1, "1"] * 6), "y: values of type int, str"),
    "y objects of both": (lambda: read(y=pd.Series([1, "1"] * 6)), "y: values of type int, str"),
    "y moments": (lambda: read(y=np.arange(N).astype("M8[D]")), "y: datetime64[D]; give numbers or text"),
    "y spans of time": (lambda: read(y=np.arange(N).astype("m8[D]")), "y: timedelta64[D]; give numbers or text"),
    "y text with a gap": (
        lambda: read(y=pd.Series([None, *WORDS[1:]], dtype="string")),
        "y: 1 of 12 values is missing, the first at 0",
    ),
    "y too large": (lambda: read(y=[10**30] * N), "64 bits"),
    "groups with NaN": (
        lambda: read(groups=np.array([1.0, np.nan] * 6)),
        "groups: 6 of 12 values are missing",
    ),
    "groups with None": (
        lambda: read(groups=[*"abcdefghijk", None]),
        "groups: 1 of 12 values is missing",
    ),
    "groups short": (lambda: read(groups=[1, 2]), "groups: shape (2,) where x has 12 rows"),
    "a frame's groups with NaN": (
        lambda: read(FRAME, groups=[np.nan] + [1.0] * 11),
        "groups: 1 of 12 values is missing",
    ),
    "times no times": (lambda: read(times=["q"] * N), "times: it has 'q' in line 1, which is no time"),
    "columns of bytes": (lambda: column([b"a"] * N), "column 'o' holds"),
    "columns of lists": (lambda: column([[1]] * N), "column 'o' holds"),
    "columns of dicts": (lambda: column([{"q": 1}] * N), "column 'o' holds"),
    "columns of uuids": (lambda: column([uuid.uuid4() for _ in Y]), "column 'o' holds"),
    "columns of intervals": (lambda: column(pd.interval_range(0, N)), "column 'o' holds"),
    "columns of both": (lambda: column([1, "a"] * 6), "column 'o' holds values of several kinds"),
    "columns of objects": (lambda: column([object()] * N), "column 'o' holds"),
    "columns of complex numbers": (lambda: column([1j] * N), "column 'o' is complex128"),
    "columns of spans of time": (lambda: column(pd.to_timedelta(range(N), "D")), "column 'o' is timedelta64"),
    "names twice": (
        lambda: read(pd.DataFrame(X, columns=["a", "a", "b"])),
        "rename one: x.columns",
    ),
    "names twice as text": (lambda: read(pd.DataFrame(X, columns=[1, "1", "b"])), "two columns are named '1'"),
    "names of two levels": (
        lambda: read(pd.DataFrame(X, columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]))),
        "x: columns of several levels; join them",
    ),
    "names that are none": (lambda: read(pd.DataFrame(X, columns=["a", 1.5, "b"])), "a column is named 1.5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_in_one_line_that_names_the_mend(name: str) -> None:
    call, part = REFUSED[name]
    with pytest.raises(DataError) as error:
        call()
    assert part in str(error.value)
    assert "\n" not in str(error.value)


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"clean": {}}, "data.clean: a dict is given; give lightning_base.clean.cleaning.Cleaning(…)"),
    ({"clean": 3}, "data.clean: 3 is given"),
    ({"split": 5}, "data.split: a int is given; give a splitter"),
    ({"split": "kfold"}, "data.split: a str is given; give a splitter"),
    ({"split": Memory}, "data.split: the class Memory is given"),
    ({"augment": 3}, "data.augment: 3 is given; give a list"),
    ({"augment": [3]}, "data.augment: a list is given; give a list, each lightning_base.augment.base.Augmentation"),
    ({"batch_size": "x"}, "data.batch_size: 'x' is given; give a whole number or null"),
    ({"batch_size": True}, "data.batch_size: True is given"),
    ({"batch_size": 2.5}, "data.batch_size: 2.5 is given"),
    ({"test_size": "x"}, "data.test_size: 'x' is given; give a number or null"),
    ({"test_seed": "x"}, "data.test_seed: 'x' is given"),
    ({"test_seed": -1}, "data.test_seed: -1 is no whole number"),
    ({"inner_val": [1]}, "data.inner_val: a list is given"),
    ({"fetch": 3}, "data.fetch: 3 is given"),
    ({"labels": 3}, "data.labels: 3 is given; give text or null"),
    ({"workers": 1.5}, "data.workers: 1.5 is given; give a whole number"),
    ({"columns": "a"}, "data.columns: 'a' is given; give a list, each text"),
    ({"categorical": 3}, "data.categorical: 3 is given; give a list"),
    ({"numeric": [3]}, "data.numeric: a list is given; give a list, each text"),
]


@pytest.mark.parametrize(("options", "part"), OPTIONS)
def test_an_option_of_another_type_is_refused_in_one_line(options: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError) as error:
        Memory(x=FRAME, y=Y, **options)
    assert str(error.value).startswith(part)
