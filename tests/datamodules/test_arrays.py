"""Claims about arrays: what is read, what is sealed, and what is said of data that cannot be used."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.arrays import Arrays
from lightning_base.errors import UserError


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris", "diabetes"])
def test_the_sealed_share_and_the_pool_are_a_partition(name: str) -> None:
    whole, data = Arrays(source=name).samples("pool"), Arrays(source=name, test_size=0.2)
    pool, sealed = data.samples("pool").table["id"], data.samples("test").table["id"]
    assert not set(pool) & set(sealed)
    assert sorted([*pool, *sealed]) == whole.table["id"].tolist()


def test_named_classes_and_a_test_source_of_ones_own(tmp_path: Path) -> None:
    path = str(tmp_path / "own.npz")
    np.savez(path, x=np.zeros((4, 2)), y=["dog", "cat", "dog", "cat"], x_test=np.ones((2, 2)), y_test=["dog", "dog"])
    data = Arrays(source=path)
    assert data.samples("pool").classes == ("cat", "dog")
    assert data.samples("test").target.tolist() == [1, 1]
    np.savez(path, x=np.zeros((4, 2)), y=[-1, 1, 1, -1])
    assert Arrays(source=path).samples("pool").target.tolist() == [0, 1, 1, 0]


X, Y = np.zeros((6, 2)), np.arange(6) % 2
BAD = {
    "no target": ({"x": X}, "no array 'y', only x"),
    "another length": ({"x": X, "y": Y[:5]}, "y has shape"),
    "a missing value": ({"x": np.where(np.arange(12).reshape(6, 2) == 7, np.nan, 0), "y": Y}, "row '3' has NaN"),
    "a missing target": ({"x": X, "y": np.array([0, 1, np.nan, 0, 0, 0])}, "row '2' has target nan"),
    "an id twice": ({"x": X, "y": Y, "id": list("abcdda")}, "id 'd' stands in two rows"),
    "an unknown class": ({"x": X, "y": list("abcabz"), "classes": list("abc")}, "y has 'z'"),
    "words for numbers": ({"x": np.array([["a"]] * 6), "y": Y}, "inputs are numbers"),
    "no rows": ({"x": X[:0], "y": Y[:0]}, "no samples"),
}


@pytest.mark.parametrize("case", BAD)
def test_arrays_that_cannot_be_used_say_why(case: str, tmp_path: Path) -> None:
    arrays, message = BAD[case]
    path = str(tmp_path / "bad.npz")
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=message):
        Arrays(source=path).samples("pool")


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "bad.npz")
    np.savez(path, x=np.array([{"a": 1}], dtype=object), y=np.array([0]))
    with pytest.raises(UserError, match="plain arrays"):
        Arrays(source=path).samples("pool")
